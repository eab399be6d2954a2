"""What a look found: verdicts, per-metric findings, and their JSON form.

A *look* is one evaluation. It always carries evidence; it carries a verdict only when there is one.
A verdict that is not ``final`` names a hold ("the canary is silent") that ends with its cause.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class VerdictKind(StrEnum):
    """What statistics found. What to do about it is a decision, made elsewhere."""

    PASS = "pass"  # noqa: S105  # not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"


class Reason(StrEnum):
    """Machine-readable reason of a look; the first seven belong to looks without a verdict."""

    WARMING = "warming"  # too few looks or requests to say anything
    OBSERVING = "observing"
    SUSPECT = "suspect"  # one metric looks worse, not yet beyond doubt; holds PASS back
    SMALL_EFFECT = "significant_but_small"  # beyond doubt, but below the practical margin
    NOT_CERTIFIED = "not_yet_certified"  # the bake is over, a critical metric is not yet shown safe
    WAITING = "waiting_for_horizon"  # only metrics that answer once are not yet shown safe
    BAKING = "baking"  # everything is shown safe, the minimum bake time is not over
    REGRESSION = "regression"  # FAIL
    CERTIFIED = "certified_non_inferior"  # PASS
    CANARY_SILENT = "canary_silent"  # INCONCLUSIVE
    BASELINE_SILENT = "baseline_silent"  # INCONCLUSIVE
    NO_DATA = "no_data"  # INCONCLUSIVE
    TOO_FEW_INSTANCES = "too_few_instances"  # INCONCLUSIVE: one machine could be the cause
    BOTH_BAD = "both_bad"  # INCONCLUSIVE: a common cause, neither promote nor roll back
    BASELINE_BAD = "baseline_bad"  # INCONCLUSIVE: no healthy yardstick
    UNDECIDED_AT_HORIZON = "undecided_at_horizon"  # INCONCLUSIVE
    BUDGET_POLICY = "budget_policy"  # INCONCLUSIVE: a policy takes it back while a budget burns
    SAMPLE_RATIO_MISMATCH = "sample_ratio_mismatch"  # INVALID
    INCOMPARABLE_LAYOUTS = "incomparable_layouts"  # INVALID


class MetricState(StrEnum):
    """Where one metric stands."""

    NO_DATA = "no_data"
    SILENT = "silent"
    LEARNING = "learning"
    CONSTANT = "constant"  # every value of both arms in one bucket: nothing to compare
    OBSERVING = "observing"
    SUSPECT = "suspect"
    WORSE = "worse"
    CERTIFIED = "certified"
    INCOMPARABLE = "incomparable"
    # Of metrics that answer once, at the horizon.
    WAITING = "waiting"
    UNDECIDED = "undecided"
    TOO_FEW_POINTS = "too_few_points"


@dataclass(frozen=True, slots=True)
class Effect:
    """Estimate of the difference with a time-uniform interval.

    ``low``/``high`` bound ``estimate`` at every look at once; ``None`` means not computable yet.
    ``unit`` is ``ratio`` (canary / baseline) or ``1`` (difference of shares, 0.01 = 1 point).
    """

    estimate: float | None
    low: float | None
    high: float | None
    unit: str
    label: str

    def to_json(self) -> dict[str, Any]:
        return {
            "estimate": _finite(self.estimate),
            "low": _finite(self.low),
            "high": _finite(self.high),
            "unit": self.unit,
            "label": self.label,
        }


@dataclass(frozen=True, slots=True)
class MetricLook:
    """One metric (or one split of it) at one look.

    ``log_e_value`` is the natural log of the evidence that the canary is worse, ``p_value`` the
    anytime-valid p-value ``min(1, 1 / max E so far)``; ``certificates`` are the log e-values
    of the claims "safe within the margin", each to be compared with ``log(1 / pass_alpha)``.
    All of them are of independent events: ``dispersion_ratio`` counted events are one (1 unless
    bursts of alike events are shown; :mod:`analysis.stats.dispersion`).

    A metric in a mode that answers once has no evidence between looks: ``log_e_value`` is then
    minus infinity, ``p_value`` NaN until the exact mode has answered, and ``fixed_time`` says mode,
    points and answer. A look of a sequential metric has no ``fixed_time``.
    """

    name: str
    kind: str
    split: str
    state: MetricState
    critical: bool
    weight: float
    log_e_value: float
    p_value: float
    dispersion_ratio: float
    certificates: Mapping[str, float]
    baseline: Mapping[str, float | int | None]
    canary: Mapping[str, float | int | None]
    effect: Effect
    effects: tuple[Effect, ...]
    blocks_used: int
    blocks_skipped: Mapping[str, int]
    fixed_time: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        said = {} if self.fixed_time is None else {"fixed_time": dict(self.fixed_time)}
        return {
            "name": self.name,
            "kind": self.kind,
            "split": self.split,
            "state": str(self.state),
            "critical": self.critical,
            "weight": self.weight,
            "log_e_value": _finite(self.log_e_value),
            "p_value": _finite(self.p_value),
            "dispersion_ratio": self.dispersion_ratio,
            "certificates": {k: _finite(v) for k, v in self.certificates.items()},
            "baseline": {k: _finite(v) for k, v in self.baseline.items()},
            "canary": {k: _finite(v) for k, v in self.canary.items()},
            "effect": self.effect.to_json(),
            "effects": [e.to_json() for e in self.effects],
            "blocks_used": self.blocks_used,
            "blocks_skipped": dict(self.blocks_skipped),
            **said,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """A named result. ``final`` verdicts end the canary; the others are holds."""

    kind: VerdictKind
    reason: Reason
    summary: str  # one plain sentence
    unix_nano: int
    final: bool
    culprit_metric: str | None
    culprit_split: str | None

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": str(self.kind),
            "reason": str(self.reason),
            "summary": self.summary,
            "unix_nano": self.unix_nano,
            "final": self.final,
            "culprit_metric": self.culprit_metric,
            "culprit_split": self.culprit_split,
        }


@dataclass(frozen=True, slots=True)
class Look:
    """One evaluation of the whole canary.

    ``verdict`` is ``None`` while the canary is observed. ``log_e_value`` is the evidence of the
    metric furthest along, times its weight (natural log): ``max_j (log w_j + log E_j)``; FAIL
    needs ``max_log_e_value >= threshold_log_e = log(1 / alpha)``.
    """

    index: int
    unix_nano: int
    elapsed_s: float
    verdict: Verdict | None
    reason: Reason
    summary: str
    log_e_value: float
    max_log_e_value: float
    threshold_log_e: float
    certify_threshold_log_e: float
    metrics: tuple[MetricLook, ...]
    traffic: Mapping[str, Any]  # requests per arm, declared share, result of the split check
    inputs_digest: str
    rule_digest: str
    code_version: str

    @property
    def final(self) -> bool:
        """Whether the canary is over."""
        return self.verdict is not None and self.verdict.final

    def to_json(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "unix_nano": self.unix_nano,
            "elapsed_s": self.elapsed_s,
            "verdict": str(self.verdict.kind) if self.verdict else "observing",
            "final": self.final,
            "reason": str(self.reason),
            "summary": self.summary,
            "culprit_metric": self.verdict.culprit_metric if self.verdict else None,
            "culprit_split": self.verdict.culprit_split if self.verdict else None,
            "log_e_value": _finite(self.log_e_value),
            "max_log_e_value": _finite(self.max_log_e_value),
            "threshold_log_e": self.threshold_log_e,
            "certify_threshold_log_e": self.certify_threshold_log_e,
            "metrics": [m.to_json() for m in self.metrics],
            "traffic": dict(self.traffic),
            "inputs_digest": self.inputs_digest,
            "rule_digest": self.rule_digest,
            "code_version": self.code_version,
        }


def in_bursts(dispersion_ratio: float) -> str:
    """Words for a description: "" when events are independent."""
    if dispersion_ratio <= 1.0:
        return ""
    return f"; events come in bursts, {dispersion_ratio:.1f} are counted as one"


def _finite(value: float | None) -> float | int | None:
    """JSON has no infinities; an unknown number is null."""
    if value is None or not math.isfinite(value):
        return None
    return value
