"""One leader among the processes of a shared ledger: only it judges, decides and delivers.

The leader holds a lease by the database's clock and renews it long before its end. It counts the
time that is left by its own monotonic clock from before it asked, so that it stops before others
may begin, whatever the wall clocks of the machines say. Each new leader gets a fence, one higher
than the last; every write of a leader names its fence in the same transaction, so that one that was
paused and overtaken changes nothing. What it may still do, having been paused between its check and
the first byte, is send a command once more: the same bytes under the same id.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, insert, select, text, update

from analysis.decisions import outbox
from analysis.decisions.database import Transactions
from analysis.decisions.records import Event
from analysis.decisions.tables import leaders
from analysis.decisions.timeline import add_event
from analysis.errors import NotLeaderError
from telemetry.clock import Clock

#: The one row: there is one leader of a ledger.
_ROLE: Final = "control"
_DATABASE_NOW: Final = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")


@dataclass(frozen=True, slots=True)
class Held:
    """A lease: its number, and when it ends by this process's monotonic clock."""

    fence: int
    until_s: float


class Leadership:
    """One process's part in it. Thread-safe; methods block for a transaction."""

    def __init__(self, database: Transactions, clock: Clock, holder: str, lease_s: float) -> None:
        """``holder``: a name that no other process has, now or later."""
        self.lease_s = lease_s
        self._database = database
        self._clock = clock
        self._holder = holder
        self._held: Held | None = None
        self._lock = threading.Lock()

    def campaign(self) -> bool:
        """Renew the lease, or take it when nobody holds it; whether this process leads now.

        A lease taken anew ends every delivery's lease: whoever had them leads no more. Raises
        LedgerUnavailableError.
        """
        asked_s = self._clock.monotonic_s()
        with self._database.write(is_urgent=True) as connection:
            fence = self._take(connection)
        held = None if fence is None else Held(fence, asked_s + self.lease_s)
        with self._lock:
            self._held = held
        return held is not None

    def resign(self) -> None:
        """Let somebody else begin at once. Raises LedgerUnavailableError."""
        with self._lock:
            held, self._held = self._held, None
        if held is None:
            return
        mine = (leaders.c.role == _ROLE) & (leaders.c.fence == held.fence)
        with self._database.write() as connection:
            connection.execute(update(leaders).where(mine).values(until_unix_nano=0))

    def left_s(self) -> float:
        """Seconds for which this process surely leads; 0 or less when it does not."""
        with self._lock:
            held = self._held
        return 0.0 if held is None else held.until_s - self._clock.monotonic_s()

    def check(self, connection: Connection) -> None:
        """Raises NotLeaderError when somebody else leads by now; nothing is to be written then."""
        with self._lock:
            held = self._held
        query = select(leaders.c.fence).where(leaders.c.role == _ROLE)
        if held is None or connection.scalar(query) != held.fence:
            raise NotLeaderError("another process leads this ledger now")

    def _take(self, connection: Connection) -> int | None:
        """The fence, when the lease is ours now. The writers' lock makes this one step."""
        now = int(connection.scalar(_DATABASE_NOW) or 0) * 1_000
        until = now + round(self.lease_s * 1e9)
        row = connection.execute(select(leaders).where(leaders.c.role == _ROLE)).one_or_none()
        is_over = row is None or row.until_unix_nano <= now
        with self._lock:
            held = self._held
        if row is not None and held is not None and row.fence == held.fence and not is_over:
            _write(connection, until_unix_nano=until)
            return held.fence
        if not is_over:
            return None
        fence = 1 if row is None else row.fence + 1
        values = {"fence": fence, "holder": self._holder, "until_unix_nano": until}
        if row is None:
            connection.execute(insert(leaders).values(role=_ROLE, **values))
        else:
            _write(connection, **values)
        outbox.release_leases(connection)
        title = f"{self._holder} leads the ledger"
        wall = self._clock.wall_unix_nano()
        add_event(connection, Event(wall, "leader", "", None, title, f"fence {fence}"))
        return fence


class FencedDatabase:
    """A database whose every write is refused once another process leads."""

    def __init__(self, database: Transactions, leadership: Leadership) -> None:
        self._database = database
        self._leadership = leadership
        self.is_shared = database.is_shared

    @contextmanager
    def write(self, *, is_urgent: bool = False) -> Iterator[Connection]:
        """As the database's. Raises NotLeaderError, which is a LedgerUnavailableError."""
        with self._database.write(is_urgent=is_urgent) as connection:
            self._leadership.check(connection)
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """As the database's."""
        with self._database.read() as connection:
            yield connection

    def close(self) -> None:
        """Whoever opened the database closes it."""


def _write(connection: Connection, **values: object) -> None:
    connection.execute(update(leaders).where(leaders.c.role == _ROLE).values(values))
