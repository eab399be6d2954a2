"""What is kept: configurations, executions and fetched metrics, as JSON under kind and id."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import orjson
from sqlalchemy import Connection, delete, func, insert, select, update

from analysis.decisions.database import Transactions
from analysis.decisions.tables import kayenta_objects as rows
from analysis.kayenta_api.errors import KayentaApiError, NotFoundError, TooManyError
from telemetry.clock import Clock

#: Objects listed in one answer.
MAX_LISTED: Final = 500


class Kind(StrEnum):
    """Kinds of objects, by the paths they are found under."""

    CONFIG = "canaryConfig"
    EXECUTION = "canary"
    PAIRS = "metricSetPairList"


#: Of configurations one more is refused; of what executions leave the oldest goes.
MAX_KEPT: Final = {Kind.CONFIG: 2_000, Kind.EXECUTION: 2_000, Kind.PAIRS: 2_000}


@dataclass(frozen=True, slots=True)
class Stored:
    """One object. ``status`` is an execution's, empty for others."""

    object_id: str
    name: str
    applications: tuple[str, ...]
    status: str
    created_unix_nano: int
    updated_unix_nano: int
    body: Any


class ObjectStore:
    """Methods block; any thread may call. All raise LedgerUnavailableError."""

    def __init__(self, database: Transactions, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(
        self,
        kind: Kind,
        object_id: str,
        body: Any,
        *,
        name: str = "",
        applications: Collection[str] = (),
        status: str = "",
    ) -> None:
        """Raises KayentaApiError if the id is taken, TooManyError at the limit of configs."""
        with self._database.write() as connection:
            now = self._clock.wall_unix_nano()
            if connection.execute(select(rows.c.kind).where(*_is(kind, object_id))).first():
                raise KayentaApiError(f"{kind} {object_id!r} exists already.")
            _make_room(connection, kind)
            connection.execute(
                insert(rows).values(
                    kind=kind,
                    object_id=object_id,
                    name=name,
                    applications=_text(list(applications)),
                    status=status,
                    created_unix_nano=now,
                    updated_unix_nano=now,
                    body_json=_text(body),
                )
            )

    def replace(
        self,
        kind: Kind,
        object_id: str,
        body: Any,
        *,
        name: str = "",
        applications: Collection[str] = (),
        status: str = "",
        only_from: Collection[str] | None = None,
    ) -> bool:
        """False if it is not there, or in another status than ``only_from``."""
        where = [*_is(kind, object_id)]
        if only_from is not None:
            where.append(rows.c.status.in_(only_from))
        with self._database.write() as connection:
            done = connection.execute(
                update(rows)
                .where(*where)
                .values(
                    name=name,
                    applications=_text(list(applications)),
                    status=status,
                    updated_unix_nano=self._clock.wall_unix_nano(),
                    body_json=_text(body),
                )
            )
            return done.rowcount == 1

    def remove(self, kind: Kind, object_id: str) -> None:
        """Raises NotFoundError."""
        with self._database.write() as connection:
            if connection.execute(delete(rows).where(*_is(kind, object_id))).rowcount != 1:
                raise _missing(kind, object_id)

    def get(self, kind: Kind, object_id: str) -> Stored:
        """Raises NotFoundError."""
        with self._database.read() as connection:
            row = connection.execute(select(rows).where(*_is(kind, object_id))).first()
        if row is None:
            raise _missing(kind, object_id)
        return _stored(row)

    def found(
        self,
        kind: Kind,
        *,
        applications: Collection[str] = (),
        statuses: Collection[str] = (),
        limit: int = MAX_LISTED,
        skip: int = 0,
    ) -> list[Stored]:
        """Newest first; of any application where none is asked for."""
        query = select(rows).where(rows.c.kind == kind)
        if statuses:
            query = query.where(rows.c.status.in_(statuses))
        query = query.order_by(rows.c.created_unix_nano.desc(), rows.c.object_id)
        if not applications:
            query = query.limit(limit).offset(skip)
        with self._database.read() as connection:
            objects = [_stored(row) for row in connection.execute(query)]
        if applications:
            wanted = set(applications)
            objects = [one for one in objects if wanted & set(one.applications)]
            objects = objects[skip : skip + limit]
        return objects


def _is(kind: Kind, object_id: str) -> tuple[Any, Any]:
    return rows.c.kind == kind, rows.c.object_id == object_id


def _make_room(connection: Connection, kind: Kind) -> None:
    of_kind = rows.c.kind == kind
    count = connection.execute(select(func.count()).select_from(rows).where(of_kind)).scalar_one()
    if count < MAX_KEPT[kind]:
        return
    if kind is Kind.CONFIG:
        raise TooManyError(f"there are {count} canary configs, which is the limit; delete some")
    oldest = (
        select(rows.c.object_id)
        .where(of_kind, rows.c.status.not_in(("not_started", "running")))
        .order_by(rows.c.created_unix_nano)
        .limit(1 + count - MAX_KEPT[kind])
    )
    ids = list(connection.scalars(oldest))
    connection.execute(delete(rows).where(of_kind, rows.c.object_id.in_(ids)))


def _missing(kind: Kind, object_id: str) -> NotFoundError:
    return NotFoundError(f"No {kind} with id {object_id!r}.")


def _text(body: Any) -> str:
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()


def _stored(row: Any) -> Stored:
    return Stored(
        row.object_id,
        row.name,
        tuple(orjson.loads(row.applications)),
        row.status,
        row.created_unix_nano,
        row.updated_unix_nano,
        orjson.loads(row.body_json),
    )
