"""What all pages share: their shape, the update callback, and steps that fit a window."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dash import Dash, Input, State, no_update
from dash.development.base_component import Component

from dashboards.answers.reading import Source, Unavailable, Why
from dashboards.config import DashboardsConfig
from dashboards.data import Data
from dashboards.figures.base import Span
from dashboards.live import Content, PartKind, Shown, outputs, update
from dashboards.routes import PageQuery, Route, parse_path, parse_query
from dashboards.theme import Palette, palette

logger = logging.getLogger("dashboards")

#: Points per line: enough to see a change of half a minute in a quarter of an hour, and each step
#: then holds enough requests for its share of failures to mean something.
MAX_POINTS: Final = 90


_BROKEN: Final = Unavailable(
    Source.DASHBOARDS, Why.BROKEN, "This page could not be drawn, which is a mistake in Davylamp"
)


@dataclass(frozen=True, slots=True)
class View:
    """What a page's content depends on."""

    route: Route
    query: PageQuery
    search: str
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


async def _contents(
    page: Page, data: Data, config: DashboardsConfig, view: View
) -> Mapping[str, Content]:
    """The page's parts; a mistake of ours marks them all as not live instead of freezing them."""
    try:
        contents = await page.update(data, config, view)
        assert set(contents) == set(page.parts), "every part has a content at every update"
    except Exception:
        logger.exception("page %s failed", page.kind)
        data.count_broken_page()
        return dict.fromkeys(page.parts, _BROKEN)
    return contents


def register_update(app: Dash, page: Page, data: Data, config: DashboardsConfig) -> None:
    """The page's one callback: at each tick, and at once when address or colours change."""

    @app.callback(
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
            search or "",
            palette(scheme),
            data.clock.wall_unix_nano(),
        )
        contents = await _contents(page, data, config, view)
        return update(page.parts, contents, shown, data.clock.wall_unix_nano())
