"""What all pages share: their shape, the update callback, and steps that fit a window."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dash import Dash, Input, State, no_update
from dash.development.base_component import Component

from dashboards.config import DashboardsConfig
from dashboards.data import Data
from dashboards.figures.base import Span
from dashboards.live import Content, PartKind, Shown, outputs, update
from dashboards.routes import WINDOWS_S, PageQuery, Route, parse_path, parse_query
from dashboards.theme import Palette, palette

#: Points per line; more cannot be told apart on a screen.
MAX_POINTS: Final = 180
#: Events asked for beyond the window's start, so that a marker at the edge is known.
WINDOW_OPTIONS: Final = [(word, word) for word in WINDOWS_S]


@dataclass(frozen=True, slots=True)
class View:
    """What a page's content depends on."""

    route: Route
    query: PageQuery
    palette: Palette
    now_unix_nano: int

    @property
    def span(self) -> Span:
        now = self.now_unix_nano / 1e9
        return Span(now - self.query.window_s, now)


Update = Callable[[Data, DashboardsConfig, View], Awaitable[Mapping[str, Content]]]


@dataclass(frozen=True, slots=True)
class Page:
    """One kind of page. ``update`` asks and renders; ``layout`` shows frames without numbers."""

    kind: str
    title: Callable[[Route], str]
    layout: Callable[[Route, PageQuery, DashboardsConfig], Component]
    parts: Mapping[str, PartKind]
    update: Update


def step_s(window_s: int) -> int:
    """Whole seconds per point."""
    return max(1, -(-window_s // MAX_POINTS))


def register_update(app: Dash, page: Page, data: Data, config: DashboardsConfig) -> None:
    """The page's one callback: at each tick, and at once when address or colours change."""

    @app.callback(  # type: ignore[untyped-decorator]
        output=outputs(page.kind, page.parts),
        inputs={
            "_tick": Input(f"{page.kind}-tick", "n_intervals"),
            "path": Input("url", "pathname"),
            "search": Input("url", "search"),
            "scheme": Input("scheme", "data"),
        },
        state={"shown": State(f"{page.kind}-shown", "data")},
    )
    async def refresh(
        _tick: int | None, path: str, search: str, scheme: str | None, shown: Shown | None
    ) -> dict[str, Any]:
        route = parse_path(path or "/")
        if route is None or route.page != page.kind:
            # The reader is leaving for another page; its own update comes next.
            return dict.fromkeys(outputs(page.kind, page.parts), no_update)
        view = View(
            route,
            parse_query(search, window_s=config.window_s),
            palette(scheme),
            data.clock.wall_unix_nano(),
        )
        contents = await page.update(data, config, view)
        return update(contents, shown, data.clock.wall_unix_nano())

