"""Aggregations that make one series per group: sum, avg, count, min, max, stddev, quantile, ..."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from collector.promql.annotations import Annotations
from collector.promql.errors import ExecutionError
from collector.promql.frames import Frame, compacted, empty_frame, make_frame
from collector.promql.grouping import Groups, group_labels, group_rows
from collector.promql.kahan import Mean, Sum
from collector.promql.labels import Labels, is_label_name, with_labels
from collector.promql.nodes import Aggregate
from collector.promql.quantiles import row_quantiles
from collector.promql.series import Bools, Floats
from collector.promql.strings import format_float, go_quoted

__all__ = ["SIMPLE", "count_values", "folded", "quantile"]


def _sum(frame: Frame, groups: Groups) -> Floats:
    sums = Sum((len(groups.labels), frame.steps))
    for group, row in groups.columns():
        sums.add(group, frame.values[row], frame.present[row])
    return sums.result()


def _average(frame: Frame, groups: Groups) -> Floats:
    means = Mean((len(groups.labels), frame.steps))
    for group, row in groups.columns():
        means.add(group, frame.values[row], frame.present[row])
    return means.result()


def _count(frame: Frame, groups: Groups) -> Floats:
    return np.array([frame.present[rows].sum(axis=0) for rows in groups.members], dtype=np.float64)


def _group(frame: Frame, groups: Groups) -> Floats:
    return np.ones((len(groups.labels), frame.steps))


def _extreme(frame: Frame, groups: Groups, is_better: Callable[[Floats, Floats], Bools]) -> Floats:
    """The extreme present value; NaN gives way to any number."""
    best = np.full((len(groups.labels), frame.steps), np.nan)
    for group, row in groups.columns():
        wins = frame.present[row] & (
            is_better(frame.values[row], best[group]) | np.isnan(best[group])
        )
        best[group] = np.where(wins, frame.values[row], best[group])
    return best


def _variance(frame: Frame, groups: Groups) -> Floats:
    """Welford's recurrence; an infinite first value makes the result NaN."""
    shape = (len(groups.labels), frame.steps)
    count, mean, squares = np.zeros((3, *shape))
    for group, row in groups.columns():
        values, present = frame.values[row], frame.present[row]
        n = count[group] + 1
        is_first = n == 1
        delta = values - mean[group]
        new_mean = np.where(is_first, values, mean[group] + delta / n)
        first = np.where(np.isfinite(values), 0.0, np.nan)
        new_squares = np.where(is_first, first, squares[group] + delta * (values - new_mean))
        mean[group] = np.where(present, new_mean, mean[group])
        squares[group] = np.where(present, new_squares, squares[group])
        count[group] += present
    return squares / count


SIMPLE: Final[dict[str, Callable[[Frame, Groups], Floats]]] = {
    "sum": _sum,
    "avg": _average,
    "count": _count,
    "group": _group,
    "min": lambda frame, groups: _extreme(frame, groups, np.less),
    "max": lambda frame, groups: _extreme(frame, groups, np.greater),
    "stdvar": _variance,
    "stddev": lambda frame, groups: np.sqrt(_variance(frame, groups)),
}


def folded(frame: Frame, node: Aggregate) -> Frame:
    """One of the aggregations without a parameter."""
    if len(frame) == 0:
        return empty_frame(frame.steps)
    groups = group_rows(frame.labels, node)
    return _result(frame, groups, SIMPLE[node.operator](frame, groups))


def quantile(
    frame: Frame, node: Aggregate, quantiles: Floats, annotations: Annotations, position: int
) -> Frame:
    """``quantile``: interpolated between the two nearest ranks of each group."""
    if np.isnan(quantiles).any():
        annotations.invalid_quantile(np.nan, position)
    if (quantiles > 1).any():
        annotations.invalid_quantile(float(np.nanmax(quantiles)), position)
    if (quantiles < 0).any():
        annotations.invalid_quantile(float(np.nanmin(quantiles)), position)
    if len(frame) == 0:
        return empty_frame(frame.steps)
    groups = group_rows(frame.labels, node)
    rows = []
    for members in groups.members:
        present = frame.present[members]
        values = np.where(present, frame.values[members], np.inf)
        rows.append(row_quantiles(values.T, present.sum(axis=0), quantiles))
    return _result(frame, groups, np.array(rows))


def count_values(frame: Frame, node: Aggregate, label_name: str) -> Frame:
    """``count_values``: one series per group and value, the value as a label."""
    if not is_label_name(label_name):
        raise ExecutionError(f"invalid label name {go_quoted(label_name)}")
    grouping = node.grouping if node.is_without else (*node.grouping, label_name)
    counts: dict[Labels, Floats] = {}
    for row, labels in enumerate(frame.labels):
        values, present = frame.values[row], frame.present[row]
        for value in np.unique(values[present]):
            is_value = present & ((values == value) | (np.isnan(values) & np.isnan(value)))
            metric = with_labels(labels, {label_name: format_float(float(value))})
            key = group_labels(metric, grouping, is_without=node.is_without)
            counts.setdefault(key, np.zeros(frame.steps))
            counts[key] += is_value
    if not counts:
        return empty_frame(frame.steps)
    values = np.array(list(counts.values()))
    return make_frame(tuple(counts), values, values > 0)


def _result(frame: Frame, groups: Groups, values: Floats) -> Frame:
    present = np.array([frame.present[rows].any(axis=0) for rows in groups.members])
    drops = np.array(
        [
            bool((frame.drops_name[rows] & frame.present[rows].any(axis=1)).any())
            for rows in groups.members
        ]
    )
    return compacted(Frame(groups.labels, values, present, drops))
