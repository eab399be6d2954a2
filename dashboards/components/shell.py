"""The frame of every page: name, navigation, colour scheme, and where the page's content goes."""

from __future__ import annotations

from typing import Any, Final

import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component

from dashboards.components.panel import bare_part
from dashboards.components.words import Piece, aria
from dashboards.figures.base import FONT

#: Choices of the colour scheme; "system" follows the machine and is the default.
SCHEMES: Final = ("light", "dark", "system")
_THEME: Final[dict[str, Any]] = {
    "fontFamily": FONT,
    "headings": {"fontFamily": FONT, "fontWeight": "650"},
    "primaryColor": "blue",
    "defaultRadius": "sm",
    "focusRing": "always",
}


def shell(*, can_sign_out: bool = False) -> Component:
    """Everything around a page. The content is filled in by the page switch."""
    provider: Component = dmc.MantineProvider(
        id="provider",
        theme=_THEME,
        defaultColorScheme="light",
        children=[
            dcc.Location(id="url", refresh="callback-nav"),
            dcc.Store(id="scheme-choice", storage_type="local", data="system"),
            dcc.Store(id="scheme", data=None),
            html.A("Skip to content", href="#page", className="skip-link"),
            dmc.AppShell(
                [
                    dmc.AppShellHeader(_header(can_sign_out=can_sign_out), px="md"),
                    dmc.AppShellMain(
                        [
                            html.Div(id="lost", className="lost", hidden=True, role="alert"),
                            html.Div(
                                html.Div("Loading…", className="page-loading"),
                                id="page",
                                tabIndex="-1",
                            ),
                        ]
                    ),
                ],
                header={"height": 52},
                padding="md",
            ),
        ],
    )
    return provider


def _header(*, can_sign_out: bool) -> Component:
    # No link of Dash: the page it leads to is not one of its own.
    sign_out = [html.A("Sign out", href="/signout", className="nav-link")]
    return html.Div(
        [
            dcc.Link([_mark(), html.Span("Davylamp")], href="/", className="brand"),
            html.Nav(
                [
                    dcc.Link("Fleet", href="/", id="nav-fleet", className="nav-link"),
                    dcc.Link("Canaries", href="/canaries", id="nav-canaries", className="nav-link"),
                ],
                className="nav",
                **aria(label="Pages"),
            ),
            html.Div(className="spacer"),
            *(sign_out if can_sign_out else []),
            html.Div(
                dmc.SegmentedControl(
                    id="scheme-control",
                    data=[{"value": s, "label": s.capitalize()} for s in SCHEMES],
                    value="system",
                    size="xs",
                ),
                role="group",
                **aria(label="Colour scheme"),
            ),
        ],
        className="header",
    )


def _mark() -> Component:
    return html.Img(src="/assets/lamp.svg", alt="", width="20", height="24", className="brand-mark")


def page_frame(
    page: str,
    title: Piece | list[Piece],
    body: list[Component],
    *,
    refresh_s: float,
    has_controls: bool = False,
) -> Component:
    """A page: heading, controls, parts, and the clock and memory of its updates."""
    controls = [bare_part(f"{page}-controls")] if has_controls else []
    return html.Div(
        [
            dcc.Interval(id=f"{page}-tick", interval=round(refresh_s * 1000)),
            dcc.Store(id=f"{page}-shown", data={}),
            html.Div(
                [html.H1(title, className="page-title"), *controls],
                className="page-head",
            ),
            *body,
        ],
        id=f"{page}-page",
        className=f"page page-{page}",
    )
