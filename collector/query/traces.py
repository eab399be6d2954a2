"""Answers of /traces: the newest traces that meet a filter, and one trace in full."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from collector.query.errors import BadParameter, NotFound
from collector.store import reader
from collector.store.engine import Store
from collector.store.points import text
from collector.store.reader import TraceFilter, Window
from collector.wire.values import stored_text

#: Spans of one trace an answer may hold.
MAX_SPANS: Final = 10_000
_TRACE_ID = re.compile(r"^[0-9a-f]{32}$")
_NO_SPAN: Final = "0" * 16


def find_traces(
    store: Store, window: Window, wanted: TraceFilter, *, limit: int
) -> list[dict[str, Any]]:
    """Summaries, the newest first."""
    table = reader.trace_ids(store, window, wanted, limit=limit)
    ids = [raw.hex() for raw in table["trace_id"].to_pylist()]
    extent = reader.trace_extent(store, ids) if ids else None
    if extent is None:
        return []
    found = {}
    for row in reader.trace_summaries(store, ids, extent).to_pylist():
        trace_id = text(row["trace_id_hex"])
        found[trace_id] = {
            "trace_id": trace_id,
            "root_service": text(row["root_service"]),
            "root_name": text(row["root_name"]),
            "start_unix_nano": row["start"],
            "duration_s": row["duration"] / 1e9,
            "span_count": row["spans"],
            "error_count": row["errors"],
            "services": [text(name) for name in row["services"]],
        }
    return [found[trace_id] for trace_id in ids if trace_id in found]


def trace_id_of(given: str) -> str:
    """A trace id in lower case. Raises BadParameter."""
    wanted = given.lower()
    if not _TRACE_ID.match(wanted):
        raise BadParameter(f"{given[:100]!r} is not a trace id", accepted="32 hexadecimal digits")
    return wanted


def one_trace(store: Store, trace_id: str) -> dict[str, Any]:
    """Every span of a trace, by start time. Raises NotFound, BadParameter."""
    wanted = trace_id_of(trace_id)
    extent = reader.trace_extent(store, [wanted])
    if extent is None:
        raise NotFound(f"no trace {wanted}", accepted="a trace id from /api/v1/traces")
    rows = reader.trace_spans(store, wanted, extent, limit=MAX_SPANS + 1).to_pylist()
    return {
        "trace_id": wanted,
        "spans": [span_json(row) for row in rows[:MAX_SPANS]],
        "truncated": len(rows) > MAX_SPANS,
        "from_unix_nano": extent.from_unix_nano,
        "to_unix_nano": extent.to_unix_nano,
    }


def span_json(row: dict[str, Any], read: Callable[[bytes], Any] = stored_text) -> dict[str, Any]:
    """One row of the store's spans; ``read`` makes what is shown of an encoded value."""
    attributes = read_pairs(row["attributes"], read)
    for name, column in reader.SPAN_COLUMNS.items():
        if row[column]:
            attributes[name] = text(row[column])
    parent = text(row["parent_hex"])
    return {
        "span_id": text(row["span_id_hex"]),
        "parent_span_id": "" if parent == _NO_SPAN else parent,
        "service_name": text(row["service_name"]),
        "scope_name": text(row["scope_name"]),
        "name": text(row["name"]),
        "kind": row["kind"],
        "start_unix_nano": row["start_unix_nano"],
        "duration_ns": row["duration_ns"],
        "status_code": row["status_code"],
        "status_message": text(row["status_message"]),
        "attributes": attributes,
        "resource": read_pairs(row["resource_pairs"], read),
        "events": [
            {
                "time_unix_nano": event["time_unix_nano"],
                "name": text(event["name"]),
                "attributes": {
                    text(pair["key"]): read(pair["value"]) for pair in event["attributes"]
                },
            }
            for event in row["events"]
        ],
    }


def read_pairs(
    pairs: Iterable[tuple[bytes, bytes]], read: Callable[[bytes], Any] = stored_text
) -> dict[str, Any]:
    """An engine map of encoded values as a dictionary."""
    return {text(key): read(value) for key, value in pairs}
