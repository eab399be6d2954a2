"""Traces as rows: when, what failed or was slow, how long, and the link to the waterfall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dashboards.answers.collector import TraceSummary
from dashboards.routes import trace_href
from dashboards.theme import SHAPES, Status
from dashboards.wording import clock_time, duration

TRACE_COLUMNS: Final[list[dict[str, Any]]] = [
    {
        "field": "name",
        "headerName": "Trace",
        "cellRenderer": "PageLink",
        "minWidth": 180,
        "flex": 2,
    },
    {"field": "status", "headerName": "Why", "cellRenderer": "StatusWord", "minWidth": 86},
    {
        "field": "duration",
        "headerName": "Duration",
        "valueFormatter": {"function": "params.data.duration_text"},
        "type": "rightAligned",
        "minWidth": 90,
    },
    {"field": "spans", "headerName": "Spans", "type": "rightAligned", "minWidth": 70},
    {"field": "time", "headerName": "Time (UTC)", "minWidth": 92},
]


def trace_rows(
    failed: Sequence[TraceSummary], slow: Sequence[TraceSummary]
) -> list[dict[str, Any]]:
    """Failed ones first, each trace once, the newest first."""
    rows: dict[str, dict[str, Any]] = {}
    for trace in failed:
        rows[trace.trace_id] = _row(trace, "failed", Status.BAD)
    for trace in slow:
        rows.setdefault(trace.trace_id, _row(trace, "slow", Status.WARN))
    return list(rows.values())


def _row(trace: TraceSummary, word: str, status: Status) -> dict[str, Any]:
    return {
        "trace_id": trace.trace_id,
        "name": f"{trace.root_service} {trace.root_name}".strip() or trace.trace_id,
        "href": trace_href(trace.trace_id),
        "status": word,
        "status_name": str(status),
        "shape": SHAPES[status],
        "duration": trace.duration_s,
        "duration_text": duration(trace.duration_s),
        "spans": trace.span_count,
        "time": clock_time(trace.start_unix_nano),
    }
