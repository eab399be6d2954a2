"""The event rail: what changed and what was decided, newest first; the same as chart markers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from dash import html
from dash.development.base_component import Component

from dashboards.answers.analysis import Event
from dashboards.components.words import Piece, aria, page_link
from dashboards.figures.base import Marker, Message
from dashboards.routes import canary_href, service_href
from dashboards.wording import ago, clock_time, date_time

#: Lines of the rail.
MAX_EVENTS: Final = 40

#: One glyph per kind, the same in the rail and on the charts.
GLYPHS: Final[Mapping[str, str]] = {
    "canary_declared": "⚑",
    "verdict": "⚖",
    "decision": "➤",
    "delivered": "✉",
    "acknowledged": "☑",
    "completed": "↩",
    "confirmed": "✔",
    "recovered": "♥",
    "not_recovered": "?",
    "expired": "⌛",
    "unconfirmed": "?",
    "anomaly": "≋",
    "slo_page": "!",
    "slo_ticket": "!",
    "silence": "∅",
    "slo_freeze": "❄",
    "slo_correction": "✎",
    "slo_definition": "✎",
    "policy_override": "✎",
    "cause": "⚡",
}
#: Kinds worth a line on a chart; the others stand in the rail only.
_ON_CHARTS: Final = frozenset(
    {
        *("canary_declared", "verdict", "completed", "confirmed", "recovered"),
        *("anomaly", "slo_page", "slo_ticket"),
    }
)
NO_EVENTS: Final = Message(
    "Nothing happened in this window.",
    "Deployments, verdicts, rollbacks and confirmations appear here as they happen.",
)


def glyph(kind: str) -> str:
    """The sign of a kind of event; a dot for new kinds."""
    return GLYPHS.get(kind, "•")


#: Steps within a canary, which its own report shows as they happen.
_NOT_LISTED: Final = frozenset({"canary_state"})


def listed(events: Sequence[Event]) -> list[Event]:
    """Those worth a line of the rail, the newest first."""
    return [event for event in events if event.kind not in _NOT_LISTED][:MAX_EVENTS]


def event_list(events: Sequence[Event], now_unix_nano: int) -> Component:
    """The rail as an ordered list."""
    return html.Ol([_line(e, now_unix_nano) for e in events], className="events")


def _line(event: Event, now_unix_nano: int) -> Component:
    if event.deployment_id:
        title: Piece = page_link(event.title, canary_href(event.deployment_id))
    elif event.service:
        title = page_link(event.title, service_href(event.service))
    else:
        title = event.title
    return html.Li(
        [
            html.Span(glyph(event.kind), className="event-glyph", **aria(hidden="true")),
            html.Div(
                [
                    html.Div(title, className="event-title"),
                    html.Div(event.detail, className="event-detail", title=event.detail)
                    if event.detail
                    else None,
                ]
            ),
            html.Time(
                [clock_time(event.unix_nano), html.Span(ago(event.unix_nano, now_unix_nano))],
                title=date_time(event.unix_nano),
                className="event-time",
            ),
        ],
        className=f"event event-{event.kind}",
    )


def chart_markers(events: Sequence[Event], service: str | None = None) -> list[Marker]:
    """Events as markers; with ``service`` only its own and those that name none."""
    return [
        Marker(e.unix_nano / 1e9, glyph(e.kind), f"{clock_time(e.unix_nano)} {e.title}")
        for e in events
        if e.kind in _ON_CHARTS and (service is None or e.service in {"", service})
    ]
