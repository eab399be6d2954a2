"""Notices, from outside: one transaction a method; all raise LedgerUnavailableError."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.decisions.database import Transactions
from analysis.decisions.records import Signed
from analysis.decisions.states import DeliveryState
from analysis.notices import store
from analysis.notices.store import NoticeRow, Subscription, Told
from telemetry.clock import Clock


class NoticeDesk:
    """Of one ledger. Thread-safe; methods block for a transaction."""

    def __init__(self, database: Transactions, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def fan_out(self, wanted: Sequence[Subscription]) -> int:
        """Make rows of the timeline's new events; returns how many."""
        with self._database.write() as connection:
            return store.fan_out(connection, wanted, self._clock.wall_unix_nano())

    def take(self, endpoint_id: str) -> NoticeRow | None:
        """What the endpoint is to be told next, now; None when there is nothing."""
        with self._database.read() as connection:
            return store.take(connection, endpoint_id, self._clock.wall_unix_nano())

    def record(self, row: NoticeRow, told: Told) -> None:
        """What became of an attempt."""
        with self._database.write() as connection:
            store.record(connection, row, told)

    def replay(self, webhook_id: str, who: str, reason: str) -> NoticeRow:
        """Tell again. Raises UnknownRecordError, ConflictError."""
        now = self._clock.wall_unix_nano()
        with self._database.write() as connection:
            return store.replay(connection, webhook_id, Signed.by(who, reason), now)

    def one(self, webhook_id: str) -> NoticeRow:
        """Raises UnknownRecordError."""
        with self._database.read() as connection:
            return store.one(connection, webhook_id)

    def listed(self, state: DeliveryState | None, limit: int) -> list[NoticeRow]:
        """Newest first; None = of any state."""
        with self._database.read() as connection:
            return store.listed(connection, state, limit)
