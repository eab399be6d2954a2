"""Time slices of an objective: judged once when they are over, summed like events from then on.

What ``openslo.budgets`` computes over the whole past is kept as running totals here, so that a
month costs two look-ups at every look. A slice without events is not counted, and is told apart
from one that is good. A slice that is excluded in part is judged anew by what is left of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analysis.slo.openslo.time_windows import Period
from analysis.slo.sliced_counts import SlicedCounts

#: A slice's share of bad events is kept in units of 2**-62, as two halves: sums of billions of
#: either stay within 64 bits.
_HALF_BITS: Final = 31
_SHARE_UNITS: Final = 2 ** (2 * _HALF_BITS)
#: More events in a slice are divided as Python's whole numbers.
_EXACT_MAX: Final = 2**31

_Sums = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SliceSum:
    """Slices that are over. ``bad``: slices below their target, or the sum of their bad shares."""

    slices: int
    excluded: int
    reported: int
    counted: int
    bad: Fraction

    @property
    def without_events(self) -> int:
        """Slices that are not counted, because nothing happened or nobody reported."""
        return self.slices - self.excluded - self.counted


class TimeSlices:
    """Slices of ``slice_s``, one after the other from an origin on, out of the finer ``counts``.

    ``slice_target_ratio``: the share of good events below which a slice is bad; without one, each
    slice is bad by its share of bad events. The last ``capacity_s`` are remembered.
    """

    def __init__(
        self,
        counts: SlicedCounts,
        slice_s: int,
        slice_target_ratio: Fraction | None,
        capacity_s: int,
    ) -> None:
        if slice_s % counts.slice_s:
            raise ValueError(f"need whole slices of {counts.slice_s} s in {slice_s} s")
        self._counts = counts
        self._target = slice_target_ratio
        self._parts = slice_s // counts.slice_s
        self._size = capacity_s // slice_s + 2
        # counted, bad, upper and lower half of the bad shares, reported
        self._running = np.zeros((self._size, 5), dtype=np.int64)
        self._origin = 0  # number of the finer slice that the first one begins with
        self._first: int | None = None  # number of the slice before the first one judged
        self._last = 0

    def begin(self, origin_unix_s: int) -> None:
        """Count slices from another moment on; what is remembered of the counts is judged anew."""
        self._origin = -(-origin_unix_s // self._counts.slice_s)
        self._first = None
        self.advance()

    @property
    def end_number(self) -> int:
        """Number of the first slice that is not over yet."""
        end = self._counts.end_unix_s
        return 0 if end is None else (end // self._counts.slice_s - self._origin) // self._parts

    def number_at(self, unix_s: int) -> int:
        """Number of the slice that contains a moment."""
        return (unix_s // self._counts.slice_s - self._origin) // self._parts

    def advance(self) -> None:
        """Judge the slices that are over by now."""
        end, start = self.end_number, self._counts.start_unix_s
        if start is None or (self._first is not None and end <= self._last + 1):
            return
        if self._first is None:
            # Never before the origin: earlier counts belong to another period.
            self._first = self._last = max(self.number_at(start), 0) - 1
            self._running[self._last % self._size] = 0
        if end <= self._last + 1:
            return
        before = self._running[self._last % self._size].copy()
        # After a gap longer than what is remembered, only as much as that.
        numbers = np.arange(max(self._last + 1, end - self._size), end + 1)
        finer = self._counts.totals_at(numbers * self._parts + self._origin)
        marks = np.cumsum(self._marks(np.diff(finer, axis=0)), axis=0)
        self._running[numbers[:-1] % self._size] = before + marks
        self._last = end - 1

    def over(self, low: int, high: int, excluded: Sequence[Period] = ()) -> SliceSum:
        """Sum of the slices with numbers ``low`` up to but without ``high``.

        ``excluded``: spans that do not count, in order. A slice is excluded when all of it is.
        """
        found = self._between(low, high)
        out, edges = 0, dict[int, _Sums]()
        for first, last in self._spans(low, high, excluded):
            whole = (-(-first // self._parts), last // self._parts)
            if whole[0] < whole[1]:
                found = found - self._between(*whole)
                out += whole[1] - whole[0]
            for number in {first // self._parts, last // self._parts}:
                if whole[0] <= number < whole[1]:
                    continue
                begin = max(first, number * self._parts)
                end = min(last, (number + 1) * self._parts)
                if begin < end:
                    edges[number] = edges.get(number, 0) + self._finer(begin, end)
        for number, off in edges.items():
            events = self._events(number)
            if number <= self._last:
                found = found - self._mark(events) + self._mark(events - off)
        counted, bad, upper, lower, reported = found.tolist()
        shares = Fraction((upper << _HALF_BITS) + lower, _SHARE_UNITS)
        return SliceSum(high - low, out, reported, counted, bad + shares)

    def expected(self, period: Period, excluded: Sequence[Period]) -> int:
        """Slices that begin in a period from the origin on, less those wholly excluded.

        The last one may be shorter, cut off by the end of the period.
        """
        end = -(-period.end_unix_s // self._counts.slice_s) - self._origin
        slices = -(-end // self._parts)
        out = 0
        for first, last in self._spans(0, slices, excluded):
            until = slices if last >= end else last // self._parts
            out += max(until - -(-first // self._parts), 0)
        return slices - out

    def _spans(self, low: int, high: int, excluded: Sequence[Period]) -> list[tuple[int, int]]:
        """Excluded finer slices, counted from the origin, joined where they touch."""
        joined: list[tuple[int, int]] = []
        finer_s = self._counts.slice_s
        for span in excluded:
            first = max(span.start_unix_s // finer_s - self._origin, low * self._parts)
            last = min(-(-span.end_unix_s // finer_s) - self._origin, high * self._parts)
            if first >= last:
                continue
            if joined and first <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(joined[-1][1], last))
            else:
                joined.append((first, last))
        return joined

    def _between(self, low: int, high: int) -> _Sums:
        """Of the slices with numbers ``low`` up to but without ``high``, as far as remembered."""
        if self._first is None:
            return np.zeros(5, dtype=np.int64)
        last = min(high - 1, self._last)
        first = max(low - 1, self._first, self._last - self._size + 1)
        if last <= first:
            return np.zeros(5, dtype=np.int64)
        found: _Sums = self._running[last % self._size] - self._running[first % self._size]
        return found

    def _events(self, number: int) -> _Sums:
        return self._finer(number * self._parts, (number + 1) * self._parts)

    def _finer(self, first: int, end: int) -> _Sums:
        """Good, bad and covered of finer slices counted from the origin."""
        return self._counts.between(first + self._origin, end + self._origin)

    def _mark(self, events: _Sums) -> _Sums:
        """What one slice with these events adds to the running totals."""
        found: _Sums = self._marks(events[np.newaxis])[0]
        return found

    def _marks(self, events: _Sums) -> _Sums:
        """What each slice adds, one a row."""
        good, bad, covered = events.T
        total = good + bad
        counted = total > 0
        marks = np.zeros((len(events), 5), dtype=np.int64)
        marks[:, 0], marks[:, 4] = counted, covered > 0
        most = int(total.max(initial=0))
        if self._target is None:
            divisor: npt.NDArray[Any] = np.maximum(total, 1)
            if most >= _EXACT_MAX:
                bad, divisor = bad.astype(object), divisor.astype(object)
            upper = bad * 2**_HALF_BITS // divisor
            rest = bad * 2**_HALF_BITS - upper * divisor
            marks[:, 2], marks[:, 3] = upper, rest * 2**_HALF_BITS // divisor
            return marks
        top, bottom = self._target.numerator, self._target.denominator
        if most * bottom >= 2**63:
            good, total = good.astype(object), total.astype(object)
        marks[:, 1] = counted & np.asarray(good * bottom < total * top, dtype=np.bool_)
        return marks
