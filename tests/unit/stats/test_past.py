"""What bets may know: counts of earlier blocks, forgotten slowly, on a layout that follows."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.stats.past import PastCounts

EDGES = np.array([1.0, 2.0, 4.0, 8.0])


def past_of(counts):
    past = PastCounts()
    past.add(0, EDGES, np.array(counts))
    return past


def test_an_empty_past_knows_nothing():
    past = PastCounts()
    assert past.edge_near(0, 0.5) is None
    assert past.total(0) == 0
    assert past.step_ratio_at(0.5) == np.inf
    assert past.shares_moved_by(1.1).tolist() == []


def test_forgetting_scales_and_keeps_shares():
    past = past_of([10, 20, 30, 40, 0])
    before = past.share_above(0, 2.0)
    past.forget(0.5)
    assert past.total(0) == 50
    assert past.share_above(0, 2.0) == pytest.approx(before, abs=0.01)


def test_shares_moved_are_what_interpolation_says():
    past = past_of([10, 20, 30, 40, 0])
    for ratio in (1.01, 1.0905, 1.5, 2.0, 3.0):
        moved = past.shares_moved_by(ratio)
        expected = [
            past.share_above_interpolated(0, x / ratio) - past.share_above_interpolated(0, x)
            for x in EDGES
        ]
        assert moved == pytest.approx(expected, abs=1e-12)
        assert (moved >= 0).all()


def test_a_bucket_wide_ratio_moves_the_bucket_below():
    assert past_of([0, 20, 30, 50, 0]).shares_moved_by(2.0) == pytest.approx([0, 0.2, 0.3, 0.5])


def test_edges_at_or_below_zero_move_nothing():
    past = PastCounts()
    past.add(0, np.array([-2.0, 0.0, 5.0]), np.array([1, 2, 3, 4]))
    moved = past.shares_moved_by(1.25)
    assert moved[:2].tolist() == [0.0, 0.0]
    assert moved[2] == pytest.approx(0.3 * 0.2)


def test_moving_to_another_layout_loses_no_event():
    past = past_of([10, 20, 30, 40, 5])
    past.add(1, np.array([2.0, 8.0]), np.array([1, 1, 1]))
    assert past.total(0) == 105
    assert past.total(1) == 3
    assert past.edges.tolist() == [1.0, 2.0, 8.0]


def test_state_survives_exactly():
    past = past_of([10, 20, 30, 40, 5])
    past.forget(1 / 3)
    again = PastCounts()
    again.restore(past.to_state())
    assert np.array_equal(again.counts, past.counts)
    assert np.array_equal(again.edges, past.edges)
