"""From data points to what was added: per-series differences, resets and the first-point rule.

Pure functions of arrays. Points are sorted by (series, time). Times are Unix nanoseconds.
Sources: OpenTelemetry metrics data model, "Temporality", "Resets and Gaps", "Cumulative streams:
handling unknown start time".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Increments:
    """What each point added; one row per point of the input.

    ``values`` (n, k) is 0 where ``is_counted`` is false. ``is_counted``: the point says how much
    was added since a known moment. ``is_difference``: that is the point's value less the previous
    row's, else the value itself. ``is_reset``: the stream began anew with this point.
    """

    values: Floats
    is_counted: Bools
    is_difference: Bools
    is_reset: Bools

    def of_column(self, column: Floats) -> Floats:
        """Another running total of the same points (such as a histogram's sum), taken alike.

        It may fall, and be NaN where a sender gave none; 0 where the point does not count.
        """
        previous = np.concatenate((column[:1], column[:-1]))
        added = np.where(self.is_difference, column - previous, column)
        result: Floats = np.where(self.is_counted, added, 0.0)
        return result


def sort_order(series: Ints, time: Ints) -> Ints:
    """Indices that sort points by series, then time."""
    return np.lexsort((time, series)).astype(np.int64)


def running_max_per_series(series: Ints, values: Ints) -> Ints:
    """Largest of ``values`` so far within each series; ``series`` must be sorted."""
    if len(values) == 0:
        return values.copy()
    levels, rank = np.unique(values, return_inverse=True)
    block = np.concatenate(([0], np.cumsum(series[1:] != series[:-1])))
    climbing = np.maximum.accumulate(block * len(levels) + rank.astype(np.int64))
    result: Ints = levels[climbing - block * len(levels)]
    return result


def is_stale(series: Ints, start: Ints) -> Bools:
    """Points of an incarnation that a newer one has already replaced.

    Their start time lies before one seen earlier in the series; differencing across the two would
    count a whole lifetime again, so they are left out. An unknown start (0) after a known one too.
    """
    return start < running_max_per_series(series, start)


def cumulative_increments(
    series: Ints, start: Ints, layout: Ints, values: Floats, *, count_from_unix_nano: int
) -> Increments:
    """Differences along each series; ``values`` (n, k) are running totals, stale points removed.

    - First point of a series: counts fully if it began at or after ``count_from_unix_nano``,
      otherwise it is only the anchor of the next one.
    - Later start time: reset, the point counts fully.
    - Same start time but any column fell: reset by value, the point counts fully.
    - Same start time, other ``layout`` (bucket bounds): no difference exists; anchor only.
    The result is never negative.
    """
    count = len(series)
    added = values.astype(np.float64, copy=True)
    if count == 0:
        nothing = np.zeros(0, dtype=bool)
        return Increments(added, nothing, nothing, nothing)
    is_first = np.concatenate(([True], series[1:] != series[:-1]))
    is_same_start = np.concatenate(([False], start[1:] == start[:-1])) & ~is_first
    is_same_layout = np.concatenate(([False], layout[1:] == layout[:-1])) & ~is_first
    difference = np.zeros_like(added)
    difference[1:] = added[1:] - added[:-1]
    has_fallen = np.asarray((difference < 0).any(axis=1), dtype=bool)
    # NaN never compares as fallen and would poison every later sum.
    is_number = np.asarray(np.isfinite(added).all(axis=1), dtype=bool)

    is_plain: Bools = is_same_start & is_same_layout & ~has_fallen
    resets: Bools = ~is_first & (~is_same_start | (is_same_layout & has_fallen))
    is_born_inside = is_first & (start != 0) & (start >= count_from_unix_nano)
    counted: Bools = (is_plain | resets | is_born_inside) & is_number
    added[is_plain] = difference[is_plain]
    counted &= np.isfinite(added).all(axis=1)
    added[~counted] = 0.0
    # A running total below zero is no counter; its fall is a reset that adds nothing.
    return Increments(np.maximum(added, 0.0), counted, is_plain & counted, resets & counted)


def delta_increments(values: Floats) -> Increments:
    """Delta points already say what was added; not-numbers are left out."""
    counted = np.asarray(np.isfinite(values).all(axis=1), dtype=bool)
    added = np.where(counted[:, None], values, 0.0).astype(np.float64)
    never = np.zeros(len(values), dtype=bool)
    return Increments(added, counted, never, never)


def interval_index(
    time: Ints, *, from_unix_nano: int, to_unix_nano: int, step_ns: int
) -> tuple[Ints, Bools]:
    """Number of the interval each time falls into, and whether it lies in [from, to) at all."""
    inside = (time >= from_unix_nano) & (time < to_unix_nano)
    index: Ints = np.where(inside, (time - from_unix_nano) // step_ns, -1)
    return index, inside


def sum_by_key(keys: Ints, values: Floats) -> tuple[Ints, Floats]:
    """Rows of ``values`` (n, k) summed by key: (sorted distinct keys, sums)."""
    if len(keys) == 0:
        return keys, values
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return ordered[starts], np.add.reduceat(values[order], starts, axis=0)


def distinct_by_key(keys: Ints, members: Ints) -> dict[int, int]:
    """How many different ``members`` (each >= 0) every key has."""
    if len(keys) == 0:
        return {}
    pairs = np.unique(np.stack((keys, members), axis=1), axis=0)
    found, counts = np.unique(pairs[:, 0], return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))
