"""The error budget of a window, weighted by events: a bad night hour is not a bad day hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from analysis.slo.openslo.time_windows import Period
from analysis.slo.sliced_counts import PeriodSum, SlicedCounts, WindowSum
from analysis.slo.time_slices import SliceSum


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """What is left of the bad events the objective allows, out of the events so far.

    ``remaining_ratio`` is 1 for an untouched budget and negative for an overspent one; both ratios
    are ``None`` when there were no events. By the time-slice methods ``good`` and ``total`` are
    slices, and ``slices_without_events`` of them are not counted. ``projected_remaining_ratio`` is
    out of what the whole ``period`` will have counted if it goes on as it came
    (``openslo.budgets``), the ``expected_total``; ``None`` where a period has no end to come.
    """

    good: float
    total: int
    error_ratio: float | None
    remaining_ratio: float | None
    covered_ratio: float
    excluded_ratio: float = 0.0
    period: Period | None = None
    projected_remaining_ratio: float | None = None
    slices_without_events: int | None = None
    expected_total: float | None = None


def error_budget(window: WindowSum, budget_ratio: float) -> ErrorBudget:
    """``1 - (bad / total) / budget``; never clamped, so that overspending shows.

    Covered is a share of the time that counts: what is excluded is no gap.
    """
    counts = 1.0 - window.excluded_ratio
    covered = window.covered_ratio / counts if counts > 0 else 0.0
    if window.total == 0:
        return ErrorBudget(0, 0, None, None, covered, window.excluded_ratio)
    error_ratio = window.bad / window.total
    return ErrorBudget(
        window.good,
        window.total,
        error_ratio,
        1.0 - error_ratio / budget_ratio,
        covered,
        window.excluded_ratio,
    )


def calendar_budget(
    counts: SlicedCounts, period: Period, excluded: Sequence[Period], budget_ratio: float
) -> ErrorBudget:
    """Of the part of a calendar period that was counted, and projected to the period's end.

    A slice belongs to the period it begins in. What is excluded is not projected upon either, also
    if it is still to come.
    """
    end = period.start_unix_s if counts.end_unix_s is None else counts.end_unix_s
    until = max(min(end, period.end_unix_s), period.start_unix_s)
    so_far = counts.over(Period(period.start_unix_s, until), excluded)
    whole = counts.over(period, excluded)
    budget = replace(error_budget(so_far.window, budget_ratio), period=period)
    to_come = whole.slices - whole.excluded
    if budget.error_ratio is None or to_come <= 0:
        return budget
    # The events expected are those so far times slices / covered slices.
    used = budget.error_ratio / budget_ratio * (so_far.covered / to_come)
    return replace(
        budget,
        projected_remaining_ratio=1.0 - used,
        expected_total=so_far.window.total * (to_come / so_far.covered),
    )


def slice_budget(
    slices: SliceSum, expected: int, events: PeriodSum, period: Period, budget_ratio: float
) -> ErrorBudget:
    """By time slices: of those with events so far, and of the ``expected`` of the whole period."""
    window = events.window
    counts = 1.0 - window.excluded_ratio
    covered = window.covered_ratio / counts if counts > 0 else 0.0
    left = projected = error_ratio = None
    if slices.counted:
        error_ratio = float(slices.bad / slices.counted)
        left = 1.0 - error_ratio / budget_ratio
    if expected:
        projected = 1.0 - float(slices.bad / expected) / budget_ratio
    good = slices.counted - slices.bad
    return ErrorBudget(
        good=int(good) if good.denominator == 1 else float(good),
        total=slices.counted,
        error_ratio=error_ratio,
        remaining_ratio=left,
        covered_ratio=covered,
        excluded_ratio=window.excluded_ratio,
        period=period,
        projected_remaining_ratio=projected,
        slices_without_events=slices.without_events,
        expected_total=expected,
    )
