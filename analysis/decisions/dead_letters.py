"""Dead letters: found, read whole, and sent again when that is still right.

A replay sends the same bytes under the same id. A command whose time is over is never sent again,
nor one that a newer decision of its lane has overtaken: then a new decision must be made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Row, func, select, update

from analysis.decisions import commands, guard_store, outbox
from analysis.decisions.guard_store import Release
from analysis.decisions.guards import ALL_ENVIRONMENTS
from analysis.decisions.records import Delivery, Event, Signed
from analysis.decisions.states import DecisionState, DeliveryState, move_delivery
from analysis.decisions.tables import decisions, environment_locks
from analysis.decisions.tables import outbox as rows
from analysis.decisions.timeline import add_event
from analysis.errors import ConflictError, UnknownRecordError


@dataclass(frozen=True, slots=True)
class Search:
    """Which rows are wanted; None = any. ``from`` inclusive, ``to`` exclusive, of creation."""

    state: DeliveryState | None
    endpoint_id: str | None
    from_unix_nano: int
    to_unix_nano: int
    limit: int


@dataclass(frozen=True, slots=True)
class Letter:
    """One row whole: what is sent, and why it may not be sent again (None: it may)."""

    delivery: Delivery
    body: bytes
    refusal: str | None

    def to_json(self) -> dict[str, Any]:
        return {
            **self.delivery.to_json(),
            "body": orjson.loads(self.body),
            "can_be_replayed": self.refusal is None,
            "replay_refusal": self.refusal,
        }


def search(connection: Connection, wanted: Search) -> list[Delivery]:
    """Newest first."""
    query = select(rows).where(
        rows.c.created_unix_nano >= wanted.from_unix_nano,
        rows.c.created_unix_nano < wanted.to_unix_nano,
    )
    if wanted.state is not None:
        query = query.where(rows.c.state == str(wanted.state))
    if wanted.endpoint_id is not None:
        query = query.where(rows.c.endpoint_id == wanted.endpoint_id)
    order = (rows.c.created_unix_nano.desc(), rows.c.webhook_id.desc())
    return outbox.read(connection, query.order_by(*order).limit(wanted.limit))


def load(connection: Connection, webhook_id: str, now_unix_nano: int) -> Letter:
    """One row. Raises UnknownRecordError."""
    row = _row(connection, webhook_id)
    (delivery,) = outbox.read(connection, select(rows).where(rows.c.webhook_id == webhook_id))
    return Letter(delivery, row.body, _refusal(connection, row, now_unix_nano))


def replay(connection: Connection, webhook_id: str, by: Signed, now_unix_nano: int) -> None:
    """Due again at once. Raises UnknownRecordError, ConflictError (it must not be sent again)."""
    row = _row(connection, webhook_id)
    refusal = _refusal(connection, row, now_unix_nano)
    if refusal is not None:
        raise ConflictError(f"{webhook_id} {refusal}")
    state = move_delivery(webhook_id, DeliveryState(row.state), DeliveryState.PENDING)
    values = {"state": str(state), "dead_reason": None, "due_unix_nano": now_unix_nano}
    connection.execute(update(rows).where(rows.c.webhook_id == webhook_id).values(values))
    detail = f"sent again by {by.who}: {by.reason}"
    decision = commands.load(connection, row.decision_id)
    title = f"The {decision.action} command to {row.endpoint_id} is sent again, says {by.who}"
    event = Event(
        now_unix_nano, "replayed", decision.service, decision.deployment_id, title, by.reason
    )
    add_event(connection, event, actor=by.actor)
    commands.move(connection, row.decision_id, DecisionState.REQUESTED, now_unix_nano, detail)


def _row(connection: Connection, webhook_id: str) -> Row[Any]:
    row = connection.execute(select(rows).where(rows.c.webhook_id == webhook_id)).one_or_none()
    if row is None:
        raise UnknownRecordError(f"no delivery {webhook_id!r}")
    return row


def _refusal(connection: Connection, row: Row[Any], now_unix_nano: int) -> str | None:
    """Why the row must not be sent again, or None."""
    if row.state != DeliveryState.DEAD:
        return f"is {row.state}; only what is dead can be sent again"
    if row.lease_token is not None and row.lease_until_unix_nano > now_unix_nano:
        return "is under way; its answer may still come"
    if now_unix_nano >= row.expires_unix_nano:
        return "is over its time; a new decision must be made"
    newest = select(func.max(decisions.c.sequence)).where(
        decisions.c.lane == row.lane, decisions.c.mode == "act"
    )
    if int(connection.scalar(newest) or 0) > row.sequence:
        return "is overtaken by a newer decision of its lane"
    decision = commands.load(connection, row.decision_id)
    if decision.state is not DecisionState.EXPIRED:
        return f"belongs to a decision that is {decision.state}"
    names = (decision.environment, ALL_ENVIRONMENTS)
    locked = select(environment_locks.c.reason).where(environment_locks.c.environment.in_(names))
    reason = connection.scalar(locked)
    if reason is not None:
        return f"belongs to a locked environment: {reason}"
    # Barred since it was committed, or it would not have been.
    kept = Release(decision.environment, decision.service, outbox.kept_digest(row))
    barred = guard_store.why_barred(connection, kept)
    return None if barred is None else f"leads to {kept.digest}, which is barred: {barred}"
