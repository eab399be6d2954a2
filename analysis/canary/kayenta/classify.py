"""One metric: High, Low, Pass, or the several words for no data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from analysis.canary.kayenta import statistics
from analysis.canary.kayenta.mann_whitney import ShiftInterval, shift_interval

Floats = npt.NDArray[np.float64]

#: Both are fixed in Kayenta's judge.
TOLERANCE = 0.25
CONFIDENCE = 0.98
#: Noise on constant sides, relative to the value.
_NOISE_RATIO = 1e-5


class Label(StrEnum):
    """Classification of a metric, in Kayenta's words."""

    PASS = "Pass"  # noqa: S105  # not a password
    HIGH = "High"
    LOW = "Low"
    NODATA = "Nodata"
    NODATA_FAIL_METRIC = "NodataFailMetric"
    ERROR = "Error"


class Direction(StrEnum):
    """Which way a difference counts."""

    INCREASE = "increase"
    DECREASE = "decrease"
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class MetricRule:
    """How one metric is classified; thresholds are (decrease, increase) of the effect size."""

    direction: Direction
    is_nan_removed: bool  # else NaN becomes 0.0
    is_critical: bool
    is_data_required: bool
    measure: str  # meanRatio | cles
    allowed: tuple[float, float]
    critical: tuple[float, float]
    tolerance: float = TOLERANCE
    confidence: float = CONFIDENCE


@dataclass(frozen=True, slots=True)
class Classification:
    """``deviation`` is the mean ratio shown to people; ``interval`` None where none was needed."""

    label: Label
    reason: str | None
    deviation: float
    is_critical: bool
    interval: ShiftInterval | None = None


def classify(
    name: str, control: Floats, experiment: Floats, rule: MetricRule, rng: np.random.Generator
) -> Classification:
    """The Mann-Whitney rule. Raises AllTiedError where Kayenta's classification fails."""
    settled = _without_data(name, control, experiment, rule)
    if settled is not None:
        return settled
    if len(control) == len(experiment) and np.array_equal(np.sort(control), np.sort(experiment)):
        reason = "The Canary and Baseline data are identical"
        return Classification(Label.PASS, reason, 1.0, is_critical=False)
    if len(np.unique(np.concatenate([control, experiment]))) == 1:
        return Classification(Label.PASS, None, 1.0, is_critical=False)
    if len(np.unique(control)) == 1 and len(np.unique(experiment)) == 1:
        experiment, control = (_noisy(side, rng) for side in (experiment, control))
    interval = shift_interval(experiment, control, rule.confidence)
    deviation = statistics.mean_ratio(control, experiment)
    effect = deviation
    if rule.measure == "cles":
        effect = statistics.common_language_effect(control, experiment)
    label = _label(interval, effect, rule)
    is_critical = rule.is_critical and _exceeds(label, effect, rule.critical)
    told = f"{name} was classified as {label}"
    told = f"The metric {told} (Critical)" if is_critical else told
    why = None if label is Label.PASS else told
    return Classification(label, why, deviation, is_critical, interval)


def classify_by_means(
    name: str, control: Floats, experiment: Floats, rule: MetricRule
) -> Classification:
    """Kayenta's benchmark rule: any difference of the means counts."""
    settled = _without_data(name, control, experiment, rule)
    if settled is not None:
        return settled
    control_mean, experiment_mean = np.mean(control), np.mean(experiment)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = float(np.divide(experiment_mean, control_mean))
    if rule.direction is not Direction.DECREASE and experiment_mean > control_mean:
        reason = "The Canary mean was greater than the Baseline mean"
        return Classification(Label.HIGH, reason, ratio, rule.is_critical)
    if rule.direction is not Direction.INCREASE and experiment_mean < control_mean:
        reason = "The Canary mean was less than the Baseline mean"
        return Classification(Label.LOW, reason, ratio, rule.is_critical)
    return Classification(Label.PASS, None, 1.0, is_critical=False)


def _without_data(
    name: str, control: Floats, experiment: Floats, rule: MetricRule
) -> Classification | None:
    """What a missing side means; an empty side passes when NaN are replaced, as in Kayenta."""
    if len(control) and len(experiment):
        return None
    if not rule.is_nan_removed:
        return Classification(Label.PASS, None, 1.0, is_critical=False)
    reason = f"Missing data for {name}"
    if rule.is_data_required and not rule.is_critical:
        return Classification(Label.NODATA_FAIL_METRIC, reason, 1.0, is_critical=False)
    return Classification(Label.NODATA, reason, 1.0, rule.is_critical)


def _noisy(values: Floats, rng: np.random.Generator) -> Floats:
    return statistics.with_noise(values, 0.0, float(values[0]) * _NOISE_RATIO, rng)


def _label(interval: ShiftInterval, effect: float, rule: MetricRule) -> Label:
    bound = rule.tolerance * abs(interval.estimate)
    is_high = rule.direction is not Direction.DECREASE and interval.low > bound
    if is_high and _exceeds(Label.HIGH, effect, rule.allowed):
        return Label.HIGH
    is_low = rule.direction is not Direction.INCREASE and interval.high < -bound
    if is_low and _exceeds(Label.LOW, effect, rule.allowed):
        return Label.LOW
    return Label.PASS


def _exceeds(label: Label, effect: float, thresholds: tuple[float, float]) -> bool:
    """Whether the effect is large enough; one that cannot be computed always is."""
    at_least: dict[Label, Callable[[], bool]] = {
        Label.HIGH: lambda: effect >= thresholds[1],
        Label.LOW: lambda: effect <= thresholds[0],
    }
    return label in at_least and (math.isnan(effect) or at_least[label]())
