"""Series held in memory: what replays, what-if questions and tests are evaluated over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from collector.promql.labels import Labels
from collector.promql.limits import Meter
from collector.promql.matchers import Matcher, matching
from collector.promql.series import Floats, Ints, Samples

__all__ = ["MemorySource"]


class MemorySource:
    """Answers from arrays: per series its labels, rising times (ms) and values."""

    def __init__(self, series: Iterable[tuple[Labels, Ints, Floats]]) -> None:
        ordered = sorted(series, key=lambda one: one[0])
        self._labels = [labels for labels, _, _ in ordered]
        self._times = [times for _, times, _ in ordered]
        self._values = [values for _, _, values in ordered]
        if len(set(self._labels)) != len(self._labels):
            raise ValueError("two series have the same labels")

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, meter: Meter
    ) -> Samples:
        """Every series that meets all conditions, with its samples in [start, end]."""
        chosen = matching(self._labels, matchers)
        meter.series(len(chosen))
        times, values, counts = [], [], [0]
        for index in chosen:
            first, last = np.searchsorted(self._times[index], [start_ms, end_ms + 1])
            times.append(self._times[index][first:last])
            values.append(self._values[index][first:last])
            counts.append(int(last - first))
        return Samples(
            tuple(self._labels[index] for index in chosen),
            np.cumsum(counts).astype(np.int64),
            np.concatenate(times) if times else np.zeros(0, dtype=np.int64),
            np.concatenate(values) if values else np.zeros(0),
        )
