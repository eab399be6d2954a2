"""Rows of corrections: made, withdrawn, never deleted; each change is in the audit log."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
from sqlalchemy import Connection, func, insert, select, update

from analysis.decisions.database import Transactions
from analysis.decisions.records import Event, Signed
from analysis.decisions.tables import corrections
from analysis.decisions.timeline import add_event, dumps
from analysis.errors import ConflictError, LedgerFullError, UnknownRecordError
from analysis.slo.correction_book import ScopedCorrection, read_recurring, when_json
from analysis.slo.openslo.corrections import Correction, Once, Recurring, Withdrawal
from telemetry.clock import Clock

_S: Final = 1_000_000_000
#: Corrections that are kept; one more is refused.
MAX_CORRECTIONS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Time that somebody wants excluded. No ``objectives``: from every one."""

    when: Once | Recurring
    objectives: tuple[str, ...]
    category: str

    def made(self, by: Signed, now_unix_nano: int) -> ScopedCorrection:
        """Under a new id. Raises CorrectionError."""
        name, at_s = f"cor_{secrets.token_hex(8)}", now_unix_nano // _S
        one = Correction(name, by.who, by.reason, self.category, at_s, self.when)
        return ScopedCorrection(one, frozenset(self.objectives))


class CorrectionStore:
    """Blocking, one transaction a call. All raise LedgerUnavailableError."""

    def __init__(self, database: Transactions, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def make(
        self,
        when: Once | Recurring,
        objectives: Sequence[str],
        *,
        author: str,
        reason: str,
        category: str,
    ) -> ScopedCorrection:
        """Keep a new one. Raises LedgerFullError, and CorrectionError for empty words."""
        asked = Exclusion(when, tuple(objectives), category)
        with self._database.write() as connection:
            now = self._clock.wall_unix_nano()
            return exclude(connection, asked, Signed.by(author, reason), now)

    def withdraw(self, correction_id: str, *, author: str, reason: str) -> ScopedCorrection:
        """It counts again from now on. Raises UnknownRecordError, ConflictError if it does."""
        now = self._clock.wall_unix_nano()
        gone = Withdrawal(author, reason, now // _S)
        with self._database.write() as connection:
            found = connection.execute(
                select(corrections).where(corrections.c.correction_id == correction_id)
            ).first()
            if found is None:
                raise UnknownRecordError(f"no correction {correction_id!r}")
            known = _read(found)
            if known.correction.withdrawn is not None:
                raise ConflictError(f"{correction_id} is withdrawn already")
            words = {"author": author, "reason": reason, "unix_s": gone.unix_s}
            connection.execute(
                update(corrections)
                .where(corrections.c.correction_id == correction_id)
                .values(withdrawn_json=dumps(words))
            )
            title = f"The correction {correction_id} is withdrawn: the time counts again"
            event = Event(now, "slo_correction", "", None, title, f"{author}: {reason}")
            add_event(connection, event, author)
        return replace(known, correction=replace(known.correction, withdrawn=gone))

    def every(self) -> list[ScopedCorrection]:
        """All that were ever made, newest first."""
        query = select(corrections).order_by(
            corrections.c.made_unix_nano.desc(), corrections.c.correction_id
        )
        with self._database.read() as connection:
            return [_read(row) for row in connection.execute(query)]

    def in_force(self, now_unix_nano: int) -> list[ScopedCorrection]:
        """Those that count now."""
        as_of = now_unix_nano // _S
        return [one for one in self.every() if one.correction.is_in_force(as_of)]


def exclude(connection: Connection, asked: Exclusion, by: Signed, now: int) -> ScopedCorrection:
    """Keep a new one. Raises LedgerFullError, and CorrectionError for empty words."""
    made = asked.made(by, now)
    one, objectives = made.correction, sorted(made.objectives)
    count = connection.scalar(select(func.count()).select_from(corrections)) or 0
    if count >= MAX_CORRECTIONS:
        raise LedgerFullError(f"{count} corrections are kept, at most {MAX_CORRECTIONS}")
    connection.execute(
        insert(corrections).values(
            correction_id=one.correction_id,
            made_unix_nano=one.made_unix_s * _S,
            author=one.author,
            reason=one.reason,
            category=one.category,
            objectives_json=dumps(objectives),
            when_json=dumps(when_json(asked.when)),
        )
    )
    title = f"Time is excluded from {', '.join(objectives) or 'every objective'}"
    event = Event(now, "slo_correction", "", None, title, f"{one.author}: {one.reason}")
    add_event(connection, event, by.actor)
    return made


def read_when(found: Mapping[str, Any]) -> Once | Recurring:
    """The inverse of ``when_json``. Raises CorrectionError, KeyError, TypeError or ValueError."""
    once, recurring = found.get("once"), found.get("recurring")
    if once is not None:
        return Once(int(once["from_unix_s"]), int(once["to_unix_s"]))
    assert recurring is not None, "a correction is once or recurring"
    return read_recurring(recurring)


def _read(row: Any) -> ScopedCorrection:
    gone = None if row.withdrawn_json is None else orjson.loads(row.withdrawn_json)
    return ScopedCorrection(
        Correction(
            row.correction_id,
            row.author,
            row.reason,
            row.category,
            row.made_unix_nano // _S,
            read_when(orjson.loads(row.when_json)),
            None if gone is None else Withdrawal(gone["author"], gone["reason"], gone["unix_s"]),
        ),
        frozenset(orjson.loads(row.objectives_json)),
    )
