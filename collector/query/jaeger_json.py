"""Our spans in the JSON of Jaeger's query API.

Shapes: ``internal/uimodel/model.go`` of jaegertracing/jaeger; which tags stand for an OTLP span's
kind, status and scope: its OTLP translation. Times and durations are microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from collector.store.reader import KIND_CODES

_KIND_NAMES: Final = {code: name for name, code in KIND_CODES.items()}
_ERROR: Final = 2
_STATUS_NAMES: Final = {1: "OK", _ERROR: "ERROR"}
#: The store has these as text, the semantic conventions as integers.
_INTEGERS: Final = frozenset(("http.response.status_code",))
#: Beyond it JavaScript's numbers have gaps, so the page gets text.
_MAX_SAFE_INTEGER: Final = 2**53 - 1


def answer(data: Any, *, total: int = 0) -> dict[str, Any]:
    """The envelope of every success."""
    return {"data": data, "total": total, "limit": 0, "offset": 0, "errors": None}


def failure(status: int, message: str) -> dict[str, Any]:
    """The envelope of every failure."""
    errors = [{"code": status, "msg": message}]
    return {"data": None, "total": 0, "limit": 0, "offset": 0, "errors": errors}


def trace(trace_id: str, spans: Iterable[Mapping[str, Any]], *, truncated: bool) -> dict[str, Any]:
    """One trace from spans as /api/v1/traces/{id} has them, with ``scope_name``."""
    processes: dict[tuple[Any, ...], str] = {}
    described: dict[str, Any] = {}
    written = []
    for span in spans:
        identity = (
            span["service_name"],
            *sorted((key, str(value)) for key, value in span["resource"].items()),
        )
        process_id = processes.setdefault(identity, f"p{len(processes) + 1}")
        if process_id not in described:
            described[process_id] = _process(span)
        written.append(_span(trace_id, span, process_id))
    warnings = ["the trace has more spans than one answer may hold"] if truncated else None
    return {"traceID": trace_id, "spans": written, "processes": described, "warnings": warnings}


def _process(span: Mapping[str, Any]) -> dict[str, Any]:
    resource = {key: value for key, value in span["resource"].items() if key != "service.name"}
    return {"serviceName": span["service_name"], "tags": _tags(resource)}


def _span(trace_id: str, span: Mapping[str, Any], process_id: str) -> dict[str, Any]:
    parent = span["parent_span_id"]
    references = [{"refType": "CHILD_OF", "traceID": trace_id, "spanID": parent}] if parent else []
    return {
        "traceID": trace_id,
        "spanID": span["span_id"],
        "operationName": span["name"],
        "references": references,
        "startTime": span["start_unix_nano"] // 1_000,
        "duration": span["duration_ns"] // 1_000,
        "tags": _tags(span["attributes"]) + _field_tags(span),
        "logs": [_log(event) for event in span["events"]],
        "processID": process_id,
        "warnings": None,
    }


def _field_tags(span: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What Jaeger shows as tags and OTLP has as fields."""
    status = span["status_code"]
    found = [
        ("span.kind", "string", _KIND_NAMES.get(span["kind"])),
        ("otel.status_code", "string", _STATUS_NAMES.get(status)),
        ("otel.status_description", "string", span["status_message"] or None),
        ("error", "bool", True if status == _ERROR else None),
        ("otel.scope.name", "string", span["scope_name"] or None),
    ]
    return [
        {"key": key, "type": kind, "value": value}
        for key, kind, value in found
        if value is not None
    ]


def _log(event: Mapping[str, Any]) -> dict[str, Any]:
    named = [{"key": "event", "type": "string", "value": event["name"]}] if event["name"] else []
    return {
        "timestamp": event["time_unix_nano"] // 1_000,
        "fields": named + _tags(event["attributes"]),
    }


def _tags(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [_tag(key, value) for key, value in sorted(attributes.items())]


def _tag(key: str, value: Any) -> dict[str, Any]:
    if key in _INTEGERS and isinstance(value, str) and value.isdecimal() and len(value) < 16:
        value = int(value)
    if isinstance(value, bool):
        return {"key": key, "type": "bool", "value": value}
    if isinstance(value, int):
        shown = value if abs(value) <= _MAX_SAFE_INTEGER else str(value)
        return {"key": key, "type": "int64", "value": shown}
    if isinstance(value, float):
        return {"key": key, "type": "float64", "value": value}
    if not isinstance(value, str):
        value = "" if value is None else orjson.dumps(value).decode()
    return {"key": key, "type": "string", "value": value}
