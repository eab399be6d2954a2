"""Secrets of endpoints over HTTP: they go in and do not come out."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from fastapi import FastAPI, Request, Response

from analysis import bodies
from analysis.api import Desk
from analysis.errors import ForbiddenError
from analysis.guards_api import signed_by
from analysis.webhooks.secret_desk import NewSecret, SecretDesk
from collector.access.desk import Caller
from collector.access.tokens import Scope


def add_secrets(
    app: FastAPI, desk: Desk, secrets: SecretDesk, by_hand: Collection[str] = ()
) -> None:
    """Add the routes under ``/api/v1/endpoints/{endpoint_id}/secret``.

    ``by_hand``: endpoints whose secret nobody changes alone over HTTP. A proposal of one would
    have to keep the secret until it is approved.
    """

    @app.get("/api/v1/endpoints/{endpoint_id}/secret")
    async def shown(request: Request, endpoint_id: str) -> Response:
        """Fingerprints and public keys of what signs; no secret."""
        return await desk.read(request, lambda: (200, secrets.shown(endpoint_id)))

    @app.put("/api/v1/endpoints/{endpoint_id}/secret")
    async def replace(request: Request, endpoint_id: str) -> Response:
        """Set a secret; the one before signs beside it unless ``keep_previous`` is false."""

        def work(raw: bytes, caller: Caller) -> tuple[int, Any]:
            if not caller.binding.is_free:
                raise ForbiddenError(
                    f"the token {caller.name!r} is bound to services or environments",
                    accepted="a token that is bound to nothing",
                )
            if endpoint_id in by_hand:
                raise ForbiddenError(
                    f"two people are required, and {endpoint_id!r} receives commands",
                    accepted="another secret in its file, on the machine",
                )
            body = bodies.read_secret(raw)
            new = NewSecret(body.secret.get_secret_value(), body.keep_previous)
            return 200, secrets.replace(endpoint_id, new, signed_by(caller, body.who))

        return await desk.write(request, work, Scope.ADMIN)
