"""Judges of one metric that are asked block by block: ours, and what others do.

A mode takes blocks of ``bench.canary.scenarios`` and says after each whether it alarms. Error rates
are stated for one metric at ``alpha``, a look every ten seconds for an hour.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from analysis.canary.tuning import RANK_BETS
from analysis.stats.eprocess import DifferenceBets, DifferenceProcess
from analysis.stats.past import PastCounts
from analysis.stats.quantile_bands import cdf_radius
from analysis.stats.rank_eprocess import RankProcess
from analysis.stats.ratio_eprocess import ShareBets, ShareProcess
from bench.canary.scenarios import MEDIAN_S, SIGMA, Block
from bench.peers.kayenta import is_high
from telemetry import semconv

LAYOUTS = {
    "exponential-3": 2.0 ** (np.arange(-64, 65) / 8),
    "exponential-4": 2.0 ** (np.arange(-128, 129) / 16),
    "http": np.array(semconv.HTTP_DURATION_BUCKETS_S),
    # OpenTelemetry's own default, in milliseconds.
    "otel": np.array([5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000]) / 1e3,
}
HALF_LIFE_S = 1800.0
HISTORY = 5000


class Mode(Protocol):
    """One judge of one metric."""

    def alarms(self, block: Block) -> bool:
        """Take a block; whether it alarms now."""


def binned(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    at = np.searchsorted(edges, values, side="left")
    return np.bincount(at, minlength=len(edges) + 1)


class Sequential:
    """The judge's process of durations."""

    def __init__(
        self, rng: np.random.Generator, edges: np.ndarray, alpha: float, margin: float
    ) -> None:
        self._edges, self._need = edges, math.log(1 / alpha)
        self._process = RankProcess(margin, RANK_BETS)
        self._past = PastCounts()
        history = rng.lognormal(math.log(MEDIAN_S), SIGMA, HISTORY)
        self._past.add(0, edges, binned(history, edges))

    def alarms(self, block: Block) -> bool:
        a, b = (
            (self._edges, binned(block.baseline, self._edges)),
            (
                self._edges,
                binned(block.canary, self._edges),
            ),
        )
        self._process.step([(a, b)], self._past)
        self._past.forget(0.5 ** (10 / HALF_LIFE_S))
        self._past.add(0, *a)
        self._past.add(1, *b)
        return self._process.log_e >= self._need


class Difference:
    """Any difference at all: the two-sided process of the reports."""

    def __init__(self, rng: np.random.Generator, edges: np.ndarray, alpha: float) -> None:
        smoothing = 1.0 if len(edges) > 50 else 0.0
        ratios = (0.03, 0.06, 0.12, 0.25, 0.5, 1.0)
        tails = tuple((s, t) for t in (3.0, 10.0) for s in (0.003, 0.01, 0.03, 0.1))
        bets = DifferenceBets(ratios, tails, 100.0, smoothing)
        self._edges, self._need = edges, math.log(1 / alpha)
        self._process = DifferenceProcess(edges, bets)
        history = rng.lognormal(math.log(MEDIAN_S), SIGMA, HISTORY)
        self._process.learn(edges, binned(history, edges))

    def alarms(self, block: Block) -> bool:
        arms = [(self._edges, binned(side, self._edges)) for side in (block.baseline, block.canary)]
        self._process.step(arms[0], arms[1])
        return self._process.log_e >= self._need


class CdfBand:
    """Netflix's published form: time-uniform bands of the two pooled distribution functions."""

    def __init__(self, rng: np.random.Generator, edges: np.ndarray, alpha: float) -> None:
        del rng
        self._edges, self._alpha = edges, alpha
        self._counts = np.zeros((2, len(edges) + 1))

    def alarms(self, block: Block) -> bool:
        for arm, side in enumerate((block.baseline, block.canary)):
            self._counts[arm] += binned(side, self._edges)
        totals = self._counts.sum(axis=1)
        if totals.min() < 50:
            return False
        f = np.cumsum(self._counts, axis=1) / totals[:, None]
        radius = sum(cdf_radius(float(n), self._alpha / 2, 50) for n in totals)
        return bool((f[0] - f[1]).max() > radius)


class Kayenta:
    """Per-minute mean, p50 and p99, judged every minute from the fifth; any of them High."""

    def __init__(self, rng: np.random.Generator, edges: np.ndarray, alpha: float) -> None:
        del rng, edges, alpha  # its own confidence is fixed
        self._minute: list[tuple[np.ndarray, np.ndarray]] = []
        self._points: list[list[tuple[float, float]]] = [[], [], []]

    def alarms(self, block: Block) -> bool:
        self._minute.append((block.baseline, block.canary))
        if len(self._minute) < 6:
            return False
        sides = [np.concatenate([pair[i] for pair in self._minute]) for i in (0, 1)]
        self._minute = []
        if min(map(len, sides)) == 0:
            return False
        of: list[Callable[[np.ndarray], float]] = [
            np.mean,
            np.median,
            lambda x: float(np.quantile(x, 0.99)),
        ]
        for points, measure in zip(self._points, of, strict=True):
            points.append((float(measure(sides[0])), float(measure(sides[1]))))
        if len(self._points[0]) < 5:
            return False
        return any(is_high(np.array(p)[:, 0], np.array(p)[:, 1]) for p in self._points)


class Shares:
    """The judge's process of failure shares, without margin."""

    BETS = ShareBets(
        increments=(),
        increment_weights=(),
        ratios=(1.5, 2.0, 3.0, 5.0, 10.0),
        ratio_weights=(0.3, 0.3, 0.15, 0.1, 0.05),
        learned_weight=0.1,
        prior_ratio=0.005,
        prior_count=300.0,
    )

    def __init__(self, rng: np.random.Generator, edges: np.ndarray, alpha: float) -> None:
        del rng, edges
        self._need = math.log(1 / alpha)
        self._process = ShareProcess(0.0, +1, self.BETS)

    def alarms(self, block: Block) -> bool:
        (bad_a, n_a), (bad_b, n_b) = block.baseline, block.canary
        self._process.step(bad_a, n_a, bad_b, n_b, 1.0)
        return self._process.log_e >= self._need


class KayentaFailures:
    """Per-minute failure percentage, judged every fifth minute."""

    def __init__(self, rng: np.random.Generator, edges: np.ndarray, alpha: float) -> None:
        del rng, edges, alpha
        self._blocks: list[tuple[np.ndarray, np.ndarray]] = []

    def alarms(self, block: Block) -> bool:
        self._blocks.append((block.baseline, block.canary))
        if len(self._blocks) % 30:
            return False
        sums = np.array(self._blocks).reshape(-1, 6, 2, 2).sum(axis=1)
        shares = 100 * sums[:, :, 0] / np.maximum(sums[:, :, 1], 1)
        return is_high(shares[:, 0], shares[:, 1])


MODES: dict[str, Callable[[np.random.Generator, np.ndarray, float], Mode]] = {
    "sequential": lambda rng, edges, alpha: Sequential(rng, edges, alpha, 0.0),
    "sequential-margin-9%": lambda rng, edges, alpha: Sequential(rng, edges, alpha, 2**0.125 - 1),
    "difference": Difference,
    "kayenta": Kayenta,
    "cdf-band": CdfBand,
}
FAILURE_MODES: dict[str, Callable[[np.random.Generator, np.ndarray, float], Mode]] = {
    "sequential": Shares,
    "kayenta": KayentaFailures,
}
