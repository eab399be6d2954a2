"""Failures out of requests, one series: a likelihood e-detector with a stated false-alarm interval.

Each block (failures, requests) multiplies a likelihood ratio of "the failure share is a multiple
of the ceiling" against "at the ceiling". The detector (Shin, Ramdas & Rinaldo, "E-detectors: a
nonparametric framework for sequential change detection", New England J. Statistics in Data
Science 2023) is the CUSUM form

    D_t = max(1, D_{t-1}) * e_t,        alarm when the average of D over alternatives >= threshold,

and while the true share stays at or below the ceiling, the expected number of blocks to the first
alarm is at least the threshold. So the threshold *is* the average run length: 60,480 blocks of
10 s are one false alarm a week at most. After an alarm the statistic starts anew.

The ceiling is learned: the past share, late by ``lag_blocks`` (so that an incident does not teach
itself), with failures winsorised at ``winsor_factor`` times the ceiling per block, raised by
``ceiling_sigmas`` standard errors (so that a young past does not promise too much), times
``margin_factor``, and at least ``floor_ratio``. The run length is exact for the ceiling used; that
the ceiling is right is an assumption, which the margin makes safer. Counting only while healthy
would bias the ceiling low, hence learning never stops.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np


class CountsState(StrEnum):
    """What one block says."""

    NO_DATA = "no_data"  # the block is absent
    NO_REQUESTS = "no_requests"  # the source reports, nothing was asked of it
    LEARNING = "learning"  # fewer past requests than needed for a ceiling
    NORMAL = "normal"
    ANOMALOUS = "anomalous"


@dataclass(frozen=True, slots=True)
class CountsConfig:
    """Settings; no defaults. Shares in (0, 1), blocks of whatever length the caller feeds."""

    average_run_length_blocks: float  # threshold: expected blocks to a false alarm, at least
    factors: tuple[float, ...]  # alternatives: the ceiling times these, each > 1
    margin_factor: float  # ceiling = upper end of the learned share times this, >= 1
    ceiling_sigmas: float  # standard errors from the learned share to its upper end, >= 0
    floor_ratio: float  # ceiling at least this share
    lag_blocks: int  # a block teaches this many blocks later
    learn_min_requests: int
    half_life_blocks: float  # of what was learned
    winsor_factor: float  # a block teaches at most ceiling times this
    min_failures: int  # failures since the statistic last stood at its start, for an alarm


@dataclass(frozen=True, slots=True)
class CountsResult:
    """One block's outcome. Ratios are ``None`` when unknown.

    ``window_ratio`` is the failure share since the statistic last stood at its start, or of this
    block when it stands there.
    """

    state: CountsState
    log_statistic: float
    log_threshold: float
    ceiling_ratio: float | None
    failure_ratio: float | None
    window_ratio: float | None
    failures_since_start: int
    blocks_since_start: int


class CountsDetector:
    """The detector of one series. Deterministic; the state is JSON-able."""

    def __init__(self, config: CountsConfig) -> None:
        self.config = config
        self._logs = np.zeros(len(config.factors))
        self._learned_failures = 0.0
        self._learned_requests = 0.0
        self._waiting: list[tuple[int, int]] = []
        self._failures = 0
        self._requests = 0
        self._blocks = 0

    def step(self, failures: int | None, requests: int | None) -> CountsResult:
        """Take the next block; ``None`` when nothing was reported for it.

        Raises ``ValueError`` unless ``0 <= failures <= requests``.
        """
        if failures is None or requests is None:
            return self._result(CountsState.NO_DATA, None, None)
        if not 0 <= failures <= requests:
            raise ValueError(f"need 0 <= failures <= requests, got {failures} of {requests}")
        ceiling = self._ceiling()
        self._learn(failures, requests, ceiling)
        if requests == 0:
            return self._result(CountsState.NO_REQUESTS, ceiling, None)
        share = failures / requests
        if ceiling is None:
            return self._result(CountsState.LEARNING, None, share)
        self._bet(failures, requests, ceiling)
        log_statistic, log_threshold = self._log_statistic(), self._log_threshold()
        if log_statistic >= log_threshold and self._failures >= self.config.min_failures:
            result = self._result(CountsState.ANOMALOUS, ceiling, share)
            self._restart()
            return result
        return self._result(CountsState.NORMAL, ceiling, share)

    def _bet(self, failures: int, requests: int, ceiling: float) -> None:
        """``D <- max(1, D) e`` per alternative, e the binomial likelihood ratio."""
        worse = np.minimum(ceiling * np.array(self.config.factors), 0.5 * (1.0 + ceiling))
        gain = failures * np.log(worse / ceiling)
        gain = gain + (requests - failures) * np.log((1.0 - worse) / (1.0 - ceiling))
        self._logs = np.maximum(self._logs, 0.0) + gain
        if np.all(self._logs <= 0.0):
            self._failures, self._requests, self._blocks = 0, 0, 0
        else:
            self._failures += failures
            self._requests += requests
            self._blocks += 1

    def _restart(self) -> None:
        self._logs = np.zeros(len(self.config.factors))
        self._failures, self._requests, self._blocks = 0, 0, 0

    def _ceiling(self) -> float | None:
        if self._learned_requests < self.config.learn_min_requests:
            return None
        share = (self._learned_failures + 0.5) / (self._learned_requests + 1.0)
        error = float(np.sqrt(share * (1.0 - share) / (self._learned_requests + 1.0)))
        upper = share + self.config.ceiling_sigmas * error
        return min(max(upper * self.config.margin_factor, self.config.floor_ratio), 0.9)

    def _learn(self, failures: int, requests: int, ceiling: float | None) -> None:
        self._waiting.append((failures, requests))
        if len(self._waiting) <= self.config.lag_blocks:
            return
        old_failures, old_requests = self._waiting.pop(0)
        taught = float(old_failures)
        if ceiling is not None:
            taught = min(taught, max(1.0, self.config.winsor_factor * ceiling * old_requests))
        keep = 0.5 ** (1.0 / self.config.half_life_blocks)
        self._learned_failures = keep * self._learned_failures + taught
        self._learned_requests = keep * self._learned_requests + old_requests

    def _log_statistic(self) -> float:
        return float(np.logaddexp.reduce(self._logs) - np.log(len(self._logs)))

    def _log_threshold(self) -> float:
        return float(np.log(self.config.average_run_length_blocks))

    def _result(
        self, state: CountsState, ceiling: float | None, share: float | None
    ) -> CountsResult:
        return CountsResult(
            state,
            self._log_statistic(),
            self._log_threshold(),
            ceiling,
            share,
            self._failures / self._requests if self._requests else share,
            self._failures,
            self._blocks,
        )

    def to_state(self) -> dict[str, Any]:
        """JSON-able; floats survive exactly."""
        return {
            "logs": self._logs.tolist(),
            "learned_failures": self._learned_failures,
            "learned_requests": self._learned_requests,
            "waiting": [list(pair) for pair in self._waiting],
            "failures": self._failures,
            "requests": self._requests,
            "blocks": self._blocks,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`to_state` of an equally configured detector returned."""
        logs = np.array(state["logs"], dtype=float)
        if logs.shape != self._logs.shape:
            raise ValueError(f"need {len(self._logs)} alternatives, got {len(logs)}")
        self._logs = logs
        self._learned_failures = float(state["learned_failures"])
        self._learned_requests = float(state["learned_requests"])
        self._waiting = [(int(f), int(n)) for f, n in state["waiting"]]
        self._failures, self._requests = int(state["failures"]), int(state["requests"])
        self._blocks = int(state["blocks"])
