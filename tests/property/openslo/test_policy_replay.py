"""The replay over arrays decides as the running rule does, moment by moment."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analysis.slo import burn_rate
from analysis.slo.objectives import BurnWindow, Guard
from analysis.slo.openslo.policy_replay import episodes, firing
from analysis.slo.openslo.sliced_past import SlicedPast
from analysis.slo.sliced_counts import SlicedCounts

SLICE_S = 30
GUARDS = (Guard(0, 1.0), Guard(3, 1e-4), Guard(1, 0.01))

#: Powers of two, so that the running rule's floats decide exactly as well.
slices = st.one_of(st.none(), st.sampled_from([(0, 0), (8, 0), (6, 2), (0, 8), (16, 0), (4, 4)]))


@given(
    st.lists(slices, min_size=1, max_size=60),
    st.sampled_from([(4, 2), (8, 1), (16, 4), (3, 3)]),
    st.sampled_from([0.5, 1.0, 1.5, 2.0]),
    st.sampled_from(GUARDS),
)
def test_the_same_as_the_running_rule(counts, pair, factor, guard):
    """Gaps, empty slices, the guard, the first moments of a history."""
    window = BurnWindow("page", factor, pair[0] * SLICE_S, pair[1] * SLICE_S)
    past = SlicedPast(
        0,
        SLICE_S,
        np.array([0 if one is None else one[0] for one in counts], np.int64),
        np.array([0 if one is None else one[1] for one in counts], np.int64),
        np.array([one is not None for one in counts]),
    )
    found = firing(past, window, Fraction(1, 4), guard).tolist()
    running = SlicedCounts(SLICE_S, 64 * SLICE_S)
    expected = []
    for number, one in enumerate(counts):
        if one is not None:
            running.add(number * SLICE_S, *one)
        end = (number + 1) * SLICE_S
        long, short = (running.window(span * SLICE_S, end) for span in pair)
        expected.append(burn_rate.evaluate(window, long, short, 0.25, guard).firing)
    # Of a window not yet full, the running rule's share of covered slices is the same fraction.
    assert found == expected


@given(st.lists(st.booleans(), max_size=50))
def test_episodes_are_the_runs(flags):
    """Put together again they are the flags."""
    again = [False] * len(flags)
    for one in episodes(np.array(flags, dtype=bool)):
        assert not again[max(one.first - 1, 0)]
        again[one.first : one.last + 1] = [True] * (one.last - one.first + 1)
    assert again == flags
