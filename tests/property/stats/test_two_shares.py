"""E-values about shares: their mean under every null, by exact enumeration, for any tuning."""

from __future__ import annotations

import itertools
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.stats.projection import log_e_two_shares
from analysis.stats.ratio_eprocess import ShareBets, ShareProcess, ratio_grid_log_e

SHARES = st.floats(0.0, 1.0, allow_subnormal=False)
INSIDE = st.floats(0.001, 0.999)


def binomial(n: int, p: float) -> list[float]:
    return [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]


def in_null(t_a: float, u: float, margin: float, side: float) -> float:
    """A canary share in the null given the baseline's; ``u`` in [0, 1] says how deep."""
    edge = min(max(t_a + margin, 0.0), 1.0)
    return edge * (1 - u) if side > 0 else edge + (1 - edge) * u


@settings(max_examples=300, deadline=None)
@given(
    n_a=st.integers(1, 7),
    n_b=st.integers(1, 7),
    p_a=SHARES,
    p_b=SHARES,
    margin=st.floats(-0.9, 0.9),
    side=st.sampled_from([1.0, -1.0]),
    t_a=SHARES,
    u=st.floats(0, 1),
)
def test_mean_of_one_block_is_at_most_one(n_a, n_b, p_a, p_b, margin, side, t_a, u):
    # The line t_b = t_a + margin has to meet the unit square.
    t_a = min(max(t_a, -margin, 0.0), 1.0 - margin, 1.0)
    t_b = in_null(t_a, u, margin, side)
    a, b = np.arange(n_a + 1)[:, None, None], np.arange(n_b + 1)[None, :, None]
    log_e = log_e_two_shares(a, n_a, b, n_b, np.array([p_a]), np.array([p_b]), margin, side)
    weights = np.outer(binomial(n_a, t_a), binomial(n_b, t_b))
    assert float((weights * np.exp(log_e[..., 0])).sum()) <= 1 + 1e-9


@settings(max_examples=60, deadline=None)
@given(
    side=st.sampled_from([1, -1]),
    margin=st.floats(0.0, 0.3),
    increments=st.lists(st.floats(1e-4, 0.9), min_size=1, max_size=4),
    ratios=st.lists(st.floats(1.01, 20), max_size=2),
    weights=st.lists(st.floats(0.01, 1), min_size=7, max_size=7),
    prior_ratio=INSIDE,
    prior_count=st.floats(0.1, 200),
    keep=st.floats(0.01, 1),
    horizon=st.tuples(st.floats(0, 1), st.floats(0.5, 6), st.floats(0, 5)),
    rates=st.lists(st.tuples(INSIDE, st.floats(0, 1)), min_size=2, max_size=2),
    sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=2, max_size=2),
)
def test_a_learning_process_stays_fair_whatever_its_bets(
    *,
    side,
    margin,
    increments,
    ratios,
    weights,
    prior_ratio,
    prior_count,
    keep,
    horizon,
    rates,
    sizes,
):
    """Two blocks, rates and sizes different in each: every path enumerated."""
    bets = ShareBets(
        tuple(increments),
        tuple(weights[: len(increments)]),
        tuple(ratios),
        tuple(weights[4 : 4 + len(ratios)]),
        weights[6],
        prior_ratio,
        prior_count,
        horizon[0],
        horizon[1],
    )
    rates = [(min(t_a, 1 - margin), u) for t_a, u in rates]
    arms = [(t_a, in_null(t_a, u, margin, side)) for t_a, u in rates]
    mean = 0.0
    outcomes = [itertools.product(range(n_a + 1), range(n_b + 1)) for n_a, n_b in sizes]
    for path in itertools.product(*outcomes):
        process, weight = ShareProcess(margin, side, bets), 1.0
        for (bad_a, bad_b), (n_a, n_b), (t_a, t_b) in zip(path, sizes, arms, strict=True):
            process.step(bad_a, n_a, bad_b, n_b, keep, left_ratio=horizon[2])
            weight *= binomial(n_a, t_a)[bad_a] * binomial(n_b, t_b)[bad_b]
        mean += weight * math.exp(process.log_e)
    assert mean <= 1 + 1e-9


@given(
    share=st.lists(st.floats(0.01, 0.99), min_size=3, max_size=3),
    ratios=st.lists(st.floats(1.01, 30), min_size=1, max_size=4),
)
def test_ratio_grid_has_mean_one_when_failures_follow_traffic(share, ratios):
    """One failure per block; its arm is the canary's with the block's own share of traffic."""
    mean = 0.0
    for arms in itertools.product((0, 1), repeat=3):
        bad_b = np.array(arms, dtype=float)
        log_e = ratio_grid_log_e(1 - bad_b, bad_b, np.array(share), ratios)[-1]
        weight = math.prod(s if arm else 1 - s for s, arm in zip(share, arms, strict=True))
        mean += weight * math.exp(log_e)
    assert abs(mean - 1) < 1e-9
