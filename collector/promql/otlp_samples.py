"""Data points as PromQL sees them: gauges, counters, and histograms as ``_bucket``, ``_count``,
``_sum``.

Delta streams become running totals. An exponential histogram becomes classic buckets on a fixed
grid of bounds, four per doubling: its own finer buckets merge into these exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from collector.promql.series import STALE_NAN, Bools, Floats, Ints
from collector.promql.store_points import Rows
from collector.promql.strings import format_openmetrics

__all__ = [
    "GRID_SCALE",
    "INFINITE",
    "Derived",
    "exponential_series",
    "histogram_series",
    "number_series",
]

#: Scale of the grid that exponential histograms are shown on: 2**2 bounds per doubling.
GRID_SCALE: Final = 2
INFINITE: Final = "+Inf"


@dataclass(frozen=True, slots=True)
class Derived:
    """A series made of a stored one: ``part`` is value, bucket, count or sum; ``bound`` its le."""

    series_id: int
    part: str
    bound: str
    times_ms: Ints
    values: Floats


def number_series(rows: Rows, *, is_delta: bool) -> Iterator[Derived]:
    """Gauges and sums."""
    for part in _per_series(rows.series):
        yield _derived(rows, part, "value", "", rows.values["value"][part], is_delta=is_delta)


def histogram_series(rows: Rows, parts: frozenset[str], *, is_delta: bool) -> Iterator[Derived]:
    """Explicit histograms; a layout of bounds that changes makes other series, as it would be."""
    for part in _per_series(rows.series):
        yield from _totals(rows, part, parts, is_delta=is_delta)
        if "bucket" in parts:
            yield from _explicit_buckets(rows, part, is_delta=is_delta)


def exponential_series(rows: Rows, parts: frozenset[str], *, is_delta: bool) -> Iterator[Derived]:
    """Exponential histograms."""
    bounds, cumulative = _on_grid(rows) if "bucket" in parts else ([], np.zeros((len(rows), 0)))
    for part in _per_series(rows.series):
        yield from _totals(rows, part, parts, is_delta=is_delta)
        for column, bound in enumerate(bounds):
            values = cumulative[part, column]
            yield _derived(rows, part, "bucket", bound, values, is_delta=is_delta)


def _per_series(series: Ints) -> Iterator[slice]:
    edges = np.flatnonzero(series[1:] != series[:-1]) + 1
    starts = np.concatenate(([0], edges, [len(series)])) if len(series) else np.zeros(1, int)
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        yield slice(start, end)


def _derived(
    rows: Rows, part: slice | Ints, kind: str, bound: str, values: Floats, *, is_delta: bool
) -> Derived:
    is_stale, is_base, times_ms = rows.is_stale[part], rows.is_base[part], rows.times_ms[part]
    if is_delta:
        values = np.cumsum(np.where(is_stale, 0.0, values))
    values = np.where(is_stale, STALE_NAN, values)
    kept = ~is_base & _is_last_of_its_time(times_ms, is_base)
    first = int(rows.series[part][0])
    return Derived(first, kind, bound, times_ms[kept], values[kept])


def _is_last_of_its_time(times_ms: Ints, is_base: Bools) -> Bools:
    """Of points within one millisecond the last counts."""
    result = np.ones(len(times_ms), dtype=bool)
    result[:-1] = (times_ms[1:] != times_ms[:-1]) | is_base[:-1]
    return result


def _totals(rows: Rows, part: slice, parts: frozenset[str], *, is_delta: bool) -> Iterator[Derived]:
    if "count" in parts:
        yield _derived(rows, part, "count", "", rows.values["count"][part], is_delta=is_delta)
    sums = rows.values["sum"][part]
    # A sender may leave the sum out, for example where negative values occur.
    if "sum" in parts and not np.isnan(sums).all():
        yield _derived(rows, part, "sum", "", np.nan_to_num(sums, nan=0.0) if is_delta else sums,
                       is_delta=is_delta)  # fmt: skip


def _explicit_buckets(rows: Rows, part: slice, *, is_delta: bool) -> Iterator[Derived]:
    for members, bounds in _layouts(rows, part):
        width = len(bounds) + 1
        starts = rows.flat_starts[members]
        counts = np.zeros((len(members), width))
        # A point without a value has no counts either; its row stays zero and is marked stale.
        full = np.diff(rows.flat_starts)[members] == width
        counts[full] = rows.flat[starts[full][:, None] + np.arange(width)]
        cumulative = np.cumsum(counts, axis=1)
        names = [*(format_openmetrics(float(bound)) for bound in bounds), INFINITE]
        for column, name in enumerate(names):
            yield _derived(rows, members, "bucket", name, cumulative[:, column], is_delta=is_delta)


def _layouts(rows: Rows, part: slice) -> Iterator[tuple[Ints, Floats]]:
    """Rows of a series by their bounds; rows without a value belong to every layout."""
    members = np.arange(part.start, part.stop, dtype=np.int64)
    found: dict[bytes, list[int]] = {}
    for row in members[~rows.is_stale[members]].tolist():
        bounds = rows.edges[rows.edge_starts[row] : rows.edge_starts[row + 1]]
        found.setdefault(bounds.tobytes(), []).append(row)
    stale = members[rows.is_stale[members]]
    for raw, chosen in found.items():
        together = np.sort(np.concatenate((np.array(chosen, dtype=np.int64), stale)))
        yield together, np.frombuffer(raw, dtype=np.float64)


def _on_grid(rows: Rows) -> tuple[list[str], Floats]:
    """Bounds as text and cumulative counts (rows, bounds), +Inf the last."""
    lengths = np.diff(rows.flat_starts)
    row = np.repeat(np.arange(len(rows)), lengths)
    position = np.arange(len(rows.flat)) - np.repeat(rows.flat_starts[:-1], lengths)
    scale = rows.values["scale"].astype(np.int64)
    index = rows.values["offset"].astype(np.int64)[row] + position
    used = rows.flat > 0
    row, index, counts = row[used], index[used], rows.flat[used]
    below, total = rows.values["below"], rows.values["count"]
    if len(index) == 0:
        return [INFINITE], total[:, None]
    grid = int(min(GRID_SCALE, scale[row].min()))
    index = index >> (scale[row] - grid)
    lowest = int(index.min())
    threshold = float(rows.values["threshold"].max())
    if threshold > 0:  # buckets that begin inside the zero region belong to it
        lowest = max(lowest, int(np.ceil(np.log2(threshold) * 2.0**grid)))
    width = max(int(index.max()), lowest) - lowest + 1
    dense = np.zeros((len(rows), width + 2))
    np.add.at(dense, (row, np.clip(index - lowest + 1, 0, width)), counts)
    dense[:, 0] += below
    cumulative = np.cumsum(dense, axis=1)
    cumulative[:, -1] = total
    edges = np.arange(lowest, lowest + width + 1, dtype=np.float64) * 2.0**-grid
    bounds = [format_openmetrics(float(bound)) for bound in np.exp2(edges)]
    return [*bounds, INFINITE], cumulative
