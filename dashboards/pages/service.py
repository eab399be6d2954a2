"""Service: what is normal, what changed, which version."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dash import html
from dash.development.base_component import Component

from dashboards.answers.analysis import Canary
from dashboards.answers.collector import Heatmap, Operation, Red, Service, Topology, TraceSummary
from dashboards.answers.reading import Answer, Unavailable, mapped, value_or
from dashboards.components.choices import range_choice, split_choice
from dashboards.components.events import chart_markers
from dashboards.components.instances import dependencies, instance_table
from dashboards.components.operation_rows import OPERATION_COLUMNS, operation_rows
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
from dashboards.wording import duration, plural

#: Traces asked for of each sort, and shown.
TRACES: Final = 15
#: Traces come from at most this long ago: the newest are wanted, and a scan has its price.
TRACES_S: Final = 300.0
#: A trace slower than this is listed as slow even when the service's p99 is lower.
LEAST_SLOW_S: Final = 0.05

#: Rows of the two tables before they scroll.
_ROWS: Final = 8

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
    """The frame: sentence, four charts on one time axis, tables."""
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
                        OPERATION_COLUMNS,
                        row_id="name",
                        rows=_ROWS,
                        hint="Impact is mean share of time: requests × median duration.",
                    ),
                    grid_part(
                        "service-traces",
                        "Failed and slow traces",
                        TRACE_COLUMNS,
                        row_id="trace_id",
                        rows=_ROWS,
                        hint=f"Of the last {duration(TRACES_S)}, failed ones first.",
                    ),
                    block_part("service-instances", "Instances", height_px=150),
                    block_part("service-dependencies", "Calls in and out", height_px=150),
                ],
                className="two",
            ),
        ],
        refresh_s=config.refresh_s,
        has_controls=True,
    )


@dataclass(frozen=True, slots=True)
class _Answers:
    """Everything a service page asks for."""

    service: Answer[Service | None]
    red: Answer[Red]
    heat: Answer[Heatmap]
    operations: Answer[tuple[Operation, ...]]
    failed: Answer[tuple[TraceSummary, ...]]
    slow: Answer[tuple[TraceSummary, ...]]
    slow_s: float
    topology: Answer[Topology]
    markers: list[Marker]
    canaries: tuple[Canary, ...]


async def _ask(data: Data, view: View) -> _Answers:
    """Everything but the slow traces at once; what is slow depends on the p99."""
    name, window_s = view.route.name, view.query.window_s
    step = step_s(window_s)
    group_by = None if view.query.split == "none" else view.query.split
    async with asyncio.TaskGroup() as tasks:
        start = tasks.create_task
        services = start(data.services(window_s))
        recent = start(data.services(RECENT_S))
        red = start(data.red(name, window_s, step_s=step, group_by=group_by))
        heat = start(data.heatmap(name, window_s, step_s=step))
        operations = start(data.operations(name, RECENT_S))
        failed = start(data.traces(name, TRACES_S, limit=TRACES, error=True, min_duration_s=0.0))
        topology = start(data.topology(RECENT_S))
        events = start(data.events(window_s))
        canaries = start(data.canaries(limit=20))
    rates = value_or(recent.result(), ())
    service = mapped(services.result(), lambda all_: _find(with_recent_rates(all_, rates), name))
    known = value_or(service, None)
    slow_s = _two_figures(max(LEAST_SLOW_S, (known.p99_s or 0.0) if known else 0.0))
    slow = await data.traces(name, TRACES_S, limit=TRACES, error=False, min_duration_s=slow_s)
    return _Answers(
        service=service,
        red=red.result(),
        heat=heat.result(),
        operations=operations.result(),
        failed=failed.result(),
        slow=slow,
        slow_s=slow_s,
        topology=topology.result(),
        markers=chart_markers(value_or(events.result(), ()), name),
        canaries=value_or(canaries.result(), ()),
    )


async def update(data: Data, config: DashboardsConfig, view: View) -> Mapping[str, Content]:
    """Ask, then render every part."""
    answers = await _ask(data, view)
    return {
        "service-controls": Block(
            [split_choice(view.query, view.search), range_choice(view.query, view.search)]
        ),
        "service-summary": _summary(answers, view),
        **_charts(answers, config.settle_s, view),
        "service-operations": _operations(answers.operations),
        "service-traces": _traces(answers),
        **_neighbours(answers.service, answers.topology, view),
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


def _summary(answers: _Answers, view: View) -> Content:
    service = answers.service
    if isinstance(service, Unavailable):
        return service
    if service.value is None:
        return Message(
            f"No service called {view.route.name} was heard in this window.",
            "Check the name, choose a longer range, or wait for its first span.",
        )
    running = [c for c in answers.canaries if c.service == view.route.name and c.is_running]
    newest = max(running, key=lambda c: c.declared_unix_nano, default=None)
    return Block(summary_block(service.value, newest, view.now_unix_nano))


def _charts(answers: _Answers, settle_s: float, view: View) -> Mapping[str, Content]:
    charts = {
        "service-requests": requests_chart,
        "service-errors": errors_chart,
        "service-durations": durations_chart,
    }
    cohorts = _cohorts(answers.canaries, view.route.name)
    red, heat, markers = answers.red, answers.heat, answers.markers
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
    rows = operation_rows(operations.value, RECENT_S)
    return Rows(rows, f"{plural(len(rows), 'operation')} in the last minute.", _ROWS)


def _traces(answers: _Answers) -> Content:
    failed, slow = answers.failed, value_or(answers.slow, ())
    if isinstance(failed, Unavailable):
        return failed
    rows = trace_rows(failed.value, slow)
    slowness = f"slower than {duration(answers.slow_s)}"
    if not rows:
        return Message(
            f"No trace failed or was {slowness}.",
            "That is good news; traces appear here when they do.",
        )
    words = f"The newest {plural(len(failed.value), 'failed trace')} and {len(slow)} {slowness}."
    return Rows(rows, words, _ROWS)


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
