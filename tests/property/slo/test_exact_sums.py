"""Running totals against sums from scratch, budgets against fractions."""

from __future__ import annotations

import math
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.slo.budget import error_budget
from analysis.slo.burn_rate import burn_rate, certain_burn_rate
from analysis.slo.sliced_counts import SlicedCounts, WindowSum

COUNT = st.integers(0, 10**12)
SLICES = st.lists(st.tuples(st.integers(1, 9), COUNT, COUNT), min_size=1, max_size=40)


@settings(max_examples=200, deadline=None)
@given(
    slices=SLICES,
    slice_s=st.sampled_from([1, 5, 60]),
    capacity=st.integers(2, 12),
    window=st.integers(1, 12),
    back=st.integers(0, 3),
    ahead=st.integers(0, 20),
)
def test_sums_are_those_from_scratch(slices, slice_s, capacity, window, back, ahead):
    """After every slice, for any window inside the memory, gaps longer than the memory included."""
    counts = SlicedCounts(slice_s, capacity * slice_s)
    kept, at = {}, 1000
    for step, good, bad in slices:
        at += step
        counts.add(at * slice_s, good, bad)
        kept[at] = (good, bad)
        length = min(window, capacity)
        end = at + 1 + ahead - min(back, capacity - length)
        inside = [kept[i] for i in range(end - length, end) if i in kept]
        found = counts.window(length * slice_s, end * slice_s)
        assert found.good == sum(good for good, _ in inside)
        assert found.bad == sum(bad for _, bad in inside)
        assert Fraction(found.covered_ratio).limit_denominator(100) == Fraction(len(inside), length)
        assert counts.end_unix_s == (at + 1) * slice_s


@settings(max_examples=300, deadline=None)
@given(good=COUNT, bad=COUNT, nines=st.integers(1, 99_999), covered=st.floats(0, 1))
def test_budget_is_the_fraction(good, bad, nines, covered):
    budget = Fraction(nines, 100_000)
    window = WindowSum(good, bad, covered)
    found = error_budget(window, float(budget))
    if good + bad == 0:
        assert (found.error_ratio, found.remaining_ratio) == (None, None)
        assert burn_rate(window, float(budget)) is None
        assert certain_burn_rate(window, float(budget)) == 0.0
        return
    share = Fraction(bad, good + bad)
    assert found.error_ratio == bad / (good + bad)
    assert (found.good, found.total) == (good, good + bad)
    spent = share / budget
    assert math.isclose(
        found.remaining_ratio, 1 - spent, rel_tol=1e-12, abs_tol=1e-12 * (1 + spent)
    )
    assert math.isclose(burn_rate(window, float(budget)), spent, rel_tol=1e-12)
    assert certain_burn_rate(window, float(budget)) <= burn_rate(window, float(budget))


@settings(max_examples=100, deadline=None)
@given(
    spans=st.lists(st.tuples(st.integers(0, 3), COUNT, COUNT), min_size=1, max_size=20),
    slices=st.integers(1, 12),
)
def test_a_span_is_the_sum_it_was_given(spans, slices):
    """Whole spans exactly; parts of one between nothing and all of it."""
    counts = SlicedCounts(5, 1_200 * 5)
    at, kept = 1_000, []
    for gap, good, bad in spans:
        at += gap * slices
        counts.add_span(at * 5, slices, good, bad)
        kept.append((at, good, bad))
        at += slices
    counts.add(at * 5, 7, 1)
    for start, good, bad in kept:
        found = counts.between(start, start + slices).tolist()
        assert found == [good, bad, slices]
        part = counts.between(start, start + slices // 2).tolist()
        assert part[2] == slices // 2
        assert 0 <= part[0] <= good
        assert abs(part[1] - bad * (slices // 2) / slices) <= max(1, 1e-9 * bad)
    assert counts.between(at, at + 1).tolist() == [7, 1, 1]
