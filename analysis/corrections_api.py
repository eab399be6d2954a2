"""Corrections of budgets over HTTP: made and withdrawn by people, listed with every word."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from fastapi import FastAPI, Request, Response

from analysis import bodies
from analysis.api import Desk, require_own
from analysis.decisions.correction_store import Exclusion, read_when
from analysis.errors import BadRequestError
from analysis.guards_api import signed_by
from analysis.proposals.changes import exclusion
from analysis.proposals_api import Loosening
from analysis.slo.openslo.corrections import CorrectionError
from collector.access.desk import Caller
from collector.access.tokens import Scope

_WHEN: str = "once {from_unix_s, to_unix_s} or recurring {start_time, time_zone, duration_s, rule}"


def add_corrections(
    app: FastAPI, desk: Desk, objectives: Collection[str], loosening: Loosening
) -> None:
    """Add the routes under ``/api/v1/slo-corrections``; ``objectives``: the names that run."""
    store = desk.ledger.corrections

    @app.get("/api/v1/slo-corrections")
    async def every(request: Request) -> Response:
        """All that were ever made, the withdrawn ones too, newest first."""
        return await desk.read(
            request, lambda: (200, {"corrections": [one.to_json() for one in store.every()]})
        )

    @app.post("/api/v1/slo-corrections")
    async def make(request: Request) -> Response:
        """Exclude time from budgets, also of the past; alerts take it for time without failures."""

        def work(raw: bytes, caller: Caller) -> tuple[int, Any]:
            body = bodies.read_correction(raw)
            # It is about objectives, which no token is bound to.
            require_own(caller, "*", "*")
            unknown = sorted(set(body.objectives) - set(objectives))
            if unknown:
                names = ", ".join(sorted(objectives))
                raise BadRequestError(f"no objective {unknown[0]!r}", accepted=names)
            try:
                when = read_when(body.model_dump(include={"once", "recurring"}))
                asked = exclusion(Exclusion(when, tuple(body.objectives), body.category))
                waiting = loosening.proposed(asked, caller, body.who, body.reason)
                if waiting is not None:
                    return waiting
                made = store.make(
                    when,
                    body.objectives,
                    author=signed_by(caller, body.who),
                    reason=body.reason,
                    category=body.category,
                )
            except (CorrectionError, ValueError) as error:
                raise BadRequestError(str(error), accepted=_WHEN) from error
            return 201, made.to_json()

        return await desk.write(request, work, Scope.ADMIN)

    @app.post("/api/v1/slo-corrections/{correction_id}/withdraw")
    async def withdraw(request: Request, correction_id: str) -> Response:
        """The time counts again; the correction stays on the list."""

        def work(raw: bytes, caller: Caller) -> tuple[int, Any]:
            body = bodies.read_withdrawal(raw)
            require_own(caller, "*", "*")
            who = signed_by(caller, body.who)
            try:
                return 200, store.withdraw(correction_id, author=who, reason=body.reason).to_json()
            except CorrectionError as error:
                raise BadRequestError(str(error), accepted="who and why, in words") from error

        return await desk.write(request, work, Scope.ADMIN)
