"""Fleet: are viewers hurt now, where, and what changed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dash import html
from dash.development.base_component import Component

from dashboards import playback
from dashboards.answers.analysis import Anomaly, Canary, Event, Slo
from dashboards.answers.collector import Service, Topology
from dashboards.answers.reading import Answer, Unavailable, mapped, value_or
from dashboards.components.canary_words import NO_ANOMALY, NO_CANARY, anomaly_list, canary_banner
from dashboards.components.choices import range_choice
from dashboards.components.events import NO_EVENTS, chart_markers, event_list, listed
from dashboards.components.headline import headline, headline_block
from dashboards.components.panel import block_part, chart_part, grid_part
from dashboards.components.service_rows import COLUMNS, service_rows
from dashboards.components.shell import page_frame
from dashboards.components.slo_tiles import NO_SLOS, slo_tiles
from dashboards.components.words import aria
from dashboards.config import DashboardsConfig
from dashboards.data import Data
from dashboards.figures.base import Marker, Message
from dashboards.figures.starts import starts_chart
from dashboards.figures.success import success_chart
from dashboards.figures.topology import topology_chart
from dashboards.health import service_status, with_recent_rates
from dashboards.live import Block, Content, PartKind, Rows
from dashboards.pages.common import Page, View, step_s
from dashboards.playback import Starts
from dashboards.routes import PageQuery, Route
from dashboards.wording import plural

#: Rates in the table and the state of a service are of the last minute.
RECENT_S: Final = 60.0
#: Canaries looked through for the banner.
_CANARIES: Final = 20
NO_SERVICES: Final = Message(
    "No service has been heard in this window.",
    "Point an OpenTelemetry exporter at the collector (OTLP/HTTP port 4318, gRPC 4317).",
)

PARTS: Final[Mapping[str, PartKind]] = {
    "fleet-controls": PartKind.BLOCK,
    "fleet-headline": PartKind.BLOCK,
    "fleet-canary": PartKind.BLOCK,
    "fleet-starts": PartKind.CHART,
    "fleet-success": PartKind.CHART,
    "fleet-services": PartKind.ROWS,
    "fleet-topology": PartKind.CHART,
    "fleet-slos": PartKind.BLOCK,
    "fleet-anomalies": PartKind.BLOCK,
    "fleet-events": PartKind.BLOCK,
}


def layout(_route: Route, _query: PageQuery, config: DashboardsConfig) -> Component:
    """The frame: sentence, viewers, services, map; objectives and events beside."""
    return page_frame(
        "fleet",
        "Fleet",
        [
            block_part("fleet-headline", height_px=58),
            html.Div(
                [
                    html.Div(
                        [
                            html.Div(
                                [
                                    chart_part(
                                        "fleet-starts",
                                        "Playback starts per second by zone",
                                        height_px=190,
                                    ),
                                    chart_part(
                                        "fleet-success",
                                        "Starts that led to a picture, by zone",
                                        height_px=190,
                                    ),
                                ],
                                className="two",
                            ),
                            grid_part(
                                "fleet-services",
                                "Services, worst first",
                                COLUMNS,
                                row_id="name",
                                rows=6,
                            ),
                            block_part("fleet-slos", "Objectives", height_px=250),
                            chart_part("fleet-topology", "Who calls whom", height_px=270),
                        ],
                        className="wide",
                    ),
                    html.Aside(
                        [
                            block_part("fleet-canary", "Canary", height_px=112),
                            block_part("fleet-anomalies", "Anomalies", height_px=46),
                            block_part("fleet-events", "What happened", height_px=520),
                        ],
                        className="narrow",
                        **aria(label="Canary and events"),
                    ),
                ],
                className="columns",
            ),
        ],
        refresh_s=config.refresh_s,
        has_controls=True,
    )


@dataclass(frozen=True, slots=True)
class _Answers:
    """Everything the fleet page asks for."""

    starts: Answer[Starts]
    services: Answer[tuple[Service, ...]]
    topology: Answer[Topology]
    slos: Answer[tuple[Slo, ...]]
    anomalies: Answer[tuple[Anomaly, ...]]
    events: Answer[tuple[Event, ...]]
    canaries: Answer[tuple[Canary, ...]]


async def _ask(data: Data, settle_s: float, window_s: int) -> _Answers:
    """All questions at once."""
    async with asyncio.TaskGroup() as tasks:
        start = tasks.create_task
        series = start(
            data.series(
                playback.METRIC,
                window_s,
                step_s=step_s(window_s),
                group_by=playback.GROUP_BY,
                agg="increase",
            )
        )
        services = start(data.services(window_s))
        recent = start(data.services(RECENT_S))
        topology = start(data.topology(RECENT_S))
        slos = start(data.slos())
        anomalies = start(data.anomalies())
        events = start(data.events(window_s))
        canaries = start(data.canaries(limit=_CANARIES))
    rates = value_or(recent.result(), ())
    return _Answers(
        starts=mapped(series.result(), lambda s: playback.starts_of(s, settle_s=settle_s)),
        services=mapped(services.result(), lambda all_: with_recent_rates(all_, rates)),
        topology=topology.result(),
        slos=slos.result(),
        anomalies=anomalies.result(),
        events=events.result(),
        canaries=canaries.result(),
    )


async def update(data: Data, config: DashboardsConfig, view: View) -> Mapping[str, Content]:
    """Ask, then render every part."""
    answers = await _ask(data, config.settle_s, view.query.window_s)
    markers = chart_markers(value_or(answers.events, ()))
    return {
        "fleet-controls": Block([range_choice(view.query, view.search)]),
        "fleet-headline": _head(answers, view),
        "fleet-canary": _banner(answers.canaries, view),
        **_playback(answers.starts, answers.slos, markers, view),
        **_services(answers.services, answers.topology, view),
        **_aside(answers.slos, answers.anomalies, answers.events, view),
    }


def _head(answers: _Answers, view: View) -> Content:
    if isinstance(answers.services, Unavailable):
        return answers.services
    return Block(
        headline_block(
            headline(
                answers.services.value,
                value_or(answers.starts, None),
                value_or(answers.slos, ()),
                value_or(answers.anomalies, ()),
                value_or(answers.canaries, ()),
                view.now_unix_nano,
            )
        )
    )


def _banner(canaries: Answer[tuple[Canary, ...]], view: View) -> Content:
    if isinstance(canaries, Unavailable):
        return canaries
    newest = max(canaries.value, key=lambda c: (c.is_running, c.declared_unix_nano), default=None)
    return Block(canary_banner(newest, view.now_unix_nano)) if newest else NO_CANARY


def _playback(
    starts: Answer[Starts], slos: Answer[tuple[Slo, ...]], markers: Sequence[Marker], view: View
) -> Mapping[str, Content]:
    if isinstance(starts, Unavailable):
        return {"fleet-starts": starts, "fleet-success": starts}
    objective = next((s.objective_ratio for s in value_or(slos, ()) if "playback" in s.name), None)
    return {
        "fleet-starts": starts_chart(starts.value, view.span, markers, view.palette),
        "fleet-success": success_chart(starts.value, objective, view.span, markers, view.palette),
    }


def _services(
    services: Answer[tuple[Service, ...]], topology: Answer[Topology], view: View
) -> Mapping[str, Content]:
    now = view.now_unix_nano
    table: Content
    if isinstance(services, Unavailable):
        table = services
    elif not services.value:
        table = NO_SERVICES
    else:
        table = Rows(
            service_rows(services.value, now),
            f"{plural(len(services.value), 'service')}; rates and durations of the last minute.",
        )
    statuses = {s.name: service_status(s, now) for s in value_or(services, ())}
    return {
        "fleet-services": table,
        "fleet-topology": topology
        if isinstance(topology, Unavailable)
        else topology_chart(topology.value, statuses, view.palette),
    }


def _aside(
    slos: Answer[tuple[Slo, ...]],
    anomalies: Answer[tuple[Anomaly, ...]],
    events: Answer[tuple[Event, ...]],
    view: View,
) -> Mapping[str, Content]:
    result: dict[str, Content] = {}
    if isinstance(slos, Unavailable):
        result["fleet-slos"] = slos
    else:
        result["fleet-slos"] = Block(slo_tiles(slos.value)) if slos.value else NO_SLOS
    if isinstance(anomalies, Unavailable):
        result["fleet-anomalies"] = anomalies
    else:
        unusual = [a for a in anomalies.value if a.state == "anomalous"]
        result["fleet-anomalies"] = Block(anomaly_list(unusual)) if unusual else NO_ANOMALY
    if isinstance(events, Unavailable):
        result["fleet-events"] = events
    else:
        shown = listed(events.value)
        result["fleet-events"] = (
            Block(event_list(shown, view.now_unix_nano)) if shown else NO_EVENTS
        )
    return result


PAGE: Final = Page("fleet", lambda _: "Fleet", layout, PARTS, update)
