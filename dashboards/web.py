"""What stands before the application: real 404s, allowed hosts, and security headers.

Dash answers every GET with its index page, so an unknown path must be refused before it gets there;
and its own request hooks do not run for page paths, so this is plain ASGI around everything.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from dash import Dash
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.pages import missing
from dashboards.routes import parse_path

#: Paths that are not pages; the application itself answers 404 below them.
_OTHER_PATHS: Final = ("/_dash-", "/assets/")
_PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics", "/_reload-hash"})
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, *, dash: Dash, hosts: AbstractSet[str]) -> None:
        self._app = app
        self._dash = dash
        self._hosts = _LOOPBACK_NAMES | {host.lower() for host in hosts}
        self._policy: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            # No callback uses one, so nobody needs one.
            await send({"type": "websocket.close", "code": 1008, "reason": "not offered"})
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, self._with_headers(send))
            return
        await self._app(scope, receive, self._with_headers(send))

    def _refusal(self, scope: Scope) -> Response | None:
        """An answer without asking the application; None = let it through."""
        host = Headers(scope=scope).get("host", "")
        if _name_of(host) not in self._hosts:
            # A foreign name that resolves here is a page of another origin reading ours.
            return JSONResponse(
                {
                    "error": {
                        "code": "unknown_host",
                        "message": f"{host[:100]!r} is not among [dashboards] allowed_hosts",
                    }
                },
                status_code=421,
            )
        path = scope["path"]
        if path in _PROBES or path.startswith(_OTHER_PATHS) or parse_path(path) is not None:
            return None
        return HTMLResponse(missing.as_html(path), status_code=404)

    def _with_headers(self, send: Send) -> Send:
        async def wrapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers.setdefault("Cache-Control", "no-cache")
                if headers.get("content-type", "").startswith("text/html"):
                    headers["Content-Security-Policy"] = self._content_policy()
            await send(message)

        return wrapped

    def _content_policy(self) -> str:
        """Scripts only from here. Computed late: hashes are complete once a page was rendered."""
        if self._policy is None:
            hashes = " ".join(self._dash.csp_hashes())
            self._policy = (
                f"default-src 'self'; script-src 'self' {hashes}; "
                "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
                "worker-src 'self' blob:; connect-src 'self'; object-src 'none'; "
                "base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
            )
        return self._policy


def _name_of(host: str) -> str:
    """The name in a Host header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()
