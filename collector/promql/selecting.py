"""Selectors over a source: which sample, or which range of samples, each step sees."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from collector.promql.frames import Frame, compacted, make_frame
from collector.promql.limits import Meter
from collector.promql.matchers import Matcher
from collector.promql.nodes import At, MatrixSelector, Subquery, VectorSelector
from collector.promql.semantics import Semantics
from collector.promql.series import Ints, Samples, Source, is_stale
from collector.promql.windows import Windows, make_windows, positions

__all__ = ["QueryTimes", "Selector", "reference_times"]


@dataclass(frozen=True, slots=True)
class QueryTimes:
    """The steps of the whole query; ``step_ms`` is 0 for an instant query."""

    start_ms: int
    end_ms: int
    step_ms: int

    def steps_ms(self) -> Ints:
        """Every time the expression is evaluated at."""
        if self.step_ms == 0:
            return np.array([self.start_ms], dtype=np.int64)
        return np.arange(self.start_ms, self.end_ms + 1, self.step_ms, dtype=np.int64)

    def pinned_ms(self, at: At) -> int:
        """The time an ``@`` stands for."""
        if at.timestamp_ms is not None:
            return at.timestamp_ms
        return self.start_ms if at.edge == "start" else self.end_ms


def reference_times(node: VectorSelector | Subquery, steps_ms: Ints, times: QueryTimes) -> Ints:
    """The time a selector looks at from each step: the step's or ``@``'s, less the offset."""
    base_ms = steps_ms if node.at is None else np.full_like(steps_ms, times.pinned_ms(node.at))
    return base_ms - node.offset_ms


@dataclass(slots=True)
class Selector:
    """Reads series for one query; the same question is asked of the source once."""

    source: Source
    semantics: Semantics
    times: QueryTimes
    lookback_ms: int
    meter: Meter
    _known: dict[tuple[tuple[Matcher, ...], int, int], Samples] = field(default_factory=dict)

    def instant(self, node: VectorSelector, steps_ms: Ints) -> tuple[Frame, Ints]:
        """The newest sample within the lookback of each step, and its time.

        Values of cells and times of cells are meaningless where nothing is present.
        """
        reference_ms = reference_times(node, steps_ms, self.times)
        oldest_ms = int(reference_ms.min()) - self.lookback_ms + self.semantics.is_left_open
        samples = self._select(node, oldest_ms, int(reference_ms.max()))
        self.meter.hold(len(samples.labels) * len(steps_ms))
        if len(samples.times) == 0:
            shape = (len(samples.labels), len(steps_ms))
            frame = make_frame(samples.labels, np.zeros(shape), np.zeros(shape, dtype=bool))
            return compacted(frame), np.zeros((0, len(steps_ms)), dtype=np.int64)
        index = positions(samples, reference_ms, is_after_equal=True) - 1
        exists = index >= samples.starts[:-1, None]
        index = np.maximum(index, 0)
        sample_ms, values = samples.times[index], samples.values[index]
        edge_ms = reference_ms - self.lookback_ms
        is_recent = sample_ms > edge_ms if self.semantics.is_left_open else sample_ms >= edge_ms
        present = exists & is_recent & ~is_stale(values)
        used = present.any(axis=1)
        frame = compacted(make_frame(samples.labels, values, present))
        return frame, sample_ms[used]

    def range(self, node: MatrixSelector, steps_ms: Ints) -> Windows:
        """The samples in the range before each step."""
        end_ms = reference_times(node.selector, steps_ms, self.times)
        oldest_ms = int(end_ms.min()) - node.range_ms + self.semantics.is_left_open
        samples = self._select(node.selector, oldest_ms, int(end_ms.max()))
        return self.windows(samples, end_ms, node.range_ms)

    def windows(self, samples: Samples, end_ms: Ints, range_ms: int) -> Windows:
        """Windows over any samples, with this query's edges."""
        self.meter.hold(len(samples.labels) * len(end_ms))
        return make_windows(
            samples,
            end_ms,
            range_ms,
            is_left_open=self.semantics.is_left_open,
            checkpoint=self.meter.check_deadline,
        )

    def _select(self, node: VectorSelector, start_ms: int, end_ms: int) -> Samples:
        matchers = node.all_matchers(is_dot_all=self.semantics.is_dot_all)
        key = (matchers, start_ms, end_ms)
        found = self._known.get(key)
        if found is None:
            found = self.source.select(matchers, start_ms, end_ms, self.meter)
            self.meter.series(len(found.labels))
            self.meter.read(len(found.times))
            self._known[key] = found
        return found
