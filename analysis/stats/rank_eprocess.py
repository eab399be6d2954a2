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
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from analysis.stats.layouts import Floats, Ints, highest_bucket, lowest_bucket
from analysis.stats.past import PastCounts
from analysis.stats.projection import log_mean_exp


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

    def margin_in_null(self, past: PastCounts) -> float:
        """The margin the buckets can resolve: the full one, or 0 where steps are too coarse.

        With 0 the null is "not slower at all"; whoever decides must then ask for a practical
        effect as well. Depends on the past only.
        """
        step = past.step_ratio_at(0.5)
        return self._margin if step <= 1.0 + 1.5 * self._margin else 0.0

    def step(
        self,
        baseline: tuple[Floats, Ints],
        canary: tuple[Floats, Ints],
        past: PastCounts,
    ) -> None:
        """Take one block, ``(edges, counts)`` per arm, with the past that does not contain it."""
        n_a, n_b = float(baseline[1].sum()), float(canary[1].sum())
        if n_a <= 0 or n_b <= 0 or past.total(0) < self._bets.learn_min_count:
            return
        a_at = highest_bucket(baseline[0], past.edges)
        b_at = lowest_bucket(canary[0], past.edges, 1.0 + self.margin_in_null(past))
        log_r = self._log_ratios(past.counts[0])
        log_low = np.log((n_a + n_b * np.exp(log_r)) / (n_a + n_b))
        a_used, b_used = baseline[1] > 0, canary[1] > 0
        gain_a = -log_low[:, a_at[a_used]] @ baseline[1][a_used]
        gain_b = (log_r - log_low)[:, b_at[b_used]] @ canary[1][b_used]
        self._logs = self._logs + gain_a + gain_b
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
            "max_log_e": self.max_log_e,
            "blocks": self.blocks,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`to_state` of an equally configured process returned."""
        logs = np.array(state["logs"], dtype=float)
        if logs.shape != self._logs.shape:
            raise ValueError(f"need {len(self._logs)} alternatives, got {len(logs)}")
        self._logs = logs
        self.log_e = float(log_mean_exp(self._logs, self._weights))
        self.max_log_e = float(state["max_log_e"])
        self.blocks = int(state["blocks"])
