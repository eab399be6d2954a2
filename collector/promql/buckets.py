"""Quantiles and fractions read from cumulative bucket counts (Prometheus ``quantile.go``).

``bounds`` rise and are inclusive upper edges, the last one +Inf; ``counts`` (buckets, steps) say
how many observations were at most that large. Within a bucket observations are taken to be spread
evenly; the first bucket begins at 0 if its bound is positive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from collector.promql.series import Bools, Floats

__all__ = ["Monotone", "bucket_fraction", "bucket_quantile", "coalesced", "made_monotone"]

#: Counts that differ by less, relatively, differ by rounding only.
_SMALL_DELTA: Final = 1e-12
_SMALLEST_NORMAL: Final = float(np.finfo(np.float64).smallest_normal)


@dataclass(frozen=True, slots=True)
class Monotone:
    """Counts that never fall with the bound; ``lifted`` (buckets, steps) says by how much."""

    counts: Floats
    lifted: Floats


def coalesced(bounds: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Buckets of the same bound (such as ``le="1"`` and ``le="1.0"``) added together."""
    distinct, place = np.unique(bounds, return_inverse=True)
    if len(distinct) == len(bounds):
        return bounds, counts
    total = np.zeros((len(distinct), counts.shape[1]))
    np.add.at(total, place, counts)
    return distinct, total


def made_monotone(counts: Floats) -> Monotone:
    """Ignore what is rounding, lift what fell."""
    result, lifted = counts.copy(), np.zeros_like(counts)
    previous = result[0]
    for row in range(1, len(counts)):
        current = counts[row]
        is_same = (current == previous) | _almost_equal(previous, current)
        has_fallen = ~is_same & (current < previous)
        lifted[row] = np.where(has_fallen, previous - current, 0.0)
        result[row] = np.where(is_same | has_fallen, previous, current)
        previous = result[row]
    return Monotone(result, lifted)


def _almost_equal(a: Floats, b: Floats) -> Bools:
    total, difference = np.abs(a) + np.abs(b), np.abs(a - b)
    is_tiny = (a == 0) | (b == 0) | (total < _SMALLEST_NORMAL)
    relative = difference / np.minimum(total, np.finfo(np.float64).max)
    both_nan = np.isnan(a) & np.isnan(b)
    result: Bools = np.where(
        is_tiny, difference < _SMALL_DELTA * _SMALLEST_NORMAL, relative < _SMALL_DELTA
    )
    return result | both_nan


def bucket_quantile(quantiles: Floats, bounds: Floats, counts: Floats) -> Floats:
    """The quantile per step, of monotone ``counts``; NaN where it cannot be told."""
    steps = counts.shape[1]
    if len(bounds) < 2 or not np.isposinf(bounds[-1]):
        return _outside(quantiles, np.full(steps, np.nan))
    observations = counts[-1]
    rank = quantiles * observations
    reaches = counts[:-1] >= rank
    bucket = np.where(reaches.any(axis=0), reaches.argmax(axis=0), len(bounds) - 1)
    column = np.arange(steps)
    below = np.maximum(bucket - 1, 0)
    is_first = bucket == 0
    start = np.where(is_first, 0.0, bounds[below])
    counted_below = np.where(is_first, 0.0, counts[below, column])
    end, counted = bounds[bucket], counts[bucket, column] - counted_below
    inner = start + (end - start) * ((rank - counted_below) / counted)
    result = np.where(is_first & (bounds[0] <= 0), bounds[0], inner)
    result = np.where(bucket == len(bounds) - 1, bounds[-2], result)
    return _outside(quantiles, np.where(observations == 0, np.nan, result))


def _outside(quantiles: Floats, inside: Floats) -> Floats:
    result = np.where(quantiles < 0, -np.inf, np.where(quantiles > 1, np.inf, inside))
    return np.where(np.isnan(quantiles), np.nan, result)


def bucket_fraction(lower: Floats, upper: Floats, bounds: Floats, counts: Floats) -> Floats:
    """The share of observations in (lower, upper] per step; NaN where it cannot be told."""
    steps = counts.shape[1]
    if not np.isposinf(bounds[-1]):
        return np.full(steps, np.nan)
    total = counts[-1]
    share = (_rank_at(upper, bounds, counts) - _rank_at(lower, bounds, counts)) / total
    result = np.where(lower >= upper, 0.0, share)
    return np.where((total == 0) | np.isnan(lower) | np.isnan(upper), np.nan, result)


def _rank_at(value: Floats, bounds: Floats, counts: Floats) -> Floats:
    """How many observations are at most ``value``, read off the buckets."""
    total = counts[-1]
    rank = np.full(counts.shape[1], np.nan)
    is_set = np.zeros(counts.shape[1], dtype=bool)
    below = np.zeros(counts.shape[1])
    for index, bound in enumerate(bounds):
        # The first bucket begins at 0 where that is plausible, else it is infinitely wide.
        start = bounds[index - 1] if index else (0.0 if bound > 0 else -np.inf)
        at_edge = ~is_set & (start >= value)
        rank = np.where(at_edge, below, rank)
        is_set |= at_edge
        inside = ~is_set & (start < value) & (bound > value)
        if np.isneginf(start):  # nothing can be interpolated in an infinitely wide bucket
            shared = counts[index]
        else:
            shared = below + (counts[index] - below) * (value - start) / (bound - start)
        rank = np.where(inside, shared, rank)
        is_set |= inside
        below = counts[index]
    return np.where(~is_set | (rank > total), total, rank)
