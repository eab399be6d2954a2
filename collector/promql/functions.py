"""Functions of instant vectors and scalars: from ``abs`` to ``year``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from collector.promql import histograms, relabel, selection
from collector.promql.annotations import Annotations
from collector.promql.dates import DATES, date_part
from collector.promql.frames import Frame, compacted, empty_frame, make_frame, names_dropped
from collector.promql.info import joined_with_info
from collector.promql.labels import EMPTY, NAME, Labels, make_labels
from collector.promql.maths import MATHS, clamped, rounded
from collector.promql.nodes import Expression, MatrixSelector, VectorSelector
from collector.promql.selecting import QueryTimes, Selector
from collector.promql.series import Bools, Floats, Ints
from collector.promql.strings import format_openmetrics

__all__ = ["FunctionCall", "absent_frame", "call_function"]


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call with its arguments evaluated: frames, scalars (one number per step) and texts."""

    name: str
    arguments: tuple[Expression, ...]
    values: tuple[Frame | Floats | str, ...]
    steps_ms: Ints
    times: QueryTimes
    selector: Selector
    annotations: Annotations
    position: int

    @property
    def is_delayed(self) -> bool:
        """Whether names are dropped at the end only."""
        return self.selector.semantics.is_name_removal_delayed

    def frame(self, index: int = 0) -> Frame:
        """An argument that is an instant vector."""
        value = self.values[index]
        assert isinstance(value, Frame)
        return value

    def scalar(self, index: int) -> Floats:
        """An argument that is a scalar."""
        value = self.values[index]
        assert isinstance(value, np.ndarray)
        return value

    def texts(self, start: int) -> list[str]:
        """The arguments from ``start`` on, which are strings."""
        return [value for value in self.values[start:] if isinstance(value, str)]

    def histogram(self, index: int) -> histograms.HistogramCall:
        """An argument that holds a histogram's buckets."""
        return histograms.HistogramCall(
            self.frame(index),
            self.steps_ms,
            self.arguments[index].start,
            self.is_delayed,
            self.annotations,
        )

    def of_values(self, values: Floats) -> Frame:
        """The first argument's series with other values: another quantity, without its name."""
        return names_dropped(replace(self.frame(), values=values), is_delayed=self.is_delayed)


def call_function(call: FunctionCall) -> Frame | Floats:
    """The function's value at every step."""
    name = call.name
    if name in MATHS:
        return call.of_values(MATHS[name](call.frame().values))
    if name in DATES:
        return _date(call)
    return _FUNCTIONS[name](call)


