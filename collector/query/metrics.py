"""Answers of /metrics, /series and /blocks: from stored points to what arrived in each interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.query import buckets, increments
from collector.query.errors import BadParameter
from collector.store import points
from collector.store.engine import Store
from collector.store.points import Series, SeriesCache
from collector.store.reader import Match, Window

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

AGGREGATIONS: Final = ("increase", "rate", "last", "sum")
_TABLES: Final = {
    "gauge": "number_points",
    "sum": "number_points",
    "histogram": "histogram_points",
    "exponential_histogram": "exponential_points",
}


@dataclass(frozen=True, slots=True)
class MetricQuery:
    """One question about one metric; ``step_ns`` cuts the window from its start.

    ``is_since_last``: a running total heard again after more than ``look_back_ns`` adds what it
    gained since its last point, however old, to the step in which it is heard. Without it that
    point is only where the next difference begins: a chart has no spike where a gap ends.
    """

    metric: str
    window: Window
    step_ns: int
    matches: tuple[Match, ...]
    group_by: tuple[str, ...]
    look_back_ns: int
    max_series: int
    is_since_last: bool = False

    @property
    def step_count(self) -> int:
        return -(-(self.window.to_unix_nano - self.window.from_unix_nano) // self.step_ns)


@dataclass(frozen=True, slots=True)
class Selection:
    """The series of one kind that match, and their points sorted by (series, time)."""

    kind: str
    series: Sequence[Series]
    table: pa.Table
    series_index: Ints
    time: Ints
    start: Ints
    is_truncated: bool

    @property
    def is_counter(self) -> bool:
        return self.kind != "sum" or all(series.is_monotonic for series in self.series)


@dataclass(frozen=True, slots=True)
class Added:
    """What arrived inside the window: one row per counted point."""

    key: Ints  # group * step_count + step
    values: Floats  # (n, k)
    sums: Floats
    layout: Ints
    instance: Ints
    is_reset: npt.NDArray[np.bool_]


def list_metrics(store: Store, window: Window) -> list[dict[str, Any]]:
    """Every metric heard in the window."""
    return [
        {
            "name": points.text(row["metric_name"]),
            "kind": points.text(row["kind"]),
            "unit": points.text(row["unit"]),
            "temporality": points.text(row["temporality"]),
            "series_count": row["series_count"],
        }
        for row in points.metrics(store, window).to_pylist()
    ]


def select(store: Store, cache: SeriesCache, query: MetricQuery) -> Selection | None:
    """Read the matching series and points; None when no series matches.

    A name used for several kinds answers for the kind with the most series.
    """
    since = Window(query.window.from_unix_nano - query.look_back_ns, query.window.to_unix_nano)
    ids = points.series_ids(store, query.metric, since, query.matches, limit=query.max_series + 1)
    known = cache.find(store, query.metric, ids[: query.max_series])
    if not known:
        return None
    kind = Counter(series.kind for series in known.values()).most_common(1)[0][0]
    if kind not in _TABLES:
        raise BadParameter(
            f"{query.metric} is a {kind}: its quantiles cannot be merged",
            accepted="/api/v1/summaries, or a histogram",
        )
    chosen = sorted((series for series in known.values() if series.kind == kind), key=_wrapped_id)
    wanted = [series.series_id for series in chosen]
    read = points.points_since_last if query.is_since_last else points.points
    table = read(store, _TABLES[kind], wanted, query.window, look_back_ns=query.look_back_ns)
    ids_sorted = np.array([_wrapped_id(series) for series in chosen], dtype=np.int64)
    index = np.searchsorted(ids_sorted, points.integers(table["series_id"]))
    order = increments.sort_order(index, points.integers(table["time_unix_nano"]))
    index, table = index[order], table.take(pa.array(order))
    start = points.integers(table["start_unix_nano"])
    fresh = np.flatnonzero(~increments.is_stale(index, start))
    if len(fresh) < len(index):
        index, start, table = index[fresh], start[fresh], table.take(pa.array(fresh))
    return Selection(
        kind=kind,
        series=chosen,
        table=table,
        series_index=index,
        time=points.integers(table["time_unix_nano"]),
        start=start,
        is_truncated=len(ids) > query.max_series,
    )


def _wrapped_id(series: Series) -> int:
    return series.series_id - (1 << 64) if series.series_id >= 1 << 63 else series.series_id


def blocks(store: Store, cache: SeriesCache, query: MetricQuery) -> dict[str, Any]:
    """Counters as increases, histograms as bucket counts, per group and interval.

    Intervals without points are absent. A gauge or a sum that may fall has no increase: refused.
    """
    found = select(store, cache, query)
    if found is None:
        return {"kind": None, "unit": "", "groups": [], "truncated": False}
    _require_counter(found, query)
    groups = _groups(found.series, query.group_by)
    shape, layouts = _shape(found)
    added = _added(found, query, groups, shape)
    is_histogram = found.kind not in {"sum", "gauge"}
    answer: list[dict[str, Any]] = []
    for group, attributes in enumerate(groups.attributes):
        rows = _rows_of_group(added, group, query.step_count)
        if len(rows) == 0:
            continue
        item: dict[str, Any] = {"attributes": attributes}
        if is_histogram:
            bounds, values = _on_common_layout(added, rows, layouts)
            item["bounds"] = bounds.tolist()
        else:
            values = added.values[rows]
        item["blocks"] = _blocks_of(query, added, rows, values, is_histogram=is_histogram)
        answer.append(item)
    return {
        "kind": "histogram" if is_histogram else "counter",
        "unit": found.series[0].unit,
        "groups": answer,
        "truncated": found.is_truncated,
    }


def series(store: Store, cache: SeriesCache, query: MetricQuery, agg: str | None) -> dict[str, Any]:
    """Points per group and step for charts; a step without data is null, never 0.

    ``agg``: increase and rate (per second) for counters and histograms (observations counted);
    last (newest value in the group) and sum (newest values of all its series added up) for values.
    The default is rate where there is one, else last.
    """
    found = select(store, cache, query)
    if found is None:
        return {"groups": [], "truncated": False, "agg": agg}
    is_counter = found.kind != "gauge" and found.is_counter
    chosen = agg or ("rate" if is_counter else "last")
    groups = _groups(found.series, query.group_by)
    if chosen in {"increase", "rate"}:
        _require_counter(found, query)
        column = "value" if found.kind == "sum" else "count"
        values = points.floats(found.table[column])[:, None]
        added = _added(found, query, groups, _Shape(values, np.zeros_like(found.time), None))
        key, sums = increments.sum_by_key(added.key, added.values)
        scale = 1.0 if chosen == "increase" else 1e9 / query.step_ns
        by_key = dict(zip(key.tolist(), (sums[:, 0] * scale).tolist(), strict=True))
    elif found.kind in {"gauge", "sum"}:
        by_key = _newest_values(found, query, groups, is_sum=chosen == "sum")
    else:
        raise BadParameter(
            f"{query.metric} is a histogram and has no {chosen}", accepted="increase, rate"
        )
    times = [
        (query.window.from_unix_nano + step * query.step_ns) / 1e9
        for step in range(query.step_count)
    ]
    answer = []
    for group, attributes in enumerate(groups.attributes):
        first = group * query.step_count
        row = [[time, by_key.get(first + step)] for step, time in enumerate(times)]
        if any(value is not None for _, value in row):
            answer.append({"attributes": attributes, "points": row})
    return {"groups": answer, "truncated": found.is_truncated, "agg": chosen}


@dataclass(frozen=True, slots=True)
class _Groups:
    of_series: Ints
    attributes: list[dict[str, str]]
    instance_of_series: Ints


def _groups(found: Sequence[Series], keys: Sequence[str]) -> _Groups:
    values = [tuple(item.attribute(key) for key in keys) for item in found]
    names = sorted(set(values))
    number = {name: index for index, name in enumerate(names)}
    instances: dict[tuple[str, str], int] = {}
    instance_of_series = [
        instances.setdefault(
            (item.resource.get("service.name", ""), item.resource.get("service.instance.id", "")),
            len(instances),
        )
        for item in found
    ]
    return _Groups(
        np.array([number[value] for value in values], dtype=np.int64),
        [dict(zip(keys, name, strict=True)) for name in names],
        np.array(instance_of_series, dtype=np.int64),
    )


@dataclass(frozen=True, slots=True)
class _Shape:
    """Points as rows of running totals; rows of different layouts cannot be differenced."""

    values: Floats
    layout: Ints
    sums: Floats | None


def _require_counter(found: Selection, query: MetricQuery) -> None:
    if found.kind == "gauge" or not found.is_counter:
        raise BadParameter(
            f"{query.metric} can fall, so it has no increase",
            accepted="a monotonic sum or a histogram; else /series with agg=last or sum",
        )


def _shape(found: Selection) -> tuple[_Shape, list[Floats]]:
    table = found.table
    one_layout = np.zeros(len(found.time), dtype=np.int64)
    if found.kind == "sum":
        return _Shape(points.floats(table["value"])[:, None], one_layout, None), []
    sums = points.floats(table["sum"])
    if found.kind == "histogram":
        values, layout, layouts = explicit_rows(
            *points.ragged(table["counts"]), *points.ragged(table["bounds"])
        )
        return _Shape(values, layout, sums), layouts
    counts, starts = points.ragged(table["positive_counts"])
    negative, negative_starts = points.ragged(table["negative_counts"])
    dense = buckets.merge_exponential(
        buckets.ExponentialPoints(
            scale=points.integers(table["scale"]),
            offset=points.integers(table["positive_offset"]),
            counts=counts,
            row_starts=starts,
            zero_count=points.floats(table["zero_count"]),
            negative_count=np.diff(np.concatenate(([0.0], np.cumsum(negative)))[negative_starts]),
            zero_threshold=points.floats(table["zero_threshold"]),
        )
    )
    return _Shape(dense.counts, one_layout, sums), [dense.bounds]


def explicit_rows(
    counts: Floats, count_starts: Ints, bounds: Floats, bound_starts: Ints
) -> tuple[Floats, Ints, list[Floats]]:
    """Ragged explicit histograms as one matrix: (counts padded with 0, layout of row, layouts).

    A layout whose bounds do not rise keeps only its total: one bucket, no bounds.
    """
    lengths = np.diff(count_starts)
    rows = len(lengths)
    width = int(lengths.max(initial=1))
    row = np.repeat(np.arange(rows), lengths)
    column = np.arange(len(counts)) - np.repeat(count_starts[:-1], lengths)
    dense = np.zeros((rows, width))
    dense[row, column] = counts
    layout = np.zeros(rows, dtype=np.int64)
    layouts: list[Floats] = []
    number: dict[bytes, int] = {}
    for index in range(rows):
        edges = bounds[bound_starts[index] : bound_starts[index + 1]]
        raw = edges.tobytes()
        if raw not in number:
            number[raw] = len(layouts)
            layouts.append(edges)
        layout[index] = number[raw]
    for index, edges in enumerate(layouts):
        if not buckets.are_valid_bounds(edges):
            broken = layout == index
            dense[broken, 0] = dense[broken].sum(axis=1)
            dense[broken, 1:] = 0.0
            layouts[index] = edges[:0]
    return dense, layout, layouts


def _added(found: Selection, query: MetricQuery, groups: _Groups, shape: _Shape) -> Added:
    is_delta_series = np.array([item.temporality == "delta" for item in found.series])
    is_delta = is_delta_series[found.series_index]
    parts = [
        _added_part(found, query, groups, shape, np.flatnonzero(mask), delta=delta)
        for mask, delta in ((~is_delta, False), (is_delta, True))
    ]

    def joined(pick: Callable[[Added], Any]) -> Any:
        return np.concatenate([pick(part) for part in parts])

    return Added(
        key=joined(lambda part: part.key),
        values=joined(lambda part: part.values),
        sums=joined(lambda part: part.sums),
        layout=joined(lambda part: part.layout),
        instance=joined(lambda part: part.instance),
        is_reset=joined(lambda part: part.is_reset),
    )


def _added_part(
    found: Selection,
    query: MetricQuery,
    groups: _Groups,
    shape: _Shape,
    rows: Ints,
    *,
    delta: bool,
) -> Added:
    index, values = found.series_index[rows], shape.values[rows]
    if delta:
        gained = increments.delta_increments(values)
    else:
        gained = increments.cumulative_increments(
            index,
            found.start[rows],
            shape.layout[rows],
            values,
            count_from_unix_nano=query.window.from_unix_nano - query.look_back_ns,
        )
    sums = np.zeros(len(rows)) if shape.sums is None else gained.of_column(shape.sums[rows])
    step, is_inside = increments.interval_index(
        found.time[rows],
        from_unix_nano=query.window.from_unix_nano,
        to_unix_nano=query.window.to_unix_nano,
        step_ns=query.step_ns,
    )
    used = np.flatnonzero(is_inside & gained.is_counted)
    return Added(
        key=groups.of_series[index[used]] * query.step_count + step[used],
        values=gained.values[used],
        sums=sums[used],
        layout=shape.layout[rows][used],
        instance=groups.instance_of_series[index[used]],
        is_reset=gained.is_reset[used],
    )


def _rows_of_group(added: Added, group: int, step_count: int) -> Ints:
    return np.flatnonzero(added.key // step_count == group)


def _on_common_layout(added: Added, rows: Ints, layouts: list[Floats]) -> tuple[Floats, Floats]:
    """Bounds all rows of a group share, and their counts merged onto them (exact)."""
    used = np.unique(added.layout[rows])
    shared = buckets.common_bounds([layouts[index] for index in used])
    values = np.zeros((len(rows), len(shared) + 1))
    for index in used:
        mine = added.layout[rows] == index
        own = added.values[rows[mine], : len(layouts[index]) + 1]
        values[mine] = buckets.coarsen(own, layouts[index], shared)
    return shared, values


def _blocks_of(
    query: MetricQuery, added: Added, rows: Ints, values: Floats, *, is_histogram: bool
) -> list[dict[str, Any]]:
    key = added.key[rows]
    extra = np.stack(
        (added.sums[rows], np.ones(len(rows)), added.is_reset[rows].astype(np.float64)), axis=1
    )
    keys, totals = increments.sum_by_key(key, np.concatenate((values, extra), axis=1))
    instances = increments.distinct_by_key(key, added.instance[rows])
    result = []
    for one, total in zip(keys.tolist(), totals, strict=True):
        start = query.window.from_unix_nano + one % query.step_count * query.step_ns
        block: dict[str, Any] = {
            "start_unix_nano": start,
            "end_unix_nano": min(start + query.step_ns, query.window.to_unix_nano),
        }
        if is_histogram:
            block["counts"] = total[:-3].astype(np.int64).tolist()
            block["sum"] = float(total[-3]) if np.isfinite(total[-3]) else None
        else:
            block["increase"] = float(total[0])
        block["point_count"] = int(total[-2])
        block["instance_count"] = instances[one]
        block["reset_count"] = int(total[-1])
        result.append(block)
    return result


def _newest_values(
    found: Selection, query: MetricQuery, groups: _Groups, *, is_sum: bool
) -> dict[int, float]:
    step, is_inside = increments.interval_index(
        found.time,
        from_unix_nano=query.window.from_unix_nano,
        to_unix_nano=query.window.to_unix_nano,
        step_ns=query.step_ns,
    )
    values = points.floats(found.table["value"])
    used = np.flatnonzero(is_inside & np.isfinite(values))
    newest_of_series: dict[tuple[int, int], float] = {}
    newest_of_group: dict[int, float] = {}
    by_time = used[np.argsort(found.time[used], kind="stable")]
    keys = groups.of_series[found.series_index[by_time]] * query.step_count + step[by_time]
    pairs = zip(keys.tolist(), found.series_index[by_time].tolist(), strict=True)
    for (key, one), value in zip(pairs, values[by_time].tolist(), strict=True):
        newest_of_series[key, one] = value
        newest_of_group[key] = value
    if not is_sum:
        return newest_of_group
    totals: dict[int, float] = {}
    for (key, _), value in newest_of_series.items():
        totals[key] = totals.get(key, 0.0) + value
    return totals
