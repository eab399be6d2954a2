"""The doors' routes on the analysis API. They read; nobody who asks here can decide anything."""

from __future__ import annotations

import math
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request, Response

from analysis.api import Desk
from analysis.doors import argo, flagger, remote_judge
from analysis.doors.standing import Known, chosen, standing_of
from analysis.errors import BadRequestError

#: Newest canaries among which one is looked for.
MAX_LOOKED_AT: Final = 500
#: Canned data of 10,000 pairs of 50 points.
MAX_JUDGE_BYTES: Final = 16 * 1024 * 1024

Text = Annotated[str | None, Query()]


def add_doors(app: FastAPI, desk: Desk) -> None:
    """Argo Rollouts, Flagger and Kayenta."""
    _add_argo(app, desk)
    _add_flagger(app, desk)
    _add_remote_judge(app, desk)


def _known(desk: Desk, **wanted: str | None) -> Known:
    record = chosen(
        desk.ledger.canaries(limit=MAX_LOOKED_AT),
        deployment_id=wanted.get("deployment_id"),
        service=wanted.get("service"),
        environment=wanted.get("environment"),
        version=wanted.get("version"),
    )
    look = None if record is None else desk.ledger.last_look(record.deployment_id)
    return standing_of(record, look)


def _add_argo(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/v1/analysis/argo")
    async def argo_asks(
        request: Request,
        deployment_id: Text = None,
        service: Text = None,
        environment: Text = None,
        version: Text = None,
    ) -> Response:
        """For a web metric without a body: whom it is about stands in the query."""

        def work() -> tuple[int, Any]:
            if not (deployment_id or service):
                raise BadRequestError("whom?", accepted="deployment_id or service in the query")
            found = _known(
                desk,
                deployment_id=deployment_id,
                service=service,
                environment=environment,
                version=version,
            )
            return 200, argo.answer(found)

        return await desk.read(request, work)


def _add_flagger(app: FastAPI, desk: Desk) -> None:
    @app.post("/api/v1/flagger/{hook}")
    async def flagger_asks(request: Request, hook: str) -> Response:
        """One of Flagger's webhooks, named as in its canary's ``webhooks[].type``."""

        def work(raw: bytes) -> tuple[int, Any]:
            if hook not in flagger.HOOKS:
                raise BadRequestError(
                    f"hook {hook!r} is unknown", accepted=", ".join(flagger.HOOKS)
                )
            asked = flagger.read_hook(raw)
            found = _known(
                desk,
                deployment_id=asked.deployment_id,
                service=asked.service,
                environment=asked.environment,
                version=asked.version,
            )
            status, told = flagger.answer(hook, found)
            return status, {"verdict": str(found.standing), "message": told}

        return await desk.ask(request, work)


def _add_remote_judge(app: FastAPI, desk: Desk) -> None:
    @app.post("/judge")
    async def judge(request: Request) -> Response:
        """RemoteJudge-v1.0: a pure function of the body."""

        def work(raw: bytes) -> tuple[int, Any]:
            return 200, _without_nan(remote_judge.judge_remotely(raw))

        return await desk.ask(request, work, max_bytes=MAX_JUDGE_BYTES)


def _without_nan(tree: Any) -> Any:
    """NaN as Kayenta's serialiser writes it; JSON has none."""
    if isinstance(tree, dict):
        return {key: _without_nan(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_without_nan(value) for value in tree]
    return "NaN" if isinstance(tree, float) and not math.isfinite(tree) else tree
