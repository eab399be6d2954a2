"""Rows of notices: made from the timeline, once for each event and endpoint, then sent in order.

An event is on disk with what it tells of; the cursor of an endpoint moves in the transaction that
makes its rows. So nothing is told twice by us and nothing is passed over, whatever dies when.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, delete, exists, func, insert, select, update

from analysis.decisions.ids import ENTROPY_BYTES, new_id
from analysis.decisions.records import Declaration, Event, Signed
from analysis.decisions.states import Action, DeliveryState
from analysis.decisions.tables import canaries, decisions, events, notice_cursors, notices
from analysis.decisions.timeline import add_event
from analysis.errors import ConflictError, UnknownRecordError
from analysis.notices.formats import (
    ALERTS,
    PAGERS,
    PROPOSALS,
    AlertNotice,
    CanaryNotice,
    Format,
    Notice,
    ProposalNotice,
    Sender,
    render,
)

#: Events turned into rows of one endpoint in one transaction.
MAX_EVENTS: Final = 200
#: Rows that are over are kept this long.
KEPT_S: Final = 30 * 86_400
MAX_ERROR_CHARS: Final = 500
#: Objectives are of every environment.
ANY_ENVIRONMENT: Final = "*"
#: Those whose trouble is a page; a promotion that goes well is none.


@dataclass(frozen=True, slots=True)
class Subscription:
    """What an endpoint wants to be told, and in whose words."""

    sender: Sender
    form: Format
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """One notice to one endpoint."""

    webhook_id: str
    endpoint_id: str
    event_id: int
    kind: str
    #: A canary's id, or ``slo/<objective>/<severity>``.
    subject: str
    deployment_id: str | None
    body: bytes
    state: DeliveryState
    created_unix_nano: int
    due_unix_nano: int
    attempts: int
    #: Of the newest attempt.
    status: int | None
    error: str | None

    def to_json(self) -> dict[str, Any]:
        return {
            "webhook_id": self.webhook_id,
            "endpoint_id": self.endpoint_id,
            "kind": self.kind,
            "subject": self.subject,
            "deployment_id": self.deployment_id,
            "body": json.loads(self.body),
            "state": str(self.state),
            "created_unix_nano": self.created_unix_nano,
            "due_unix_nano": self.due_unix_nano,
            "attempts": self.attempts,
            "status": self.status,
            "error": self.error,
        }


def fan_out(connection: Connection, wanted: Sequence[Subscription], now: int) -> int:
    """Make rows of new events; returns how many. A new endpoint begins with what comes next."""
    oldest = now - KEPT_S * 1_000_000_000
    over = and_(notices.c.state != str(DeliveryState.PENDING), notices.c.due_unix_nano < oldest)
    connection.execute(delete(notices).where(over))
    newest = int(connection.scalar(select(func.max(events.c.id))) or 0)
    return sum(_fan_out(connection, one, newest, now) for one in wanted)


def _fan_out(connection: Connection, to: Subscription, newest: int, now: int) -> int:
    own = notice_cursors.c.endpoint_id == to.sender.endpoint_id
    cursor = connection.scalar(select(notice_cursors.c.event_id).where(own))
    if cursor is None:
        values = {"endpoint_id": to.sender.endpoint_id, "event_id": newest}
        connection.execute(insert(notice_cursors).values(values))
        return 0
    if newest < cursor:
        cursor = 0  # the timeline forgot everything, so that its numbers began anew
    if newest == cursor:
        return 0
    query = (
        select(events)
        .where(events.c.id > cursor, events.c.kind.in_(to.kinds))
        .order_by(events.c.id)
        .limit(MAX_EVENTS)
    )
    rows = connection.execute(query).all()
    made = [row for row in rows if _enqueue(connection, to, row, now)]
    last = rows[-1].id if len(rows) == MAX_EVENTS else newest
    connection.execute(update(notice_cursors).where(own).values(event_id=last))
    return len(made)


def _enqueue(connection: Connection, to: Subscription, event: Row[Any], now: int) -> bool:
    notice = _notice(connection, event)
    if notice is None or (to.form in PAGERS and _is_good_news(connection, event)):
        return False
    connection.execute(
        insert(notices).values(
            webhook_id=new_id("msg", now, os.urandom(ENTROPY_BYTES)),
            endpoint_id=to.sender.endpoint_id,
            event_id=event.id,
            kind=event.kind,
            subject=notice.subject,
            deployment_id=event.deployment_id,
            body=render(notice, to.form, to.sender),
            state=str(DeliveryState.PENDING),
            created_unix_nano=now,
            due_unix_nano=now,
            attempts=0,
        )
    )
    return True


def _notice(connection: Connection, event: Row[Any]) -> Notice | None:
    """None: an alert of which nobody is to be told, or a canary that is not known any more."""
    words = event.id, event.unix_nano, event.kind, event.title, event.detail
    if event.kind in ALERTS:
        about = json.loads(event.about_json)
        if not about["is_told"]:
            return None
        return AlertNotice(
            *words, ANY_ENVIRONMENT, event.service, about["labels"], is_firing=about["is_firing"]
        )
    if event.kind in PROPOSALS:
        about = json.loads(event.about_json)
        return ProposalNotice(*words, about["environment"], event.service, about["proposal_id"])
    query = select(canaries.c.declaration_json).where(
        canaries.c.deployment_id == event.deployment_id
    )
    found = connection.scalar(query)
    if found is None:
        return None
    declaration = Declaration.from_json(json.loads(found))
    return CanaryNotice(
        *words,
        environment=declaration.environment,
        service=declaration.service,
        deployment_id=declaration.deployment_id,
        version=declaration.canary.version,
        digest=declaration.canary.digest,
    )


def _is_good_news(connection: Connection, event: Row[Any]) -> bool:
    if event.kind not in ("decision", "confirmed"):
        return False
    action = select(decisions.c.action).where(decisions.c.deployment_id == event.deployment_id)
    return bool(connection.scalar(action) == Action.PROMOTION)


def take(connection: Connection, endpoint_id: str, now: int) -> NoticeRow | None:
    """The first row that is due and that no older one about the same subject waits before."""
    older = notices.alias()
    is_second = exists().where(
        older.c.endpoint_id == notices.c.endpoint_id,
        older.c.subject == notices.c.subject,
        older.c.state == str(DeliveryState.PENDING),
        older.c.event_id < notices.c.event_id,
    )
    query = select(notices).where(
        notices.c.endpoint_id == endpoint_id,
        notices.c.state == str(DeliveryState.PENDING),
        notices.c.due_unix_nano <= now,
        ~is_second,
    )
    row = connection.execute(
        query.order_by(notices.c.due_unix_nano, notices.c.event_id).limit(1)
    ).one_or_none()
    return None if row is None else _read(row)


@dataclass(frozen=True, slots=True)
class Told:
    """What became of an attempt; ``due_unix_nano`` None: there is no further one."""

    unix_nano: int
    is_delivered: bool
    due_unix_nano: int | None
    status: int | None
    error: str | None


def record(connection: Connection, row: NoticeRow, told: Told) -> None:
    """The attempt's result; who gives up says so on the timeline."""
    state = DeliveryState.PENDING
    if told.is_delivered:
        state = DeliveryState.DELIVERED
    elif told.due_unix_nano is None:
        state = DeliveryState.DEAD
    error = None if told.error is None else told.error[:MAX_ERROR_CHARS]
    values: dict[str, Any] = {
        "state": str(state),
        "attempts": row.attempts + 1,
        "status": told.status,
        "error": error,
    }
    if told.due_unix_nano is not None:
        values["due_unix_nano"] = told.due_unix_nano
    connection.execute(update(notices).where(notices.c.webhook_id == row.webhook_id).values(values))
    if state is DeliveryState.DEAD:
        title = f"{row.endpoint_id} was not told: {row.kind} of {row.subject}"
        detail = f"{row.attempts + 1} attempts; the last: {told.status or 'no answer'} {error}"
        event = Event(told.unix_nano, "notice_dead", "", row.deployment_id, title, detail)
        add_event(connection, event)


