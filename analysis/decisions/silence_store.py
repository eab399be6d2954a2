"""Rows of silences: made, ended early, forgotten long after; each change is in the audit log."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import orjson
from sqlalchemy import Connection, delete, func, insert, select, update

from analysis.alerts.labels import condition
from analysis.alerts.silences import Silence, SilenceState
from analysis.decisions.database import Transactions
from analysis.decisions.records import Event
from analysis.decisions.tables import silences
from analysis.decisions.timeline import add_event, dumps
from analysis.errors import ConflictError, LedgerFullError, UnknownRecordError
from analysis.slo.correction_book import read_recurring, recurring_json
from telemetry.clock import Clock

#: Silences that are kept; one more is refused.
MAX_SILENCES: Final = 1_000
#: Those that are over are forgotten then, as Alertmanager does.
KEPT_S: Final = 5 * 86_400


class SilenceStore:
    """Blocking, one transaction a call. All raise LedgerUnavailableError."""

    def __init__(self, database: Transactions, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def make(
        self, read: Callable[[str, int], tuple[str, Silence]], author_of: Callable[[str], str]
    ) -> Silence:
        """Keep what ``read(new id, now)`` says, in the place of the one it names, if any.

        Raises UnknownRecordError if there is none such, LedgerFullError, and what ``read`` does.
        """
        now = self._clock.wall_unix_nano()
        replaced, asked = read(f"sil_{secrets.token_hex(8)}", now)
        silence = replace(asked, author=author_of(asked.author))
        with self._database.write() as connection:
            over = silences.c.ends_unix_nano < now - KEPT_S * 1_000_000_000
            connection.execute(delete(silences).where(over))
            if replaced and _one(connection, replaced).state(now) is not SilenceState.EXPIRED:
                _end(connection, replaced, now)
            count = connection.scalar(select(func.count()).select_from(silences)) or 0
            if count >= MAX_SILENCES:
                raise LedgerFullError(f"{count} silences are kept, at most {MAX_SILENCES}")
            connection.execute(insert(silences).values(**_row(silence)))
            instead = f" (instead of {replaced})" if replaced else ""
            title = f"Alerts with {_words(silence)} are silenced{instead}"
            event = Event(now, "silence", "", None, title, f"{silence.author}: {silence.comment}")
            add_event(connection, event, silence.author)
        return silence

    def end(self, silence_id: str, author: str) -> None:
        """People are told again. Raises UnknownRecordError, ConflictError if it is over."""
        now = self._clock.wall_unix_nano()
        with self._database.write() as connection:
            known = _one(connection, silence_id)
            if known.state(now) is SilenceState.EXPIRED:
                raise ConflictError(f"the silence {silence_id} is over already")
            _end(connection, silence_id, now)
            title = f"Alerts with {_words(known)} are silenced no more"
            add_event(
                connection, Event(now, "silence", "", None, title, f"{author} ended it"), author
            )

    def one(self, silence_id: str) -> Silence:
        """Raises UnknownRecordError."""
        with self._database.read() as connection:
            return _one(connection, silence_id)

    def every(self) -> list[Silence]:
        """All that are kept, the one that ends first before the others."""
        query = select(silences).order_by(silences.c.ends_unix_nano, silences.c.silence_id)
        with self._database.read() as connection:
            return [_read(row) for row in connection.execute(query)]

    def not_over(self, now_unix_nano: int) -> list[Silence]:
        """Those that may hold now or later."""
        query = select(silences).where(silences.c.ends_unix_nano > now_unix_nano)
        with self._database.read() as connection:
            return [_read(row) for row in connection.execute(query)]


def _end(connection: Connection, silence_id: str, now: int) -> None:
    connection.execute(
        update(silences)
        .where(silences.c.silence_id == silence_id)
        # One that has not begun yet ends before it starts, and never holds.
        .values(ends_unix_nano=now, updated_unix_nano=now)
    )


def _one(connection: Connection, silence_id: str) -> Silence:
    row = connection.execute(select(silences).where(silences.c.silence_id == silence_id)).first()
    if row is None:
        raise UnknownRecordError(f"no silence {silence_id!r}")
    return _read(row)


def _words(silence: Silence) -> str:
    return ", ".join(str(one) for one in silence.matchers)


def _row(silence: Silence) -> dict[str, Any]:
    rule = silence.recurring
    return {
        "silence_id": silence.silence_id,
        "starts_unix_nano": silence.starts_unix_nano,
        "ends_unix_nano": silence.ends_unix_nano,
        "updated_unix_nano": silence.updated_unix_nano,
        "author": silence.author,
        "comment": silence.comment,
        "matchers_json": dumps([[one.name, one.operator, one.value] for one in silence.matchers]),
        "recurring_json": None if rule is None else dumps(recurring_json(rule)),
    }


def _read(row: Any) -> Silence:
    rule = row.recurring_json
    return Silence(
        silence_id=row.silence_id,
        matchers=tuple(condition(*one) for one in orjson.loads(row.matchers_json)),
        starts_unix_nano=min(row.starts_unix_nano, row.ends_unix_nano - 1),
        ends_unix_nano=row.ends_unix_nano,
        author=row.author,
        comment=row.comment,
        updated_unix_nano=row.updated_unix_nano,
        recurring=None if rule is None else read_recurring(orjson.loads(rule)),
    )
