"""Service: what is normal, what changed, which version."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from dash import html
from dash.development.base_component import Component

from dashboards.answers.analysis import Canary, Event
from dashboards.answers.collector import Heatmap, Operation, Red, Service, Topology, TraceSummary
from dashboards.answers.reading import Answer, Unavailable, mapped, value_or
from dashboards.components.choices import range_choice, split_choice
from dashboards.components.events import chart_markers
from dashboards.components.instances import dependencies, instance_table
from dashboards.components.panel import block_part, chart_part, grid_part
from dashboards.components.service_summary import summary_block
from dashboards.components.shell import page_frame
from dashboards.components.trace_rows import TRACE_COLUMNS, trace_rows
from dashboards.config import DashboardsConfig
from dashboards.data import Data
from dashboards.figures.base import Marker, Message
from dashboards.figures.durations import durations_chart
from dashboards.figures.errors import errors_chart
from dashboards.figures.heatmap import heatmap_chart
from dashboards.figures.requests import requests_chart
from dashboards.health import with_recent_rates
from dashboards.live import Block, Content, PartKind, Rows
from dashboards.pages.common import Page, View, step_s
from dashboards.pages.fleet import RECENT_S
from dashboards.routes import PageQuery, Route
from dashboards.wording import duration, percent, plural

#: Traces asked for of each sort, and shown.
TRACES: Final = 15
#: Traces come from at most this long ago: the newest are wanted, and a scan has its price.
TRACES_S: Final = 300.0
#: A trace slower than this is listed as slow even when the service's p99 is lower.
LEAST_SLOW_S: Final = 0.05

#: Rows of the two tables before they scroll.
_ROWS: Final = 8

_OPERATIONS: Final[list[dict[str, Any]]] = [
    {"field": "name", "headerName": "Operation", "minWidth": 160, "flex": 2},
    *(
        {
            "field": field,
            "headerName": title,
            "valueFormatter": {"function": f"params.data.{field}_text"},
            "type": "rightAligned",
            "minWidth": 76,
        }
        for field, title in (
            ("rate", "Requests"),
            ("errors", "Errors"),
            ("p50", "p50"),
            ("p99", "p99"),
            ("impact", "Impact"),
        )
    ),
]

PARTS: Final[Mapping[str, PartKind]] = {
    "service-controls": PartKind.BLOCK,
    "service-summary": PartKind.BLOCK,
    "service-requests": PartKind.CHART,
    "service-errors": PartKind.CHART,
    "service-durations": PartKind.CHART,
    "service-heatmap": PartKind.CHART,
    "service-operations": PartKind.ROWS,
    "service-traces": PartKind.ROWS,
    "service-instances": PartKind.BLOCK,
    "service-dependencies": PartKind.BLOCK,
}


def layout(route: Route, _: PageQuery, config: DashboardsConfig) -> Component:
    return page_frame(
        "service",
        route.name,
        [
            block_part("service-summary", height_px=58),
            html.Div(
                [
                    chart_part("service-requests", "Requests per second", height_px=210),
                    chart_part("service-errors", "Share of requests that failed", height_px=210),
                    chart_part("service-durations", "Response time", height_px=230),
                    chart_part(
                        "service-heatmap",
                        "Where response times lie",
                        height_px=230,
                        hint="",
                    ),
                ],
                className="two",
            ),
            html.Div(
                [
                    grid_part(
                        "service-operations",
                        "Operations by impact",
                        _OPERATIONS,
                        row_id="name",
                        hint="Impact is mean share of time: requests × median duration.",
                    ),
                    grid_part(
                        "service-traces",
                        "Failed and slow traces",
                        TRACE_COLUMNS,
                        row_id="trace_id",
                        hint=f"Of the last {duration(TRACES_S)}, failed ones first.",
                    ),
                    block_part("service-instances", "Instances", height_px=120),
                    block_part("service-dependencies", "Calls in and out", height_px=120),
                ],
                className="two",
            ),
        ],
        refresh_s=config.refresh_s,
        has_controls=True,
    )


async def update(data: Data, config: DashboardsConfig, view: View) -> Mapping[str, Content]:
    """Everything but the slow traces at once; what is slow depends on the p99."""
    name, window_s = view.route.name, view.query.window_s
    step = step_s(window_s)
    group_by = None if view.query.split == "none" else view.query.split
    services, recent, red, heat, operations, failed, topology, events, canaries = (
        await asyncio.gather(
            data.services(window_s),
            data.services(RECENT_S),
            data.red(name, window_s, step_s=step, group_by=group_by),
            data.heatmap(name, window_s, step_s=step),
            data.operations(name, RECENT_S),
            data.traces(name, TRACES_S, limit=TRACES, error=True, min_duration_s=0.0),
            data.topology(RECENT_S),
            data.events(window_s),
            data.canaries(limit=20),
        )
    )
    service = mapped(services, lambda all_: _find(with_recent_rates(all_, value_or(recent, ())), name))
    known = value_or(service, None)
    slow_s = max(LEAST_SLOW_S, (known.p99_s or 0.0) if known else 0.0)
    slow = await data.traces(
        name, TRACES_S, limit=TRACES, error=False, min_duration_s=_two_figures(slow_s)
    )
    markers = chart_markers(value_or(events, ()), name)
    cohorts = _cohorts(value_or(canaries, ()), name)
    return {
        "service-controls": Block([split_choice(view.query, view.search), range_choice(view.query, view.search)]),
        "service-summary": _summary(service, value_or(canaries, ()), view),
        **_charts(red, heat, cohorts, markers, config.settle_s, view),
        "service-operations": _operations(operations),
        "service-traces": _traces(failed, slow, slow_s),
        **_neighbours(service, topology, view),
    }


def _two_figures(value: float) -> float:
    """Rounded, so that a trembling p99 does not make every question a new one."""
    return float(f"{value:.2g}")


def _find(services: Sequence[Service], name: str) -> Service | None:
    return next((s for s in services if s.name == name), None)


def _cohorts(canaries: Sequence[Canary], service: str) -> dict[str, str]:
    """Version -> arm, of the newest canary of the service."""
    mine = [c for c in canaries if c.service == service]
    newest = max(mine, key=lambda c: c.declared_unix_nano, default=None)
    if newest is None:
        return {}
    return {newest.baseline.version: "baseline", newest.canary.version: "canary"}


def _summary(
    service: Answer[Service | None], canaries: Sequence[Canary], view: View
) -> Content:
    if isinstance(service, Unavailable):
        return service
    if service.value is None:
        return Message(
            f"No service called {view.route.name} was heard in this window.",
            "Check the name, choose a longer range, or wait for its first span.",
        )
    running = [c for c in canaries if c.service == view.route.name and c.is_running]
    newest = max(running, key=lambda c: c.declared_unix_nano, default=None)
    return Block(summary_block(service.value, newest, view.now_unix_nano))


def _charts(
    red: Answer[Red],
    heat: Answer[Heatmap],
    cohorts: Mapping[str, str],
    markers: Sequence[Marker],
    settle_s: float,
    view: View,
) -> Mapping[str, Content]:
    charts = {
        "service-requests": requests_chart,
        "service-errors": errors_chart,
        "service-durations": durations_chart,
    }
    result: dict[str, Content] = {}
    for part, chart in charts.items():
        result[part] = (
            red
            if isinstance(red, Unavailable)
            else chart(red.value, cohorts, view.span, markers, view.palette, settle_s=settle_s)
        )
    result["service-heatmap"] = (
        heat
        if isinstance(heat, Unavailable)
        else heatmap_chart(heat.value, view.span, markers, view.palette, settle_s=settle_s)
    )
    return result


def _operations(operations: Answer[tuple[Operation, ...]]) -> Content:
    if isinstance(operations, Unavailable):
        return operations
    if not operations.value:
        return Message("No operation was asked for in the last minute.")
    rows = [_operation_row(o) for o in operations.value]
    rows.sort(key=lambda row: -row["impact"])
    total = sum(row["impact"] for row in rows) or 1.0
    for row in rows:
        row["impact_text"] = percent(row["impact"] / total, digits=0)
    return Rows(rows, f"{plural(len(rows), 'operation')} in the last minute.", _ROWS)


def _operation_row(operation: Operation) -> dict[str, Any]:
    errors = operation.error_count / operation.count if operation.count else None
    return {
        "name": operation.name,
        "rate": operation.count / RECENT_S,
        "rate_text": f"{operation.count / RECENT_S:.1f}/s",
        "errors": errors,
        "errors_text": percent(errors, digits=2),
        "p50": operation.p50_s,
        "p50_text": duration(operation.p50_s),
        "p99": operation.p99_s,
        "p99_text": duration(operation.p99_s),
        "impact": operation.count * (operation.p50_s or 0.0),
    }


def _traces(
    failed: Answer[tuple[TraceSummary, ...]],
    slow: Answer[tuple[TraceSummary, ...]],
    slow_s: float,
) -> Content:
    if isinstance(failed, Unavailable):
        return failed
    rows = trace_rows(failed.value, value_or(slow, ()))
    if not rows:
        return Message(
            f"No trace failed or took longer than {duration(_two_figures(slow_s))}.",
            "That is good news; traces appear here when they do.",
        )
    return Rows(
        rows,
        f"The newest {plural(len(failed.value), 'failed trace')} and "
        f"{len(value_or(slow, ()))} slower than {duration(_two_figures(slow_s))}, newest first.",
        _ROWS,
    )


def _neighbours(
    service: Answer[Service | None], topology: Answer[Topology], view: View
) -> Mapping[str, Content]:
    result: dict[str, Content] = {}
    if isinstance(service, Unavailable):
        result["service-instances"] = service
    elif service.value is None or not service.value.instances:
        result["service-instances"] = Message("No instance was heard in this window.")
    else:
        result["service-instances"] = Block(
            instance_table(service.value.instances, view.now_unix_nano)
        )
    if isinstance(topology, Unavailable):
        result["service-dependencies"] = topology
    else:
        block = dependencies(topology.value, view.route.name)
        result["service-dependencies"] = (
            Block(block) if block else Message("No calls in or out in the last minute.")
        )
    return result


PAGE: Final = Page("service", lambda route: route.name, layout, PARTS, update)
