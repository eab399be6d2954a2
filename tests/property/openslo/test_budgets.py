"""Budgets against a plain reading of their definition, event by event, in exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analysis.slo.openslo.budgets import BudgetTerms, DataRules, Missing, budget
from analysis.slo.openslo.corrections import Correction, Once, excluded
from analysis.slo.openslo.model import BudgetingMethod
from analysis.slo.openslo.sliced_past import SlicedPast
from analysis.slo.openslo.time_windows import Period

RAW_S = 60
METHODS = list(BudgetingMethod)
TREATMENTS = list(Missing)

#: A raw slice: nobody reported, or so many good and bad events.
raw_slices = st.one_of(st.none(), st.tuples(st.integers(0, 40), st.integers(0, 9)))
fractions = st.integers(1, 99).map(lambda percent: Fraction(percent, 100))


@st.composite
def streams(draw):
    """A past, a period that may reach beyond it on both sides, and a moment."""
    counts = draw(st.lists(raw_slices, min_size=1, max_size=40))
    start = draw(st.integers(-5, 5)) * RAW_S
    first = draw(st.integers(-10, 10))
    length = draw(st.integers(1, 45))
    period = Period(first * RAW_S, (first + length) * RAW_S)
    now = draw(st.integers(first - 2, first + length + 2)) * RAW_S
    marks = draw(st.lists(st.booleans(), min_size=length, max_size=length))
    return counts, start, period, now, marks


def past_of(counts, start):
    good = np.array([0 if one is None else one[0] for one in counts], np.int64)
    bad = np.array([0 if one is None else one[1] for one in counts], np.int64)
    return SlicedPast(start, RAW_S, good, bad, np.array([one is not None for one in counts]))


def by_hand(counts, start, period, now, marks, terms, rules):
    """(counted, bad, expected) slice by slice, as the tables of the methods say."""
    known = {start + number * RAW_S: one for number, one in enumerate(counts)}
    grid = list(range(period.start_unix_s, period.end_unix_s, RAW_S))
    step = (terms.slice_s or RAW_S) // RAW_S
    groups = [
        list(zip(grid, marks, strict=True))[at : at + step] for at in range(0, len(grid), step)
    ]
    counted, bad, open_slices, seen, total_events = Fraction(0), Fraction(0), 0, 0, 0
    for group in groups:
        if all(mark for _, mark in group):
            continue
        open_slices += 1
        live = [known.get(at) for at, mark in group if not mark and at + RAW_S <= now]
        if terms.method is BudgetingMethod.OCCURRENCES:
            for one in live:
                if one is not None:
                    seen += 1
                    total_events += sum(one)
                    bad += one[1]
            continue
        if group[-1][0] + RAW_S > now:
            continue
        reported = [one for one in live if one is not None]
        total = sum(sum(one) for one in reported)
        if total:
            counted += 1
            share = Fraction(sum(one[1] for one in reported), total)
            if terms.method is BudgetingMethod.RATIO_TIMESLICES:
                bad += share
            else:
                bad += 1 - share < terms.slice_target_ratio
            continue
        treatment = rules.no_traffic if reported else rules.gap
        counted += treatment is not Missing.IGNORED
        bad += treatment is Missing.BAD
    if terms.method is BudgetingMethod.OCCURRENCES:
        expected = Fraction(total_events * open_slices, seen) if seen else None
        return Fraction(total_events), bad, expected
    return counted, bad, Fraction(open_slices)


@given(
    streams(),
    st.sampled_from(METHODS),
    fractions,
    fractions,
    st.integers(1, 7),
    st.sampled_from(TREATMENTS),
    st.sampled_from(TREATMENTS),
)
def test_every_number_is_the_exact_one(
    stream, method, target, slice_target, slices, no_traffic, gap
):
    """Counted, bad, so far and projected. Ratio slices to 2**-120, everything else exactly."""
    counts, start, period, now, marks = stream
    is_sliced = method is not BudgetingMethod.OCCURRENCES
    terms = BudgetTerms(method, target, slices * RAW_S if is_sliced else None, slice_target)
    rules = DataRules(no_traffic, gap, Fraction(1, 2), 600)
    found = budget(past_of(counts, start), terms, rules, period, now, np.array(marks))
    counted, bad, expected = by_hand(counts, start, period, now, marks, terms, rules)
    assert found.counted == counted
    assert abs(found.bad - bad) <= Fraction(1, 2**120)
    assert found.expected == expected
    for ours, over in (
        (found.remaining_ratio, counted),
        (found.projected_remaining_ratio, expected),
    ):
        if not over:
            assert ours is None
        else:
            assert abs(ours - (1 - bad / ((1 - target) * over))) <= Fraction(1, 2**110)


@given(streams(), st.data())
def test_a_correction_is_the_same_as_marking_its_slices(stream, data):
    """Every slice that a span touches, and no other."""
    counts, start, period, _, _ = stream
    begin = data.draw(st.integers(period.start_unix_s - 200, period.end_unix_s + 200))
    end = begin + data.draw(st.integers(1, 500))
    past = past_of(counts, start)
    correction = Correction("1", "me", "maintenance", "planned", 0, Once(begin, end))
    flags = excluded(past, period, [correction], as_of_unix_s=1)
    grid = range(period.start_unix_s, period.end_unix_s, RAW_S)
    assert flags.tolist() == [at < end and at + RAW_S > begin for at in grid]
    assert not excluded(past, period, [correction], as_of_unix_s=-1).any()


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**12)), min_size=1, max_size=30))
def test_large_counts_stay_exact(counts):
    """No float on the way: 0.999 is 999/1000, and 10**12 events a slice are no matter."""
    good = np.array([one[0] for one in counts], np.int64)
    bad = np.array([one[1] for one in counts], np.int64)
    past = SlicedPast(0, RAW_S, good, bad, np.ones(len(counts), bool))
    period = Period(0, past.end_unix_s)
    rules = DataRules(Missing.IGNORED, Missing.IGNORED, Fraction(1, 2), 600)
    target = Fraction(999_999, 1_000_000)
    terms = BudgetTerms(BudgetingMethod.TIMESLICES, target, RAW_S, target)
    found = budget(past, terms, rules, period, period.end_unix_s)
    below = [Fraction(one[0], sum(one)) < target for one in counts if sum(one)]
    assert (found.counted, found.bad) == (len(below), sum(below))
