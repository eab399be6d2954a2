"""Aggregations that choose some series of each group: topk, bottomk, limitk, limit_ratio.

Which of several equal values is chosen follows from Prometheus' heap, so the heap is Go's
(``container/heap``), move for move.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from collector.promql.annotations import Annotations
from collector.promql.errors import ExecutionError
from collector.promql.frames import Frame, compacted, empty_frame
from collector.promql.grouping import group_rows
from collector.promql.hashing import label_hash
from collector.promql.nodes import Aggregate
from collector.promql.series import Bools, Floats, Ints
from collector.promql.strings import format_general

__all__ = ["chosen_by_count", "chosen_by_ratio", "sorted_rows"]

#: What Prometheus compares a k with before it makes an integer of it.
_MAX_INT64: Final = 9223372036854774784.0
_MIN_INT64: Final = -9223372036854775808.0
#: Up to here Go sorts by insertion, which is stable.
_GO_INSERTION_SORT_MAX: Final = 12
_MAX_HASH: Final = float(2**64 - 1)

Less = Callable[[float, float], bool]
Entry = tuple[float, int]


def _less(a: float, b: float) -> bool:
    return a != a or a < b  # noqa: PLR0124 - NaN sorts first


def _more(a: float, b: float) -> bool:
    return a != a or a > b  # noqa: PLR0124 - NaN sorts first


def chosen_by_count(frame: Frame, node: Aggregate, k: Floats) -> Frame:
    """``topk``, ``bottomk`` and ``limitk`` of every group at every step."""
    if len(k) and np.nanmax(k, initial=-np.inf) < 1 and not np.isnan(k).all():
        return empty_frame(frame.steps)
    if np.isnan(k).any():
        raise ExecutionError("Parameter value is NaN")
    if k.min() <= _MIN_INT64:
        raise ExecutionError(f"Scalar value {format_general(float(k.min()))} underflows int64")
    if k.max() >= _MAX_INT64:
        raise ExecutionError(f"Scalar value {format_general(float(k.max()))} overflows int64")
    wanted = np.minimum(np.trunc(k), len(frame)).astype(np.int64)
    selected = np.zeros_like(frame.present)
    order: list[int] = []
    for rows in group_rows(frame.labels, node).members:
        present = frame.present[rows]
        if node.operator == "limitk":
            selected[rows] = present & (np.cumsum(present, axis=0) <= wanted)
            continue
        is_top = node.operator == "topk"
        if frame.steps == 1:
            best = _heap_choice(frame.values[rows, 0], present[:, 0], int(wanted[0]), is_top)
            order.extend(int(rows[place]) for _, place in _ranked(best, is_top))
            selected[rows[[place for _, place in best]], 0] = True
        else:
            selected[rows] = _best_per_step(frame.values[rows], present, wanted, is_top=is_top)
    result = Frame(frame.labels, frame.values, selected, frame.drops_name)
    if frame.steps == 1 and node.operator != "limitk":
        return result.rows(order)
    return compacted(result)


def _best_per_step(values: Floats, present: Bools, wanted: Ints, *, is_top: bool) -> Bools:
    """The same choice at every step; only steps with ties at the border need the heap."""
    goodness = np.where(np.isnan(values), -np.inf, values if is_top else -values)
    goodness = np.where(present, goodness, -np.inf)
    descending = -np.sort(-goodness, axis=0)
    border = descending[np.clip(wanted - 1, 0, len(values) - 1), np.arange(values.shape[1])]
    selected = present & (goodness >= border) & (wanted > 0)
    # A border of -Inf cannot tell a number from NaN, nor from what is not there.
    unsure = (selected.sum(axis=0) > wanted) | (np.isneginf(border) & (wanted > 0))
    for step in np.flatnonzero(unsure):
        best = _heap_choice(values[:, step], present[:, step], int(wanted[step]), is_top)
        selected[:, step] = False
        selected[[place for _, place in best], step] = True
    return selected


def _heap_choice(values: Floats, present: Bools, k: int, is_top: bool) -> list[Entry]:
    """The k best present values with their places, as they lie in the heap."""
    less = _less if is_top else _more
    heap: list[Entry] = []
    for place in np.flatnonzero(present).tolist() if k > 0 else ():
        value = float(values[place])
        if len(heap) < k:
            heap.append((value, place))
            _up(heap, len(heap) - 1, less)
        elif (heap[0][0] < value if is_top else heap[0][0] > value) or (
            np.isnan(heap[0][0]) and not np.isnan(value)
        ):
            heap[0] = (value, place)
            _down(heap, 0, less)
    return heap


def _up(heap: list[Entry], place: int, less: Less) -> None:
    while place > 0:
        parent = (place - 1) // 2
        if not less(heap[place][0], heap[parent][0]):
            return
        heap[parent], heap[place] = heap[place], heap[parent]
        place = parent


def _down(heap: list[Entry], place: int, less: Less) -> None:
    while True:
        child = 2 * place + 1
        if child >= len(heap):
            return
        if child + 1 < len(heap) and less(heap[child + 1][0], heap[child][0]):
            child += 1
        if not less(heap[child][0], heap[place][0]):
            return
        heap[place], heap[child] = heap[child], heap[place]
        place = child


def _ranked(entries: list[Entry], is_top: bool) -> list[Entry]:
    """The best first, NaN last; as Go's sort does it for short lists, equal values included."""
    if len(entries) > _GO_INSERTION_SORT_MAX:
        return sorted(
            entries, key=lambda entry: (entry[0] != entry[0], -entry[0] if is_top else entry[0])
        )
    less = _less if is_top else _more
    result = list(entries)
    for index in range(1, len(result)):
        place = index
        while place > 0 and less(result[place - 1][0], result[place][0]):
            result[place - 1], result[place] = result[place], result[place - 1]
            place -= 1
    return result


def sorted_rows(frame: Frame, *, is_descending: bool) -> Frame:
    """``sort`` and ``sort_desc`` of an instant vector: NaN last, equal values in their order."""
    values = frame.values[:, 0]
    key = np.where(np.isnan(values), np.inf, -values if is_descending else values)
    order = np.lexsort((key, np.isnan(values)))
    return frame.rows(order.tolist())


def chosen_by_ratio(frame: Frame, ratio: Floats, annotations: Annotations, position: int) -> Frame:
    """``limit_ratio``: the share of series whose hash falls below the ratio, or above 1 + ratio."""
    if (ratio == 0).all():
        return empty_frame(frame.steps)
    if np.isnan(ratio).any():
        raise ExecutionError("Ratio value is NaN")
    if ratio.max() > 1:
        annotations.invalid_ratio(float(ratio.max()), 1.0, position)
    if ratio.min() < -1:
        annotations.invalid_ratio(float(ratio.min()), -1.0, position)
    used = np.clip(ratio, -1.0, 1.0)
    place = np.array([label_hash(labels) / _MAX_HASH for labels in frame.labels]).reshape(-1, 1)
    selected = np.where(used >= 0, place < used, place >= 1.0 + used)
    return compacted(Frame(frame.labels, frame.values, frame.present & selected, frame.drops_name))
