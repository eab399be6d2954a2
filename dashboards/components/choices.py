"""Rows of alternatives as links: the address is the state, so Back and shared links work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from dash import dcc, html
from dash.development.base_component import Component

from dashboards.components.words import aria
from dashboards.routes import SPLITS, WINDOWS_S, PageQuery, with_param

_SPLIT_WORDS: Final[Mapping[str, str]] = {
    "none": "all requests",
    "version": "version",
    "cohort": "canary arm",
}


def range_choice(query: PageQuery, search: str) -> Component:
    """Width of the charts."""
    return _choice(
        "Range", "range", [(word, word) for word in WINDOWS_S], query.window_word, search
    )


def split_choice(query: PageQuery, search: str) -> Component:
    """What the request charts are split by."""
    options = [(word, _SPLIT_WORDS[word]) for word in SPLITS]
    return _choice("Show", "by", options, query.split, search)


def _choice(
    label: str, parameter: str, options: Sequence[tuple[str, str]], current: str, search: str
) -> Component:
    return html.Div(
        [
            html.Span(label, className="control-label"),
            html.Div(
                [
                    dcc.Link(
                        text,
                        href=with_param(search, parameter, value) or "?",
                        className="option is-current" if value == current else "option",
                        title="current" if value == current else None,
                    )
                    for value, text in options
                ],
                className="options",
            ),
        ],
        className="control",
        role="group",
        **aria(label=label),
    )
