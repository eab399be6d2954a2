"""All series of the fleet through their detectors: one incident is one state, not many alarms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from analysis.anomaly.counts import CountsDetector, CountsResult, CountsState
from analysis.anomaly.signals import Signal, SignalsConfig

_NS = 1_000_000_000


class AnomalyState(StrEnum):
    """Where one series stands."""

    LEARNING = "learning"
    NORMAL = "normal"
    ANOMALOUS = "anomalous"
    NO_DATA = "no_data"


@dataclass(frozen=True, slots=True)
class AnomalyEdge:
    """A series became anomalous, or stopped being so."""

    name: str
    service: str
    is_anomalous: bool
    text: str


class WatchedSeries:
    """One series: its detector, its state, and since when."""

    def __init__(self, signal: Signal, split: str, config: SignalsConfig, block_s: float) -> None:
        self.signal = signal
        self.split = split
        self.service = signal.service or split
        self.name = f"{signal.name}{{{signal.split_by}={split}}}"
        self.state = AnomalyState.LEARNING
        self.since_unix_nano = 0
        self._config = config
        self._detector = CountsDetector(config.detector(block_s))
        self._last: CountsResult | None = None
        self._alarm: CountsResult | None = None
        self._alarmed_unix_nano = 0
        self._heard_unix_nano = 0

    def step(
        self, end_unix_nano: int, failures: int | None, requests: int | None
    ) -> AnomalyEdge | None:
        """Take the block that ends at ``end_unix_nano``; ``None``: nobody reported."""
        result = self._detector.step(failures, requests)
        if result.state is not CountsState.NO_DATA:
            self._last = result
            self._heard_unix_nano = end_unix_nano
        if result.state is CountsState.ANOMALOUS:
            self._alarm, self._alarmed_unix_nano = result, end_unix_nano
        return self._move(self._next(result, end_unix_nano), end_unix_nano)

    def _next(self, result: CountsResult, now: int) -> AnomalyState:
        if now - self._heard_unix_nano > self._config.stale_s * _NS:
            return AnomalyState.NO_DATA
        if self._alarm is not None:
            if now - self._alarmed_unix_nano <= self._config.clear_s * _NS:
                return AnomalyState.ANOMALOUS
            self._alarm = None
        if result.state is CountsState.NO_DATA:
            return self.state
        is_learning = result.ceiling_ratio is None
        return AnomalyState.LEARNING if is_learning else AnomalyState.NORMAL

    def _move(self, wanted: AnomalyState, now: int) -> AnomalyEdge | None:
        before = self.state
        if wanted is before:
            self.since_unix_nano = self.since_unix_nano or now
            return None
        self.state, self.since_unix_nano = wanted, now
        if AnomalyState.ANOMALOUS not in (before, wanted):
            return None
        is_anomalous = wanted is AnomalyState.ANOMALOUS
        return AnomalyEdge(self.name, self.service, is_anomalous, self.summary())

    def summary(self) -> str:
        """One sentence with the numbers that count."""
        what = f"{self.signal.label} of {self.split}"
        shown = self._alarm if self.state is AnomalyState.ANOMALOUS else self._last
        if self.state is AnomalyState.NO_DATA or shown is None:
            return f"Nobody reports {what}."
        ceiling, ratio = shown.ceiling_ratio, shown.window_ratio
        if ceiling is None:
            return f"Learning what is normal for {what}."
        seen = "no requests" if ratio is None else f"{ratio:.2%}"
        if self.state is AnomalyState.ANOMALOUS:
            return (
                f"{what}: {shown.failures_since_start} failures in {shown.blocks_since_start} "
                f"blocks, {seen} against at most {ceiling:.2%} expected."
            )
        return f"{what}: {seen}, at most {ceiling:.2%} expected."

    def to_json(self) -> dict[str, Any]:
        shown = self._alarm if self.state is AnomalyState.ANOMALOUS else self._last
        known = shown if self.state is not AnomalyState.NO_DATA else None
        return {
            "name": self.name,
            "service": self.service,
            "attributes": {self.signal.split_by: self.split},
            "state": str(self.state),
            "since_unix_nano": self.since_unix_nano,
            "log_statistic": None if shown is None else shown.log_statistic,
            "threshold_log": None if shown is None else shown.log_threshold,
            "expected_ratio": None if known is None else known.ceiling_ratio,
            "observed_ratio": None if known is None else known.window_ratio,
            "summary": self.summary(),
        }


class AnomalyWatch:
    """All series of all signals, created as they appear."""

    def __init__(self, config: SignalsConfig, block_s: float) -> None:
        self.config = config
        self._block_s = block_s
        self._series: dict[tuple[str, str], WatchedSeries] = {}
        self.series_refused = 0

    @property
    def series(self) -> list[WatchedSeries]:
        """By name."""
        return sorted(self._series.values(), key=lambda one: one.name)

    def step(
        self, signal: Signal, end_unix_nano: int, counts: Mapping[str, tuple[int, int]]
    ) -> list[AnomalyEdge]:
        """Take one block of one signal: split -> (failures, requests); others had no report."""
        for split in counts:
            self._know(signal, split)
        edges = []
        for (name, split), one in self._series.items():
            if name == signal.name:
                failures, requests = counts.get(split, (None, None))
                edges.append(one.step(end_unix_nano, failures, requests))
        return [edge for edge in edges if edge is not None]

    def _know(self, signal: Signal, split: str) -> None:
        if not split or (signal.name, split) in self._series:
            return
        if sum(name == signal.name for name, _ in self._series) >= self.config.series_max:
            self.series_refused += 1
            return
        self._series[signal.name, split] = WatchedSeries(signal, split, self.config, self._block_s)
