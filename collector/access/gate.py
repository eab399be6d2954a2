"""The check before an HTTP application: what it is not told about needs a token.

It stands around the application, so that a route that is added later is closed, not open.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import orjson

from collector.access.desk import AccessDesk
from collector.access.errors import AccessError
from collector.access.tokens import Scope
from collector.asgi import Application, Message, Receive, Send

#: The scope a method and path need; None: anybody.
ScopeOf = Callable[[str, str], Scope | None]

#: Whether a process answers is no secret, and who asks has no token at hand.
PROBES: Final = frozenset({"/healthz", "/readyz"})


#: Copying the whole store is not a question.
_ADMIN_PATHS: Final = frozenset({"/api/v1/store/snapshot"})


def reading(_method: str, path: str) -> Scope | None:
    """For an application that answers questions."""
    if path in _ADMIN_PATHS:
        return Scope.ADMIN
    return None if path in PROBES else Scope.READ


class Gate:
    """ASGI middleware. ``refused`` is called with the outcome of every refusal, to count it."""

    def __init__(
        self,
        app: Application,
        desk: AccessDesk,
        scope_of: ScopeOf,
        refused: Callable[[str], None],
        *,
        realm: str = "",
    ) -> None:
        self._app = app
        self._desk = desk
        self._scope_of = scope_of
        self._refused = refused
        #: With a realm, browsers ask a person for the token.
        challenge = f'Basic realm="{realm}", charset="UTF-8"' if realm else "Bearer"
        self._challenge = challenge.encode()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request; anything but HTTP is the application's."""
        needed = None
        if scope["type"] == "http":
            needed = self._scope_of(scope["method"], scope["path"])
        if needed is not None:
            try:
                self._desk.caller(authorization_of(scope)).require(needed)
            except AccessError as error:
                self._refused(error.outcome)
                await self._refuse(send, error)
                return
        await self._app(scope, receive, send)

    async def _refuse(self, send: Send, error: AccessError) -> None:
        words = {"code": error.outcome, "message": str(error), "accepted": error.accepted}
        body = orjson.dumps({"error": words})
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        if error.http_status == 401:
            headers.append((b"www-authenticate", self._challenge))
        status = error.http_status
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def authorization_of(scope: Message) -> str | None:
    """The Authorization header of an ASGI request; None as well for several."""
    found = [value for name, value in scope["headers"] if name == b"authorization"]
    return found[0].decode("latin-1") if len(found) == 1 else None
