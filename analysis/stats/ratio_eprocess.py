"""Sequential evidence about shares: failures out of attempts, canary against baseline.

:class:`ShareProcess` multiplies per-block e-values of :mod:`analysis.stats.projection` for several
alternatives and averages them. Alternatives are learned from past blocks only, so each factor is
an e-value given the past and the average is an e-process: its chance of *ever* passing ``1/alpha``
is at most ``alpha`` while the null holds in every block, whatever drifts between blocks.

:func:`ratio_grid_log_e` is the older form that needs no success counts: the arm of each failure
is a coin whose bias is the arm's share of traffic (Lindon & Malek, NeurIPS 2022, with the share
taken per block so that a ramping split stays valid).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.stats.projection import Floats, log_e_two_shares, log_mean_exp


@dataclass(frozen=True, slots=True)
class ShareBets:
    """What a :class:`ShareProcess` bets on. Changes power and nothing else.

    ``increments`` (absolute, above baseline + margin) and ``ratios`` (times baseline) are fixed
    alternatives for the canary's share; ``learned_weight`` of the capital follows the canary's own
    past. ``prior_ratio`` with the weight of ``prior_count`` events starts the learning.
    """

    increments: tuple[float, ...]
    increment_weights: tuple[float, ...]
    ratios: tuple[float, ...]
    ratio_weights: tuple[float, ...]
    learned_weight: float
    prior_ratio: float
    prior_count: float

    def weights(self) -> Floats:
        """Weights of all alternatives, summing to one."""
        raw = np.array([*self.increment_weights, *self.ratio_weights, self.learned_weight])
        weights: Floats = raw / raw.sum()
        return weights


class ShareProcess:
    """E-process against ``p_canary <= p_baseline + margin`` (side +1) or ``>=`` (side -1).

    With side -1 a large value certifies "higher by less than the margin"; its alternatives are
    "both arms share the learned rate" and "each arm keeps its own learned rate".
    """

    def __init__(self, margin: float, side: int, bets: ShareBets) -> None:
        self._margin = margin
        self._side = float(side)
        self._bets = bets
        self._weights = bets.weights() if side > 0 else np.array([0.5, 0.5])
        self._logs: Floats = np.zeros(len(self._weights))
        self._past = np.zeros(4)  # bad_a, n_a, bad_b, n_b, forgotten at the caller's rate
        self.log_e = 0.0  # natural log of the evidence so far
        self.max_log_e = 0.0
        self.blocks = 0

    def step(self, bad_a: float, n_a: float, bad_b: float, n_b: float, keep: float) -> None:
        """Take one block. ``keep`` in (0, 1] is how much of the past's weight remains."""
        p_a, p_b = self._alternatives()
        self._logs = self._logs + log_e_two_shares(
            bad_a,
            n_a,
            bad_b,
            n_b,
            p_a,
            p_b,
            self._margin,
            self._side,
        )
        self._past = self._past * keep + np.array([bad_a, n_a, bad_b, n_b])
        self.log_e = float(log_mean_exp(self._logs, self._weights))
        self.max_log_e = max(self.max_log_e, self.log_e)
        self.blocks += 1

    def _alternatives(self) -> tuple[Floats, Floats]:
        bad_a, n_a, bad_b, n_b = self._past
        bets = self._bets
        prior_bad, prior_n = bets.prior_ratio * bets.prior_count, bets.prior_count
        base = (bad_a + prior_bad) / (n_a + prior_n)
        own = (bad_b + prior_bad) / (n_b + prior_n)
        margin = self._margin
        if self._side > 0:
            floor = base + margin
            learned = max(own, floor + 0.003)
            p_b = [floor + step for step in bets.increments]
            p_b += [max(base * r, floor + 1e-4) for r in bets.ratios]
            return np.full(len(p_b) + 1, base), np.array([*p_b, learned])
        both = (bad_a + bad_b + prior_bad) / (n_a + n_b + prior_n)
        return np.array([both, base]), np.array([both, min(own, base + 0.5 * margin)])

    def to_state(self) -> dict[str, Any]:
        """JSON-able; floats survive exactly."""
        return {
            "logs": self._logs.tolist(),
            "past": self._past.tolist(),
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
        self._past = np.array(state["past"], dtype=float)
        self.max_log_e = float(state["max_log_e"])
        self.blocks = int(state["blocks"])


def ratio_grid_log_e(
    bad_a: Floats,
    bad_b: Floats,
    canary_share: Floats,
    ratios: Sequence[float] = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0),
) -> Floats:
    """Log e-process of "failures fall on the canary no more often than its traffic does".

    ``bad_a``, ``bad_b``, ``canary_share``: per block, shape (..., T), share in (0, 1) of the
    block's traffic. Returns shape (..., T): the average over ``ratios`` r of the product of
    likelihood ratios with theta = share r / (1 - share + share r). One-sided (r > 1), and valid
    under changing shares because theta and share belong to the same block.
    """
    r = np.array(ratios)
    share = np.asarray(canary_share)[..., None]
    low = 1.0 - share + share * r
    terms = np.asarray(bad_b)[..., None] * np.log(r / low)
    terms = terms + np.asarray(bad_a)[..., None] * np.log(1.0 / low)
    logs = np.cumsum(terms, axis=-2)
    return log_mean_exp(logs, np.full(len(r), 1.0 / len(r)))


def anytime_p_value(max_log_e: float) -> float:
    """``min(1, 1 / max_t E_t)``: valid at every stopping time (Ville's inequality)."""
    return min(1.0, math.exp(-max_log_e)) if max_log_e > 0 else 1.0
