"""Many canaries of one metric computed side by side: for planning and simulation.

The same functions and classes as the judge's metrics, with a leading axis of runs, on one bucket
layout and without gaps, splits and gates. What a study says of a run is what the judge's metric
says of that run's blocks (tests/unit/canary/test_studies.py).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from analysis.canary.tuning import rank_bets, share_bets
from analysis.stats.dispersion import (
    ENOUGH_FOR_COUNTS,
    ENOUGH_FOR_DURATIONS,
    IndependentEvidence,
)
from analysis.stats.layouts import Floats, lowest_bucket
from analysis.stats.projection import log_mean_exp
from analysis.stats.rank_eprocess import BetPlan, placed
from analysis.stats.ratio_eprocess import ShareProcess, rest_to_horizon

_MARKS: Final = (0.5, 0.9)


class DurationStudy:
    """Evidence that the canary is slower than ``margin`` allows; ``history`` (runs, buckets)."""

    def __init__(self, edges: Floats, margin: float, history: Floats, keep: float) -> None:
        """``keep`` in (0, 1]: how much of the past's weight remains after a block."""
        self._edges, self._margin, self._keep = edges, margin, keep
        self._bets = rank_bets(margin)
        self._weights = self._bets.weights()
        runs = len(history)
        self._logs: Floats = np.zeros((runs, len(self._weights)))
        self._evidence = IndependentEvidence(len(_MARKS), ENOUGH_FOR_DURATIONS, (runs,))
        self._past = np.stack([history, np.zeros_like(history)], axis=1)

    @property
    def log_es(self) -> Floats:
        """Log evidence, (runs,)."""
        return self._evidence.log_es

    def step(self, a: Floats, b: Floats, *, is_judged: bool = True) -> None:
        """Take a block: counts (runs, buckets) per arm. Unjudged ones only teach."""
        if is_judged:
            self._score(a, b)
        self._past *= self._keep
        self._past[:, 0] += a
        self._past[:, 1] += b

    def _score(self, a: Floats, b: Floats) -> None:
        learned = self._past[:, 0].sum(axis=1) >= self._bets.learn_min_count
        is_used = (a.sum(axis=1) > 0) & (b.sum(axis=1) > 0) & learned
        if not is_used.any():
            return
        plan = BetPlan.of(self._edges, self._past, self._margin, self._bets)
        at = lowest_bucket(self._edges, self._edges, plan.divisor)
        filler = np.where(is_used[:, None], 0.0, 1.0)  # a run without a pair must not divide by 0
        gains = plan.gains(a + filler, placed(at, b) + filler)
        self._logs += np.where(is_used[:, None], gains, 0.0)
        self._evidence.step(self._slower(a, b), log_mean_exp(self._logs, self._weights))

    def _slower(self, a: Floats, b: Floats) -> list[tuple[Floats, Floats, Floats, Floats]]:
        base = self._past[:, 0]
        below = np.cumsum(base, axis=1)[:, :-1] / np.maximum(base.sum(axis=1, keepdims=True), 1e-9)
        n_a, n_b = a.sum(axis=1), b.sum(axis=1)
        marked = []
        for p in _MARKS:
            edge = np.argmin(np.abs(below - p), axis=1)[:, None]
            is_above = np.arange(a.shape[1]) > edge
            marked.append(((a * is_above).sum(axis=1), n_a, (b * is_above).sum(axis=1), n_b))
        return marked


class ShareStudy:
    """Evidence that the canary's bad share is higher than ``margin`` allows."""

    def __init__(
        self,
        runs: int,
        margin: float,
        expected_bad_ratio: float,
        *,
        goal_log_e: float,
        horizon_s: float,
        keep: float = 1.0,
    ) -> None:
        bets = share_bets(expected_bad_ratio, margin=margin, is_split=False, goal_log_e=goal_log_e)
        self._process = ShareProcess(margin, +1, bets, (runs,))
        self._evidence = IndependentEvidence(1, ENOUGH_FOR_COUNTS, (runs,))
        self._horizon_s, self._keep = horizon_s, keep

    @property
    def log_es(self) -> Floats:
        """Log evidence, (runs,)."""
        return self._evidence.log_es

    def step(
        self, bad_a: Floats, n_a: Floats, bad_b: Floats, n_b: Floats, *, elapsed_s: float
    ) -> None:
        """Take a block that started ``elapsed_s`` after the first."""
        left = rest_to_horizon(elapsed_s, self._horizon_s)
        self._process.step(bad_a, n_a, bad_b, n_b, self._keep, left_ratio=left)
        self._evidence.step([(bad_a, n_a, bad_b, n_b)], self._process.log_es)
