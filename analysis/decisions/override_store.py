"""Rows of overrides: a step of a budget policy suspended by a person, until it expires."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select, update

from analysis.decisions.database import Transactions
from analysis.decisions.records import Event, Signed
from analysis.decisions.tables import policy_overrides
from analysis.decisions.timeline import add_event
from analysis.errors import BadRequestError, ConflictError, LedgerFullError, UnknownRecordError
from telemetry.clock import Clock

_S: Final = 1_000_000_000
#: The longest time a step may be suspended for; longer is a change of the policy.
MAX_LASTING_S: Final = 30 * 86_400
#: Overrides that are kept, those that are over for 90 days too; one more is refused.
MAX_OVERRIDES: Final = 500
KEPT_S: Final = 90 * 86_400


@dataclass(frozen=True, slots=True)
class Override:
    """``step`` does not act on ``objective`` (``*`` = on any) until it expires."""

    override_id: str
    step: str
    objective: str
    author: str
    reason: str
    made_unix_nano: int
    expires_unix_nano: int

    def is_about(self, step: str, objective: str) -> bool:
        """Whether it suspends this step for this objective."""
        return self.step == step and self.objective in ("*", objective)

    def to_json(self) -> dict[str, Any]:
        """For the API."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Suspension:
    """What somebody wants suspended, and until when."""

    step: str
    objective: str
    expires_unix_nano: int

    def check(self, now_unix_nano: int) -> None:
        """Raises BadRequestError: it would be over, or last too long."""
        if not now_unix_nano < self.expires_unix_nano <= now_unix_nano + MAX_LASTING_S * _S:
            raise BadRequestError(
                f"expires_unix_nano {self.expires_unix_nano}",
                accepted=f"a time within the next {MAX_LASTING_S} s",
            )


class OverrideStore:
    """Blocking, one transaction a call. All raise LedgerUnavailableError."""

    def __init__(self, database: Transactions, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def make(
        self, step: str, objective: str, *, author: str, reason: str, expires_unix_nano: int
    ) -> Override:
        """Suspend a step. Raises BadRequestError and LedgerFullError."""
        asked = Suspension(step, objective, expires_unix_nano)
        with self._database.write() as connection:
            now = self._clock.wall_unix_nano()
            return suspend(connection, asked, Signed.by(author, reason), now)

    def end(self, override_id: str, *, author: str, reason: str) -> Override:
        """The step acts again. Raises UnknownRecordError, ConflictError if it does."""
        now = self._clock.wall_unix_nano()
        same = policy_overrides.c.override_id == override_id
        with self._database.write() as connection:
            row = connection.execute(select(policy_overrides).where(same)).first()
            if row is None:
                raise UnknownRecordError(f"no override {override_id!r}")
            if row.expires_unix_nano <= now:
                raise ConflictError(f"the override {override_id} is over already")
            connection.execute(update(policy_overrides).where(same).values(expires_unix_nano=now))
            title = f"The policy {row.step} is suspended no more ({row.objective})"
            event = Event(now, "policy_override", "", None, title, f"{author}: {reason}")
            add_event(connection, event, author)
            changed = connection.execute(select(policy_overrides).where(same)).one()
            return Override(*changed)

    def every(self) -> list[Override]:
        """All that are kept, newest first."""
        query = select(policy_overrides).order_by(
            policy_overrides.c.made_unix_nano.desc(), policy_overrides.c.override_id
        )
        with self._database.read() as connection:
            return [Override(*row) for row in connection.execute(query)]

    def in_force(self, now_unix_nano: int) -> Sequence[Override]:
        """Those that suspend now."""
        query = select(policy_overrides).where(policy_overrides.c.expires_unix_nano > now_unix_nano)
        with self._database.read() as connection:
            return [Override(*row) for row in connection.execute(query)]


def suspend(connection: Connection, asked: Suspension, by: Signed, now: int) -> Override:
    """Suspend a step. Raises BadRequestError and LedgerFullError."""
    asked.check(now)
    ends, name = asked.expires_unix_nano, f"ovr_{secrets.token_hex(8)}"
    one = Override(name, asked.step, asked.objective, by.who, by.reason, now, ends)
    over = policy_overrides.c.expires_unix_nano < now - KEPT_S * _S
    connection.execute(delete(policy_overrides).where(over))
    count = connection.scalar(select(func.count()).select_from(policy_overrides)) or 0
    if count >= MAX_OVERRIDES:
        raise LedgerFullError(f"{count} overrides are kept, at most {MAX_OVERRIDES}")
    connection.execute(insert(policy_overrides).values(one.to_json()))
    hours = (ends - now) / 3_600 / _S
    title = f"The policy {one.step} is suspended for {hours:.1f} h ({one.objective})"
    event = Event(now, "policy_override", "", None, title, f"{by.who}: {by.reason}")
    add_event(connection, event, by.actor)
    return one
