"""Answers as Arrow streams, for programs: one row a number, everything else in the metadata.

Asked for by ``Accept: application/vnd.apache.arrow.stream``. Columns keep their types: times are
UTC nanoseconds, no data is null. ``schema.metadata[b"davylamp"]`` is JSON: the window, the step,
``truncated``, ``query_time_s`` and what else the JSON answer says once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson
import pyarrow as pa

MEDIA_TYPE: Final = "application/vnd.apache.arrow.stream"
METADATA_KEY: Final = b"davylamp"
ToTable = Callable[[Mapping[str, Any]], pa.Table]
_TIME: Final = pa.timestamp("ns", tz="UTC")
_RED: Final = (
    ("request_count", pa.int64()),
    ("error_count", pa.int64()),
    ("p50_s", pa.float64()),
    ("p95_s", pa.float64()),
    ("p99_s", pa.float64()),
)


def is_asked_for(accept: str) -> bool:
    """Whether a client lists the type among those it takes."""
    kinds = (part.partition(";")[0].strip().lower() for part in accept.split(","))
    return MEDIA_TYPE in kinds


def stream(table: pa.Table, body: Mapping[str, Any]) -> bytes:
    """The table with the scalars of ``body`` as its metadata."""
    told = {name: value for name, value in body.items() if not isinstance(value, list | dict)}
    table = table.replace_schema_metadata({METADATA_KEY: orjson.dumps(told)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def series_table(body: Mapping[str, Any]) -> pa.Table:
    """``time``, ``value``, and a column for each attribute that was grouped by."""
    groups = body["groups"]
    rows = [(group["attributes"], point) for group in groups for point in group["points"]]
    return pa.table(
        {
            "time": _times([point[0] for _, point in rows]),
            "value": pa.array([point[1] for _, point in rows], pa.float64()),
            **_attributes([attributes for attributes, _ in rows]),
        }
    )


def red_table(body: Mapping[str, Any]) -> pa.Table:
    """``time``, requests, errors and quantiles, and the attribute that was grouped by."""
    groups = body["groups"]
    rows = [(group["attributes"], point) for group in groups for point in group["points"]]
    return pa.table(
        {
            "time": _times([point["t_unix_s"] for _, point in rows]),
            **{name: pa.array([point[name] for _, point in rows], kind) for name, kind in _RED},
            **_attributes([attributes for attributes, _ in rows]),
        }
    )


def heatmap_table(body: Mapping[str, Any]) -> pa.Table:
    """``time``, ``upper_bound_s`` and ``count`` of every bucket that is not empty."""
    times, bounds = body["times_unix_s"], body["bounds_s"]
    cells = [
        (time, bounds[place], count)
        for time, counts in zip(times, body["counts"], strict=True)
        for place, count in enumerate(counts)
        if count
    ]
    return pa.table(
        {
            "time": _times([cell[0] for cell in cells]),
            "upper_bound_s": pa.array([cell[1] for cell in cells], pa.float64()),
            "count": pa.array([cell[2] for cell in cells], pa.int64()),
        }
    )


def _times(unix_s: Sequence[float]) -> pa.Array:
    """Steps are milliseconds at the finest, which a double of seconds keeps."""
    return pa.array([round(one * 1_000) * 1_000_000 for one in unix_s], pa.int64()).cast(_TIME)


def _attributes(rows: Sequence[Mapping[str, str]]) -> dict[str, pa.Array]:
    names = sorted({name for row in rows for name in row})
    kind = pa.dictionary(pa.int32(), pa.string())
    return {
        f"attributes.{name}": pa.array([row.get(name) for row in rows], pa.string()).cast(kind)
        for name in names
    }
