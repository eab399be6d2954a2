"""E-values about bucket counts: mean at most one under every null, by exact enumeration.

A block's mean is taken given an arbitrary past, which is all a martingale needs. Bets, margins,
layouts and the past are drawn freely: nothing of them may matter.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.stats.eprocess import DifferenceBets, DifferenceProcess
from analysis.stats.noninferiority import QuantileCertificate
from analysis.stats.past import PastCounts
from analysis.stats.rank_eprocess import RankBets, RankProcess


def distribution(size: int):
    return st.lists(st.floats(0.001, 1.0), min_size=size, max_size=size).map(
        lambda raw: np.array(raw) / sum(raw)
    )


def all_counts(n: int, buckets: int) -> Iterator[np.ndarray]:
    for cut in itertools.combinations(range(n + buckets - 1), buckets - 1):
        edges = (-1, *cut, n + buckets - 1)
        yield np.array([b - a - 1 for a, b in itertools.pairwise(edges)], dtype=np.int64)


def chance(counts: np.ndarray, p: np.ndarray) -> float:
    ways = math.factorial(int(counts.sum())) / math.prod(math.factorial(int(c)) for c in counts)
    return ways * float(np.prod(p**counts))


def past_of(edges: np.ndarray, baseline: list[int], canary: list[int]) -> PastCounts:
    past = PastCounts()
    past.add(0, edges, np.array(baseline))
    past.add(1, edges, np.array(canary))
    return past


def mean_after_one_block(make, edges_a, p_a, n_a, edges_b, p_b, n_b, past) -> float:
    mean = 0.0
    for a in all_counts(n_a, len(p_a)):
        for b in all_counts(n_b, len(p_b)):
            process = make()
            process.step([((edges_a, a), (edges_b, b))], past)
            mean += chance(a, p_a) * chance(b, p_b) * math.exp(process.log_e)
    return mean


BETS = st.builds(
    lambda shifts, tails, weights: RankBets(
        tuple(shifts),
        tuple(weights[: len(shifts)]),
        tuple(tails),
        tuple(weights[3 : 3 + len(tails)]),
        1,
    ),
    st.lists(st.floats(0.01, 3), min_size=1, max_size=3),
    st.lists(st.tuples(st.floats(0.05, 0.99), st.floats(1.1, 20)), max_size=2),
    st.lists(st.floats(0.05, 1), min_size=5, max_size=5),
)
PAST = st.lists(st.integers(0, 40), min_size=5, max_size=5).filter(lambda c: sum(c) > 0)
FINE = np.array([1.0, 1.1, 1.21, 1.331])  # steps of 10 %
COARSE = np.array([1.0, 2.0, 5.0, 10.0])


def slower_by_at_most(p_a: np.ndarray, allowance: np.ndarray) -> np.ndarray:
    """The slowest canary the null allows: exceedance of every edge higher by the allowance."""
    above = np.cumsum(p_a[::-1])[::-1][1:]
    raised = np.minimum.accumulate(np.minimum(above + allowance, 1.0))
    return np.maximum(-np.diff(np.concatenate([[1.0], raised, [0.0]])), 0.0)


def smaller(p_a: np.ndarray, keep: list[float]) -> np.ndarray:
    """A distribution stochastically below ``p_a``: mass moved down bucket by bucket."""
    p = p_a.copy()
    for k in range(len(p) - 1, 0, -1):
        moved = p[k] * (1 - keep[k])
        p[k] -= moved
        p[k - 1] += moved
    return p


@settings(max_examples=50, deadline=None)
@given(
    bets=BETS,
    p_a=distribution(5),
    keep=st.lists(st.floats(0, 1), min_size=5, max_size=5),
    past_a=PAST,
    past_b=PAST,
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_rank_process_is_fair_to_a_canary_not_slower(bets, p_a, keep, past_a, past_b, sizes):
    past = past_of(FINE, past_a, past_b)
    mean = mean_after_one_block(
        lambda: RankProcess(0.0, bets),
        FINE,
        p_a,
        sizes[0],
        FINE,
        smaller(p_a, keep),
        sizes[1],
        past,
    )
    assert mean <= 1 + 1e-9


@settings(max_examples=50, deadline=None)
@given(
    bets=BETS,
    p_a=distribution(5),
    past_a=PAST,
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    steps=st.integers(0, 2),
)
def test_rank_process_is_fair_up_to_its_margin_in_fine_buckets(bets, p_a, past_a, sizes, steps):
    """The canary is 0, 10 or 21 % slower, bucket by bucket; the margin is that much."""
    wider = np.append(FINE, [1.331 * 1.1, 1.331 * 1.21])
    p_b = np.concatenate([np.zeros(steps), p_a, np.zeros(2 - steps)])
    past = past_of(FINE, past_a, past_a)
    mean = mean_after_one_block(
        lambda: RankProcess(1.1**steps - 1, bets), FINE, p_a, sizes[0], wider, p_b, sizes[1], past
    )
    assert mean <= 1 + 1e-9


@settings(max_examples=50, deadline=None)
@given(
    bets=BETS,
    p_a=distribution(5),
    past_a=PAST,
    margin=st.floats(0.01, 0.5),
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_rank_process_is_fair_up_to_its_margin_in_coarse_buckets(bets, p_a, past_a, margin, sizes):
    past = past_of(COARSE, past_a, past_a)
    p_b = slower_by_at_most(p_a, past.shares_moved_by(1 + margin))
    mean = mean_after_one_block(
        lambda: RankProcess(margin, bets), COARSE, p_a, sizes[0], COARSE, p_b, sizes[1], past
    )
    assert mean <= 1 + 1e-9


@settings(max_examples=60, deadline=None)
@given(
    bets=BETS,
    p=distribution(5),
    past_a=PAST,
    drop_a=st.sets(st.integers(0, 3), max_size=3),
    drop_b=st.sets(st.integers(0, 3), max_size=3),
    margin=st.sampled_from([0.0, 0.1]),
)
def test_rank_process_is_fair_when_layouts_differ(bets, p, past_a, drop_a, drop_b, margin):
    """Both arms have one distribution; each reports it on edges of its own."""

    def coarser(drop):
        kept = [k for k in range(4) if k not in drop]
        groups = np.searchsorted(kept, np.arange(5))
        return FINE[kept], np.bincount(groups, weights=p, minlength=len(kept) + 1)

    (edges_a, p_a), (edges_b, p_b) = coarser(drop_a), coarser(drop_b)
    past = past_of(FINE, past_a, past_a)
    mean = mean_after_one_block(
        lambda: RankProcess(margin, bets), edges_a, p_a, 2, edges_b, p_b, 2, past
    )
    assert mean <= 1 + 1e-9


@settings(max_examples=100, deadline=None)
@given(
    edges=st.sampled_from([FINE, COARSE]),
    level=st.floats(0.05, 0.95),
    margin=st.floats(0.01, 0.6),
    share_margin=st.floats(0.02, 0.3),
    p_a=distribution(5),
    past_a=PAST,
    past_b=PAST,
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    deeper=st.floats(0, 1),
)
def test_certificate_is_fair_to_a_canary_slower_by_the_margin(
    *, edges, level, margin, share_margin, p_a, past_a, past_b, sizes, deeper
):
    """Claims are about one threshold per block: what it is follows from the past alone."""
    past = past_of(edges, past_a, past_b)
    x = past.edge_near(0, level)
    assert x is not None
    is_fine = past.step_ratio_at(level) <= 1 + margin * (1 + 1e-9)
    d = 0.0
    if not is_fine:
        moved = past.share_above_interpolated(0, x / (1 + margin))
        moved -= past.share_above_interpolated(0, x)
        d = min(max(moved, 0.02), share_margin)
    above = float(p_a[np.searchsorted(edges, x) + 1 :].sum())
    t_b = above + d
    if t_b > 1:
        return  # no canary can be that much worse: the null is empty
    t_b += (1 - t_b) * deeper
    y = x * (1 + margin) if is_fine else x
    # A canary with exactly that exceedance: two buckets around y.
    mean = mean_after_one_block(
        lambda: QuantileCertificate(level, margin, share_margin, 1),
        edges,
        p_a,
        sizes[0],
        np.array([y]),
        np.array([1 - t_b, t_b]),
        sizes[1],
        past,
    )
    assert mean <= 1 + 1e-9


@settings(max_examples=15, deadline=None)
@given(
    scales=st.lists(st.floats(0.01, 2), min_size=1, max_size=2),
    tails=st.lists(st.tuples(st.floats(0.01, 0.5), st.floats(1.5, 10)), max_size=1),
    plug_in=st.floats(1, 300),
    smoothing=st.sampled_from([0.0, 1.0]),
    history=PAST,
    blocks=st.lists(distribution(5), min_size=2, max_size=2),
)
def test_difference_process_is_fair_to_equal_arms(
    scales, tails, plug_in, smoothing, history, blocks
):
    """Two blocks of one event per arm, the distribution another one in each."""
    bets = DifferenceBets(tuple(scales), tuple(tails), plug_in, smoothing)
    mean = 0.0
    ones = [np.eye(5, dtype=np.int64)[k] for k in range(5)]
    for path in itertools.product(range(5), repeat=4):
        process = DifferenceProcess(COARSE, bets)
        process.learn(COARSE, np.array(history))
        for a, b in (path[:2], path[2:]):
            assert process.step((COARSE, ones[a]), (COARSE, ones[b]))
        weight = math.prod(
            float(p[k]) for p, pair in zip(blocks, (path[:2], path[2:]), strict=True) for k in pair
        )
        mean += weight * math.exp(process.log_e)
    assert mean <= 1 + 1e-9
