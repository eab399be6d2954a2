"""Judges of one metric that are asked block by block: ours, and what others do. All runs at once.

A mode takes blocks of ``bench.canary.scenarios`` and says after each which runs alarm. Error rates
are stated for one metric at ``alpha``, a look every ten seconds for an hour. Ours are the engine's
own classes and functions with a leading axis of runs (tests/unit/canary/test_studies.py compares
them with the judge's metrics, run by run).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from scipy.special import betaln, xlogy

from analysis.canary.studies import DurationStudy, ShareStudy
from analysis.stats.eprocess import DifferenceBets, DifferenceProcess
from analysis.stats.quantile_bands import cdf_constant
from bench.canary.scenarios import BLOCK_S, BLOCKS, Arm, Block, history
from bench.peers.kayenta import is_high
from telemetry import semconv

LAYOUTS = {
    # An exporter sends the buckets in use: 11 ms to 23 s here.
    "exponential-3": 2.0 ** (np.arange(-52, 37) / 8),
    "exponential-4": 2.0 ** (np.arange(-104, 73) / 16),
    "http": np.array(semconv.HTTP_DURATION_BUCKETS_S),
    # OpenTelemetry's own default, in milliseconds.
    "otel": np.array([5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000]) / 1e3,
}
HORIZON_S = float(BLOCKS * BLOCK_S)
HALF_LIFE_S = 1800.0
HISTORY = 5000
KEEP = 0.5 ** (BLOCK_S / HALF_LIFE_S)
EXPECTED_BAD_RATIO = 0.005
MARGIN = 2**0.125 - 1  # 9.05 %, one bucket at scale 3


class Mode(Protocol):
    """One judge of one metric, for many runs."""

    def alarms(self, block: Block) -> np.ndarray:
        """Take a block; which runs alarm now, (runs,)."""


def binned(arm: Arm, edges: np.ndarray) -> np.ndarray:
    """Bucket counts (runs, buckets)."""
    buckets = len(edges) + 1
    at = np.searchsorted(edges, arm.values, side="left") + arm.run * buckets
    runs = len(arm.n)
    return np.bincount(at, minlength=runs * buckets).reshape(runs, buckets).astype(float)


class Sequential:
    """The judge's process of durations; blocks of the first ``warm_up_min`` only teach it."""

    def __init__(
        self,
        rng: np.random.Generator,
        edges: np.ndarray,
        alpha: float,
        runs: int,
        *,
        margin: float = 0.0,
        warm_up_min: float = 0.0,
    ) -> None:
        self._edges, self._need, self._warm_up_min = edges, math.log(1 / alpha), warm_up_min
        self._study = DurationStudy(edges, margin, history(edges, HISTORY, rng, runs), KEEP)

    def alarms(self, block: Block) -> np.ndarray:
        a, b = binned(block.baseline, self._edges), binned(block.canary, self._edges)
        self._study.step(a, b, is_judged=block.minute > self._warm_up_min)
        return self._study.log_es >= self._need


class Difference:
    """Any difference at all: the two-sided process of the reports."""

    def __init__(
        self, rng: np.random.Generator, edges: np.ndarray, alpha: float, runs: int
    ) -> None:
        smoothing = 1.0 if len(edges) > 50 else 0.0
        ratios = (0.03, 0.06, 0.12, 0.25, 0.5, 1.0)
        tails = tuple((s, t) for t in (3.0, 10.0) for s in (0.003, 0.01, 0.03, 0.1))
        bets = DifferenceBets(ratios, tails, 100.0, smoothing)
        self._edges, self._need = edges, math.log(1 / alpha)
        self._processes = [DifferenceProcess(edges, bets) for _ in range(runs)]
        for process, counts in zip(
            self._processes, history(edges, HISTORY, rng, runs), strict=True
        ):
            process.learn(edges, counts.astype(np.int64))

    def alarms(self, block: Block) -> np.ndarray:
        arms = [binned(arm, self._edges).astype(np.int64) for arm in (block.baseline, block.canary)]
        for process, a, b in zip(self._processes, *arms, strict=True):
            process.step((self._edges, a), (self._edges, b))
        return np.array([process.log_e >= self._need for process in self._processes])


class CdfBand:
    """Netflix's published form: time-uniform bands of the two pooled distribution functions.

    Anytime-valid DKW-type bound of Howard & Ramdas (2022, theorem 2), half of alpha per arm.
    """

    T_MIN = 50.0
    A = 0.85

    def __init__(
        self, rng: np.random.Generator, edges: np.ndarray, alpha: float, runs: int
    ) -> None:
        del rng
        self._edges, self._constant = edges, cdf_constant(alpha / 2, self.A)
        self._counts = np.zeros((2, runs, len(edges) + 1))

    def alarms(self, block: Block) -> np.ndarray:
        for i, arm in enumerate((block.baseline, block.canary)):
            self._counts[i] += binned(arm, self._edges)
        totals = self._counts.sum(axis=2)
        n = np.maximum(totals, self.T_MIN)
        radius = self.A * np.sqrt((np.log1p(np.log(n / self.T_MIN)) + self._constant) / n)
        f = np.cumsum(self._counts, axis=2) / np.maximum(totals, 1.0)[:, :, None]
        gap = (f[0] - f[1]).max(axis=1)
        return (totals.min(axis=0) >= self.T_MIN) & (gap > radius.sum(axis=0))


