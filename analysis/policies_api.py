"""Error-budget policies over HTTP: where their steps stand, and suspending one for a while."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request, Response

from analysis import bodies
from analysis.api import Desk, require_own
from analysis.decisions.override_store import Suspension
from analysis.errors import BadRequestError
from analysis.guards_api import signed_by
from analysis.proposals.changes import suspension
from analysis.proposals_api import Loosening
from analysis.slo.budget_policy import PolicyStep
from collector.access.desk import Caller
from collector.access.tokens import Scope


def add_policies(
    app: FastAPI,
    desk: Desk,
    steps: Sequence[PolicyStep],
    objectives: Sequence[str],
    loosening: Loosening,
) -> None:
    """Add the routes under ``/api/v1/slo-policies``."""
    store = desk.ledger.overrides

    @app.get("/api/v1/slo-policies")
    async def every(request: Request) -> Response:
        """Every step for every objective it is about, and all overrides, newest first."""

        def work() -> tuple[int, Any]:
            kept = [one.to_json() for one in store.every()]
            return 200, {"steps": desk.ledger.statuses("policy"), "overrides": kept}

        return await desk.read(request, work)

    @app.post("/api/v1/slo-policies/overrides")
    async def make(request: Request) -> Response:
        """Suspend the actions of a step until a time; it goes on being watched."""

        def work(raw: bytes, caller: Caller) -> tuple[int, Any]:
            body = bodies.read_override(raw)
            # It is about objectives, which no token is bound to.
            require_own(caller, "*", "*")
            names = sorted(one.full_name for one in steps)
            if body.step not in names:
                raise BadRequestError(f"no step {body.step!r}", accepted=", ".join(names) or "none")
            if body.objective not in ("*", *objectives):
                accepted = f"*, {', '.join(sorted(objectives))}"
                raise BadRequestError(f"no objective {body.objective!r}", accepted=accepted)
            asked = Suspension(body.step, body.objective, body.expires_unix_nano)
            waiting = loosening.proposed(suspension(asked), caller, body.who, body.reason)
            if waiting is not None:
                return waiting
            made = store.make(
                body.step,
                body.objective,
                author=signed_by(caller, body.who),
                reason=body.reason,
                expires_unix_nano=body.expires_unix_nano,
            )
            return 201, made.to_json()

        return await desk.write(request, work, Scope.ADMIN)

    @app.post("/api/v1/slo-policies/overrides/{override_id}/end")
    async def end(request: Request, override_id: str) -> Response:
        """The step acts again."""

        def work(raw: bytes, caller: Caller) -> tuple[int, Any]:
            body = bodies.read_withdrawal(raw)
            require_own(caller, "*", "*")
            who = signed_by(caller, body.who)
            return 200, store.end(override_id, author=who, reason=body.reason).to_json()

        return await desk.write(request, work, Scope.ADMIN)
