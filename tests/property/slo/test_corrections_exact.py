"""A correction made afterwards gives what counting without that time gives, to the last event."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.slo.budget import error_budget
from analysis.slo.correction_book import excluded_spans
from analysis.slo.openslo.time_windows import Period
from analysis.slo.sliced_counts import SlicedCounts

SLICE_S = 60
START_S = 1_800_000_000


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(5, 300),
    spans=st.lists(
        st.tuples(st.integers(-1_000, 20_000), st.integers(1, 4_000)), min_size=0, max_size=6
    ),
    window=st.integers(1, 200),
)
def test_an_exclusion_equals_a_count_from_scratch(seed, size, spans, window):
    rng = np.random.default_rng(seed)
    good, bad = rng.integers(0, 1_000, size), rng.integers(0, 50, size)
    is_reported = rng.random(size) < 0.9
    made = [Period(START_S + at, START_S + at + length) for at, length in spans]
    joined = excluded_spans([_Said(one) for one in made], "x", Period(0, 2**40))
    counts = SlicedCounts(SLICE_S, 300 * SLICE_S)
    for place in np.flatnonzero(is_reported):
        counts.add(START_S + int(place) * SLICE_S, int(good[place]), int(bad[place]))
    if counts.end_unix_s is None:
        return
    end = START_S + size * SLICE_S
    found = counts.window(window * SLICE_S, end, joined)
    kept_good = kept_bad = covered = excluded = 0
    for place in range(size - window, size):
        at = START_S + place * SLICE_S
        if any(at < one.end_unix_s and at + SLICE_S > one.start_unix_s for one in made):
            excluded += 1
        elif place >= 0 and is_reported[place]:
            kept_good += int(good[place])
            kept_bad += int(bad[place])
            covered += 1
    assert (found.good, found.bad) == (kept_good, kept_bad)
    assert found.covered_ratio == covered / window
    assert found.excluded_ratio == excluded / window
    budget = error_budget(found, 0.01)
    if kept_good + kept_bad:
        exact = 1 - Fraction(kept_bad, kept_good + kept_bad) * 100
        assert abs(budget.remaining_ratio - exact) <= 1e-12 * max(1, abs(exact))
        assert abs(budget.covered_ratio - covered / (window - excluded)) < 1e-12
    else:
        assert budget.remaining_ratio is None


class _Said:
    """A correction that is about everything, once."""

    def __init__(self, span: Period) -> None:
        self.correction = self
        self.when = self
        self._span = span

    def is_about(self, _objective: str) -> bool:
        return True

    def spans(self, _period: Period):
        yield self._span


def test_taking_it_back_gives_the_old_sum():
    """Nothing was removed: the same question without the span has the old answer."""
    counts = SlicedCounts(SLICE_S, 100 * SLICE_S)
    for place in range(50):
        counts.add(START_S + place * SLICE_S, 10, 1)
    end = START_S + 50 * SLICE_S
    before = counts.window(40 * SLICE_S, end)
    hour = [Period(end - 600, end)]
    assert counts.window(40 * SLICE_S, end, hour).total == before.total - 110
    assert counts.window(40 * SLICE_S, end) == before
