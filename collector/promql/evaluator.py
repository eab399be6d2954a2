"""Evaluates a tree over steps: every node becomes one array, all series and all steps at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from collector.promql import aggregates, binary, selection
from collector.promql.annotations import Annotations
from collector.promql.frames import Frame, compacted, make_frame, names_dropped
from collector.promql.functions import FunctionCall, absent_frame, call_function
from collector.promql.invariance import invariant_nodes
from collector.promql.labels import NAME, label
from collector.promql.lexer import SET_OPERATORS
from collector.promql.nodes import (
    Aggregate,
    Binary,
    Call,
    Expression,
    MatrixSelector,
    Number,
    String,
    Subquery,
    Unary,
    ValueType,
    VectorSelector,
    unwrapped,
)
from collector.promql.operators import scalar_operation
from collector.promql.over_time import OVER_TIME
from collector.promql.range_call import RangeCall, RangeFunction
from collector.promql.rates import RATES
from collector.promql.selecting import QueryTimes, Selector, reference_times
from collector.promql.series import Floats, Ints, Samples
from collector.promql.trends import TRENDS
from collector.promql.windows import Windows

__all__ = ["Evaluator", "Value"]

#: A vector is a frame, a scalar one number per step.
Value = Frame | Floats

_RANGE_FUNCTIONS: Final[dict[str, RangeFunction]] = {**RATES, **OVER_TIME, **TRENDS}
#: Functions that show a sample as it was, so the series keeps its name.
_NAME_KEEPING: Final = frozenset({"last_over_time", "first_over_time"})
_BY_COUNT: Final = frozenset({"topk", "bottomk", "limitk"})


@dataclass(slots=True)
class Evaluator:
    """One query's evaluation. Raises PromqlError."""

    root: Expression
    times: QueryTimes
    selector: Selector
    annotations: Annotations
    #: Step of a subquery that names none.
    default_step_ms: int
    _invariant: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        self._invariant = invariant_nodes(self.root)

    @property
    def is_delayed(self) -> bool:
        """Whether names are dropped at the end only."""
        return self.selector.semantics.is_name_removal_delayed

    def evaluate(self, node: Expression, steps_ms: Ints) -> Value:
        """The node's value at every step."""
        self.selector.meter.check_deadline()
        if len(steps_ms) > 1 and id(node) in self._invariant:
            value = self._evaluate(node, steps_ms[:1])
            self._hold(value, len(steps_ms))
            return _repeated(value, len(steps_ms))
        value = self._evaluate(node, steps_ms)
        self._hold(value, len(steps_ms))
        return value

    def _hold(self, value: Value, steps: int) -> None:
        self.selector.meter.hold(len(value) * steps if isinstance(value, Frame) else steps)

    def frame(self, node: Expression, steps_ms: Ints) -> Frame:
        """The value of a node that is an instant vector."""
        value = self.evaluate(node, steps_ms)
        assert isinstance(value, Frame)
        return value

    def scalar(self, node: Expression, steps_ms: Ints) -> Floats:
        """The value of a node that is a scalar."""
        value = self.evaluate(node, steps_ms)
        assert not isinstance(value, Frame)
        return value

    def range(self, node: Expression, steps_ms: Ints) -> Windows:
        """The windows of a node that is a range vector."""
        node = unwrapped(node)
        if isinstance(node, MatrixSelector):
            return self.selector.range(node, steps_ms)
        assert isinstance(node, Subquery)
        end_ms = reference_times(node, steps_ms, self.times)
        return self.selector.windows(self._subquery(node, end_ms), end_ms, node.range_ms)

    def _evaluate(self, node: Expression, steps_ms: Ints) -> Value:
        node = unwrapped(node)
        if isinstance(node, Number):
            return np.full(len(steps_ms), node.value)
        if isinstance(node, VectorSelector):
            return self.selector.instant(node, steps_ms)[0]
        if isinstance(node, Binary):
            return self._chain(node, steps_ms)
        if isinstance(node, Unary):
            return self._unary(node, steps_ms)
        if isinstance(node, Aggregate):
            return self._aggregate(node, steps_ms)
        assert isinstance(node, Call)
        return self._call(node, steps_ms)

    def _unary(self, node: Unary, steps_ms: Ints) -> Value:
        value = self.evaluate(node.expression, steps_ms)
        if node.operator == "+":
            return value
        if not isinstance(value, Frame):
            return -value
        return names_dropped(replace(value, values=-value.values), is_delayed=self.is_delayed)

    def _chain(self, node: Binary, steps_ms: Ints) -> Value:
        """A chain ``a + b + c + ...`` leans left and may be long: walked, not recursed into."""
        links: list[Binary] = []
        first: Expression = node
        while isinstance(first, Binary):
            links.append(first)
            first = first.left
        value = self.evaluate(first, steps_ms)
        for link in reversed(links):
            value = self._binary(link, value, self.evaluate(link.right, steps_ms))
        return value

    def _binary(self, node: Binary, left: Value, right: Value) -> Value:
        if isinstance(left, Frame) and isinstance(right, Frame):
            if node.operator in SET_OPERATORS:
                result = binary.set_operation(node, left, right)
            else:
                result = binary.vector_operation(
                    node, left, right, is_delayed=self.is_delayed, hold=self.selector.meter.hold
                )
            return compacted(result)
        if isinstance(left, Frame):
            assert not isinstance(right, Frame)
            return compacted(
                binary.vector_scalar_operation(
                    node, left, right, is_swapped=False, is_delayed=self.is_delayed
                )
            )
        if isinstance(right, Frame):
            return compacted(
                binary.vector_scalar_operation(
                    node, right, left, is_swapped=True, is_delayed=self.is_delayed
                )
            )
        return scalar_operation(node.operator, left, right)

    def _aggregate(self, node: Aggregate, steps_ms: Ints) -> Frame:
        parameter = node.parameter
        if parameter is not None and parameter.type is ValueType.STRING:
            text = unwrapped(parameter)
            assert isinstance(text, String)
            return aggregates.count_values(self.frame(node.expression, steps_ms), node, text.value)
        if parameter is None:
            return aggregates.folded(self.frame(node.expression, steps_ms), node)
        number = self.scalar(parameter, steps_ms)
        frame = self.frame(node.expression, steps_ms)
        position = unwrapped(parameter).start
        if node.operator in _BY_COUNT:
            return selection.chosen_by_count(frame, node, number)
        if node.operator == "limit_ratio":
            return selection.chosen_by_ratio(frame, number, self.annotations, position)
        return aggregates.quantile(frame, node, number, self.annotations, position)

    def _call(self, node: Call, steps_ms: Ints) -> Value:
        arguments = tuple(unwrapped(argument) for argument in node.arguments)
        if any(argument.type is ValueType.MATRIX for argument in arguments):
            return self._range_call(node, arguments, steps_ms)
        if node.function.name == "timestamp" and isinstance(arguments[0], VectorSelector):
            frame, sample_ms = self.selector.instant(arguments[0], steps_ms)
            return names_dropped(
                replace(frame, values=sample_ms / 1000), is_delayed=self.is_delayed
            )
        values = tuple(
            argument.value if isinstance(argument, String) else self.evaluate(argument, steps_ms)
            for argument in arguments
        )
        return call_function(
            FunctionCall(
                name=node.function.name,
                arguments=arguments,
                values=values,
                steps_ms=steps_ms,
                times=self.times,
                selector=self.selector,
                annotations=self.annotations,
                position=node.start,
            )
        )

    def _range_call(self, node: Call, arguments: tuple[Expression, ...], steps_ms: Ints) -> Frame:
        name = node.function.name
        vector = next(a for a in arguments if a.type is ValueType.MATRIX)
        others = [argument for argument in arguments if argument is not vector]
        windows = self.range(vector, steps_ms)
        call = RangeCall(
            windows=windows,
            step_times_ms=steps_ms,
            scalars=tuple(self.scalar(argument, steps_ms) for argument in others),
            positions=tuple(argument.start for argument in others),
            semantics=self.selector.semantics,
            annotations=self.annotations,
        )
        values, present = _RANGE_FUNCTIONS[name](call)
        if name == "absent_over_time":
            return absent_frame(np.logical_or.reduce(present, axis=0), vector)
        frame = compacted(make_frame(windows.labels, values, present))
        if name in {"rate", "increase"}:
            for labels in frame.labels:
                self.annotations.maybe_no_counter(label(labels, NAME), vector.start)
        if name in _NAME_KEEPING:
            return frame
        return names_dropped(frame, is_delayed=self.is_delayed)

    def _subquery(self, node: Subquery, end_ms: Ints) -> Samples:
        """The inner expression at multiples of the step, as samples of the outer ranges."""
        step_ms = node.step_ms or self.default_step_ms
        edge_ms = int(end_ms.min()) - node.range_ms
        # The first multiple after the edge, or at it where ranges are closed.
        first_ms = -(-edge_ms // step_ms) * step_ms
        if self.selector.semantics.is_left_open and first_ms == edge_ms:
            first_ms += step_ms
        count = max((int(end_ms.max()) - first_ms) // step_ms + 1, 0)
        self.selector.meter.subquery(count)
        if count == 0:
            return _as_samples(make_frame((), np.zeros((0, 0)), np.zeros((0, 0), bool)), end_ms[:0])
        inner_ms = first_ms + step_ms * np.arange(count, dtype=np.int64)
        frame = self.frame(node.expression, inner_ms)
        self.selector.meter.hold(len(frame) * count)
        return _as_samples(frame, inner_ms)


def _as_samples(frame: Frame, steps_ms: Ints) -> Samples:
    counts = frame.present.sum(axis=1)
    starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    times = np.broadcast_to(steps_ms, frame.present.shape)[frame.present]
    return Samples(frame.labels, starts, times, frame.values[frame.present])


def _repeated(value: Value, steps: int) -> Value:
    if not isinstance(value, Frame):
        return np.repeat(value, steps)
    return Frame(
        value.labels,
        np.repeat(value.values, steps, axis=1),
        np.repeat(value.present, steps, axis=1),
        value.drops_name,
    )
