"""Bucket layouts: placement, exact merging, following the data."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.stats.layouts import (
    bucket_quantile,
    common_edges,
    count_possibly_above,
    count_surely_above,
    highest_bucket,
    lowest_bucket,
    merge_exactly,
    next_layout,
)

EDGES = np.array([1.0, 2.0, 4.0])


def test_on_its_own_layout_every_bucket_stays():
    assert highest_bucket(EDGES, EDGES).tolist() == [0, 1, 2, 3]
    assert lowest_bucket(EDGES, EDGES).tolist() == [0, 1, 2, 3]


def test_edges_recomputed_by_another_program_are_the_same_edges():
    shaken = EDGES * (1 + 3e-16)
    assert highest_bucket(shaken, EDGES).tolist() == [0, 1, 2, 3]
    assert lowest_bucket(shaken, EDGES).tolist() == [0, 1, 2, 3]
    assert len(common_edges(shaken, EDGES)) == 3


def test_a_straddling_bucket_is_placed_at_both_its_ends():
    coarse = np.array([3.0])  # (0, 3] reaches from the first to the third bucket
    assert highest_bucket(coarse, EDGES).tolist() == [2, 3]
    assert lowest_bucket(coarse, EDGES).tolist() == [0, 2]


def test_dividing_moves_the_lower_edge():
    assert lowest_bucket(EDGES, EDGES, divide_by=2.0).tolist() == [0, 0, 1, 2]


def test_counts_above_a_threshold_are_bracketed():
    counts = np.array([5, 7, 11, 13])
    for threshold in (0.5, 1.0, 1.5, 2.0, 3.9, 4.0, 9.0):
        sure = count_surely_above(EDGES, counts, threshold)
        possible = count_possibly_above(EDGES, counts, threshold)
        assert sure <= possible
        if threshold in EDGES:
            assert sure == possible
    assert count_surely_above(EDGES, counts, 9.0) == 0
    assert count_possibly_above(EDGES, counts, 9.0) == 13


def test_merging_is_exact_or_refused():
    fine = np.array([1.0, 1.5, 2.0, 3.0, 4.0])
    merged = merge_exactly(fine, np.array([1, 2, 3, 4, 5, 6]), EDGES)
    assert merged is not None
    assert merged.tolist() == [1, 5, 9, 6]
    assert merge_exactly(np.array([3.0]), np.array([1, 0]), EDGES) is None
    empty_straddler = merge_exactly(np.array([3.0, 4.0]), np.array([0, 0, 2]), EDGES)
    assert empty_straddler is not None
    assert empty_straddler.tolist() == [0, 0, 0, 2]


def test_a_coarser_scale_coarsens_the_layout_a_wider_range_widens_it():
    scale1 = 2.0 ** (np.arange(0, 9) / 2)
    scale0 = 2.0 ** np.arange(1, 7)
    following = next_layout(scale1, scale0)
    assert np.allclose(following, [1.0, 2**0.5, 2, 4, 8, 16, 32, 64])
    unrelated = np.array([3.0, 5.0, 7.0])
    assert next_layout(scale0, unrelated).tolist() == unrelated.tolist()
    assert next_layout(scale0, np.zeros(0)).tolist() == scale0.tolist()


def test_layouts_stay_bounded():
    current = 2.0 ** (np.arange(0, 600) / 16)
    block = current[300:] * 2.0**25
    assert len(next_layout(current, np.concatenate([current[300:], block]))) <= 600


@pytest.mark.parametrize(
    ("p", "expected"), [(0.25, 1.0), (0.5, 2.0), (0.375, 2**0.5), (0.75, 4.0), (0.99, 4.0)]
)
def test_quantiles_interpolate_geometrically(p, expected):
    assert bucket_quantile(EDGES, np.array([1, 1, 1, 1]), p) == pytest.approx(expected)


def test_quantiles_of_nothing_are_unknown():
    assert math.isnan(bucket_quantile(EDGES, np.zeros(4), 0.5))
    assert math.isnan(bucket_quantile(np.zeros(0), np.array([3]), 0.5))
