"""From classified metrics to group scores, one score and a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from analysis.canary.kayenta.classify import Label

#: Metrics that count for a score; the others are as if they were not there.
_COUNTED = (Label.PASS, Label.HIGH, Label.LOW, Label.NODATA_FAIL_METRIC)


@dataclass(frozen=True, slots=True)
class MetricResult:
    """What scoring needs to know of a metric."""

    name: str
    label: Label
    groups: tuple[str, ...]
    is_critical: bool = False
    is_muted: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class GroupScore:
    """``has_data`` False: nothing was counted; shown as 0, and as 100 in the summary."""

    name: str
    score: float
    has_data: bool
    weight: float


@dataclass(frozen=True, slots=True)
class Score:
    """Summary over groups; ``override`` tells why it is not the weighted sum."""

    value: float
    groups: tuple[GroupScore, ...]
    override: str | None = None


def score(results: Sequence[MetricResult], group_weights: Mapping[str, float]) -> Score:
    """Weighted sum of the share of passed metrics per group, in percent."""
    heard = [result for result in results if not result.is_muted]
    groups = _groups(heard, group_weights)
    for result in heard:
        if result.is_critical and result.label is not Label.PASS:
            return Score(0.0, groups, f"Canary Failed: {result.reason or result.name}")
    without = sum(1 for result in heard if result.label is Label.NODATA)
    if heard and 2 * without >= len(heard):
        return Score(0.0, groups, "Canary Failed: at least half of the metrics have no data")
    total = sum((group.score if group.has_data else 100.0) * group.weight for group in groups)
    return Score(_two_decimals(total / 100.0), groups)


def label_of_score(value: float, pass_at: float, marginal_at: float) -> str:
    """``Pass``, ``Marginal`` or ``Fail``; at equality the better word."""
    if value >= pass_at:
        return "Pass"
    return "Marginal" if value >= marginal_at else "Fail"


def _groups(
    results: Sequence[MetricResult], group_weights: Mapping[str, float]
) -> tuple[GroupScore, ...]:
    members: dict[str, list[Label]] = {}
    for result in results:
        for group in result.groups:
            members.setdefault(group, []).append(result.label)
    unweighted = [name for name in members if name not in group_weights]
    # Weights of groups without metrics are lost, as in Kayenta.
    shared = (100.0 - sum(group_weights.values())) / len(unweighted) if unweighted else 0.0
    scores = []
    for name, labels in members.items():
        counted = [label for label in labels if label in _COUNTED]
        passed = sum(1 for label in counted if label is Label.PASS)
        value = 100.0 * passed / len(counted) if counted else 0.0
        scores.append(GroupScore(name, value, bool(counted), group_weights.get(name, shared)))
    return tuple(scores)


def _two_decimals(value: float) -> float:
    rounded = Decimal(repr(value)).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
    return float(rounded)
