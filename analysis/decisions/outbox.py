"""The outbox: rows to be sent, leases to send them, what became of every attempt.

A row is written in the transaction of its decision, so there is none without the other. It is
sent by whoever holds its lease; every later write names the lease's token, so a worker that lost
it (a pause, a stepped clock) changes nothing. Per lane one row is under way at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    func,
    insert,
    or_,
    select,
    update,
)

from analysis.decisions import commands
from analysis.decisions.records import Attempt, Decision, Delivery, Event, Lease
from analysis.decisions.states import DecisionState, DeliveryState, move_delivery
from analysis.decisions.tables import attempts, outbox
from analysis.decisions.timeline import add_event
from analysis.errors import StaleLeaseError
from analysis.webhooks.events import Addressing

#: People are told at this many failed attempts of one delivery, once.
TELL_PEOPLE_AFTER_ATTEMPTS: Final = 3
MAX_ERROR_CHARS: Final = 500
#: Rows of one endpoint that are taken at once.
MAX_ROWS_PER_ENDPOINT: Final = 8

_PENDING: Final = str(DeliveryState.PENDING)


def enqueue(
    connection: Connection, webhook_id: str, decision: Decision, body: bytes, to: Addressing
) -> None:
    """Add the row of a new decision; it is due at once."""
    connection.execute(
        insert(outbox).values(
            webhook_id=webhook_id,
            decision_id=decision.decision_id,
            endpoint_id=to.endpoint_id,
            url=to.url,
            lane=decision.lane,
            sequence=decision.sequence,
            body=body,
            state=_PENDING,
            created_unix_nano=decision.created_unix_nano,
            due_unix_nano=decision.created_unix_nano,
            expires_unix_nano=decision.expires_unix_nano,
            attempts=0,
        )
    )


def supersede(connection: Connection, lane: str, by: str, now: int) -> str | None:
    """Bury what is still queued on a lane, for a newer decision takes its place.

    Returns the newest decision buried. A request under way is not called back; if it is accepted
    after all, the row becomes delivered.
    """
    query = (
        select(outbox)
        .where(outbox.c.lane == lane, outbox.c.state == _PENDING)
        .order_by(outbox.c.sequence)
    )
    newest = None
    for row in connection.execute(query).all():
        _bury(connection, row, f"superseded by {by}", now)
        newest = str(row.decision_id)
    return newest


def withdraw(connection: Connection, lane: str, digest: str, reason: str, now: int) -> None:
    """Bury what is queued on a lane and would leave this release in service.

    A request under way is not called back, as with :func:`supersede`.
    """
    query = select(outbox).where(outbox.c.lane == lane, outbox.c.state == _PENDING)
    for row in connection.execute(query).all():
        if kept_digest(row) == digest:
            _bury(connection, row, reason, now)


def kept_digest(row: Row[Any]) -> str:
    """Digest of the release that a command leaves in service."""
    return str(orjson.loads(row.body)["data"]["target"]["digest"])


@dataclass(frozen=True, slots=True)
class Busy:
    """What a worker cannot take now."""

    #: Lanes on which it has a request under way, whatever the wall clock says about its lease.
    lanes: tuple[str, ...] = ()
    #: Requests that may still begin, of endpoints that have not MAX_ROWS_PER_ENDPOINT of room.
    room: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Want:
    """What a worker asks for: how many, for how long, and what it cannot take."""

    now_unix_nano: int
    lease_ns: int
    limit: int
    busy: Busy


def lease_due(connection: Connection, want: Want, new_token: Callable[[], str]) -> list[Lease]:
    """Take due rows, at most one per lane, none whose lane has one under way.

    Endpoints take turns: the second row of one comes after the first of every other, so that a
    receiver with a long queue does not hold back the rest.
    """
    turns, left = _turns(connection, want), dict(want.busy.room)
    taken: list[str] = []
    for row in turns:
        room = left.get(row.endpoint_id, MAX_ROWS_PER_ENDPOINT)
        if room > 0 and len(taken) < want.limit:
            left[row.endpoint_id] = room - 1
            taken.append(row.webhook_id)
    query = select(outbox).where(outbox.c.webhook_id.in_(taken), _is_free(want.now_unix_nano))
    until = want.now_unix_nano + want.lease_ns
    rows = connection.execute(query.with_for_update(skip_locked=True)).all() if taken else []
    leases = {row.webhook_id: _lease(row, new_token(), until) for row in rows}
    for lease in leases.values():
        values = {"lease_token": lease.token, "lease_until_unix_nano": lease.until_unix_nano}
        _update(connection, lease.webhook_id, values)
    return [leases[webhook_id] for webhook_id in taken if webhook_id in leases]


def _turns(connection: Connection, want: Want) -> Sequence[Row[Any]]:
    """Ids and endpoints of the first free row of every free lane, in the order of their turns."""
    now, columns = want.now_unix_nano, outbox.c
    held = select(columns.lane).where(
        columns.lease_token.is_not(None), columns.lease_until_unix_nano > now
    )
    order = (columns.due_unix_nano, columns.sequence)
    in_lane = func.row_number().over(partition_by=columns.lane, order_by=order)
    shut = [endpoint_id for endpoint_id, room in want.busy.room.items() if room <= 0]
    due = (
        select(columns.webhook_id, columns.endpoint_id, *order, in_lane.label("in_lane"))
        .where(
            _is_free(now),
            columns.due_unix_nano <= now,
            columns.lane.not_in(held),
            columns.lane.not_in(want.busy.lanes),
            columns.endpoint_id.not_in(shut),
        )
        .subquery()
    )
    turn = func.row_number().over(
        partition_by=due.c.endpoint_id, order_by=(due.c.due_unix_nano, due.c.sequence)
    )
    firsts = select(due, turn.label("turn")).where(due.c.in_lane == 1).subquery()
    query = (
        select(firsts.c.webhook_id, firsts.c.endpoint_id)
        .where(firsts.c.turn <= MAX_ROWS_PER_ENDPOINT)
        .order_by(firsts.c.turn, firsts.c.due_unix_nano, firsts.c.sequence)
    )
    return connection.execute(query).all()


def _is_free(now: int) -> ColumnElement[bool]:
    """To be sent, in time, and nobody is sending it."""
    return and_(
        outbox.c.state == _PENDING,
        outbox.c.expires_unix_nano > now,
        or_(outbox.c.lease_token.is_(None), outbox.c.lease_until_unix_nano <= now),
    )


def end_lease(connection: Connection, lease: Lease) -> Row[Any]:
    """The row as it was, its lease ended. Raises StaleLeaseError when somebody else has it."""
    query = select(outbox).where(outbox.c.webhook_id == lease.webhook_id).with_for_update()
    row = connection.execute(query).one()
    if row.lease_token != lease.token:
        raise StaleLeaseError(f"the lease of {lease.webhook_id} is over")
    _update(connection, lease.webhook_id, {"lease_token": None, "lease_until_unix_nano": None})
    return row


def finish_attempt(connection: Connection, lease: Lease, attempt: Attempt, url: str) -> Row[Any]:
    """Record what one request gave and end its lease. Raises StaleLeaseError."""
    row = end_lease(connection, lease)
    connection.execute(
        insert(attempts).values(
            webhook_id=lease.webhook_id,
            unix_nano=attempt.unix_nano,
            status=attempt.status,
            error=None if attempt.error is None else attempt.error[:MAX_ERROR_CHARS],
            duration_s=attempt.duration_s,
        )
    )
    _update(connection, lease.webhook_id, {"attempts": row.attempts + 1, "url": url})
    return row


def delivered(connection: Connection, row: Row[Any], attempt: Attempt) -> None:
    """The receiver accepted."""
    state = move_delivery(row.webhook_id, DeliveryState(row.state), DeliveryState.DELIVERED)
    _update(connection, row.webhook_id, {"state": str(state), "dead_reason": None})
    end = attempt.unix_nano + round(attempt.duration_s * 1e9)
    detail = f"{row.endpoint_id} answered {attempt.status}, attempt {row.attempts + 1}"
    commands.mark_delivered(connection, row.decision_id, end, detail)


def retry(connection: Connection, row: Row[Any], attempt: Attempt, due_unix_nano: int) -> None:
    """Try again at ``due_unix_nano``; people hear of it once."""
    if row.state != _PENDING:
        return  # superseded while the request was under way
    due = min(due_unix_nano, row.expires_unix_nano)
    _update(connection, row.webhook_id, {"due_unix_nano": due})
    if row.attempts + 1 == TELL_PEOPLE_AFTER_ATTEMPTS:
        decision = commands.load(connection, row.decision_id)
        title = f"The {decision.action} command does not reach {row.endpoint_id}"
        problem = attempt.error or f"status {attempt.status}"
        detail = f"{row.attempts + 1} attempts failed; the last: {problem}"
        now = attempt.unix_nano
        event = Event(
            now, "delivery_failing", decision.service, decision.deployment_id, title, detail
        )
        add_event(connection, event)


def dead(connection: Connection, row: Row[Any], reason: str, now: int) -> None:
    """Never send it again."""
    if row.state == _PENDING:
        _bury(connection, row, reason, now)


def stop(connection: Connection, lease: Lease, reason: str, now: int) -> None:
    """End the lease of a row that was not sent, for good. Raises StaleLeaseError."""
    dead(connection, end_lease(connection, lease), reason, now)


def expire(connection: Connection, now: int) -> int:
    """Bury what nobody accepted in time, unless a request is under way; returns how many."""
    query = select(outbox).where(
        outbox.c.state == _PENDING,
        outbox.c.expires_unix_nano <= now,
        or_(outbox.c.lease_token.is_(None), outbox.c.lease_until_unix_nano <= now),
    )
    rows = connection.execute(query).all()
    for row in rows:
        _bury(connection, row, f"expired after {row.attempts} attempts", now)
    return len(rows)


def release_leases(connection: Connection, but_lanes: Sequence[str] = ()) -> int:
    """End every lease, but those of ``but_lanes``: nobody holds the rest. Returns how many."""
    ended = connection.execute(
        update(outbox)
        .where(outbox.c.lease_token.is_not(None), outbox.c.lane.not_in(but_lanes))
        .values(lease_token=None, lease_until_unix_nano=None)
    )
    return int(ended.rowcount)


def next_due(connection: Connection, busy: Busy) -> int | None:
    """When the earliest row that nobody holds wants attention, or None.

    A row that cannot be taken now wants attention when its time is over.
    """
    shut = [endpoint_id for endpoint_id, room in busy.room.items() if room <= 0]
    is_busy = or_(outbox.c.lane.in_(busy.lanes), outbox.c.endpoint_id.in_(shut))
    when = case((is_busy, outbox.c.expires_unix_nano), else_=outbox.c.due_unix_nano)
    query = select(func.min(when)).where(outbox.c.state == _PENDING, outbox.c.lease_token.is_(None))
    found = connection.scalar(query)
    return None if found is None else int(found)


def list_deliveries(connection: Connection, decision_id: str | None, limit: int) -> list[Delivery]:
    """Newest first."""
    query = select(outbox).order_by(outbox.c.created_unix_nano.desc(), outbox.c.webhook_id.desc())
    if decision_id is not None:
        query = query.where(outbox.c.decision_id == decision_id)
    return read(connection, query.limit(limit))


def _bury(connection: Connection, row: Row[Any], reason: str, now: int) -> None:
    state = move_delivery(row.webhook_id, DeliveryState(row.state), DeliveryState.DEAD)
    _update(connection, row.webhook_id, {"state": str(state), "dead_reason": reason})
    decision = commands.load(connection, row.decision_id)
    title = f"The {decision.action} command was given up"
    event = Event(now, "dead_letter", decision.service, decision.deployment_id, title, reason)
    add_event(connection, event)
    if decision.state is DecisionState.REQUESTED:
        commands.move(connection, row.decision_id, DecisionState.EXPIRED, now, reason)


def _update(connection: Connection, webhook_id: str, values: dict[str, Any]) -> None:
    connection.execute(update(outbox).where(outbox.c.webhook_id == webhook_id).values(values))


def _lease(row: Row[Any], token: str, until: int) -> Lease:
    return Lease(
        webhook_id=row.webhook_id,
        decision_id=row.decision_id,
        endpoint_id=row.endpoint_id,
        url=row.url,
        lane=row.lane,
        body=row.body,
        attempts_before=row.attempts,
        created_unix_nano=row.created_unix_nano,
        expires_unix_nano=row.expires_unix_nano,
        token=token,
        until_unix_nano=until,
    )


def read(connection: Connection, query: Select[Any]) -> list[Delivery]:
    """The rows of ``query`` with every attempt."""
    rows = connection.execute(query).all()
    tried: dict[str, list[Attempt]] = {row.webhook_id: [] for row in rows}
    lines = (
        select(attempts)
        .where(attempts.c.webhook_id.in_(list(tried)))
        .order_by(attempts.c.unix_nano, attempts.c.id)
    )
    for line in connection.execute(lines):
        tried[line.webhook_id].append(
            Attempt(line.unix_nano, line.status, line.error, line.duration_s)
        )
    return [
        Delivery(
            webhook_id=row.webhook_id,
            decision_id=row.decision_id,
            endpoint_id=row.endpoint_id,
            lane=row.lane,
            url=row.url,
            state=DeliveryState(row.state),
            dead_reason=row.dead_reason,
            created_unix_nano=row.created_unix_nano,
            due_unix_nano=row.due_unix_nano,
            expires_unix_nano=row.expires_unix_nano,
            attempts=tuple(tried[row.webhook_id]),
        )
        for row in rows
    ]
