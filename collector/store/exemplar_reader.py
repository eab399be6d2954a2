"""Questions to the store about exemplars and summaries: what stands beside the points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from collector.store.engine import Store
from collector.store.reader import Window

TABLES: Final = ("number_points", "histogram_points", "exponential_points")


def exemplars(store: Store, ids: Sequence[int], window: Window, *, limit: int) -> pa.Table:
    """The newest exemplars of the series: series_id, time, value, ids as hex, raw attributes.

    By the exemplar's own time, or the point's where it has none. Senders repeat an exemplar with
    every point until a newer one takes its place; each comes once.
    """
    parts = " UNION ALL ".join(
        f"""
        SELECT series_id, arrayJoin(exemplars) AS e,
               toInt64(if(e.time_unix_nano > 0, e.time_unix_nano, time_unix_nano)) AS time
        FROM {table}
        WHERE series_id IN {{ids:Array(UInt64)}} AND notEmpty(exemplars)
          AND time_unix_nano >= {{from:Int64}} AND time_unix_nano < {{to:Int64}}
        """  # noqa: S608 - names come from TABLES, values are bound
        for table in TABLES
    )
    return store.query(
        f"""
        SELECT DISTINCT series_id, time AS time_unix_nano,
               coalesce(e.as_double, toFloat64(e.as_int), 0) AS value,
               lower(hex(e.trace_id)) AS trace_id_hex, lower(hex(e.span_id)) AS span_id_hex,
               e.filtered_attributes.key AS keys, e.filtered_attributes.value AS encoded_values
        FROM ({parts})
        ORDER BY time_unix_nano DESC, series_id LIMIT {{limit:UInt32}}
        """,  # noqa: S608 - see above
        {**window.parameters(), "ids": ids, "limit": limit},
    )


def summary_points(store: Store, ids: Sequence[int], window: Window, *, limit: int) -> pa.Table:
    """series_id, time_unix_nano, count, sum, quantiles, quantile_values of summary series."""
    return store.query(
        """
        SELECT series_id, time_unix_nano, count, sum, bounds AS quantiles, quantile_values
        FROM histogram_points
        WHERE series_id IN {ids:Array(UInt64)} AND bitAnd(flags, 1) = 0
          AND time_unix_nano >= {from:Int64} AND time_unix_nano < {to:Int64}
        ORDER BY series_id, time_unix_nano LIMIT {limit:UInt32}
        """,
        {**window.parameters(), "ids": ids, "limit": limit},
    )
