"""The service table: columns, and one row per service with numbers as text beside their values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dashboards.answers.collector import Service
from dashboards.health import live_instances, service_status, status_word, worst_first
from dashboards.routes import service_href
from dashboards.theme import SHAPES
from dashboards.wording import UNKNOWN, ago, duration, percent, rate

#: Versions named in the table before it says how many more there are.
MAX_VERSIONS: Final = 3


def _number(field: str, title: str, width: int) -> dict[str, Any]:
    """A column shown as text and sorted by the number behind it."""
    return {
        "field": field,
        "headerName": title,
        "valueFormatter": {"function": f"params.data.{field}_text"},
        "type": "rightAligned",
        "minWidth": width,
    }


COLUMNS: Final[list[dict[str, Any]]] = [
    {
        "field": "name",
        "headerName": "Service",
        "cellRenderer": "PageLink",
        "minWidth": 150,
        "flex": 2,
    },
    {"field": "status", "headerName": "State", "cellRenderer": "StatusWord", "minWidth": 96},
    _number("rate", "Requests", 92),
    _number("errors", "Errors", 84),
    _number("p50", "p50", 92),
    _number("p95", "p95", 92),
    _number("p99", "p99", 92),
    {"field": "versions", "headerName": "Versions", "minWidth": 120, "flex": 2},
    {"field": "instances", "headerName": "Inst.", "type": "rightAligned", "minWidth": 64},
    {"field": "seen", "headerName": "Last seen", "minWidth": 96},
]


def service_rows(services: Sequence[Service], now_unix_nano: int) -> list[dict[str, Any]]:
    """Worst first; a share that is not known is a dash, never 0."""
    return [_row(s, now_unix_nano) for s in worst_first(tuple(services), now_unix_nano)]


def _row(service: Service, now_unix_nano: int) -> dict[str, Any]:
    status = service_status(service, now_unix_nano)
    live = live_instances(service, now_unix_nano)
    return {
        "name": service.name,
        "href": service_href(service.name),
        "status": status_word(service, now_unix_nano),
        "status_name": str(status),
        "shape": SHAPES[status],
        "rate": service.request_rate_per_s,
        "rate_text": rate(service.request_rate_per_s),
        "errors": service.error_ratio,
        "errors_text": percent(service.error_ratio, digits=2),
        "p50": service.p50_s,
        "p50_text": duration(service.p50_s),
        "p95": service.p95_s,
        "p95_text": duration(service.p95_s),
        "p99": service.p99_s,
        "p99_text": duration(service.p99_s),
        "versions": _versions([i.version for i in live] or service.versions),
        "instances": len(live),
        "seen": ago(service.last_seen_unix_nano, now_unix_nano),
    }


def _versions(versions: Sequence[str]) -> str:
    named = sorted({v for v in versions if v})
    if not named:
        return UNKNOWN
    more = len(named) - MAX_VERSIONS
    return ", ".join(named[-MAX_VERSIONS:]) + (f" +{more}" if more > 0 else "")
