"""Intervals and split checks hold at every look at once: exact chance of *ever* missing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.stats.confidence_sequence import quantile_bounds, quantile_ratio, share_interval
from analysis.stats.srm import log_e_multinomial, log_e_split


def chance_of_ever(is_outside: np.ndarray, p: float) -> float:
    """``is_outside[n, k]``: whether k of n events exclude the truth p. Exact, by recursion."""
    horizon = len(is_outside) - 1
    inside = np.zeros(horizon + 2)
    inside[0] = 1.0
    for n in range(1, horizon + 1):
        moved = inside * (1 - p)
        moved[1:] += inside[:-1] * p
        inside = moved
        inside[: n + 1][is_outside[n, : n + 1]] = 0.0
    return 1.0 - float(inside.sum())


def grid(horizon: int) -> tuple[np.ndarray, np.ndarray]:
    n, k = np.mgrid[0 : horizon + 1, 0 : horizon + 1]
    return n, np.minimum(k, n)


@pytest.mark.parametrize("alpha", [0.2, 0.05])
@pytest.mark.parametrize("p", [0.0, 0.003, 0.05, 0.5, 0.9])
def test_share_interval_misses_at_most_alpha_at_any_look(p, alpha):
    n, k = grid(300)
    low, high = share_interval(k.astype(float), n.astype(float), alpha)
    assert chance_of_ever((p < low) | (p > high), p) <= alpha


@pytest.mark.parametrize("level", [0.5, 0.9])
@pytest.mark.parametrize("below", [0.3, 0.5, 0.85, 0.95])
def test_quantile_bounds_miss_at_most_alpha_at_any_look(level, below):
    """Values at 1 with chance ``below``, else at 2, edges between and around."""
    alpha, horizon = 0.1, 120
    edges = np.array([0.5, 1.5, 2.5])
    outside = np.zeros((horizon + 1, horizon + 1), dtype=bool)
    true = 1.0 if below >= level else 2.0
    for n in range(1, horizon + 1):
        for k in range(n + 1):
            low, high = quantile_bounds(edges, np.array([0, k, n - k, 0]), level, alpha)
            outside[n, k] = not low < true <= high
    assert chance_of_ever(outside, below) <= alpha


def test_nothing_is_known_of_an_empty_arm():
    low, high = share_interval(np.array([0.0]), np.array([0.0]), 0.05)
    assert (low[0], high[0]) == pytest.approx((0.0, 1.0), abs=1e-6)
    assert quantile_bounds(np.array([1.0]), np.array([0, 0]), 0.5, 0.05) == (-math.inf, math.inf)


@given(scale=st.floats(1e-9, 1e9), shift=st.integers(0, 3))
def test_ratios_of_quantiles_do_not_depend_on_the_unit(scale, shift):
    edges = 2.0 ** np.arange(-3, 6)
    counts = np.array([0, 5, 40, 200, 300, 100, 20, 3, 0, 0])
    canary = np.roll(counts, shift)
    here = quantile_ratio((edges, counts), (edges, canary), 0.5, 0.01)
    there = quantile_ratio((edges * scale, counts), (edges * scale, canary), 0.5, 0.01)
    assert there == pytest.approx(here, rel=1e-12)


@given(n=st.integers(0, 25), share=st.floats(0.02, 0.98), prior=st.floats(0.5, 300))
def test_split_evidence_has_mean_one_under_the_declared_split(n, share, prior):
    mean = 0.0
    for k in range(n + 1):
        log_e = log_e_multinomial(
            np.array([n - k, k], dtype=float), np.array([1 - share, share]), prior
        )
        mean += math.comb(n, k) * share**k * (1 - share) ** (n - k) * math.exp(log_e)
    assert mean == pytest.approx(1.0, abs=1e-9)


@given(
    n=st.integers(1, 25),
    declared=st.floats(0.05, 0.95),
    tolerance=st.floats(0.0, 0.3),
    at=st.floats(-1, 1),
)
def test_split_evidence_is_fair_within_the_tolerance(n, declared, tolerance, at):
    share = min(max(declared + at * tolerance, 1e-6), 1 - 1e-6)
    mean = sum(
        math.comb(n, k)
        * share**k
        * (1 - share) ** (n - k)
        * math.exp(log_e_split(n - k, k, declared, tolerance))
        for k in range(n + 1)
    )
    assert mean <= 1 + 1e-9
