"""The application: Dash on our own FastAPI instance, every callback a coroutine.

Synchronous callbacks would run on the event loop and stop everyone else; a test walks the
callback map and allows none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from dash import ClientsideFunction, Dash, Input, Output, State
from dash.development.base_component import Component
from fastapi import FastAPI, Response

from collector.access.desk import AccessDesk
from collector.access.gate import Gate, reading
from collector.access.token_file import TokenFile
from dashboards.components.shell import shell
from dashboards.config import DashboardsConfig
from dashboards.data import Data
from dashboards.pages import canaries, canary, fleet, missing, service, trace
from dashboards.pages.common import Page, register_update
from dashboards.routes import parse_path, parse_query
from dashboards.web import Guard
from telemetry.clock import Clock

PAGES: Final[Mapping[str, Page]] = {
    page.kind: page for page in (fleet.PAGE, service.PAGE, canaries.PAGE, canary.PAGE, trace.PAGE)
}
#: Loaded by the document's head before anything is painted, so not among the automatic assets.
_BOOT: Final = "boot.js"

_INDEX: Final = f"""<!DOCTYPE html>
<html lang="en">
  <head>
    {{%metas%}}
    <title>{{%title%}}</title>
    <link rel="icon" href="/assets/lamp.svg" type="image/svg+xml">
    <script src="/assets/{_BOOT}"></script>
    {{%css%}}
  </head>
  <body>
    {{%app_entry%}}
    <footer>{{%config%}}{{%scripts%}}{{%renderer%}}</footer>
  </body>
</html>
"""


def build_app(config: DashboardsConfig, clock: Clock) -> FastAPI:
    """The whole web application, ready for an ASGI server."""
    data = Data(config, clock)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with data:
            yield

    # The pages' API is not for people: no documentation of Dash's own routes.
    server = FastAPI(
        title="Davylamp dashboards",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
    )
    _add_health(server, data)
    dash = Dash(
        "dashboards",
        server=cast(Any, server),  # typed for Flask only
        backend="fastapi",
        assets_folder=str(Path(__file__).parent / "assets"),
        assets_ignore=_BOOT,
        index_string=_INDEX,
        title="Davylamp",
        update_title="",
        serve_locally=True,
        suppress_callback_exceptions=True,
        add_log_handler=False,
        enable_mcp=False,
    )
    # Else every page opens a socket that no callback uses.
    dash.backend.websocket_capability = False
    dash.layout = shell(can_sign_out=config.oidc.is_on)
    _register_page_switch(dash, config)
    _register_browser_side(dash)
    for page in PAGES.values():
        register_update(dash, page, data, config)
    # Dash does this before the first request, but not when that is for a page other than "/":
    # such a page would come without styles and scripts.
    set_up: Any = dash._setup_server  # noqa: SLF001
    set_up()
    server.state.dash = dash
    hosts = {config.host, *config.allowed_hosts}
    server.add_middleware(Guard, dash=dash, hosts=hosts)
    if config.access.required:
        # Added last, so outermost: nothing answers, not even with a 404, before it does.
        _close(server, config, clock, data.count_refusal)
    return server


def _close(
    server: FastAPI, config: DashboardsConfig, clock: Clock, refused: Callable[[str], None]
) -> None:
    """Only who shows a token, or has signed in where one can. Raises SignInSettingsError."""
    desk = AccessDesk(config.access, clock)
    if not config.oidc.is_on:
        realm = "Davylamp: any name, and a token as the password"
        server.add_middleware(Gate, desk=desk, scope_of=reading, refused=refused, realm=realm)
        return
    # Authlib is not needed where nobody signs in.
    from dashboards.signin.door import Door  # noqa: PLC0415
    from dashboards.signin.flow import SignInFlow  # noqa: PLC0415
    from dashboards.signin.keeping import cookies  # noqa: PLC0415

    session_cookie, attempt_cookie = cookies(config.oidc)
    server.add_middleware(
        Door,
        session_s=config.oidc.session_s,
        clock=clock,
        flow=SignInFlow(config.oidc, clock),
        session_cookie=session_cookie,
        attempt_cookie=attempt_cookie,
        # No realm: browsers shall not ask for a password when a session is over.
        gated=partial(Gate, desk=desk, scope_of=reading, refused=refused),
        scope_of=reading,
        tokens=TokenFile(config.access.tokens_file),
        refused=refused,
    )


def _add_health(server: FastAPI, data: Data) -> None:
    @server.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @server.get("/readyz")
    async def readyz() -> dict[str, str]:
        """Pages can be served; what the two APIs say is shown on the pages themselves."""
        return {"status": "ready"}

    @server.get("/metrics")
    async def metrics() -> Response:
        """What reading from the two APIs cost so far, as Prometheus text."""
        counts = data.counts()
        lines = [
            "# TYPE davylamp_dashboards_reads_total counter",
            f"davylamp_dashboards_reads_total {counts.asked}",
            "# TYPE davylamp_dashboards_reads_shared_total counter",
            f"davylamp_dashboards_reads_shared_total {counts.shared}",
            "# TYPE davylamp_dashboards_reads_failed_total counter",
            f"davylamp_dashboards_reads_failed_total {counts.failed}",
            "# TYPE davylamp_dashboards_broken_pages_total counter",
            f"davylamp_dashboards_broken_pages_total {counts.broken_pages}",
            "# TYPE davylamp_dashboards_refused_total counter",
            f"davylamp_dashboards_refused_total {counts.refused}",
        ]
        return Response("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")


def _register_page_switch(dash: Dash, config: DashboardsConfig) -> None:
    @dash.callback(Output("page", "children"), Input("url", "pathname"), State("url", "search"))
    async def show_page(path: str | None, search: str | None) -> Component:
        """The frame of the page; its numbers come with its own update."""
        route = parse_path(path or "/")
        if route is None:
            return missing.layout(path or "/")
        query = parse_query(search, window_s=config.window_s)
        return PAGES[route.page].layout(route, query, config)


def _register_browser_side(dash: Dash) -> None:
    """Callbacks that never leave the browser; the functions are in assets/davylamp.js."""

    def register(name: str, outputs: list[Any], inputs: list[Any], **more: Any) -> None:
        callback: Any = dash.clientside_callback
        callback(ClientsideFunction("davylamp", name), outputs, inputs, **more)

    register(
        "scheme",
        [
            Output("scheme-choice", "data"),
            Output("scheme-control", "value"),
            Output("scheme", "data"),
            Output("provider", "forceColorScheme"),
        ],
        [Input("scheme-control", "value"), Input("scheme-choice", "modified_timestamp")],
        state=[State("scheme-choice", "data")],
    )
    for kind in PAGES:
        register(
            "heard",
            [Output(f"{kind}-page", "data-heard")],
            [Input(f"{kind}-shown", "data")],
            state=[State(f"{kind}-tick", "interval")],
        )
    register(
        "nav",
        [Output("nav-fleet", "className"), Output("nav-canaries", "className")],
        [Input("url", "pathname")],
    )
    register(
        "open_node",
        [Output("url", "pathname")],
        [Input("fleet-topology-body", "clickData")],
        prevent_initial_call=True,
    )
