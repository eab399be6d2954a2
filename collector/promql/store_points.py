"""Data points of the store as rows of arrays, sorted by series and time.

A delta stream says what was added since the last point; PromQL wants running totals. Everything
added before the window is fetched as one sum per series, so that a total does not depend on where
the window begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from collector.promql.errors import TooManySamples
from collector.promql.series import Bools, Floats, Ints
from collector.store.bind import Parameter
from collector.store.engine import Store
from collector.store.points import FLAG_NO_RECORDED_VALUE, floats, integers, ragged

__all__ = ["Question", "Rows", "exponential_rows", "histogram_rows", "number_rows", "window"]

_MS: Final = 1_000_000
#: The last millisecond whose nanoseconds are a 64-bit number.
_LAST_MS: Final = (2**63 - 1) // _MS - 1


@dataclass(frozen=True, slots=True)
class Question:
    """Points of these series in [start, end] (ms); more than ``max_rows`` are refused."""

    store: Store
    ids: Sequence[int]
    start_ms: int
    end_ms: int
    max_rows: int

    def parameters(self) -> dict[str, Parameter]:
        """What the SQL is bound to."""
        return {
            **window(self.start_ms, self.end_ms),
            "ids": self.ids,
            "limit": min(self.max_rows, 2**31) + 1,
        }


@dataclass(frozen=True, slots=True)
class Rows:
    """One row per data point; ``is_base``: the sum of all that was added before the window.

    ``values`` has a column per number a kind carries. ``flat`` and ``flat_starts`` are ragged lists
    of bucket counts, ``edges`` and ``edge_starts`` of explicit bounds.
    """

    series: Ints
    times_ms: Ints
    is_stale: Bools
    is_base: Bools
    values: dict[str, Floats]
    flat: Floats
    flat_starts: Ints
    edges: Floats
    edge_starts: Ints

    def __len__(self) -> int:
        return len(self.series)


def window(start_ms: int, end_ms: int) -> dict[str, Parameter]:
    """[start, end] in milliseconds as [from, to) in nanoseconds."""
    start_ms, end_ms = (min(max(time, -_LAST_MS), _LAST_MS) for time in (start_ms, end_ms))
    return {"from": start_ms * _MS, "to": (end_ms + 1) * _MS}


def number_rows(question: Question, *, is_delta: bool) -> Rows:
    """Points of gauges and sums: ``values["value"]``."""
    base = (
        """
        UNION ALL
        SELECT series_id, {from:Int64} - 1, toUInt32(0), 1, sum(value) FROM number_points
        WHERE series_id IN {ids:Array(UInt64)} AND time_unix_nano < {from:Int64}
          AND bitAnd(flags, 1) = 0
        GROUP BY series_id
        """
        if is_delta
        else ""
    )
    table = _asked(
        question,
        f"""
        SELECT series_id, time_unix_nano AS time, flags, 0 AS is_base, value
        FROM number_points
        WHERE series_id IN {{ids:Array(UInt64)}}
          AND time_unix_nano >= {{from:Int64}} AND time_unix_nano < {{to:Int64}}
        {base}
        LIMIT {{limit:UInt32}}
        """,  # noqa: S608 - constant text, values are bound
    )
    return _rows(table, ("value",))


def histogram_rows(question: Question, *, is_delta: bool) -> Rows:
    """Points of explicit histograms: ``count``, ``sum``, bucket counts and bounds."""
    base = (
        """
        UNION ALL
        SELECT series_id, {from:Int64} - 1, toUInt32(0), 1, toFloat64(sum(count)), sum(sum),
               sumForEach(counts), bounds
        FROM histogram_points
        WHERE series_id IN {ids:Array(UInt64)} AND time_unix_nano < {from:Int64}
          AND bitAnd(flags, 1) = 0
        GROUP BY series_id, bounds
        """
        if is_delta
        else ""
    )
    table = _asked(
        question,
        f"""
        SELECT series_id, time_unix_nano AS time, flags, 0 AS is_base,
               toFloat64(count) AS count, sum, counts AS buckets, bounds AS edges
        FROM histogram_points
        WHERE series_id IN {{ids:Array(UInt64)}}
          AND time_unix_nano >= {{from:Int64}} AND time_unix_nano < {{to:Int64}}
        {base}
        LIMIT {{limit:UInt32}}
        """,  # noqa: S608 - constant text, values are bound
    )
    return _rows(table, ("count", "sum"), buckets="buckets", edges="edges")


def exponential_rows(question: Question, *, is_delta: bool) -> Rows:
    """Points of exponential histograms: ``count``, ``sum``, ``scale``, positive bucket counts.

    ``offset`` is the index of the first of these, ``below`` counts all observations under them,
    ``threshold`` is the width of the zero bucket.
    """
    base = (
        """
        UNION ALL
        SELECT series_id, {from:Int64} - 1, toUInt32(0), 1, all_count, all_sum, scale,
               toInt32(lowest), all_below, widest,
               arrayMap(i -> if(has(indices, i), totals[indexOf(indices, i)], 0),
                        range(lowest, if(empty(indices), lowest, arrayMax(indices) + 1)))
        FROM
        (
            SELECT series_id, scale, toFloat64(sum(count)) AS all_count, sum(sum) AS all_sum,
                   toFloat64(sum(zero_count) + sum(arraySum(negative_counts))) AS all_below,
                   max(zero_threshold) AS widest,
                   sumMap(arrayMap(i -> positive_offset + toInt64(i) - 1,
                                   arrayEnumerate(positive_counts)), positive_counts) AS summed,
                   summed.1 AS indices, summed.2 AS totals,
                   if(empty(indices), 0, arrayMin(indices)) AS lowest
            FROM exponential_points
            WHERE series_id IN {ids:Array(UInt64)} AND time_unix_nano < {from:Int64}
              AND bitAnd(flags, 1) = 0
            GROUP BY series_id, scale
        )
        """
        if is_delta
        else ""
    )
    table = _asked(
        question,
        f"""
        SELECT series_id, time_unix_nano AS time, flags, 0 AS is_base,
               toFloat64(count) AS count, sum, scale, positive_offset AS offset,
               toFloat64(zero_count + arraySum(negative_counts)) AS below,
               zero_threshold AS threshold, positive_counts AS buckets
        FROM exponential_points
        WHERE series_id IN {{ids:Array(UInt64)}}
          AND time_unix_nano >= {{from:Int64}} AND time_unix_nano < {{to:Int64}}
        {base}
        LIMIT {{limit:UInt32}}
        """,  # noqa: S608 - constant text, values are bound
    )
    columns = ("count", "sum", "scale", "offset", "below", "threshold")
    return _rows(table, columns, buckets="buckets")


def _asked(question: Question, sql: str) -> pa.Table:
    table = question.store.query(sql, question.parameters())
    if table.num_rows > question.max_rows:
        raise TooManySamples(
            "query processing would load too many samples into memory in query execution"
        )
    return table


def _rows(
    table: pa.Table, columns: Sequence[str], *, buckets: str | None = None, edges: str | None = None
) -> Rows:
    """Sorted by series, base before points, then time."""
    series, time = integers(table["series_id"]), integers(table["time"])
    is_base = integers(table["is_base"]) == 1
    order = np.lexsort((time, ~is_base, series))
    nothing = np.zeros(0), np.zeros(len(order) + 1, dtype=np.int64)
    flat, flat_starts = _reordered(*ragged(table[buckets]), order) if buckets else nothing
    bounds, bound_starts = _reordered(*ragged(table[edges]), order) if edges else nothing
    return Rows(
        series=series[order],
        times_ms=time[order] // _MS,
        is_stale=(integers(table["flags"])[order] & FLAG_NO_RECORDED_VALUE) != 0,
        is_base=is_base[order],
        values={name: floats(table[name])[order] for name in columns},
        flat=flat,
        flat_starts=flat_starts,
        edges=bounds,
        edge_starts=bound_starts,
    )


def _reordered(flat: Floats, starts: Ints, order: Ints) -> tuple[Floats, Ints]:
    lengths = np.diff(starts)[order]
    new_starts = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    offsets = np.arange(int(new_starts[-1])) - np.repeat(new_starts[:-1], lengths)
    return flat[np.repeat(starts[:-1][order], lengths) + offsets], new_starts
