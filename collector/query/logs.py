"""Answers of /logs and /traces/{id}/logs."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI, Request, Response

from collector.query import params
from collector.query.questions import (
    FromText,
    MatchTexts,
    Questions,
    Text,
    ToText,
    bounds,
)
from collector.query.traces import read_pairs, trace_id_of
from collector.store import log_reader
from collector.store.engine import Store
from collector.store.log_reader import LogFilter
from collector.store.points import text
from collector.store.reader import Window

#: Records one answer may hold.
MAX_LOGS: Final = 1_000
#: OpenTelemetry's short names -> the lowest of each one's four numbers.
SEVERITIES: Final = {"trace": 1, "debug": 5, "info": 9, "warn": 13, "error": 17, "fatal": 21}
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16


def find_logs(store: Store, window: Window, wanted: LogFilter, *, limit: int) -> dict[str, Any]:
    """Records that meet the filter, the newest first."""
    rows = log_reader.logs(store, window, wanted, limit=limit + 1).to_pylist()
    return {"logs": [_record(row) for row in rows[:limit]], "truncated": len(rows) > limit}


def logs_of_trace(store: Store, trace_id: str) -> dict[str, Any]:
    """Records of one trace by time; none is an answer, a trace need not have any."""
    wanted = trace_id_of(trace_id)
    rows = log_reader.logs_of_trace(store, wanted, limit=MAX_LOGS + 1).to_pylist()
    return {
        "trace_id": wanted,
        "logs": [_record(row) for row in rows[:MAX_LOGS]],
        "truncated": len(rows) > MAX_LOGS,
    }


def _record(row: dict[str, Any]) -> dict[str, Any]:
    trace_id, span_id = text(row["trace_id_hex"]), text(row["span_id_hex"])
    return {
        "time_unix_nano": row["time_unix_nano"],
        "trace_id": "" if trace_id == _NO_TRACE else trace_id,
        "span_id": "" if span_id == _NO_SPAN else span_id,
        "service_name": text(row["service_name"]),
        "scope_name": text(row["scope_name"]),
        "severity_number": row["severity_number"],
        "severity_text": text(row["severity_text"]),
        "event_name": text(row["event_name"]),
        "body": text(row["body"]),
        "attributes": read_pairs(row["attributes"]),
        "resource": read_pairs(row["resource_pairs"]),
    }


def _severity(name: str | None) -> int:
    if not name:
        return 0
    if name.isdigit():
        return params.integer("severity", name, low=1, high=24)
    return SEVERITIES[params.one_of("severity", name.lower(), SEVERITIES)]


def add_log_routes(app: FastAPI, questions: Questions, store: Store) -> None:
    """GET /api/v1/logs and /api/v1/traces/{trace_id}/logs."""

    @app.get("/api/v1/logs")
    async def find(
        request: Request,
        *,
        service: Text = None,
        severity: Text = None,
        text: Text = None,
        match: MatchTexts = [],  # noqa: B006 - FastAPI copies it
        from_text: FromText = None,
        to_text: ToText = None,
        limit: Text = None,
    ) -> Response:
        """The newest log records of at least this severity whose body holds the text."""

        def answer() -> dict[str, Any]:
            span = questions.window(from_text, to_text)
            wanted = LogFilter(
                service=service,
                min_severity=_severity(severity),
                text=params.required("text", text) if text else None,
                matches=params.matches(match),
            )
            count = params.integer("limit", limit or "100", low=1, high=MAX_LOGS)
            return {**find_logs(store, span, wanted, limit=count), **bounds(span)}

        return await questions.run(request, answer)

    @app.get("/api/v1/traces/{trace_id}/logs")
    async def of_trace(request: Request, trace_id: str) -> Response:
        """The log records of one trace, the oldest first."""
        return await questions.run(request, lambda: logs_of_trace(store, trace_id))
