"""Sequential evidence that a whole distribution moved up by more than a margin.

Null: in every block the canary is stochastically at most ``1 + margin`` times slower,
``P_canary(X > (1 + margin) x) <= P_baseline(X > x)`` for all x. The distribution may change from
block to block, and so may the traffic split.

Per block: divide the canary's values by ``1 + margin`` and compare with the baseline's on one
layout by ``e = prod_k (n / (n_a + n_b r_k))^a_k (n r_k / (n_a + n_b r_k))^b_k`` with a ratio
``r_k`` chosen from the past and *non-decreasing in k* (n = n_a + n_b). With equal distributions
E[e] <= 1 by AM-GM, because n_a/(n_a + n_b r) + n_b r/(n_a + n_b r) = 1 in each bucket. If the
canary is stochastically smaller, its factor, increasing in k, only falls. So one monotone ratio
covers *every* threshold at once, where a threshold-wise test spends its power on one at a time.

Ratios are exponential tilts ``r = exp(lambda t_k) / norm`` of the baseline's past, ``t`` the
normal score of the past mid-rank (for lognormal data a scale shift *is* such a tilt, van der
Waerden 1952); for tails the ratio of the baseline's past with a part of it slower to itself; and
what the canary's own past shows. The last two are made to rise by isotonic regression. Nothing
depends on the unit.

Counts that straddle buckets of the layout are placed where they help least (baseline high,
canary low), so differing, coarsened or misaligned layouts cost power, never validity.

Where the margin is far from whole buckets, dividing would shift a count by up to a bucket more and
hide what matters. There the null is about shares at every edge x_k instead: ``P_canary(X > x_k) <=
P_baseline(X > x_k) + d_k``, d_k being the share the margin would move across x_k, read from the
baseline's past by interpolation inside buckets. With g_k = n r_k / (n_a + n_b r_k), increasing,
summation by parts bounds the bracket of AM-GM by ``n + n_b sum_k d_k (g_{k+1} - g_k)``; e is
divided by that excess to the power n. Exact for the d used, in every block.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.special import ndtri

from analysis.stats.layouts import Floats, Ints, highest_bucket, lowest_bucket
from analysis.stats.past import PastCounts, shares_moved
from analysis.stats.projection import log_mean_exp

Arm = tuple[Floats, Ints]  # edges, counts

# Dividing by the margin moves counts by whole buckets, rounded against the claim. It is done where
# that widens the margin by at most this ratio.
_ROUNDING_MAX = 0.25


@dataclass(frozen=True, slots=True)
class RankBets:
    """Alternatives of a :class:`RankProcess`, with their weights: everything shifted up by so many
    standard deviations of the normal scores, and tails: ``share`` of the events ``times`` slower.
    """

    shifts: tuple[float, ...]
    shift_weights: tuple[float, ...]
    tails: tuple[tuple[float, float], ...]
    tail_weights: tuple[float, ...]
    learned_weight: float  # follows the canary's own past, as far as it only rises
    learned_prior_count: float  # events of "no difference" it starts with
    learn_min_count: int  # past baseline events before the first bet

    def weights(self) -> Floats:
        raw = np.array([*self.shift_weights, *self.tail_weights, self.learned_weight])
        weights: Floats = raw / raw.sum()
        return weights


class RankProcess:
    """One-sided e-process on bucket counts (see the module's text)."""

    def __init__(self, margin: float, bets: RankBets) -> None:
        self._margin = margin
        self._bets = bets
        self._weights = bets.weights()
        self._logs: Floats = np.zeros(len(self._weights))
        self.log_e = 0.0  # natural log of the evidence so far
        self.max_log_e = 0.0
        self.blocks = 0

    def step(self, parts: Sequence[tuple[Arm, Arm]], past: PastCounts) -> None:
        """Take one block with the past that does not contain it.

        ``parts``: (baseline, canary) as ``(edges, counts)``, one pair per bucket layout of the
        block; together they are one block, so where layouts change cannot matter.
        """
        n_a = float(sum(baseline[1].sum() for baseline, _ in parts))
        n_b = float(sum(canary[1].sum() for _, canary in parts))
        if n_a <= 0 or n_b <= 0 or past.total(0) < self._bets.learn_min_count:
            return
        plan = BetPlan.of(past.edges, past.counts, self._margin, self._bets)
        baseline_counts, canary_counts = np.zeros((2, len(past.edges) + 1))
        for baseline, canary in parts:
            a_at = highest_bucket(baseline[0], past.edges)
            b_at = lowest_bucket(canary[0], past.edges, plan.divisor)
            size = len(past.edges) + 1
            baseline_counts += np.bincount(a_at, weights=baseline[1], minlength=size)
            canary_counts += np.bincount(b_at, weights=canary[1], minlength=size)
        gain = plan.gains(baseline_counts, canary_counts)
        self._logs = self._logs + gain
        self.log_e = float(log_mean_exp(self._logs, self._weights))
        self.max_log_e = max(self.max_log_e, self.log_e)
        self.blocks += 1

    def to_state(self) -> dict[str, Any]:
        """JSON-able; floats survive exactly."""
        return {
            "logs": self._logs.tolist(),
            "log_e": self.log_e,
            "max_log_e": self.max_log_e,
            "blocks": self.blocks,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`to_state` of an equally configured process returned."""
        logs = np.array(state["logs"], dtype=float)
        if logs.shape != self._logs.shape:
            raise ValueError(f"need {len(self._logs)} alternatives, got {len(logs)}")
        self._logs = logs
        self.log_e = float(state["log_e"])
        self.max_log_e = float(state["max_log_e"])
        self.blocks = int(state["blocks"])


@dataclass(frozen=True, slots=True)
class BetPlan:
    """What is bet on one block, from the past alone.

    ``log_r`` (..., alternatives, buckets) rises along buckets. ``moved`` (..., buckets - 1) is the
    share the margin carries over each edge; ``None`` where the canary is divided by ``divisor``
    instead. Leading axes are studies side by side on one layout.
    """

    log_r: Floats
    divisor: float
    moved: Floats | None

    @classmethod
    def of(cls, edges: Floats, counts: Floats, margin: float, bets: RankBets) -> BetPlan:
        """Plan from past ``counts`` (..., 2, buckets) of baseline and canary.

        Where the baseline's median lies, buckets decide whether dividing costs too much.
        """
        base = counts[..., 0, :]
        is_fine = _is_fine(edges, base, margin)
        divisor = 1.0 + margin if is_fine else 1.0
        moved = None if is_fine else shares_moved(edges, base, 1.0 + margin)
        return cls(_log_ratios(edges, counts, divisor, bets), divisor, moved)

    def gains(self, a: Floats, b: Floats) -> Floats:
        """Log e-values (..., alternatives) of a block with counts (..., buckets) on the layout.

        ``b`` is already placed through the divisor. Both arms must have events.
        """
        n_a, n_b = a.sum(axis=-1)[..., None, None], b.sum(axis=-1)[..., None, None]
        n = n_a + n_b
        log_low = np.log((n_a + n_b * np.exp(self.log_r)) / n)
        both = (a + b)[..., None]
        gain = (self.log_r @ b[..., None] - log_low @ both)[..., 0]
        if self.moved is not None:
            rises = np.diff(np.exp(self.log_r - log_low), axis=-1)
            excess = (n_b / n)[..., 0] * (rises @ self.moved[..., None])[..., 0]
            gain = gain - n[..., 0] * np.log1p(excess)
        result: Floats = gain
        return result


def _is_fine(edges: Floats, base: Floats, margin: float) -> bool:
    """Whether the margin is close to whole buckets where every study's median lies."""
    if margin <= 0:
        return False
    below = np.cumsum(base, axis=-1)
    if len(edges) < 2 or not np.all(below[..., -1] > 0):
        return False
    k = np.sum(below < 0.5 * below[..., -1:], axis=-1)
    k = np.clip(k, 1, len(edges) - 1)
    low, high = edges[k - 1], edges[k]
    if np.any(low <= 0):
        return False
    wanted = math.log1p(margin) / np.log(high / low)  # buckets
    return bool(np.all(np.ceil(wanted - 1e-3) <= wanted * (1.0 + _ROUNDING_MAX)))


def _log_ratios(edges: Floats, counts: Floats, divisor: float, bets: RankBets) -> Floats:
    """Shape (..., alternatives, buckets), non-decreasing along buckets."""
    base = counts[..., 0, :]
    total = base.sum(axis=-1, keepdims=True) + 1.0
    rank = (np.cumsum(base, axis=-1) - 0.5 * base + 0.5) / total
    score = ndtri(np.clip(rank, 1e-9, 1 - 1e-9))
    share = (base + 1.0 / base.shape[-1]) / total
    at = lowest_bucket(edges, edges, divisor)
    own = []
    for part, times in bets.tails:
        moved = np.diff(part * shares_moved(edges, base, times), prepend=0.0, append=0.0)
        own.append(placed(at, share - moved))
    seen, prior = placed(at, counts[..., 1, :]), bets.learned_prior_count
    own.append((seen + prior * share) / (seen.sum(axis=-1, keepdims=True) + prior))
    shifts = np.array(bets.shifts)[:, None] * score[..., None, :]
    tilt = np.concatenate([shifts, _risen(np.stack(own, axis=-2), share)], axis=-2)
    result: Floats = tilt - np.log(np.exp(tilt) @ share[..., None])
    return result


def placed(at: Ints, weights: Floats) -> Floats:
    """``weights`` (..., buckets) moved to the buckets ``at``, which do not fall."""
    starts = np.flatnonzero(np.diff(at, prepend=-1))
    if len(starts) == len(at) and at[0] == 0:
        return weights
    moved = np.zeros_like(weights)
    moved[..., at[starts]] = np.add.reduceat(weights, starts, axis=-1)
    return moved


# Rows joined in one regression, each lifted above the one before; few, so no digits are lost.
_ROWS_AT_ONCE = 16


def _risen(own: Floats, share: Floats) -> Floats:
    """Log of the non-decreasing ratio nearest to ``own / share`` (isotonic regression).

    ``own`` (..., alternatives, buckets), ``share`` (..., buckets).
    """
    weights = np.broadcast_to(share[..., None, :], own.shape).reshape(-1, own.shape[-1])
    ratio = np.maximum(own, 0.0).reshape(weights.shape) / weights
    lift = ratio.max(axis=1) + 1.0
    risen = np.empty_like(ratio)
    for first in range(0, len(ratio), _ROWS_AT_ONCE):
        some = slice(first, first + _ROWS_AT_ONCE)
        base = np.concatenate([[0.0], np.cumsum(lift[some])[:-1]])[:, None]
        found = isotonic_regression((ratio[some] + base).ravel(), weights=weights[some].ravel())
        risen[some] = found.x.reshape(ratio[some].shape) - base
    result: Floats = np.log(np.maximum(risen, 1e-6)).reshape(own.shape)
    return result
