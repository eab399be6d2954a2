"""The outbox over HTTP: dead letters listed, read whole and sent again; how endpoints fare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from fastapi import FastAPI, Request, Response

from analysis import bodies, params
from analysis.api import MAX_LIST, Desk, FromText, Text, ToText
from analysis.decisions.dead_letters import Search
from analysis.decisions.outbox_desk import OutboxDesk
from analysis.decisions.states import DeliveryState
from analysis.guards_api import signed_by
from analysis.notices.desk import NoticeDesk
from analysis.proposals.policy import Change, ChangeKind
from analysis.proposals_api import Loosening
from analysis.webhooks.breaker import EndpointHealth
from collector.access.desk import Caller
from collector.access.tokens import Scope

#: Without ``from``, rows of this long are searched.
SEARCHED: Final = "now-30d"


def add_outbox(
    app: FastAPI,
    desk: Desk,
    outbox: OutboxDesk,
    endpoints: Callable[[], Sequence[EndpointHealth]],
    loosening: Loosening,
) -> None:
    """Add the routes under ``/api/v1/outbox`` and ``/api/v1/endpoints``."""

    @app.get("/api/v1/outbox")
    async def rows(
        request: Request,
        state: Text = None,
        endpoint_id: Text = None,
        from_text: FromText = None,
        to_text: ToText = None,
        limit: Text = None,
    ) -> Response:
        """Rows with every attempt, newest first; dead ones unless ``state`` says otherwise."""

        def work() -> tuple[int, Any]:
            now = desk.clock.wall_unix_nano()
            start, end = params.window(from_text or SEARCHED, to_text, now)
            count = params.integer("limit", limit, default=100, low=1, high=MAX_LIST)
            wanted = params.delivery_state(state, DeliveryState.DEAD)
            found = outbox.letters(Search(wanted, endpoint_id, start, end, count))
            return 200, {"deliveries": [delivery.to_json() for delivery in found]}

        return await desk.read(request, work)

    @app.get("/api/v1/outbox/{webhook_id}")
    async def row(request: Request, webhook_id: str) -> Response:
        """One row with its body, and whether it may be sent again."""
        return await desk.read(request, lambda: (200, outbox.letter(webhook_id).to_json()))

    @app.post("/api/v1/outbox/{webhook_id}/replay")
    async def replay(request: Request, webhook_id: str) -> Response:
        """Send a dead letter again: same bytes, same id; 409 says why not."""

        def work(raw: bytes, caller: Caller) -> tuple[int, Any]:
            body = bodies.read_replay(raw)
            environment, _, service = outbox.letter(webhook_id).delivery.lane.partition("/")
            change = Change(ChangeKind.REPLAY_COMMAND, environment, service, webhook_id)
            waiting = loosening.proposed(change, caller, body.who, body.reason)
            if waiting is not None:
                return waiting
            who = signed_by(caller, body.who)
            return 200, outbox.replay(webhook_id, who, body.reason).to_json()

        return await desk.write(request, work, Scope.ADMIN)

    @app.get("/api/v1/endpoints")
    async def health(request: Request) -> Response:
        """Breaker and requests under way of every endpoint of commands."""
        found = [one.to_json() for one in endpoints()]
        return await desk.read(request, lambda: (200, {"endpoints": found}))


def add_notices(app: FastAPI, desk: Desk, notices: NoticeDesk, loosening: Loosening) -> None:
    """Add the routes under ``/api/v1/notices``."""

    @app.get("/api/v1/notices")
    async def rows(request: Request, state: Text = None, limit: Text = None) -> Response:
        """What people's tools were told, newest first; of any state unless one is asked for."""

        def work() -> tuple[int, Any]:
            count = params.integer("limit", limit, default=100, low=1, high=MAX_LIST)
            wanted = params.delivery_state(state or "any", DeliveryState.DEAD)
            return 200, {"notices": [row.to_json() for row in notices.listed(wanted, count)]}

        return await desk.read(request, work)

    @app.post("/api/v1/notices/{webhook_id}/replay")
    async def replay(request: Request, webhook_id: str) -> Response:
        """Tell again: same bytes, same id."""

        def work(raw: bytes, caller: Caller) -> tuple[int, Any]:
            body = bodies.read_replay(raw)
            service = environment = "*"  # an objective's, which no token is bound to
            if (deployment_id := notices.one(webhook_id).deployment_id) is not None:
                about = desk.ledger.canary(deployment_id).declaration
                service, environment = about.service, about.environment
            change = Change(ChangeKind.REPLAY_NOTICE, environment, service, webhook_id)
            waiting = loosening.proposed(change, caller, body.who, body.reason)
            if waiting is not None:
                return waiting
            who = signed_by(caller, body.who)
            return 200, notices.replay(webhook_id, who, body.reason).to_json()

        return await desk.write(request, work, Scope.ADMIN)
