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

Ratios are exponential tilts ``r = exp(lambda t_k) / norm`` of the baseline's past: ``t`` the
normal score of the past mid-rank (for lognormal data a scale shift *is* such a tilt, van der
Waerden 1952), and steps at upper quantiles for tails. Only ranks enter: the unit cannot matter.

Counts that straddle buckets of the layout are placed where they help least (baseline high,
canary low), so differing, coarsened or misaligned layouts cost power, never validity.

Where buckets are wider than the margin, dividing would shift a count by a whole bucket and hide
what matters. There the null is about shares at every edge x_k instead: ``P_canary(X > x_k) <=
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
from scipy.special import ndtri

from analysis.stats.layouts import Floats, Ints, highest_bucket, lowest_bucket
from analysis.stats.past import PastCounts
from analysis.stats.projection import log_mean_exp

Arm = tuple[Floats, Ints]  # edges, counts

# Buckets up to this many margins wide are fine enough to divide by the margin.
_FINE_MARGINS = 1.5


@dataclass(frozen=True, slots=True)
class RankBets:
    """Alternatives of a :class:`RankProcess`: normal-score shifts (in standard deviations of the
    scores) and tails ``(above this quantile, so many times the odds)``, with their weights.
    """

    shifts: tuple[float, ...]
    shift_weights: tuple[float, ...]
    tails: tuple[tuple[float, float], ...]
    tail_weights: tuple[float, ...]
    learn_min_count: int  # past baseline events before the first bet

    def weights(self) -> Floats:
        raw = np.array([*self.shift_weights, *self.tail_weights])
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
        is_fine = past.step_ratio_at(0.5) <= 1.0 + _FINE_MARGINS * self._margin
        log_r = self._log_ratios(past.counts[0])
        log_low = np.log((n_a + n_b * np.exp(log_r)) / (n_a + n_b))
        gain: Floats = np.zeros(len(self._weights))
        for baseline, canary in parts:
            a_at = highest_bucket(baseline[0], past.edges)
            b_at = lowest_bucket(canary[0], past.edges, 1.0 + self._margin if is_fine else 1.0)
            a_used, b_used = baseline[1] > 0, canary[1] > 0
            gain = gain - log_low[:, a_at[a_used]] @ baseline[1][a_used]
            gain = gain + (log_r - log_low)[:, b_at[b_used]] @ canary[1][b_used]
        if not is_fine:
            moved = past.shares_moved_by(1.0 + self._margin)
            rises = np.diff(np.exp(log_r - log_low), axis=1)
            gain = gain - (n_a + n_b) * np.log1p(n_b / (n_a + n_b) * (rises @ moved))
        self._logs = self._logs + gain
        self.log_e = float(log_mean_exp(self._logs, self._weights))
        self.max_log_e = max(self.max_log_e, self.log_e)
        self.blocks += 1

    def _log_ratios(self, past: Floats) -> Floats:
        """Shape (alternatives, buckets), non-decreasing along buckets."""
        total = past.sum() + 1.0
        rank = (np.cumsum(past) - 0.5 * past + 0.5) / total
        score = ndtri(np.clip(rank, 1e-9, 1 - 1e-9))
        rows = [shift * score for shift in self._bets.shifts]
        rows += [math.log(odds) * (rank >= at) for at, odds in self._bets.tails]
        tilt = np.stack(rows)
        share = (past + 1.0 / len(past)) / total
        result: Floats = tilt - np.log(np.exp(tilt) @ share)[:, None]
        return result

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