def replay(connection: Connection, webhook_id: str, by: Signed, now: int) -> NoticeRow:
    """Due again at once, with a schedule of its own. Raises UnknownRecordError, ConflictError."""
    row = one(connection, webhook_id)
    if row.state is DeliveryState.PENDING:
        raise ConflictError(f"{webhook_id} is pending; only what is over can be sent again")
    values = {"state": str(DeliveryState.PENDING), "due_unix_nano": now, "attempts": 0}
    same = notices.c.webhook_id == webhook_id
    connection.execute(update(notices).where(same).values(values))
    title = f"{row.kind} is told to {row.endpoint_id} again, says {by.who}"
    add_event(connection, Event(now, "replayed", "", row.deployment_id, title, by.reason), by.actor)
    return one(connection, webhook_id)


def one(connection: Connection, webhook_id: str) -> NoticeRow:
    """Raises UnknownRecordError."""
    query = select(notices).where(notices.c.webhook_id == webhook_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownRecordError(f"no notice {webhook_id!r}")
    return _read(row)


def listed(connection: Connection, state: DeliveryState | None, limit: int) -> list[NoticeRow]:
    """Newest first."""
    query = select(notices).order_by(
        notices.c.created_unix_nano.desc(), notices.c.webhook_id.desc()
    )
    if state is not None:
        query = query.where(notices.c.state == str(state))
    return [_read(row) for row in connection.execute(query.limit(limit))]


def _read(row: Row[Any]) -> NoticeRow:
    return NoticeRow(
        webhook_id=row.webhook_id,
        endpoint_id=row.endpoint_id,
        event_id=row.event_id,
        kind=row.kind,
        subject=row.subject,
        deployment_id=row.deployment_id,
        body=row.body,
        state=DeliveryState(row.state),
        created_unix_nano=row.created_unix_nano,
        due_unix_nano=row.due_unix_nano,
        attempts=row.attempts,
        status=row.status,
        error=row.error,
    )
