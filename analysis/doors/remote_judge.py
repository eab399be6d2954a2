"""Kayenta's RemoteJudge: canned data in, a judge result out. Nothing is fetched, nothing is kept.

With ``kayenta.remote-judge`` enabled, Kayenta posts ``{canaryConfig, scoreThresholds,
metricSetPairList}`` to ``<base>/judge`` when a config's judge is ``RemoteJudge-v1.0``
(kayenta-judge, RemoteJudge.java, RemoteJudgeService.java). The answer is its own judge's, to the
last bit, unless the config asks for ``{"mode": "exact"}`` in ``judge.judgeConfigurations``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from analysis.canary.exact import ExactLabel, ExactRule, compare
from analysis.canary.kayenta.classify import Classification, Direction, Label
from analysis.canary.kayenta.errors import KayentaInputError
from analysis.canary.kayenta.judge import (
    JudgedMetric,
    JudgeResult,
    judge,
    metric_config,
    scored,
)
from analysis.canary.kayenta.metric_sets import MetricSetPair
from analysis.errors import BadRequestError

Floats = npt.NDArray[np.float64]
JUDGE_NAME: Final = "RemoteJudge-v1.0"
MODES: Final = ("kayenta", "exact")
#: Kayenta's own where a request names none (canary-config.md).
PASS_AT: Final = 75.0
MARGINAL_AT: Final = 50.0
MAX_PAIRS: Final = 10_000
MAX_POINTS: Final = 1_000_000
#: Fixed-time error of the exact mode; Kayenta's confidence is 0.98 on two sides.
EXACT_ALPHA: Final = 0.01
EXACT_TOLERANCE_RATIO: Final = 0.25
_ACCEPTED: Final = (
    "a JSON object with canaryConfig, scoreThresholds {pass, marginal} and metricSetPairList"
)


def judge_remotely(raw: bytes) -> dict[str, Any]:
    """The judge result of one request's body. Raises BadRequestError.

    The same bytes give the same answer: noise for constant series is drawn from their digest.
    """
    body = _object(raw)
    config = _mapping(body, "canaryConfig")
    thresholds = body.get("scoreThresholds") or {}
    pairs = body.get("metricSetPairList")
    if not isinstance(pairs, list) or len(pairs) > MAX_PAIRS:
        raise BadRequestError(
            f"metricSetPairList is not a list of at most {MAX_PAIRS} pairs", accepted=_ACCEPTED
        )
    mode = _mode(config)
    digest = hashlib.sha256(raw).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    pass_at = _number(thresholds, "pass", PASS_AT)
    marginal_at = _number(thresholds, "marginal", MARGINAL_AT)
    try:
        metrics = [metric_config(one) for one in config.get("metrics") or []]
        weights = (config.get("classifier") or {}).get("groupWeights") or {}
        found = judge(
            metrics,
            weights,
            _pairs(pairs),
            pass_at=pass_at,
            marginal_at=marginal_at,
            rng=rng,
        )
        if mode == "exact":
            exact = [_exactly(one) for one in found.metrics]
            found = scored(exact, weights, pass_at=pass_at, marginal_at=marginal_at)
    except (KayentaInputError, KeyError, TypeError, AttributeError) as error:
        raise BadRequestError(f"canaryConfig: {error}", accepted=_ACCEPTED) from None
    ids = [str(one.get("id", "")) for one in pairs]
    return _with_ids(found, ids)


def _with_ids(found: JudgeResult, ids: Sequence[str]) -> dict[str, Any]:
    answer = found.to_json()
    answer["judgeName"] = JUDGE_NAME
    for result, pair_id in zip(answer["results"], ids, strict=True):
        result["id"] = pair_id
    return answer


def _object(raw: bytes) -> Mapping[str, Any]:
    # Kayenta's serialiser writes "NaN" as text; a bare NaN is refused by the decoder.
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"the body is not JSON: {error}", accepted=_ACCEPTED) from None
    if not isinstance(body, dict):
        raise BadRequestError("the body is not an object", accepted=_ACCEPTED)
    return body


def _mapping(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = body.get(key)
    if not isinstance(found, dict):
        raise BadRequestError(f"{key} is not an object", accepted=_ACCEPTED)
    return found


def _mode(config: Mapping[str, Any]) -> str:
    judge_part = config.get("judge") or {}
    options = judge_part.get("judgeConfigurations") or {} if isinstance(judge_part, dict) else {}
    mode = options.get("mode", "kayenta") if isinstance(options, dict) else "kayenta"
    if mode not in MODES:
        raise BadRequestError(
            f"judgeConfigurations.mode {mode!r} is unknown", accepted=" or ".join(MODES)
        )
    return str(mode)


def _number(tree: Any, key: str, usual: float) -> float:
    value = tree.get(key, usual) if isinstance(tree, dict) else usual
    if value is None:
        return usual
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadRequestError(f"scoreThresholds.{key} is not a number", accepted=_ACCEPTED)
    return float(value)


def _pairs(raw: Sequence[Any]) -> list[MetricSetPair]:
    pairs = []
    count = 0
    for place, one in enumerate(raw):
        values = one.get("values") if isinstance(one, dict) else None
        if not isinstance(values, dict) or not isinstance(one.get("name"), str):
            raise BadRequestError(
                f"metricSetPairList[{place}] has no name or no values", accepted=_ACCEPTED
            )
        control, experiment = (
            _values(values.get(side), f"metricSetPairList[{place}].values.{side}")
            for side in ("control", "experiment")
        )
        count += len(control) + len(experiment)
        if count > MAX_POINTS:
            raise BadRequestError(
                f"more than {MAX_POINTS} points", accepted=f"at most {MAX_POINTS} points"
            )
        pairs.append(MetricSetPair(one["name"], dict(one.get("tags") or {}), control, experiment))
    return pairs


def _values(raw: Any, place: str) -> Floats:
    try:
        return np.array([math.nan if v in (None, "NaN") else float(v) for v in raw or []])
    except (TypeError, ValueError):
        raise BadRequestError(
            f"{place} is not a list of numbers", accepted='numbers, "NaN" or null'
        ) from None


def _exactly(one: JudgedMetric) -> JudgedMetric:
    """The metric with the unit-free test in place of Kayenta's; what has no data stays so."""
    if one.classification.label in (Label.NODATA, Label.NODATA_FAIL_METRIC):
        return one
    direction = one.config.rule.direction
    rule = ExactRule(
        tolerance_ratio=EXACT_TOLERANCE_RATIO,
        alpha=EXACT_ALPHA,
        is_increase_bad=direction is not Direction.DECREASE,
        is_decrease_bad=direction is not Direction.INCREASE,
    )
    control, experiment = one.pair.control, one.pair.experiment
    found = compare(control[np.isfinite(control)], experiment[np.isfinite(experiment)], rule)
    labels = {
        ExactLabel.PASS: Label.PASS,
        ExactLabel.HIGH: Label.HIGH,
        ExactLabel.LOW: Label.LOW,
        # Undecided is no data to a score: it counts neither for nor against.
        ExactLabel.UNDECIDED: Label.NODATA,
        ExactLabel.NODATA: Label.NODATA,
    }
    label = labels[found.label]
    is_critical = one.config.rule.is_critical and label in (Label.HIGH, Label.LOW)
    told = Classification(label, found.reason, one.classification.deviation, is_critical)
    return replace(one, classification=told)
