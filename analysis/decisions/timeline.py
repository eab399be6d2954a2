"""What happened and what is: events, current statuses, points of SLO history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from sqlalchemy import Connection, Row, delete, insert, select, update

from analysis.decisions import audit
from analysis.decisions.records import Event, SloPoint
from analysis.decisions.tables import events, slo_points, statuses

MAX_TITLE_CHARS: Final = 300
MAX_DETAIL_CHARS: Final = 2_000
#: Events older than this are dropped as new ones come.
EVENTS_KEPT_S: Final = 90 * 86_400
#: Points of one SLO's history older than this are dropped as new ones come.
SLO_HISTORY_S: Final = 45 * 86_400
#: Events that change nothing we answer for; every other one is a row of the audit log as well.
NOT_AUDITED: Final = frozenset({"slo_page", "slo_ticket", "anomaly"})


def dumps(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces, so that equal values have equal digests."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def add_event(connection: Connection, event: Event, actor: str = audit.SELF) -> None:
    """Append one line to the timeline and the audit log; only the timeline forgets."""
    oldest = event.unix_nano - EVENTS_KEPT_S * 1_000_000_000
    connection.execute(delete(events).where(events.c.unix_nano < oldest))
    connection.execute(
        insert(events).values(
            unix_nano=event.unix_nano,
            kind=event.kind,
            service=event.service,
            deployment_id=event.deployment_id,
            title=event.title[:MAX_TITLE_CHARS],
            detail=event.detail[:MAX_DETAIL_CHARS],
            about_json=None if event.about is None else dumps(event.about),
        )
    )
    if event.kind not in NOT_AUDITED:
        title, detail = event.title[:MAX_TITLE_CHARS], event.detail[:MAX_DETAIL_CHARS]
        subject = f"{event.service} {event.deployment_id or ''}".strip()
        text = f"{title}: {detail}" if detail else title
        audit.append(connection, event.unix_nano, actor, event.kind, subject, text)


def list_events(
    connection: Connection,
    from_unix_nano: int,
    to_unix_nano: int,
    limit: int,
    kinds: Sequence[str] | None = None,
) -> list[Event]:
    """Events of [from, to), newest first; of every kind unless some are named."""
    query = (
        select(events)
        .where(events.c.unix_nano >= from_unix_nano, events.c.unix_nano < to_unix_nano)
        .order_by(events.c.unix_nano.desc(), events.c.id.desc())
        .limit(limit)
    )
    if kinds is not None:
        query = query.where(events.c.kind.in_(kinds))
    return [_event(row) for row in connection.execute(query)]


def _event(row: Row[Any]) -> Event:
    about = None if row.about_json is None else orjson.loads(row.about_json)
    return Event(
        row.unix_nano, row.kind, row.service, row.deployment_id, row.title, row.detail, about
    )


def put_status(
    connection: Connection, kind: str, name: str, status: Mapping[str, Any], unix_nano: int
) -> None:
    """Replace the current status called ``name``."""
    values = {"unix_nano": unix_nano, "status_json": dumps(status)}
    same = (statuses.c.kind == kind) & (statuses.c.name == name)
    if connection.execute(update(statuses).where(same).values(values)).rowcount == 0:
        connection.execute(insert(statuses).values(kind=kind, name=name, **values))


def drop_statuses(connection: Connection, kind: str, keep: Sequence[str]) -> None:
    """Forget statuses of this kind that are not in ``keep``."""
    connection.execute(
        delete(statuses).where(statuses.c.kind == kind, statuses.c.name.not_in(list(keep)))
    )


def list_statuses(connection: Connection, kind: str) -> list[dict[str, Any]]:
    """Current statuses of one kind, by name."""
    query = select(statuses.c.status_json).where(statuses.c.kind == kind).order_by(statuses.c.name)
    return [orjson.loads(text) for text in connection.scalars(query)]


def list_status_names(connection: Connection, kind: str) -> list[str]:
    """Names of the current statuses of one kind."""
    query = select(statuses.c.name).where(statuses.c.kind == kind).order_by(statuses.c.name)
    return list(connection.scalars(query))


def add_slo_point(connection: Connection, name: str, point: SloPoint) -> None:
    """Add one point of history; a second one of the same time replaces the first."""
    same = (slo_points.c.name == name) & (slo_points.c.unix_nano == point.unix_nano)
    oldest = point.unix_nano - SLO_HISTORY_S * 1_000_000_000
    connection.execute(
        delete(slo_points).where(
            same | ((slo_points.c.name == name) & (slo_points.c.unix_nano < oldest))
        )
    )
    connection.execute(insert(slo_points).values(name=name, **point.to_json()))


def list_slo_points(
    connection: Connection, name: str, from_unix_nano: int, to_unix_nano: int, limit: int
) -> list[SloPoint]:
    """The newest ``limit`` points of [from, to), oldest first."""
    query = (
        select(slo_points)
        .where(
            slo_points.c.name == name,
            slo_points.c.unix_nano >= from_unix_nano,
            slo_points.c.unix_nano < to_unix_nano,
        )
        .order_by(slo_points.c.unix_nano.desc())
        .limit(limit)
    )
    points = [
        SloPoint(
            row.unix_nano,
            row.error_ratio,
            row.budget_remaining_ratio,
            row.burn_rate_short,
            row.burn_rate_long,
        )
        for row in connection.execute(query)
    ]
    return points[::-1]
