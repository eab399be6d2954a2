"""Forecasts: right for a constant burn, honest about noise, silent where nothing can be said."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.slo.openslo.forecast import forecast
from analysis.slo.openslo.sliced_past import CountsError

SLICE_S = 60


def test_a_constant_burn_has_no_interval():
    """Half the budget at a thousandth a slice lasts 500 slices."""
    found = forecast([0.001] * 200, SLICE_S, 0.5, 0.9)
    for moment in (found.exhausts_s, found.earliest_s, found.latest_s):
        assert moment == pytest.approx(500 * SLICE_S)


def test_the_interval_holds_what_it_promises():
    """90 % of intervals contain the truth, or nearly so, and few of them without end."""
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(200):
        used = rng.binomial(100, 0.01, 4_000) / 1_000
        found = forecast(used[:200], SLICE_S, 1.0, 0.9)
        gone_s = (int(np.searchsorted(np.cumsum(used[200:]), 1.0)) + 1) * SLICE_S
        held += found.earliest_s - SLICE_S <= gone_s <= found.latest_s + SLICE_S
    assert held >= 170


def test_the_later_end_may_be_never():
    """One burst in an otherwise quiet time does not say that there will be another."""
    found = forecast([0.0] * 190 + [0.05] * 10, SLICE_S, 0.5, 0.9)
    assert found.latest_s is None
    assert 0 < found.earliest_s < found.exhausts_s


def test_nothing_used_never_ends():
    """And nothing left is now."""
    quiet = forecast([0.0] * 100, SLICE_S, 0.5, 0.9)
    assert (quiet.exhausts_s, quiet.latest_s) == (None, None)
    assert forecast([0.1] * 100, SLICE_S, -0.2, 0.9).exhausts_s == 0


def test_too_little_is_said_to_be():
    """No forecast from a handful of slices, none from what is no number."""
    assert forecast([0.1] * 19, SLICE_S, 0.5, 0.9) is None
    with pytest.raises(CountsError):
        forecast([float("nan")] * 100, SLICE_S, 0.5, 0.9)
