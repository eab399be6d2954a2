"""Proposals over HTTP: what waits for a second person, approved or taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response

from analysis import bodies, params
from analysis.api import MAX_LIST, Desk, Text, require_own
from analysis.metrics import Metrics
from analysis.proposals.desk import ProposalDesk
from analysis.proposals.policy import Change, Person, Proposal
from collector.access.desk import Caller
from collector.access.tokens import Scope
from telemetry.clock import Clock


class Loosening:
    """Answers 202 with a proposal where a change that loosens the guards needs two people."""

    def __init__(self, proposals: ProposalDesk, clock: Clock, metrics: Metrics) -> None:
        self._proposals = proposals
        self._clock = clock
        self._metrics = metrics

    def proposed(
        self, change: Change, caller: Caller, said: str, reason: str
    ) -> tuple[int, Any] | None:
        """None: one person is enough, and the route makes the change itself.

        Raises ForbiddenError when the caller does not speak for it, and as propose() does.
        """
        require_own(caller, change.service, change.environment)
        if not self._proposals.is_required:
            return None
        proposal = self._proposals.propose(change, Person.of(caller, said), reason)
        self._metrics.proposals.labels("proposed").inc()
        return 202, proposal.to_json(self._clock.wall_unix_nano())


def add_proposals(app: FastAPI, desk: Desk, proposals: ProposalDesk) -> None:
    """Add the routes under ``/api/v1/proposals``."""

    @app.get("/api/v1/proposals")
    async def listed(request: Request, state: Text = None, limit: Text = None) -> Response:
        """Newest first; open ones unless ``state`` says otherwise."""

        def work() -> tuple[int, Any]:
            wanted = params.proposal_state(state)
            count = params.integer("limit", limit, default=100, low=1, high=MAX_LIST)
            now = desk.clock.wall_unix_nano()
            found = [one.to_json(now) for one in proposals.listed(wanted, count)]
            return 200, {"proposals": found}

        return await desk.read(request, work)

    @app.get("/api/v1/proposals/{proposal_id}")
    async def one(request: Request, proposal_id: str) -> Response:
        """One proposal."""

        def work() -> tuple[int, Any]:
            return 200, proposals.one(proposal_id).to_json(desk.clock.wall_unix_nano())

        return await desk.read(request, work)

    async def end(
        request: Request,
        proposal_id: str,
        outcome: str,
        do: Callable[[str, Person, str], Proposal],
    ) -> Response:
        def work(raw: bytes, caller: Caller) -> tuple[int, Any]:
            body = bodies.read_replay(raw)
            change = proposals.one(proposal_id).change
            require_own(caller, change.service, change.environment)
            ended = do(proposal_id, Person.of(caller, body.who), body.reason)
            desk.metrics.proposals.labels(outcome).inc()
            return 200, ended.to_json(desk.clock.wall_unix_nano())

        return await desk.write(request, work, Scope.ADMIN)

    @app.post("/api/v1/proposals/{proposal_id}/approve")
    async def approve(request: Request, proposal_id: str) -> Response:
        """Make the proposed change; 403 to the token that proposed it, 409 says why not."""
        return await end(request, proposal_id, "approved", proposals.approve)

    @app.post("/api/v1/proposals/{proposal_id}/withdraw")
    async def withdraw(request: Request, proposal_id: str) -> Response:
        """It cannot be approved any more."""
        return await end(request, proposal_id, "withdrawn", proposals.withdraw)
