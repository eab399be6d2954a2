"""Trace: what failed or was slow, in one look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dash import html
from dash.development.base_component import Component

from dashboards.answers.collector import Span, Trace
from dashboards.answers.reading import Unavailable, Why
from dashboards.components.instances import small_table
from dashboards.components.panel import block_part, grid_part
from dashboards.components.shell import page_frame
from dashboards.components.words import aria, status_badge
from dashboards.config import DashboardsConfig
from dashboards.data import Data
from dashboards.figures.base import Message
from dashboards.live import Block, Content, PartKind, Rows
from dashboards.pages.common import Page, View
from dashboards.routes import PageQuery, Route, with_param
from dashboards.theme import Status
from dashboards.waterfall import MAX_INDENT, WaterfallRow, origin_of_failure, rows_of
from dashboards.wording import date_time, duration, plural

COLUMNS: Final[list[dict[str, Any]]] = [
    {
        "field": "name",
        "headerName": "Service and operation",
        "cellRenderer": "SpanName",
        "minWidth": 260,
        "flex": 2,
        "sortable": False,
    },
    {
        "field": "start",
        "headerName": "Timeline",
        "cellRenderer": "SpanBar",
        "minWidth": 260,
        "flex": 3,
        "sortable": False,
    },
    {
        "field": "duration_text",
        "headerName": "Duration",
        "type": "rightAligned",
        "minWidth": 96,
        "flex": 0,
        "sortable": False,
    },
]

PARTS: Final[Mapping[str, PartKind]] = {
    "trace-summary": PartKind.BLOCK,
    "trace-spans": PartKind.ROWS,
    "trace-span": PartKind.BLOCK,
}


def layout(route: Route, _: PageQuery, config: DashboardsConfig) -> Component:
    """The frame: sentence, waterfall, details of one span."""
    return page_frame(
        "trace",
        ["Trace ", html.Code(route.name.lower(), className="id")],
        [
            block_part("trace-summary", height_px=58),
            html.Div(
                [
                    html.Div(
                        grid_part("trace-spans", "Spans", COLUMNS, row_id="span_id", rows=5),
                        className="wide",
                    ),
                    html.Aside(
                        block_part(
                            "trace-span", "Span", height_px=200, hint="Choose a span in the list."
                        ),
                        className="narrow",
                        **aria(label="Details of one span"),
                    ),
                ],
                className="columns",
            ),
        ],
        refresh_s=max(config.refresh_s, 5.0),
    )


async def update(data: Data, config: DashboardsConfig, view: View) -> Mapping[str, Content]:
    """A trace may still be growing, so it is asked for again."""
    del config
    answer = await data.trace(view.route.name.lower())
    if isinstance(answer, Unavailable):
        content: Content = answer
        if answer.why is Why.NOT_FOUND:
            content = Message(
                "This trace is not in the store.",
                "It may be older than the retention, or its spans have not arrived yet.",
            )
        return dict.fromkeys(PARTS, content)
    rows = rows_of(answer.value)
    if not rows:
        return dict.fromkeys(PARTS, Message("This trace has no spans."))
    chosen = next((r for r in rows if r.span.span_id == view.query.span), None)
    shown = chosen or origin_of_failure(rows) or rows[0]
    services = list(dict.fromkeys(row.span.service for row in rows))
    return {
        "trace-summary": Block(_summary(rows)),
        "trace-spans": Rows(
            [_row(r, services, view, is_chosen=r is shown) for r in rows],
            _count(rows, answer.value),
        ),
        "trace-span": Block(_details(shown)),
    }


def _count(rows: Sequence[WaterfallRow], trace: Trace) -> str:
    text = plural(len(rows), "span")
    return f"{text}; the trace has more than are shown." if trace.truncated else f"{text}."


def _summary(rows: Sequence[WaterfallRow]) -> Component:
    origin = origin_of_failure(rows)
    status = Status.BAD if origin else Status.OK
    return html.Div(
        [
            status_badge("failed" if origin else "ok", status),
            html.P(summary_text(rows), className="headline-text"),
        ],
        className=f"headline status-edge-{status}",
    )


def summary_text(rows: Sequence[WaterfallRow]) -> str:
    """Duration, size, and where the failure began."""
    first = min(row.span.start_unix_nano for row in rows)
    last = max(row.span.start_unix_nano + row.span.duration_ns for row in rows)
    services = {row.span.service for row in rows}
    text = (
        f"{rows[0].span.service} {rows[0].span.name} took {duration((last - first) / 1e9)} in "
        f"{plural(len(rows), 'span')} of {plural(len(services), 'service')}, "
        f"{date_time(first)}."
    )
    origin = origin_of_failure(rows)
    if origin is not None:
        why = origin.span.status_message or origin.span.attributes.get("error.type", "")
        text += f" The failure began in {origin.span.service} {origin.span.name}"
        text += f": {why}." if why else "."
    return text


def _row(
    row: WaterfallRow, services: Sequence[str], view: View, *, is_chosen: bool
) -> dict[str, Any]:
    colours = view.palette.series
    span = row.span
    return {
        "span_id": span.span_id,
        "name": f"{span.service} {span.name}",
        "service": span.service,
        "operation": span.name,
        "href": with_param(view.search, "span", span.span_id),
        "depth": min(row.depth, MAX_INDENT),
        "start": row.start_ratio,
        "width": row.width_ratio,
        "colour": colours[services.index(span.service) % len(colours)],
        "is_error": span.is_error,
        "has_failed_below": row.has_failed_below,
        "is_chosen": is_chosen,
        "duration_text": duration(span.duration_ns / 1e9),
        "offset_text": f"starts at {duration(row.offset_s)}",
    }


def _details(row: WaterfallRow) -> Component:
    span = row.span
    facts = [
        ("service", span.service),
        ("operation", span.name),
        ("starts at", duration(row.offset_s)),
        ("duration", duration(span.duration_ns / 1e9)),
        ("status", _status_words(span)),
        ("span id", span.span_id),
    ]
    return html.Div(
        [
            small_table(("", ""), facts),
            *_map("Attributes", span.attributes),
            *_events(span),
            *_map("Resource", span.resource),
        ],
        className="details",
    )


def _status_words(span: Span) -> str:
    word = {0: "not set", 1: "ok", 2: "error"}.get(span.status_code, str(span.status_code))
    return f"{word}: {span.status_message}" if span.status_message else word


def _map(title: str, values: Mapping[str, str]) -> list[Component]:
    if not values:
        return []
    return [html.H3(title), small_table(("name", "value"), sorted(values.items()))]


def _events(span: Span) -> list[Component]:
    if not span.events:
        return []
    rows = [
        (
            e.name,
            duration((e.time_unix_nano - span.start_unix_nano) / 1e9),
            ", ".join(f"{k}={v}" for k, v in e.attributes.items()),
        )
        for e in span.events
    ]
    return [html.H3("Events"), small_table(("event", "after", "attributes"), rows)]


PAGE: Final = Page("trace", lambda route: f"Trace {route.name[:8]}", layout, PARTS, update)
