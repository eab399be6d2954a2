"""Projection of an alternative on the margin line, and the e-value of one block."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.stats.projection import log_e_two_shares, log_mean_exp, project_to_margin


def divergence(q: float, n_a: float, n_b: float, p_a: float, p_b: float, margin: float) -> float:
    def kl(p: float, r: float) -> float:
        return p * math.log(p / r) + (1 - p) * math.log((1 - p) / (1 - r))

    return n_a * kl(p_a, q) + n_b * kl(p_b, q + margin)


@pytest.mark.parametrize("margin", [-0.3, -0.02, 0.0, 0.005, 0.2])
@pytest.mark.parametrize(
    ("n_a", "n_b", "p_a", "p_b"),
    [(12, 12, 0.01, 0.3), (1, 400, 0.5, 0.6), (50, 2, 0.2, 0.9), (7, 7, 0.4, 0.35)],
)
def test_projection_is_the_nearest_point_of_the_line(n_a, n_b, p_a, p_b, margin):
    found = float(project_to_margin(*map(np.array, (n_a, n_b, p_a, p_b, margin))))
    grid = np.linspace(max(0, -margin) + 1e-6, min(1, 1 - margin) - 1e-6, 20_001)
    best = min(divergence(q, n_a, n_b, p_a, p_b, margin) for q in grid)
    assert divergence(found, n_a, n_b, p_a, p_b, margin) <= best + 1e-9


def test_without_margin_the_projection_is_the_pooled_share():
    found = project_to_margin(*map(np.array, (30.0, 10.0, 0.1, 0.5, 0.0)))
    assert found == pytest.approx((30 * 0.1 + 10 * 0.5) / 40, abs=1e-9)


def test_without_margin_the_value_is_the_likelihood_ratio():
    value = log_e_two_shares(1, 10, 6, 10, np.array([0.1]), np.array([0.5]), 0.0, 1.0)
    pooled = 0.3
    expected = (
        1 * math.log(0.1 / pooled)
        + 9 * math.log(0.9 / (1 - pooled))
        + 6 * math.log(0.5 / pooled)
        + 4 * math.log(0.5 / (1 - pooled))
    )
    assert value[0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_alternatives_inside_the_null_bet_nothing(side):
    p_b = np.array([0.2, 0.2 + side * -0.1])
    value = log_e_two_shares(3, 10, 9, 10, np.array([0.2, 0.2]), p_b, 0.05 * side, side)
    assert value.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("n_a", "n_b"), [(0, 5), (5, 0), (0, 0)])
def test_a_block_with_an_empty_arm_says_nothing(n_a, n_b):
    value = log_e_two_shares(0, n_a, 0, n_b, np.array([0.1]), np.array([0.5]), 0.0, 1.0)
    assert value.tolist() == [0.0]


@pytest.mark.parametrize(("p_a", "p_b"), [(0.0, 1.0), (0.0, 1e-300), (1.0 - 1e-16, 1.0)])
def test_extreme_alternatives_stay_finite(p_a, p_b):
    value = log_e_two_shares(50, 100, 50, 100, np.array([p_a]), np.array([p_b]), 0.0, 1.0)
    assert np.isfinite(value).all()


def test_more_bad_events_on_the_canary_are_more_evidence():
    alternative = np.array([0.05]), np.array([0.3])
    values = [log_e_two_shares(1, 20, bad, 20, *alternative, 0.01, 1.0)[0] for bad in range(21)]
    assert np.all(np.diff(values) > 0)


def test_log_mean_exp_does_not_overflow():
    assert log_mean_exp(np.array([1e5, 1e5]), np.array([0.5, 0.5])) == pytest.approx(1e5)
    assert log_mean_exp(np.array([-1e5, 0.0]), np.array([0.5, 0.5])) == pytest.approx(-math.log(2))
