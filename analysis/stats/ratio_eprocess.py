"""Sequential evidence about shares: failures out of attempts, canary against baseline.

:class:`ShareProcess` multiplies per-block e-values of :mod:`analysis.stats.projection` for several
alternatives and averages them. Alternatives are learned from past blocks only, so each factor is
an e-value given the past and the average is an e-process: its chance of *ever* passing ``1/alpha``
is at most ``alpha`` while the null holds in every block, whatever drifts between blocks.

One alternative plays for the horizon. A fixed-time test that rejects at the end is the Doob
martingale ``Phi(z)`` of its own chance to reject; followed by bets that depend on the past alone
(the wealth missing to the goal and the information still to come) it is an e-process like the
others, and one that wastes little on wins after the horizon: rare failures need that.

:func:`ratio_grid_log_e` is the older form that needs no success counts: the arm of each failure
is a coin whose bias is the arm's share of traffic (Lindon & Malek, NeurIPS 2022, with the share
taken per block so that a ramping split stays valid).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import expit, logit, ndtri

from analysis.stats.projection import Floats, Numbers, log_e_two_shares, log_mean_exp

# The horizon's bet counts on less than what is to come, the less the nearer the end: capital
# unspent at the end is lost (chosen with bench.canary.simulate).
_REST_POWER: Final = 1.3
_WON_RATIO: Final = 0.999  # of the goal; from here on nothing more is bet
_LOST_RATIO: Final = 1e-9  # of the goal; what is left decides nothing


@dataclass(frozen=True, slots=True)
class ShareBets:
    """What a :class:`ShareProcess` bets on. Changes power and nothing else.

    ``increments`` (absolute, above baseline + margin) and ``ratios`` (times baseline) are fixed
    alternatives for the canary's share; ``learned_weight`` of the capital follows the canary's own
    past. ``prior_ratio`` with the weight of ``prior_count`` events starts the learning.
    ``horizon_weight`` of it plays for evidence of ``goal_log_e`` at the horizon.
    """

    increments: tuple[float, ...]
    increment_weights: tuple[float, ...]
    ratios: tuple[float, ...]
    ratio_weights: tuple[float, ...]
    learned_weight: float
    prior_ratio: float
    prior_count: float
    horizon_weight: float = 0.0
    goal_log_e: float = 0.0

    def weights(self) -> Floats:
        """Weights of all alternatives, summing to one."""
        raw = np.array(
            [
                *self.increment_weights,
                *self.ratio_weights,
                self.learned_weight,
                self.horizon_weight,
            ]
        )
        weights: Floats = raw / raw.sum()
        return weights


class ShareProcess:
    """E-process against ``p_canary <= p_baseline + margin`` (side +1) or ``>=`` (side -1).

    With side -1 a large value certifies "higher by less than the margin"; its alternatives are
    "both arms share the learned rate" and "each arm keeps its own learned rate".
    """

    def __init__(
        self, margin: float, side: int, bets: ShareBets, studies: tuple[int, ...] = ()
    ) -> None:
        """``studies``: leading shape when many are computed side by side (simulation)."""
        self._margin = margin
        self._side = float(side)
        self._bets = bets
        self._weights = bets.weights() if side > 0 else np.array([0.5, 0.5])
        self._logs: Floats = np.zeros((*studies, len(self._weights)))
        # bad_a, n_a, bad_b, n_b, forgotten at the caller's rate; and n_a n_b / n, never forgotten.
        self._past = np.zeros((*studies, 4))
        self._pairs: Floats = np.zeros(studies)
        self.log_es: Floats = np.zeros(studies)  # natural log of the evidence so far, per study
        self.max_log_e = 0.0  # over studies and blocks
        self.blocks = 0

    @property
    def log_e(self) -> float:
        """Evidence of the single study."""
        return float(self.log_es)

    def step(
        self,
        bad_a: Numbers,
        n_a: Numbers,
        bad_b: Numbers,
        n_b: Numbers,
        keep: float,
        *,
        left_ratio: float = 0.0,
    ) -> None:
        """Take one block.

        ``keep`` in (0, 1] is how much of the past's weight remains, ``left_ratio`` the time from
        here to the horizon over the time so far; both chosen from the past.
        """
        block = np.stack(np.broadcast_arrays(bad_a, n_a, bad_b, n_b), axis=-1).astype(float)
        p_a, p_b = self._alternatives(left_ratio)
        gain = log_e_two_shares(
            block[..., 0, None],
            block[..., 1, None],
            block[..., 2, None],
            block[..., 3, None],
            p_a,
            p_b,
            self._margin,
            self._side,
        )
        self._logs = self._logs + gain
        self._past = self._past * keep + block
        total = block[..., 1] + block[..., 3]
        self._pairs = self._pairs + block[..., 1] * block[..., 3] / np.maximum(total, 1.0)
        self.log_es = np.asarray(log_mean_exp(self._logs, self._weights))
        self.max_log_e = max(self.max_log_e, float(self.log_es.max()))
        self.blocks += 1

    def _alternatives(self, left_ratio: float) -> tuple[Floats, Floats]:
        bad_a, n_a, bad_b, n_b = np.moveaxis(self._past, -1, 0)
        bets = self._bets
        prior_bad, prior_n = bets.prior_ratio * bets.prior_count, bets.prior_count
        base = (bad_a + prior_bad) / (n_a + prior_n)
        own = (bad_b + prior_bad) / (n_b + prior_n)
        pooled = (bad_a + bad_b + prior_bad) / (n_a + n_b + prior_n)
        margin = self._margin
        if self._side > 0:
            floor = base + margin
            p_b = [floor + step for step in bets.increments]
            p_b += [np.maximum(base * r, floor + 1e-4) for r in bets.ratios]
            p_b += [
                np.maximum(own, floor + 0.003),
                self._for_the_horizon(floor, left_ratio, pooled),
            ]
            return np.broadcast_to(base[..., None], (*base.shape, len(p_b))), np.stack(p_b, axis=-1)
        p_b = [pooled, np.minimum(own, base + 0.5 * margin)]
        return np.stack([pooled, base], axis=-1), np.stack(p_b, axis=-1)

    def _for_the_horizon(self, floor: Floats, left_ratio: float, pooled: Floats) -> Floats:
        """The canary's share to bet on: the tilt by which ``Phi(z)`` grows with the evidence.

        ``left`` is the Fisher information about the log odds ratio that is still to come, and
        ``won`` the part of the goal reached; the other alternatives' winnings count towards it.
        """
        weight = float(self._weights[-1])
        if weight <= 0 or left_ratio <= 0:
            return floor
        left = left_ratio * self._pairs * pooled * (1.0 - pooled)
        limit = self._bets.goal_log_e
        others = np.exp(np.minimum(self._logs[..., :-1] - limit, 0.0)) @ self._weights[:-1]
        log_won = self._logs[..., -1] + math.log(weight) - limit
        log_won = log_won - np.log(np.maximum(1.0 - others, _LOST_RATIO))
        won = np.exp(np.minimum(log_won, 0.0))
        z = ndtri(np.clip(won, _LOST_RATIO, _WON_RATIO))
        slope = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi) / np.maximum(won, _LOST_RATIO)
        is_open = (won > _LOST_RATIO) & (won < _WON_RATIO) & (left > 0)
        tilt = np.where(is_open, slope / np.sqrt(np.maximum(left, 1e-3)), 0.0)
        odds = logit(np.clip(floor, _LOST_RATIO, 1.0 - _LOST_RATIO))
        result: Floats = np.where(is_open, expit(odds + tilt), floor)
        return result

    def to_state(self) -> dict[str, Any]:
        """JSON-able; floats survive exactly."""
        return {
            "logs": self._logs.tolist(),
            "past": self._past.tolist(),
            "pairs": float(self._pairs),
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
        self.log_es = np.array(float(state["log_e"]))
        self._pairs = np.array(float(state["pairs"]))
        self._past = np.array(state["past"], dtype=float)
        self.max_log_e = float(state["max_log_e"])
        self.blocks = int(state["blocks"])


def rest_to_horizon(elapsed_s: float, horizon_s: float) -> float:
    """``left_ratio`` of :meth:`ShareProcess.step`; 0 before the first and after the last second."""
    if not 0.0 < elapsed_s < horizon_s:
        return 0.0
    done = elapsed_s / horizon_s
    return float((1.0 - done) ** _REST_POWER / done)


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
