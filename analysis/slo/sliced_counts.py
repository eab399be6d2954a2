"""Events counted in slices of time, summed over any window by two look-ups.

A ring of running totals: the sum over a window is the total at its end less the total at its
start, so a 30-day window costs what a 5-minute one does, and integers keep it exact. A slice
nobody reported for is *not covered*; it is no slice without events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.slo.errors import SloInputError
from analysis.slo.openslo.time_windows import Period


@dataclass(frozen=True, slots=True)
class WindowSum:
    """Events of one window.

    ``covered_ratio``: share of its slices that somebody reported for and that count.
    ``excluded_ratio``: share that does not count, because a correction says so.
    """

    good: int
    bad: int
    covered_ratio: float
    excluded_ratio: float = 0.0

    @property
    def total(self) -> int:
        return self.good + self.bad


@dataclass(frozen=True, slots=True)
class PeriodSum:
    """Events of the slices that begin in a period, ``covered`` and ``excluded`` as whole slices."""

    good: int
    bad: int
    covered: int
    excluded: int
    slices: int

    @property
    def window(self) -> WindowSum:
        """The same with shares."""
        slices = max(self.slices, 1)
        return WindowSum(self.good, self.bad, self.covered / slices, self.excluded / slices)


class SlicedCounts:
    """Good and bad events per slice of ``slice_s``, remembered for ``capacity_s``."""

    def __init__(self, slice_s: int, capacity_s: int) -> None:
        if slice_s < 1 or capacity_s % slice_s:
            raise ValueError(f"need whole slices of {slice_s} s in {capacity_s} s")
        self.slice_s = slice_s
        self._size = capacity_s // slice_s + 1
        # Zeroed pages are the machine's until they are written: a young ring costs next to nothing.
        self._running = np.zeros((self._size, 3), dtype=np.int64)  # good, bad, covered
        self._first: int | None = None  # number of the slice before the first one taken
        self._last = 0

    @property
    def end_unix_s(self) -> int | None:
        """End of the newest slice taken."""
        return None if self._first is None else (self._last + 1) * self.slice_s

    @property
    def start_unix_s(self) -> int | None:
        """Start of the oldest slice that may be remembered."""
        if self._first is None:
            return None
        return max(self._first + 1, self._last - self._size + 2) * self.slice_s

    def add(self, start_unix_s: int, good: int, bad: int) -> None:
        """Take a slice that was reported for. Slices come in order, gaps stay uncovered.

        Raises SloInputError.
        """
        number, before = self._next(start_unix_s, good, bad)
        self._running[number % self._size] = before + np.array([good, bad, 1])
        self._last = number

    def add_span(self, start_unix_s: int, slices: int, good: int, bad: int) -> None:
        """Take several slices of which only the sum is known; their events are spread evenly.

        The sum over all of them is exact. Raises SloInputError.
        """
        number, before = self._next(start_unix_s, good, bad)
        if not 1 <= slices < self._size:
            raise SloInputError(
                f"{slices} slices at {start_unix_s}, accepted: 1 to {self._size - 1}"
            )
        steps = np.arange(1, slices + 1)
        spread = np.stack((good * steps // slices, bad * steps // slices, steps), axis=1)
        self._running[(number - 1 + steps) % self._size] = before + spread
        self._last = number - 1 + slices

    def _next(self, start_unix_s: int, good: int, bad: int) -> tuple[int, npt.NDArray[np.int64]]:
        """Number of a slice to be taken, and the totals before it; gaps are passed over."""
        number, rest = divmod(start_unix_s, self.slice_s)
        if rest or good < 0 or bad < 0:
            raise SloInputError(f"slice at {start_unix_s}: good={good} bad={bad}")
        if self._first is None:
            self._first = self._last = number - 1
            self._running[self._last % self._size] = 0
        if number <= self._last:
            raise SloInputError(f"slice at {start_unix_s} is not after the last one")
        before = self._running[self._last % self._size].copy()
        missing = min(number - self._last - 1, self._size)
        gap = np.arange(number - missing, number) % self._size
        self._running[gap] = before
        return number, before

    def window(self, window_s: int, end_unix_s: int, excluded: Sequence[Period] = ()) -> WindowSum:
        """Events of ``[end - window, end)`` in whole slices; time nobody reported is uncovered.

        ``excluded``: spans that do not count, in order and apart; a slice that one touches
        anywhere is out. What they hold is taken off the sum, so that nothing is counted again.
        """
        slices = max(window_s // self.slice_s, 1)
        end = end_unix_s // self.slice_s - 1
        if slices >= self._size:
            raise ValueError(f"a window of {window_s} s is longer than what is remembered")
        found, out = self._kept(end - slices, end, excluded)
        good, bad, covered = found.tolist()
        return WindowSum(good, bad, covered / slices, out / slices)

    def over(self, period: Period, excluded: Sequence[Period] = ()) -> PeriodSum:
        """Events of the slices that begin in a period, the future too, which nobody reported."""
        low = -(-period.start_unix_s // self.slice_s) - 1
        high = max(-(-period.end_unix_s // self.slice_s) - 1, low)
        found, out = self._kept(low, high, excluded)
        good, bad, covered = found.tolist()
        return PeriodSum(good, bad, covered, out, high - low)

    def between(self, first: int, end: int) -> npt.NDArray[np.int64]:
        """Good, bad and covered of the slices with numbers from ``first`` up to without ``end``."""
        return self._between(first - 1, end - 1)

    def totals_at(self, ends: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Running good, bad and covered before each of these slices, as far as remembered."""
        if self._first is None:
            return np.zeros((len(ends), 3), dtype=np.int64)
        oldest = max(self._first, self._last - self._size + 1)
        return self._running[np.clip(ends - 1, oldest, self._last) % self._size]

    def _kept(
        self, low: int, high: int, excluded: Sequence[Period]
    ) -> tuple[npt.NDArray[np.int64], int]:
        """As ``_between``, less what is excluded, and how many slices that is."""
        found = self._between(low, high)
        out, done = 0, low
        for span in excluded:
            # Numbers of the slices before the first that is touched, and of the last one.
            first = max(span.start_unix_s // self.slice_s - 1, done)
            last = min(-(-span.end_unix_s // self.slice_s) - 1, high)
            if last <= first:
                continue
            found = found - self._between(first, last)
            out += last - first
            done = last
        return found, out

    def _between(self, low: int, high: int) -> npt.NDArray[np.int64]:
        """Good, bad and covered of the slices after number ``low`` up to number ``high``."""
        if self._first is None:
            return np.zeros(3, dtype=np.int64)
        high = min(high, self._last)
        low = max(low, self._first, self._last - self._size + 1)
        if high <= low:
            return np.zeros(3, dtype=np.int64)
        found: npt.NDArray[np.int64] = (
            self._running[high % self._size] - self._running[low % self._size]
        )
        return found
