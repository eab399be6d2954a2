"""Summaries, effect sizes and the preparation of values, as Kayenta does them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Summary:
    """Of one side; all zero when there is no value."""

    min: float
    max: float
    mean: float
    std: float  # n - 1
    count: int

    def to_json(self) -> dict[str, Any]:
        return {
            "min": self.min,
            "max": self.max,
            "mean": self.mean,
            "std": self.std,
            "count": self.count,
        }


def summary(values: Floats) -> Summary:
    """Minimum, maximum, mean, standard deviation, count."""
    if len(values) == 0:
        return Summary(0.0, 0.0, 0.0, 0.0, 0)
    std = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Summary(float(values.min()), float(values.max()), float(values.mean()), std, len(values))


def percentile(values: Floats, p: float) -> float:
    """R-7 (linear interpolation), ``p`` in percent; 0 when there is no value."""
    return float(np.percentile(values, p)) if len(values) else 0.0


def mean_ratio(control: Floats, experiment: Floats) -> float:
    """Mean of the experiment over the control's; NaN when either is 0."""
    control_mean, experiment_mean = float(np.mean(control)), float(np.mean(experiment))
    if control_mean == 0 or experiment_mean == 0:
        return math.nan
    return experiment_mean / control_mean


def common_language_effect(control: Floats, experiment: Floats) -> float:
    """Chance that a value of the experiment exceeds one of the control (ties count half)."""
    m, n = len(experiment), len(control)
    ranks = float(rankdata(np.concatenate([experiment, control]))[:m].sum())
    return (2 * ranks - m * (m + 1)) / (2 * n * m)


def without_nan(values: Floats) -> Floats:
    """NaN removed."""
    return values[~np.isnan(values)]


def nan_replaced(values: Floats, by: float = 0.0) -> Floats:
    """NaN replaced."""
    result: Floats = np.where(np.isnan(values), by, values)
    return result


def is_outlier_by_sigma(values: Floats, k: float) -> Bools:
    """Further than ``k`` population standard deviations from the mean."""
    if len(values) == 0:
        return np.zeros(0, dtype=bool)
    return np.asarray(np.abs(values - values.mean()) > k * values.std())


def is_outlier_by_quartiles(values: Floats, factor: float, *, is_guarded: bool) -> Bools:
    """Beyond ``factor`` interquartile ranges; ``is_guarded`` never cuts inside P1..P99."""
    if len(values) == 0:
        return np.zeros(0, dtype=bool)
    q1, q3 = percentile(values, 25), percentile(values, 75)
    low, high = q1 - factor * (q3 - q1), q3 + factor * (q3 - q1)
    if is_guarded:
        low, high = min(percentile(values, 1), low), max(percentile(values, 99), high)
    return np.asarray((values < low) | (values > high))


def with_noise(values: Floats, mean: float, std: float, rng: np.random.Generator) -> Floats:
    """Gaussian noise added; none for a standard deviation of 0, and its size for a negative one."""
    result: Floats = values + rng.normal(mean, abs(std), len(values))
    return result
