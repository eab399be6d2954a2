"""What one objective counts while it runs: events or time slices, for its budget and its alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from analysis.slo.budget import ErrorBudget, calendar_budget, error_budget, slice_budget
from analysis.slo.objectives import BurnWindow, Objective
from analysis.slo.openslo.model import BudgetingMethod
from analysis.slo.openslo.time_windows import Period
from analysis.slo.sliced_counts import SlicedCounts, WindowSum
from analysis.slo.time_slices import TimeSlices

#: Units in which alerts are told the share of bad events of a slice, to keep whole numbers.
SHARE_UNITS: Final = 2**32


@dataclass(frozen=True, slots=True)
class Lookback:
    """Both windows of an alert. ``evidence``: what the guard against noise counts instead."""

    long: WindowSum
    short: WindowSum
    evidence: WindowSum | None = None


class RunningCounts:
    """Slices of ``slice_s`` in, sums out."""

    def __init__(self, objective: Objective, slice_s: int) -> None:
        self._objective = objective
        self._counts = SlicedCounts(slice_s, -(-objective.memory_s // slice_s) * slice_s)
        self._period: Period | None = None  # of the calendar, as last asked
        self._slices: TimeSlices | None = None
        self._lookback_slices: TimeSlices | None = None
        if objective.slice_s is not None:
            terms = (objective.slice_s, objective.slice_target_ratio)
            self._slices = TimeSlices(self._counts, *terms, objective.memory_s)
            # A calendar's slices begin with its period, an alert's go on through its turn.
            self._lookback_slices = self._slices
            if objective.calendar is not None:
                windows = objective.policy.windows
                # What a forecast goes by (``tracker``) is no more than the nominal period.
                longest_s = max([objective.window_s, *(one.long_window_s for one in windows)])
                self._lookback_slices = TimeSlices(self._counts, *terms, longest_s)

    @property
    def end_unix_s(self) -> int | None:
        """End of the newest slice taken."""
        return self._counts.end_unix_s

    @property
    def events(self) -> SlicedCounts:
        """The events themselves, whatever the budget counts."""
        return self._counts

    @property
    def unit_s(self) -> int:
        """Length of what is counted: of a time slice, or of the slices taken."""
        return self._objective.slice_s or self._counts.slice_s

    def bad_within(self, within_s: int, end_unix_s: int, excluded: Sequence[Period]) -> float:
        """Bad events, or time slices that are over, of the time before a moment."""
        slices = self._lookback_slices
        if slices is None:
            return self._counts.window(within_s, end_unix_s, excluded).bad
        low, high = (slices.number_at(one) for one in (end_unix_s - within_s, end_unix_s))
        return float(slices.over(low, high, excluded).bad)

    def take(self, start_unix_s: int, good: int, bad: int) -> None:
        """Add one slice that was reported for. Raises SloInputError."""
        self._counts.add(start_unix_s, good, bad)
        self._advance()

    def take_span(self, start_unix_s: int, length_s: int, good: int, bad: int) -> None:
        """Add several slices of which only the sum is known. Raises SloInputError."""
        self._counts.add_span(start_unix_s, length_s // self._counts.slice_s, good, bad)
        self._advance()

    def _advance(self) -> None:
        if self._slices is not None and self._lookback_slices is not None:
            self._slices.advance()
            if self._lookback_slices is not self._slices:
                self._lookback_slices.advance()

    def lookback(self, window: BurnWindow, end: int, excluded: Sequence[Period]) -> Lookback:
        """Both windows of an alert, at the end of what was taken."""
        lengths_s = (window.long_window_s, window.short_window_s)
        slices, slice_s = self._lookback_slices, self._objective.slice_s
        if slices is None or slice_s is None:
            long, short = (self._counts.window(one, end, excluded) for one in lengths_s)
            return Lookback(long, short)
        over = slices.end_number
        long, short = (
            self._rated(slices, over - length_s // slice_s, over, excluded)
            for length_s in lengths_s
        )
        if self._objective.method is BudgetingMethod.TIMESLICES:
            return Lookback(long, short)
        whole_end = end // slice_s * slice_s
        return Lookback(long, short, self._counts.window(lengths_s[0], whole_end, excluded))

    def _rated(
        self, slices: TimeSlices, low: int, high: int, excluded: Sequence[Period]
    ) -> WindowSum:
        """Slices as an alert compares them: bad ones, or shares of them in whole units."""
        found = slices.over(low, high, excluded)
        size = max(found.slices, 1)
        unit = 1 if self._objective.method is BudgetingMethod.TIMESLICES else SHARE_UNITS
        bad = round(found.bad * unit)
        good = found.counted * unit - bad
        return WindowSum(good, bad, found.reported / size, found.excluded / size)

    def budget(self, end: int, excluded: Sequence[Period]) -> ErrorBudget:
        """The budget of the period that contains the end of what was taken."""
        objective = self._objective
        if objective.calendar is None:
            period = objective.period(end)
            assert period is not None, "a rolling window has one always"
            if self._slices is not None:
                return self._slice_budget(self._slices, period, excluded)
            counted = self._counts.window(objective.window_s, end, excluded)
            return replace(error_budget(counted, objective.budget_ratio), period=period)
        known = self._calendar_period(end)
        if known is None:
            return ErrorBudget(0, 0, None, None, 0.0)
        if self._slices is not None:
            return self._slice_budget(self._slices, known, excluded)
        return calendar_budget(self._counts, known, excluded, objective.budget_ratio)

    def _calendar_period(self, at_unix_s: int) -> Period | None:
        known = self._period
        if known is None or not known.start_unix_s <= at_unix_s < known.end_unix_s:
            known = self._period = self._objective.period(at_unix_s)
            if known is not None and self._slices is not None:
                self._slices.begin(known.start_unix_s)
        return known

    def _slice_budget(
        self, slices: TimeSlices, period: Period, excluded: Sequence[Period]
    ) -> ErrorBudget:
        end = self._counts.end_unix_s or 0
        seen = Period(period.start_unix_s, max(min(end, period.end_unix_s), period.start_unix_s))
        events = self._counts.over(seen, excluded)
        over = slices.end_number
        if self._objective.calendar is not None:
            found = slices.over(0, over, excluded)
            expected = slices.expected(period, excluded)
        else:
            found = slices.over(slices.number_at(period.start_unix_s), over, excluded)
            expected = found.slices - found.excluded
        return slice_budget(found, expected, events, period, self._objective.budget_ratio)
