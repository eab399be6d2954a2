"""Live pages without flicker: only what changed goes to the browser, and what is stale says so.

A page is made of *parts*. Each update renders all parts and compares them with what the browser
holds (a digest per part, kept in a Store of the page). Equal parts are not sent. A part whose
source does not answer keeps its last picture, marked with its age; without one it says why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from dash import Output, html, no_update
from dash.development.base_component import Component
from plotly.io.json import to_json_plotly

from dashboards.answers.reading import Unavailable
from dashboards.figures.base import Chart, Message
from dashboards.wording import clock_time

#: Rows a grid has room for at least, and their height in pixels.
MIN_ROWS: Final = 5
ROW_PX: Final = 32
HEADER_PX: Final = 32
#: Digest of what is shown and when it was read, by part.
Shown = dict[str, list[Any]]


class PartKind(StrEnum):
    """What a part shows, which says which properties an update sets."""

    CHART = "chart"
    ROWS = "rows"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a grid, and a sentence about them."""

    rows: list[dict[str, Any]]
    summary: str
    max_rows: int = 14

    @property
    def height_px(self) -> int:
        """As many rows as there are, within reason; more are scrolled to."""
        shown = min(max(len(self.rows), MIN_ROWS), self.max_rows)
        return HEADER_PX + shown * ROW_PX + 3


@dataclass(frozen=True, slots=True)
class Block:
    """Any components."""

    children: Any


Content = Chart | Rows | Block | Message | Unavailable

_MAIN_PROPERTY = {PartKind.CHART: "figure", PartKind.ROWS: "rowData", PartKind.BLOCK: "children"}


def body_id(part: str) -> str:
    """Id of the graph, grid or block inside a part's frame."""
    return f"{part}-body"


def note_id(part: str) -> str:
    """Id of the sentence below a part."""
    return f"{part}-note"


def outputs(page: str, parts: Mapping[str, PartKind]) -> dict[str, Output]:
    """All outputs of a page's update callback, by key."""
    result: dict[str, Output] = {}
    for part, kind in parts.items():
        result[f"{part}.main"] = Output(body_id(part), _MAIN_PROPERTY[kind])
        result[f"{part}.note"] = Output(note_id(part), "children")
        result[f"{part}.class"] = Output(part, "className")
        if kind is PartKind.ROWS:
            result[f"{part}.style"] = Output(body_id(part), "style")
    result["shown"] = Output(f"{page}-shown", "data")
    return result


def grid_style(height_px: int) -> dict[str, str]:
    """Style of a grid of that height."""
    return {"height": f"{height_px}px", "width": "100%"}


def update(
    parts: Mapping[str, PartKind],
    contents: Mapping[str, Content],
    shown: Shown | None,
    now_unix_nano: int,
) -> dict[str, Any]:
    """Values for :func:`outputs`: ``no_update`` wherever the browser already has it."""
    known: Shown = dict(shown or {})
    result: dict[str, Any] = {}
    for part, content in contents.items():
        main, note, name = _properties(content, known.get(part))
        keys = {"main": main, "note": note, "class": name}
        if parts[part] is PartKind.ROWS:
            keys["style"] = (
                grid_style(content.height_px) if isinstance(content, Rows) else no_update
            )
        digest = _digest(keys)
        before = known.get(part)
        is_same = before is not None and before[0] == digest
        for key, value in keys.items():
            result[f"{part}.{key}"] = no_update if is_same else value
        has_picture = isinstance(content, Chart | Rows | Block)
        pictured = now_unix_nano if has_picture else (before[1] if before else None)
        known[part] = [digest, pictured]
    result["shown"] = known
    return result


def _properties(content: Content, before: list[Any] | None) -> tuple[Any, Any, str]:
    match content:
        case Chart():
            return content.figure, content.summary, "part"
        case Rows():
            return content.rows, content.summary, "part"
        case Block():
            return content.children, None, "part"
        case Message():
            return no_update, message(content), "part is-empty"
        case Unavailable():
            return _unavailable(content, before)


def _unavailable(content: Unavailable, before: list[Any] | None) -> tuple[Any, Any, str]:
    pictured = before[1] if before else None
    if pictured is None:
        return (
            no_update,
            message(Message(f"{content.sentence}.", ADVICE[content.source])),
            ("part is-empty"),
        )
    note = html.Span(
        [
            html.B("Not live. "),
            f"{content.sentence}. Shown as of {clock_time(pictured)} UTC.",
        ],
        className="stale-note",
    )
    return no_update, note, "part is-stale"


#: What a reader can do about an API that does not answer.
ADVICE: Mapping[str, str] = {
    "collector": "Start it with: davylamp run collector. This page updates by itself.",
    "analysis": "Start it with: davylamp run analysis. This page updates by itself.",
    "dashboards": "The log of the dashboards says where; the next update tries again.",
}


def message(text: Message) -> Component:
    """A sentence in place of a picture."""
    return html.Div(
        [html.P(text.sentence, className="message-sentence")]
        + ([html.P(text.advice, className="message-advice")] if text.advice else []),
        className="message",
    )


def _digest(value: Any) -> str:
    plain = {k: None if v is no_update else v for k, v in value.items()}
    return hashlib.blake2b(to_json_plotly(plain).encode(), digest_size=12).hexdigest()