def _date(call: FunctionCall) -> Frame:
    if not call.values:
        seconds = (call.steps_ms // 1000).astype(np.float64)
        return _unlabelled(date_part(call.name, seconds))
    return call.of_values(date_part(call.name, call.frame().values))


def _unlabelled(values: Floats) -> Frame:
    return make_frame((EMPTY,), values[None, :], np.ones((1, len(values)), dtype=bool))


def _scalar(call: FunctionCall) -> Floats:
    frame = call.frame()
    if len(frame) == 0:
        return np.full(frame.steps, np.nan)
    picked = frame.values[frame.present.argmax(axis=0), np.arange(frame.steps)]
    return np.where(frame.present.sum(axis=0) == 1, picked, np.nan)


def _timestamp(call: FunctionCall) -> Frame:
    frame = call.frame()
    return call.of_values(np.broadcast_to(call.steps_ms / 1000, frame.values.shape).copy())


def _clamp(call: FunctionCall, low: Floats, high: Floats) -> Frame:
    frame = call.frame()
    values, exists = clamped(frame.values, low, high)
    kept = compacted(replace(frame, values=values, present=frame.present & exists))
    return names_dropped(kept, is_delayed=call.is_delayed)


def _round(call: FunctionCall) -> Frame:
    frame = call.frame()
    nearest = call.scalar(1) if len(call.values) > 1 else np.ones(frame.steps)
    return call.of_values(rounded(frame.values, nearest))


def absent_frame(is_there: Bools, argument: Expression) -> Frame:
    """1 where nothing is there, with the labels that the selector says for certain."""
    labels = _certain_labels(argument)
    present = ~is_there[None, :]
    return compacted(make_frame((labels,), np.ones(present.shape), present))


def _certain_labels(argument: Expression) -> Labels:
    if isinstance(argument, MatrixSelector):
        argument = argument.selector
    if not isinstance(argument, VectorSelector):
        return EMPTY
    found: dict[str, str] = {}
    named: set[str] = set()
    for matcher in argument.matchers:
        if matcher.name == NAME:
            continue
        if matcher.operator == "=" and matcher.name not in named:
            named.add(matcher.name)
            found[matcher.name] = matcher.value
        else:  # two conditions on one label say nothing certain
            found.pop(matcher.name, None)
    return make_labels(found)


def _sorted(call: FunctionCall) -> Frame:
    frame = call.frame()
    if call.times.step_ms:
        call.annotations.sort_in_range_query(call.position)
        return frame
    if frame.steps != 1:  # within a subquery there is no order to keep
        return frame
    is_descending = call.name.endswith("_desc")
    if call.name.startswith("sort_by_label"):
        return relabel.sorted_by_labels(frame, call.texts(1), is_descending=is_descending)
    return selection.sorted_rows(frame, is_descending=is_descending)


def _native_only(call: FunctionCall) -> Frame:
    """Functions of native histograms: every sample here is a number, so there is no result."""
    return empty_frame(call.frame().steps)


def _labelled_quantiles(call: FunctionCall) -> Frame:
    levels = [
        (call.scalar(index), call.arguments[index].start) for index in range(2, len(call.values))
    ]
    return histograms.labelled_quantiles(
        call.histogram(0), call.texts(1)[0], levels, format_openmetrics
    )


def _constant(call: FunctionCall, value: float) -> Floats:
    return np.full(len(call.steps_ms), value)


_FUNCTIONS: Final[dict[str, Callable[[FunctionCall], Frame | Floats]]] = {
    "absent": lambda call: absent_frame(call.frame().any_present(), call.arguments[0]),
    "clamp": lambda call: _clamp(call, call.scalar(1), call.scalar(2)),
    "clamp_max": lambda call: _clamp(call, _constant(call, -np.inf), call.scalar(1)),
    "clamp_min": lambda call: _clamp(call, call.scalar(1), _constant(call, np.inf)),
    "end": lambda call: _constant(call, call.times.end_ms / 1000),
    "histogram_avg": _native_only,
    "histogram_count": _native_only,
    "histogram_fraction": lambda call: histograms.fractions(
        call.histogram(2), call.scalar(0), call.scalar(1)
    ),
    "histogram_quantile": lambda call: histograms.quantiles(
        call.histogram(1), call.scalar(0), call.arguments[0].start
    ),
    "histogram_quantiles": _labelled_quantiles,
    "histogram_stddev": _native_only,
    "histogram_stdvar": _native_only,
    "histogram_sum": _native_only,
    "info": lambda call: joined_with_info(
        call.frame(), call.arguments[1:], call.steps_ms, call.selector
    ),
    "label_join": lambda call: relabel.joined(call.frame(), call.texts(1)),
    "label_replace": lambda call: relabel.replaced(
        call.frame(), call.texts(1), is_dot_all=call.selector.semantics.is_dot_all
    ),
    "pi": lambda call: _constant(call, np.pi),
    "range": lambda call: _constant(call, (call.times.end_ms - call.times.start_ms) / 1000),
    "round": _round,
    "scalar": _scalar,
    "sort": _sorted,
    "sort_by_label": _sorted,
    "sort_by_label_desc": _sorted,
    "sort_desc": _sorted,
    "start": lambda call: _constant(call, call.times.start_ms / 1000),
    "step": lambda call: _constant(call, call.times.step_ms / 1000),
    "time": lambda call: call.steps_ms / 1000,
    "timestamp": _timestamp,
    "vector": lambda call: _unlabelled(call.scalar(0)),
}
