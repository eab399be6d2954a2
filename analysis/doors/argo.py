"""Argo Rollouts' web metric provider: one JSON object that its conditions read.

Any status but 2xx is an *Error* to Argo, and four of them in a row end the run, so that what is
unknown is answered 200 with ``nodata``: with both a success and a failure condition that is
Inconclusive by Argo's own rule, and the rollout pauses for a person.
(metricproviders/webmetric/webmetric.go, docs/analysis/web.md)
"""

from __future__ import annotations

import math
from typing import Any

from analysis.doors.standing import Known


def answer(known: Known) -> dict[str, Any]:
    """``score`` is 100, 60 or 0, for conditions that want a number; ``e_value`` is evidence of harm
    by the culprit, ``p_value`` its anytime-valid counterpart; None before there is a look.
    """
    look = known.look or {}
    log_e = look.get("max_log_e_value")
    e_value = None if log_e is None else math.exp(min(float(log_e), 700.0))
    scores = {"pass": 100, "fail": 0}
    return {
        "verdict": str(known.standing),
        "score": scores.get(str(known.standing), 60),
        "e_value": e_value,
        "p_value": None if not e_value else min(1.0, 1.0 / e_value),
        "reason": known.reason,
        "summary": known.summary,
        "deployment_id": None if known.record is None else known.record.deployment_id,
        "culprit_metric": look.get("culprit_metric"),
        "looks": 0 if known.record is None else known.record.looks,
    }
