"""A canary judged again over HTTP: from the inputs that are kept beside its looks."""

from __future__ import annotations

from typing import Any, Final

import orjson
from fastapi import FastAPI, Request, Response

from analysis.api import Desk
from analysis.canary import tape
from analysis.canary.config import load_canary_config
from analysis.canary.errors import CanaryConfigError
from analysis.canary.replay import StoredLook, replay
from analysis.decisions.timeline import dumps
from analysis.errors import ConflictError

_NOT_JUDGED: Final = "it has no look yet, so there is nothing to judge again"


def add_replay(app: FastAPI, desk: Desk) -> None:
    """Add the routes below ``/api/v1/canaries/{deployment_id}``."""

    @app.get("/api/v1/canaries/{deployment_id}/rule")
    async def rule(request: Request, deployment_id: str) -> Response:
        """The text of the rule it is judged by; empty before the first look."""

        def work() -> tuple[int, Any]:
            record = desk.ledger.canary(deployment_id)
            return 200, {"text": record.config_text, "digest": record.rule_digest}

        return await desk.read(request, work)

    @app.get("/api/v1/canaries/{deployment_id}/replay")
    async def judged_again(request: Request, deployment_id: str) -> Response:
        """``same``, ``differs`` from a look on, or ``incomplete``; nothing is changed."""

        def work() -> tuple[int, Any]:
            record = desk.ledger.canary(deployment_id)
            rows = desk.ledger.taped_looks(deployment_id)
            if not rows or not record.config_text:
                raise ConflictError(f"{deployment_id}: {_NOT_JUDGED}")
            try:
                rule = load_canary_config(record.config_text)
            except CanaryConfigError as error:
                raise ConflictError(f"its rule is not one of this version: {error}") from error
            looks = (
                StoredLook(index, orjson.loads(text), text, None if raw is None else tape.read(raw))
                for index, text, raw in rows
            )
            started = record.declaration.started_unix_nano
            return 200, replay(rule, started, looks, dumps).to_json()

        return await desk.read(request, work)
