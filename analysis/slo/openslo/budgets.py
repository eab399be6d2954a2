"""Error budgets by OpenSLO's three methods, exact, with what is unknown kept apart.

============= ======================= ============================ =========================
method        counted                 budget                       bad
============= ======================= ============================ =========================
Occurrences   events                  share of the events          bad events
Timeslices    slices with events      share of the slices          slices below their target
Ratio-        slices with events      share of the slices          sum over slices of the
Timeslices                                                         share that was bad
============= ======================= ============================ =========================

Every answer has two numbers, what is left of the budget *so far* (of what was counted until now)
and what is left of the *projected* one (of what the whole period will count: its slices, or its
events if traffic goes on like this). They meet at the end of a period without gaps. Both are 1 for
an untouched budget and negative for an overspent one, and ``None`` where nothing was counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Final

import numpy as np

from analysis.slo.openslo.model import BudgetingMethod
from analysis.slo.openslo.sliced_past import Counts, CountsError, Flags, SlicedPast
from analysis.slo.openslo.time_windows import Period

#: Shares of slices with the same number of events are summed exactly, and each such sum is kept in
#: these units: adding fractions of a month of unlike denominators would need a million digits.
RATIO_UNITS: Final = 2**128


class Missing(StrEnum):
    """What a slice without events is taken for."""

    IGNORED = "ignored"
    GOOD = "good"
    BAD = "bad"


class DataState(StrEnum):
    """How much the numbers rest on."""

    COVERED = "covered"
    NO_TRAFFIC = "no traffic"  # reported for, and no events
    GAP = "gap"  # less of the time was reported for than the floor
    STALE = "stale"  # nobody reported lately
    EMPTY = "empty"  # nobody ever reported


@dataclass(frozen=True, slots=True)
class DataRules:
    """What to make of slices without events, and from when on to say that data are missing.

    ``no_traffic`` and ``gap`` bear on the two slice methods; unseen events are not made up.
    """

    no_traffic: Missing
    gap: Missing
    covered_min_ratio: Fraction
    stale_after_s: int


@dataclass(frozen=True, slots=True)
class BudgetTerms:
    """What is asked of a service. Slice length and target as the method needs them."""

    method: BudgetingMethod
    target_ratio: Fraction
    slice_s: int | None = None
    slice_target_ratio: Fraction | None = None

    @property
    def budget_ratio(self) -> Fraction:
        """The share that may be bad."""
        return 1 - self.target_ratio


@dataclass(frozen=True, slots=True)
class Budget:
    """A budget at one moment. ``counted``, ``bad``, ``expected``: events or slices, by method.

    ``expected`` is what the whole period will have counted, if known or projected at all.
    """

    state: DataState
    counted: int
    bad: Fraction
    expected: Fraction | None
    sli_ratio: Fraction | None
    remaining_ratio: Fraction | None
    projected_remaining_ratio: Fraction | None
    covered_ratio: Fraction
    excluded_s: int


@dataclass(frozen=True, slots=True)
class _Tally:
    """Slices of one period, as the method sees them."""

    good: Counts
    total: Counts
    reported: Flags
    excluded: Flags
    elapsed: Flags


@dataclass(frozen=True, slots=True)
class SliceMarks:
    """Slices of an objective by the time-slice method: which count, and which of these are bad."""

    counted: Flags
    bad: Flags
    expected: int  # in the whole period, as far as not excluded


def budget(
    past: SlicedPast,
    terms: BudgetTerms,
    rules: DataRules,
    period: Period,
    now_unix_s: int,
    excluded: Flags | None = None,
) -> Budget:
    """The budget of a period as of now.

    ``excluded``: slices of ``past.over(period)`` that do not count (``corrections``). A slice
    belongs to the period it begins in, and counts once it is over. Raises CountsError.
    """
    whole = past.over(period)
    raw = _tally(whole, now_unix_s, excluded)
    seen = raw.elapsed & raw.reported & ~raw.excluded
    known = int((raw.elapsed & ~raw.excluded).sum())
    covered = Fraction(int(seen.sum()), known) if known else Fraction(0)
    if terms.method is BudgetingMethod.OCCURRENCES:
        counted, bad, expected = _occurrences(raw, seen)
    else:
        counted, bad, expected = _slices(_grouped(raw, whole, terms), terms, rules)
    return Budget(
        state=_state(raw, whole, rules, covered, now_unix_s),
        counted=counted,
        bad=bad,
        expected=expected,
        sli_ratio=1 - bad / counted if counted else None,
        remaining_ratio=remaining(bad, counted, terms.budget_ratio),
        projected_remaining_ratio=remaining(bad, expected, terms.budget_ratio),
        covered_ratio=covered,
        excluded_s=int(raw.excluded.sum()) * whole.slice_s,
    )


def slice_marks(
    past: SlicedPast,
    terms: BudgetTerms,
    rules: DataRules,
    period: Period,
    now_unix_s: int,
    excluded: Flags | None = None,
) -> SliceMarks:
    """Good and bad slices by the time-slice method, for several objectives to be joined."""
    whole = past.over(period)
    tally = _grouped(_tally(whole, now_unix_s, excluded), whole, terms)
    return _marks(tally, terms, rules)


def remaining(
    bad: Fraction | int, counted: Fraction | int | None, budget_ratio: Fraction
) -> Fraction | None:
    """What is left of a budget: 1 untouched, negative overspent, ``None`` of nothing."""
    return 1 - bad / (budget_ratio * counted) if counted else None


def _tally(whole: SlicedPast, now_unix_s: int, excluded: Flags | None) -> _Tally:
    skipped = np.zeros(len(whole.good), np.bool_) if excluded is None else excluded
    if skipped.shape != whole.good.shape:
        raise CountsError(f"{len(skipped)} marks for {len(whole.good)} slices")
    elapsed_slices = max((now_unix_s - whole.start_unix_s) // whole.slice_s, 0)
    return _Tally(
        good=whole.good,
        total=whole.good + whole.bad,
        reported=whole.reported,
        excluded=skipped,
        elapsed=np.arange(len(whole.good)) < elapsed_slices,
    )


def _occurrences(raw: _Tally, seen: Flags) -> tuple[int, Fraction, Fraction | None]:
    total, good = int(raw.total[seen].sum()), int(raw.good[seen].sum())
    slices, seen_slices = int((~raw.excluded).sum()), int(seen.sum())
    expected = Fraction(total * slices, seen_slices) if seen_slices else None
    return total, Fraction(total - good), expected


def _grouped(raw: _Tally, whole: SlicedPast, terms: BudgetTerms) -> _Tally:
    """Slices of the objective out of the finer ones that were counted."""
    if terms.slice_s is None or terms.slice_s % whole.slice_s:
        raise CountsError(
            f"counts are kept in slices of {whole.slice_s} s, "
            f"the objective needs slices of {terms.slice_s} s"
        )
    starts = np.arange(0, len(raw.total), terms.slice_s // whole.slice_s)
    if not len(starts):
        return raw
    counts = ~raw.excluded & raw.elapsed
    return _Tally(
        good=np.add.reduceat(np.where(counts, raw.good, 0), starts),
        total=np.add.reduceat(np.where(counts, raw.total, 0), starts),
        reported=np.logical_or.reduceat(raw.reported & counts, starts),
        excluded=np.logical_and.reduceat(raw.excluded, starts),
        elapsed=np.logical_and.reduceat(raw.elapsed, starts),
    )


def _slices(
    tally: _Tally, terms: BudgetTerms, rules: DataRules
) -> tuple[int, Fraction, Fraction | None]:
    marks = _marks(tally, terms, rules)
    counted, bad = int(marks.counted.sum()), Fraction(int(marks.bad.sum()))
    if terms.method is BudgetingMethod.RATIO_TIMESLICES:
        # Slices without events are whole good or bad ones here as well.
        empty = marks.bad & (tally.total == 0)
        events = marks.counted & (tally.total > 0)
        bad = int(empty.sum()) + _bad_shares(
            (tally.total - tally.good)[events], tally.total[events]
        )
    # The number of slices of a period is known before it is over, whatever traffic comes.
    return counted, bad, Fraction(marks.expected)


def _marks(tally: _Tally, terms: BudgetTerms, rules: DataRules) -> SliceMarks:
    is_open = tally.elapsed & ~tally.excluded
    counted = is_open & (tally.total > 0)
    bad = counted & _is_below(tally.good, tally.total, terms)
    for mark, treatment in (
        (is_open & tally.reported & (tally.total == 0), rules.no_traffic),
        (is_open & ~tally.reported, rules.gap),
    ):
        if treatment is not Missing.IGNORED:
            counted = counted | mark
            bad = bad | mark if treatment is Missing.BAD else bad
    return SliceMarks(counted, bad, int((~tally.excluded).sum()))


def _is_below(good: Counts, total: Counts, terms: BudgetTerms) -> Flags:
    """Which slices are below their target; whole numbers of any size."""
    target = terms.slice_target_ratio
    if terms.method is BudgetingMethod.RATIO_TIMESLICES:
        return np.zeros(len(total), dtype=np.bool_)
    if target is None:
        raise CountsError("time slices need a target per slice")
    if int(total.max(initial=1)) * target.denominator < 2**63:
        return good * np.int64(target.denominator) < total * np.int64(target.numerator)
    pairs = zip(good.tolist(), total.tolist(), strict=True)
    below = [one * target.denominator < all_ * target.numerator for one, all_ in pairs]
    return np.array(below, dtype=np.bool_)


def _bad_shares(bad: Counts, total: Counts) -> Fraction:
    """Sum of bad / total over slices: per number of events exactly, each such sum to 2**-129."""
    sizes, groups = np.unique(total, return_inverse=True)
    sums = np.zeros(len(sizes), dtype=np.int64)
    np.add.at(sums, groups, bad)
    units = 0
    for size, bad_events in zip(sizes.tolist(), sums.tolist(), strict=True):
        whole, rest = divmod(bad_events * RATIO_UNITS, size)
        units += whole + (2 * rest >= size)
    return Fraction(units, RATIO_UNITS)


def _state(
    raw: _Tally, whole: SlicedPast, rules: DataRules, covered: Fraction, now_unix_s: int
) -> DataState:
    reported = np.flatnonzero(raw.reported & raw.elapsed)
    if not len(reported):
        return DataState.EMPTY
    newest_end = whole.start_unix_s + (int(reported[-1]) + 1) * whole.slice_s
    if min(now_unix_s, whole.end_unix_s) - newest_end >= rules.stale_after_s:
        return DataState.STALE
    if covered < rules.covered_min_ratio:
        return DataState.GAP
    if not int(raw.total[raw.elapsed & ~raw.excluded].sum()):
        return DataState.NO_TRAFFIC
    return DataState.COVERED