class Kayenta:
    """Per-minute mean, p50 and p99, direction increase; any of them High.

    Asked every minute from the fifth, or once, after the hour, as its documentation says.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        edges: np.ndarray,
        alpha: float,
        runs: int,
        *,
        looks_min: tuple[int, ...] = tuple(range(5, 61)),
    ) -> None:
        del rng, edges, alpha  # its own confidence is fixed
        self._looks_min = looks_min
        self._minute: list[tuple[Arm, Arm]] = []
        self._points: list[np.ndarray] = []  # per minute (runs, 3 metrics, 2 arms)
        self._is_over = np.zeros(runs, dtype=bool)

    def alarms(self, block: Block) -> np.ndarray:
        self._minute.append((block.baseline, block.canary))
        if len(self._minute) == 6:
            arms = [_per_minute([pair[i] for pair in self._minute]) for i in (0, 1)]
            self._points.append(np.stack(arms, axis=-1))
            self._minute = []
            if len(self._points) in self._looks_min:
                points = np.stack(self._points, axis=-1)
                for run in np.flatnonzero(~self._is_over):
                    self._is_over[run] = any(_is_high(*metric) for metric in points[run])
        return self._is_over


def _is_high(baseline: np.ndarray, canary: np.ndarray) -> bool:
    return is_high(baseline[np.isfinite(baseline)], canary[np.isfinite(canary)])


def _per_minute(arms: list[Arm]) -> np.ndarray:
    """Mean, p50 and p99 (runs, 3), ``nan`` without requests."""
    runs = len(arms[0].n)
    values, run = np.concatenate([a.values for a in arms]), np.concatenate([a.run for a in arms])
    order = np.lexsort((values, run))
    values, n = values[order], np.bincount(run, minlength=runs)
    first = np.cumsum(n) - n
    points = np.full((runs, 3), np.nan)
    has = n > 0
    points[has, 0] = np.bincount(run[order], weights=values, minlength=runs)[has] / n[has]
    for column, p in ((1, 0.5), (2, 0.99)):
        at = p * (n[has] - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, n[has] - 1)
        below, above = values[first[has] + low], values[first[has] + high]
        points[has, column] = below + (at - low) * (above - below)
    return points


class Shares:
    """The judge's process of failure shares, without margin."""

    def __init__(
        self, rng: np.random.Generator, edges: np.ndarray, alpha: float, runs: int
    ) -> None:
        del rng, edges
        self._need = math.log(1 / alpha)
        self._study = ShareStudy(
            runs, 0.0, EXPECTED_BAD_RATIO, goal_log_e=self._need, horizon_s=HORIZON_S
        )

    def alarms(self, block: Block) -> np.ndarray:
        a, b = block.baseline, block.canary
        self._study.step(a.bad, a.n, b.bad, b.n, elapsed_s=float(block.index * BLOCK_S))
        return self._study.log_es >= self._need


class LindonMalek:
    """Published form for counts: Dirichlet-mixed label of each failure, pooled from the start."""

    def __init__(
        self, rng: np.random.Generator, edges: np.ndarray, alpha: float, runs: int
    ) -> None:
        del rng, edges
        self._need = math.log(1 / alpha)
        self._bad, self._n = np.zeros((2, 2, runs))

    def alarms(self, block: Block) -> np.ndarray:
        for i, arm in enumerate((block.baseline, block.canary)):
            self._bad[i] += arm.bad
            self._n[i] += arm.n
        prior = 100.0 * self._n / self._n.sum(axis=0)
        log_e = betaln(*(prior + self._bad)) - betaln(*prior)
        log_e = log_e - xlogy(self._bad, prior / 100.0).sum(axis=0)
        return (log_e >= self._need) & (self._bad[1] * self._n[0] > self._bad[0] * self._n[1])


class KayentaFailures:
    """Per-minute failure percentage, judged every fifth minute, or once after the hour."""

    def __init__(
        self,
        rng: np.random.Generator,
        edges: np.ndarray,
        alpha: float,
        runs: int,
        *,
        looks_min: tuple[int, ...] = tuple(range(5, 61, 5)),
    ) -> None:
        del rng, edges, alpha
        self._looks_min = looks_min
        self._sums = np.zeros((BLOCKS // 6, 2, 2, runs))  # minute, arm, (bad, n)
        self._is_over = np.zeros(runs, dtype=bool)

    def alarms(self, block: Block) -> np.ndarray:
        for i, arm in enumerate((block.baseline, block.canary)):
            self._sums[block.index // 6, i] += np.stack([arm.bad, arm.n])
        minutes = (block.index + 1) // 6
        if (block.index + 1) % 6 == 0 and minutes in self._looks_min:
            sums = self._sums[:minutes]
            shares = 100 * sums[:, :, 0] / np.maximum(sums[:, :, 1], 1)
            for run in np.flatnonzero(~self._is_over):
                self._is_over[run] = is_high(shares[:, 0, run], shares[:, 1, run])
        return self._is_over


Maker = Callable[[np.random.Generator, np.ndarray, float, int], Mode]

#: Names are stable. "kayenta" and "cdf-band" are peers, the others ours.
MODES: dict[str, Maker] = {
    "sequential": Sequential,
    "sequential-margin-9%": lambda *given: Sequential(*given, margin=MARGIN),
    "sequential-margin-10%": lambda *given: Sequential(*given, margin=0.1),
    "sequential-warm-up-3min": lambda *given: Sequential(*given, warm_up_min=3.0),
    "difference": Difference,
    "kayenta": Kayenta,
    "kayenta-one-look": lambda *given: Kayenta(*given, looks_min=(60,)),
    "cdf-band": CdfBand,
}
FAILURE_MODES: dict[str, Maker] = {
    "sequential": Shares,
    "lindon-malek": LindonMalek,
    "kayenta": KayentaFailures,
    "kayenta-one-look": lambda *given: KayentaFailures(*given, looks_min=(60,)),
}
#: What stands side by side in the tables.
TABLE_MODES = ("sequential", "sequential-margin-9%", "kayenta", "cdf-band", "lindon-malek")
