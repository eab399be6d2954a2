"""An objective under other terms: another target, window or alert policy. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from analysis.slo.errors import SloFileError
from analysis.slo.objectives import (
    SEVERITIES,
    AlertPolicy,
    BurnWindow,
    Objective,
)
from analysis.slo.openslo.burn_math import SHORT_WINDOW_PARTS, is_reachable
from analysis.slo.openslo.durations import UNIT_S
from analysis.slo.openslo.exact import exact

MAX_WINDOWS: Final = 10
#: No alert looks back over less: a twelfth of it is the finest slice counts are read in.
LEAST_LOOKBACK_S: Final = 60
MAX_WINDOW_S: Final = 366 * 86_400
ALERTS_ACCEPTED: Final = "such as page@14.4/1h,page@6/6h,ticket@1/3d"
_ALERT: Final = re.compile(rf"({'|'.join(SEVERITIES)})@([0-9]+(?:\.[0-9]+)?)/([0-9]{{1,4}}[mhdw])")
_DURATION: Final = re.compile(r"([0-9]{1,4})([mhdw])")


@dataclass(frozen=True, slots=True)
class OtherTerms:
    """What is another than it is; ``None`` stays."""

    target_ratio: float | None = None
    window_s: int | None = None
    alerts: tuple[BurnWindow, ...] | None = None


def under(objective: Objective, terms: OtherTerms) -> Objective:
    """The objective under these terms. Raises SloFileError for a given alert that cannot fire.

    Over another window, alerts keep the share of the budget at which they fire: a burn rate is that
    share times the window over the look-back (Workbook, ch. 5), so it grows with the window.
    """
    windows = objective.policy.windows
    window_s = terms.window_s or objective.window_s
    if terms.alerts is not None:
        windows = terms.alerts
    elif window_s != objective.window_s:
        scale = window_s / objective.window_s
        windows = tuple(replace(one, factor=one.factor * scale) for one in windows)
    changed = replace(
        objective,
        target_ratio=objective.target_ratio if terms.target_ratio is None else terms.target_ratio,
        window_s=window_s,
        calendar=None if terms.window_s else objective.calendar,
        policy=AlertPolicy(objective.policy.guard, windows),
    )
    for one in terms.alerts or ():
        if not is_reachable(exact(one.factor), 1 - exact(changed.target_ratio)):
            name = f"{one.severity}@{one.factor:g}/{one.long_window_s}s"
            most = f"less than {1 / changed.budget_ratio:g}, the burn rate of a total outage"
            raise SloFileError("alerts", name, most)
    return changed


def both(objective: Objective, other: Objective) -> Objective:
    """The first, looking back as far and as finely as the alerts of either do."""
    windows = objective.policy.windows + other.policy.windows
    return replace(objective, policy=AlertPolicy(objective.policy.guard, windows))


def read_alerts(text: str) -> tuple[BurnWindow, ...]:
    """``severity@burn rate/look-back`` between commas. Raises SloFileError."""
    words: Sequence[str] = text.split(",")
    if len(words) > MAX_WINDOWS:
        raise SloFileError("alerts", f"{len(words)} of them", f"at most {MAX_WINDOWS}")
    found = []
    for word in words:
        parts = _ALERT.fullmatch(word.strip())
        if parts is None:
            raise SloFileError("alerts", word[:60], ALERTS_ACCEPTED)
        severity, factor, lookback = parts.groups()
        lookback_s = read_duration("alerts", lookback)
        found.append(
            BurnWindow(severity, float(factor), lookback_s, lookback_s // SHORT_WINDOW_PARTS)
        )
    return tuple(found)


def read_duration(where: str, text: str) -> int:
    """Seconds of ``7d`` and the like, at least a minute. Raises SloFileError."""
    parts = _DURATION.fullmatch(text)
    seconds = 0 if parts is None else int(parts[1]) * UNIT_S[parts[2]]
    if not LEAST_LOOKBACK_S <= seconds <= MAX_WINDOW_S:
        raise SloFileError(where, text[:20], "1m to 366d, such as 6h or 28d")
    return seconds
