"""PromQL over a source: an instant query, or a range query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from collector.promql.annotations import Annotations
from collector.promql.errors import BadData, InvalidExpression
from collector.promql.evaluator import Evaluator
from collector.promql.frames import Frame, compacted, merged
from collector.promql.labels import EMPTY, Labels, drop_name
from collector.promql.limits import Meter, QueryLimits
from collector.promql.nodes import (
    Expression,
    MatrixSelector,
    String,
    ValueType,
    VectorSelector,
    unwrapped,
)
from collector.promql.parser import parse
from collector.promql.selecting import QueryTimes, Selector
from collector.promql.semantics import Semantics
from collector.promql.series import Floats, Ints, Source
from telemetry.clock import Clock

__all__ = ["Engine", "EngineConfig", "Result", "SeriesPoints"]


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """How queries are evaluated."""

    semantics: Semantics
    #: How far back an instant selector looks for a sample.
    lookback_ms: int
    #: Step of a subquery that names none.
    default_step_ms: int
    limits: QueryLimits


@dataclass(frozen=True, slots=True)
class SeriesPoints:
    """One series of an answer."""

    labels: Labels
    times_ms: Ints
    values: Floats


@dataclass(frozen=True, slots=True)
class Result:
    """An answer: ``series`` of a vector, matrix or scalar, ``text`` of a string."""

    type: ValueType
    series: Sequence[SeriesPoints]
    text: str
    time_ms: int
    warnings: Sequence[str]
    infos: Sequence[str]
    samples_read: int


class Engine:
    """Evaluates queries; holds no state between them. Thread-safe. Raises PromqlError."""

    def __init__(self, source: Source, clock: Clock, config: EngineConfig) -> None:
        self._source = source
        self._clock = clock
        self._config = config

    def instant(
        self, query: str, time_ms: int, *, timeout_s: float | None = None,
        lookback_ms: int | None = None,
    ) -> Result:  # fmt: skip
        """The value of ``query`` at one time."""
        times = QueryTimes(time_ms, time_ms, 0)
        run = self._run(parse(query), query, times, timeout_s, lookback_ms)
        return run.instant()

    def range(
        self, query: str, times: QueryTimes, *, timeout_s: float | None = None,
        lookback_ms: int | None = None,
    ) -> Result:  # fmt: skip
        """The value of ``query`` at every step from start to end."""
        limits = self._config.limits
        if (times.end_ms - times.start_ms) // times.step_ms > limits.max_steps:
            raise BadData(
                f"exceeded maximum resolution of {limits.max_steps:,} points per timeseries. "
                "Try decreasing the query resolution (?step=XX)"
            )
        tree = parse(query)
        if tree.type not in {ValueType.VECTOR, ValueType.SCALAR}:
            raise InvalidExpression(
                f'invalid expression type "{tree.type.documented()}" for range query, must be '
                "Scalar or instant Vector"
            )
        return self._run(tree, query, times, timeout_s, lookback_ms).range()

    def newest(self, selector: str, time_ms: int) -> list[SeriesPoints]:
        """The newest sample of each series within the lookback, at its own time."""
        tree = parse(selector)
        if not isinstance(tree, VectorSelector):
            raise BadData(f"{selector} is not a selector")
        lookback = MatrixSelector(tree, self._config.lookback_ms, tree.end)
        run = self._run(lookback, selector, QueryTimes(time_ms, time_ms, 0), None, None)
        return list(run.instant().series)

    def _run(
        self,
        tree: Expression,
        query: str,
        times: QueryTimes,
        timeout_s: float | None,
        lookback_ms: int | None,
    ) -> _Run:
        config = self._config
        annotations = Annotations(query)
        meter = Meter(config.limits, self._clock, timeout_s=timeout_s)
        selector = Selector(
            self._source, config.semantics, times, lookback_ms or config.lookback_ms, meter
        )
        evaluator = Evaluator(tree, times, selector, annotations, config.default_step_ms)
        return _Run(tree, evaluator)


@dataclass(frozen=True, slots=True)
class _Run:
    tree: Expression
    evaluator: Evaluator

    def instant(self) -> Result:
        tree = unwrapped(self.tree)
        steps_ms = self.evaluator.times.steps_ms()
        if isinstance(tree, String):
            return self._result(ValueType.STRING, (), tree.value)
        with np.errstate(all="ignore"):
            if tree.type is ValueType.MATRIX:
                return self._result(ValueType.MATRIX, self._matrix(tree, steps_ms))
            value = self.evaluator.evaluate(tree, steps_ms)
            if not isinstance(value, Frame):
                return self._result(ValueType.SCALAR, [SeriesPoints(EMPTY, steps_ms, value)])
            return self._result(ValueType.VECTOR, self._points(value, steps_ms))

    def range(self) -> Result:
        steps_ms = self.evaluator.times.steps_ms()
        with np.errstate(all="ignore"):
            value = self.evaluator.evaluate(self.tree, steps_ms)
            if not isinstance(value, Frame):
                return self._result(ValueType.MATRIX, [SeriesPoints(EMPTY, steps_ms, value)])
            points = sorted(self._points(value, steps_ms), key=lambda one: one.labels)
        return self._result(ValueType.MATRIX, points)

    def _matrix(self, tree: Expression, steps_ms: Ints) -> list[SeriesPoints]:
        windows = self.evaluator.range(tree, steps_ms)
        rows = []
        for row, labels in enumerate(windows.labels):
            part = slice(int(windows.first[row, 0]), int(windows.last[row, 0]))
            if part.stop > part.start:
                rows.append(SeriesPoints(labels, windows.times[part], windows.values[part]))
        return sorted(rows, key=lambda one: one.labels)

    def _points(self, frame: Frame, steps_ms: Ints) -> list[SeriesPoints]:
        frame = compacted(frame)
        if self.evaluator.is_delayed:
            labels = tuple(
                drop_name(labels) if drops else labels
                for labels, drops in zip(frame.labels, frame.drops_name.tolist(), strict=True)
            )
            frame = Frame(labels, frame.values, frame.present, frame.drops_name)
        frame = merged(frame)
        return [
            SeriesPoints(labels, steps_ms[present], values[present])
            for labels, values, present in zip(
                frame.labels, frame.values, frame.present, strict=True
            )
        ]

    def _result(self, kind: ValueType, series: Sequence[SeriesPoints], text: str = "") -> Result:
        annotations = self.evaluator.annotations
        return Result(
            kind,
            series,
            text,
            self.evaluator.times.start_ms,
            annotations.warnings,
            annotations.infos,
            self.evaluator.selector.meter.samples_read,
        )
