"""When the budget will be used up, if it goes on as lately: a moment and an interval around it.

Recent slices each used some of the budget. What the next ``k`` slices use is predicted to have mean
``k m`` and variance ``s^2 k (1 + k / n)``: the noise of the slices to come, and that ``m`` is known
from ``n`` slices only. ``s^2`` is taken from batches of neighbouring slices, since trouble comes in
runs. The budget is gone before ``k`` with the probability that the prediction is above what is
left; solving that for ``k`` gives both ends (a quadratic, no search). The later end may be never.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import t as student_t

from analysis.slo.openslo.sliced_past import CountsError

#: Long batches see long runs of trouble, many batches are needed to know how far the mean may be
#: off: ten is where intervals of runs of some twenty slices still hold what they promise.
BATCHES: Final = 10
SLICES_PER_BATCH_MIN: Final = 2


@dataclass(frozen=True, slots=True)
class ExhaustionForecast:
    """Seconds from now until nothing is left; ``None`` is never, as far as can be told.

    ``exhausts_s``: at the mean rate; between ``earliest_s`` and ``latest_s`` with the confidence
    that was asked for.
    """

    exhausts_s: float | None
    earliest_s: float | None
    latest_s: float | None


def forecast(
    used_ratios: Sequence[float],
    slice_s: int,
    remaining_ratio: float,
    confidence: float,
) -> ExhaustionForecast | None:
    """Forecast from the share of the whole budget that each recent slice used, oldest first.

    ``None`` if there are too few slices. Raises CountsError for anything but finite numbers.
    """
    used = np.asarray(used_ratios, dtype=np.float64)
    if not np.isfinite(used).all() or not math.isfinite(remaining_ratio):
        raise CountsError("shares of a budget must be finite")
    if not 0 < confidence < 1:
        raise CountsError(f"confidence {confidence}, accepted: between 0 and 1")
    size = len(used) // BATCHES
    if size < SLICES_PER_BATCH_MIN:
        return None
    if remaining_ratio <= 0:
        return ExhaustionForecast(0.0, 0.0, 0.0)
    recent = used[len(used) - BATCHES * size :]
    means = recent.reshape(BATCHES, size).mean(axis=1)
    mean, slices = float(recent.mean()), len(recent)
    variance = float(means.var(ddof=1)) * size
    quantile = float(student_t.ppf((1 + confidence) / 2, BATCHES - 1))
    early, late = _crossings(mean, variance * quantile**2, slices, remaining_ratio)
    return ExhaustionForecast(
        None if mean <= 0 else remaining_ratio / mean * slice_s,
        None if early is None else early * slice_s,
        None if late is None else late * slice_s,
    )


def _crossings(
    mean: float, spread: float, slices: int, left: float
) -> tuple[float | None, float | None]:
    """Slices ``k`` where ``mean k`` is ``sqrt(spread k (1 + k / slices))`` above and below left.

    ``(mean k - left)^2 = spread k (1 + k / slices)`` has one root on each side, or only the early.
    """
    a = mean * mean - spread / slices
    b = 2 * mean * left + spread
    c = left * left
    discriminant = b * b - 4 * a * c
    if discriminant < 0 or b + math.sqrt(discriminant) <= 0:
        return None, None
    # The stable form of the smaller root: no difference of near equals.
    early = 2 * c / (b + math.sqrt(discriminant))
    if a <= 0:
        return early, None
    return early, (b + math.sqrt(discriminant)) / (2 * a)
