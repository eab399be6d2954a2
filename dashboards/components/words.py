"""Statuses, states and links as text with a shape: colour is never the only cue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dash import dcc, html
from dash.development.base_component import Component

from dashboards.theme import SHAPES, Status

#: Word and status of a canary's states. Undecided and not comparable are neither good nor bad.
_CANARY: Final[Mapping[str, tuple[str, Status]]] = {
    "declared": ("DECLARED", Status.UNKNOWN),
    "warming": ("WARMING UP", Status.UNKNOWN),
    "observing": ("OBSERVING", Status.WARN),
    "passed": ("PASS", Status.OK),
    "failed": ("FAIL", Status.BAD),
    "inconclusive": ("INCONCLUSIVE", Status.UNKNOWN),
    "invalid": ("INVALID", Status.UNKNOWN),
}
#: Undecided kinds get their own shapes, so that a grey print tells all four verdicts apart.
_CANARY_SHAPES: Final[Mapping[str, str]] = {
    "declared": "○",
    "warming": "◔",
    "observing": "◑",
    "passed": "✓",
    "failed": "✕",
    "inconclusive": "?",
    "invalid": "⊘",
}


#: What a component may hold: text, numbers, other components, or nothing.
Piece = str | int | float | Component | None


def aria(**values: str) -> dict[str, Any]:
    """Attributes for assistive technology: ``aria(label="Range")`` is ``aria-label="Range"``."""
    return {f"aria-{name}": value for name, value in values.items()}


def status_badge(word: str, status: Status, *, shape: str = "") -> Component:
    """``● ok``."""
    return html.Span(
        [html.Span(shape or SHAPES[status], className="shape", **aria(hidden="true")), word],
        className=f"badge status-{status}",
    )


def canary_words(state: str) -> tuple[str, Status, str]:
    """Word, status and shape of a canary's state; a new state is shown as it is called."""
    word, status = _CANARY.get(state, (state.upper(), Status.UNKNOWN))
    return word, status, _CANARY_SHAPES.get(state, SHAPES[status])


def canary_badge(state: str) -> Component:
    """A canary's state: word, shape and a frame whose line style says what kind it is."""
    word, status, shape = canary_words(state)
    return html.Span(
        [html.Span(shape, className="shape", **aria(hidden="true")), word],
        className=f"badge verdict verdict-{state} status-{status}",
    )


def page_link(text: str, href: str) -> Component:
    """A link that changes the page without reloading it."""
    return dcc.Link(text, href=href, className="link")


def version_label(version: str, arm: str) -> Component:
    """A version in its arm's colour and line style."""
    return html.Span(version, className=f"arm arm-{arm}")
