"""Small tables of a service: its instances, and who it talks with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dash import html
from dash.development.base_component import Component

from dashboards.answers.collector import Edge, Instance, Topology
from dashboards.components.words import Piece, page_link, status_badge
from dashboards.figures.topology import edge_status
from dashboards.health import SILENT_S
from dashboards.playback import place_name
from dashboards.routes import service_href
from dashboards.theme import Status
from dashboards.wording import UNKNOWN, ago, duration, percent, rate

#: Instances listed, the most recently heard first.
MAX_INSTANCES: Final = 30


def small_table(head: Sequence[str], rows: Sequence[Sequence[Piece]]) -> Component:
    """A plain table; the first cell of a row names it."""
    return html.Table(
        [
            html.Thead(html.Tr([html.Th(text, scope="col") for text in head])),
            html.Tbody(
                [
                    html.Tr(
                        [html.Th(row[0], scope="row"), *(html.Td(cell) for cell in row[1:])],
                    )
                    for row in rows
                ]
            ),
        ],
        className="small-table",
    )


def instance_table(instances: Sequence[Instance], now_unix_nano: int) -> Component:
    """Every instance with its version, zone and when it was last heard."""
    newest = sorted(
        instances, key=lambda i: (-(i.last_seen_unix_nano // 30_000_000_000), i.instance_id)
    )
    rows: list[list[Piece]] = []
    for instance in newest[:MAX_INSTANCES]:
        is_live = now_unix_nano - instance.last_seen_unix_nano <= SILENT_S * 1e9
        state = (
            status_badge("live", Status.OK) if is_live else status_badge("silent", Status.UNKNOWN)
        )
        seen = ago(instance.last_seen_unix_nano, now_unix_nano)
        rows.append(
            [
                instance.instance_id or UNKNOWN,
                state,
                instance.version or UNKNOWN,
                place_name(instance.region, instance.zone),
                seen,
            ]
        )
    table = small_table(("instance", "state", "version", "zone", "last seen"), rows)
    more = len(instances) - MAX_INSTANCES
    return html.Div([table, html.P(f"{more} more not shown.") if more > 0 else None])


def dependencies(topology: Topology, service: str) -> Component | None:
    """Callers and callees with what goes between; None when there is neither."""
    callers = [e for e in topology.edges if e.server == service and e.client != service]
    callees = [e for e in topology.edges if e.client == service and e.server != service]
    rows = [_row("from", e, e.client, topology.window_s) for e in _busiest(callers)]
    rows += [_row("to", e, e.server, topology.window_s) for e in _busiest(callees)]
    if not rows:
        return None
    return small_table(("service", "direction", "calls", "failed", "p50", "p99"), rows)


def _busiest(edges: Sequence[Edge]) -> list[Edge]:
    return sorted(edges, key=lambda e: (-e.call_count, e.client, e.server))


def _row(direction: str, edge: Edge, other: str, window_s: float) -> list[Piece]:
    ratio = edge.error_count / edge.call_count if edge.call_count else None
    status = edge_status(edge)
    failed: Piece = percent(ratio, digits=2)
    if status is not Status.OK:
        failed = status_badge(percent(ratio, digits=2), status)
    return [
        page_link(other, service_href(other)),
        f"calls {'in ' + direction if direction == 'from' else 'out ' + direction}",
        rate(edge.call_count / window_s),
        failed,
        duration(edge.p50_s),
        duration(edge.p99_s),
    ]
