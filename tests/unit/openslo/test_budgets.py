"""Budgets: what the number says, and how much it rests on."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from analysis.slo.openslo.budgets import BudgetTerms, DataRules, DataState, Missing, budget
from analysis.slo.openslo.composite import Member, composite_budget, mean_of_weighted
from analysis.slo.openslo.model import BudgetingMethod
from analysis.slo.openslo.sliced_past import CountsError, SlicedPast, sliced_past
from analysis.slo.openslo.time_windows import Period

RULES = DataRules(Missing.IGNORED, Missing.IGNORED, Fraction(1, 2), 180)
EVENTS = BudgetTerms(BudgetingMethod.OCCURRENCES, Fraction(99, 100))
SLICES = BudgetTerms(BudgetingMethod.TIMESLICES, Fraction(9, 10), 60, Fraction(95, 100))
HOUR = Period(0, 3_600)


def with_gaps(good, reported):
    return SlicedPast(
        0, 60, np.array(good), np.zeros(len(good), np.int64), np.array(reported, dtype=bool)
    )


def test_so_far_and_projected_meet_at_the_end():
    """Ten bad of a thousand: all of the budget so far, a sixth of the hour's at ten minutes."""
    past = sliced_past(0, 60, [99] * 10, [1] * 10)
    early = budget(past, EVENTS, RULES, HOUR, 600)
    assert (early.remaining_ratio, early.projected_remaining_ratio) == (0, Fraction(5, 6))
    assert (early.counted, early.expected, early.sli_ratio) == (1_000, 6_000, Fraction(99, 100))
    whole = sliced_past(0, 60, [99] * 60, [1] * 60)
    late = budget(whole, EVENTS, RULES, HOUR, 3_600)
    assert late.remaining_ratio == late.projected_remaining_ratio == 0


def test_a_bad_night_is_not_a_bad_day():
    """Weighted by events: the same hour of outage costs what was asked for in it."""
    traffic = [10] * 12 + [1_000] * 12
    for hour, expected in ((0, Fraction(-10, 12_120) / Fraction(1, 100) + 1), (12, None)):
        bad = [0] * 24
        bad[hour] = traffic[hour]
        good = [one - lost for one, lost in zip(traffic, bad, strict=True)]
        past = sliced_past(0, 3_600, good, bad)
        found = budget(past, EVENTS, RULES, Period(0, 86_400), 86_400).remaining_ratio
        if expected is not None:
            assert found == expected
        else:
            assert found < -7


@pytest.mark.parametrize(
    ("good", "reported", "now", "state"),
    [
        ([5, 5, 5, 5], [1, 1, 1, 1], 240, DataState.COVERED),
        ([0, 0, 0, 0], [1, 1, 1, 1], 240, DataState.NO_TRAFFIC),
        ([5, 0, 0, 5], [1, 0, 0, 1], 240, DataState.COVERED),
        ([5, 0, 0, 0, 5], [1, 0, 0, 0, 1], 300, DataState.GAP),
        ([5, 5, 0, 0, 0], [1, 1, 0, 0, 0], 300, DataState.STALE),
        ([0, 0], [0, 0], 120, DataState.EMPTY),
    ],
)
def test_states_of_the_data(good, reported, now, state):
    """The number is one thing, what it rests on another."""
    assert budget(with_gaps(good, reported), EVENTS, RULES, HOUR, now).state is state


def test_a_finished_period_is_not_stale():
    """Nobody reports for it any more."""
    past = sliced_past(0, 60, [5] * 60, [0] * 60)
    assert budget(past, EVENTS, RULES, HOUR, 10**6).state is DataState.COVERED


def test_nothing_counted_is_no_number():
    """Neither 100 % nor NaN."""
    found = budget(with_gaps([0], [True]), SLICES, RULES, HOUR, 60)
    assert (found.sli_ratio, found.remaining_ratio) == (None, None)
    assert found.projected_remaining_ratio == 1


@pytest.mark.parametrize(
    ("treatment", "counted", "bad"),
    [(Missing.IGNORED, 1, 0), (Missing.GOOD, 2, 0), (Missing.BAD, 2, 1)],
)
def test_slices_without_data_by_rule(treatment, counted, bad):
    """A gap is what the rules say it is."""
    rules = DataRules(Missing.IGNORED, treatment, Fraction(1, 2), 180)
    found = budget(with_gaps([5, 0], [1, 0]), SLICES, rules, HOUR, 120)
    assert (found.counted, found.bad) == (counted, bad)


def test_counts_coarser_than_the_slices_are_refused():
    """What was not kept apart cannot be told apart."""
    past = sliced_past(0, 90, [1], [0])
    with pytest.raises(CountsError, match="90 s"):
        budget(past, SLICES, RULES, HOUR, 90)


def test_the_three_methods_in_one_attack():
    """OpenSLO's worked example: two weeks, 99 % as usual, 1 % under attack, target 95 %."""
    minutes = 14 * 1_440
    period = Period(0, minutes * 60)
    lasted = {}
    for method in (BudgetingMethod.TIMESLICES, BudgetingMethod.RATIO_TIMESLICES):
        terms = BudgetTerms(method, Fraction(95, 100), 60, Fraction(95, 100))
        left = []
        for attacked in (0, 10_000):
            good = np.where(np.arange(minutes) < attacked, 1, 99)
            past = sliced_past(0, 60, good, 100 - good)
            left.append(budget(past, terms, RULES, period, minutes * 60).remaining_ratio)
        lasted[method] = float(left[0] * 10_000 / (left[0] - left[1]))
    assert lasted[BudgetingMethod.TIMESLICES] == 1_008
    assert lasted[BudgetingMethod.RATIO_TIMESLICES] == pytest.approx(822.857142857, abs=1e-9)


def members(method, bad_first, bad_second, **terms):
    made = []
    for bad in (bad_first, bad_second):
        past = sliced_past(0, 60, [10 - one for one in bad], bad)
        made.append(Member(past, BudgetTerms(method, Fraction(9, 10), **terms)))
    return made


def test_composites_by_method():
    """Occurrences add up what each used, slices are bad for all, means lose what members lose."""
    period = Period(0, 240)
    first, second = [10, 0, 0, 0], [10, 10, 0, 0]
    both = members(BudgetingMethod.TIMESLICES, first, second, slice_s=60, slice_target_ratio=1)
    found = composite_budget(both, RULES, period, 240)
    assert found.remaining_ratio == 1 - Fraction(2, 4) / Fraction(1, 10)
    both = members(BudgetingMethod.OCCURRENCES, [1, 0, 0, 0], [0, 1, 1, 0])
    found = composite_budget(both, RULES, period, 240)
    assert found.remaining_ratio == 1 - Fraction(1, 4) - Fraction(2, 4)
    assert mean_of_weighted([Fraction(95, 100)] * 2, [Fraction(1)] * 2) == Fraction(9, 10)


def test_a_composite_without_data_of_a_member_is_no_number():
    """Half of it would look better than it is."""
    whole = sliced_past(0, 60, [10], [0])
    silent = with_gaps([0], [False])
    both = [Member(one, EVENTS) for one in (whole, silent)]
    assert composite_budget(both, RULES, Period(0, 60), 60).remaining_ratio is None
