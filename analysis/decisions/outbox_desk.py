"""What the outbox is asked, from outside: leases for workers, results, lists for people.

Every method is one transaction and may be called from any thread. All raise LedgerUnavailableError
when the database cannot do it now; then nothing took effect, unless a server's answer to the commit
itself was lost: then all of it may have.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row

from analysis.decisions import dead_letters, outbox
from analysis.decisions.database import Transactions
from analysis.decisions.dead_letters import Letter, Search
from analysis.decisions.guard_store import Guarding
from analysis.decisions.outbox import Busy
from analysis.decisions.records import Attempt, Delivery, Lease, Signed
from analysis.errors import ConflictError, StaleLeaseError
from telemetry.clock import Clock


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a lease: the request made, if any, and what follows from it."""

    lease: Lease
    attempt: Attempt | None
    url: str
    #: Given the connection and the row as it was.
    then: Callable[[Connection, Row[Any]], None]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a worker got: how many rows were buried, and its leases."""

    expired: int
    leases: tuple[Lease, ...]


class OutboxDesk:
    """Of one ledger. Thread-safe."""

    def __init__(
        self,
        database: Transactions,
        clock: Clock,
        guarding: Guarding | None,
        on_replay: Callable[[], None],
    ) -> None:
        """``on_replay`` is called after a row became due again."""
        self._on_replay = on_replay
        self._database = database
        self._clock = clock
        self._guarding = guarding

    # --- workers ----------------------------------------------------------------------------

    def lease_due(
        self,
        now_unix_nano: int,
        lease_s: float,
        limit: int,
        busy: Busy | None = None,
        *,
        is_in_doubt: bool = False,
    ) -> Taken:
        """Bury what nobody accepted in time, then take due deliveries for ``lease_s``.

        Per lane one is under way, endpoints take turns. It goes before everybody else who waits to
        write: a command is waiting. ``is_in_doubt``: rows may be leased to this worker that it does
        not know of; what is not on one of its busy lanes is nobody's then.
        """
        with self._database.write(is_urgent=True) as connection:
            if is_in_doubt:
                outbox.release_leases(connection, busy.lanes if busy is not None else ())
            free = self._allowed(connection, busy or Busy())
            want = outbox.Want(now_unix_nano, round(lease_s * 1e9), limit, free)
            expired = outbox.expire(connection, now_unix_nano)
            return Taken(expired, tuple(outbox.lease_due(connection, want, _token)))

    def next_due_unix_nano(self, busy: Busy | None = None) -> int | None:
        """When the earliest unleased delivery is due (or ends), or None."""
        with self._database.read() as connection:
            return outbox.next_due(connection, self._allowed(connection, busy or Busy()))

    def stopped(self, service: str) -> str | None:
        """Why no command about ``service`` may be sent, or None. Works without the database."""
        return None if self._guarding is None else self._guarding.kill_switch.thrown(service)

    def _allowed(self, connection: Connection, busy: Busy) -> Busy:
        """Also without room: endpoints that nobody approved; what waits for them stays queued."""
        settings = None if self._guarding is None else self._guarding.settings
        held = () if settings is None else settings.held_endpoints(connection)
        return replace(busy, room={**busy.room, **dict.fromkeys(held, 0)}) if held else busy

    # --- results ----------------------------------------------------------------------------

    def record(self, results: Sequence[Result]) -> list[bool]:
        """Write them in one transaction; for each, whether its lease was still valid.

        A result whose lease was not is left out, the others count.
        """
        with self._database.write() as connection:
            return [_record(connection, result) for result in results]

    def delivered(self, lease: Lease, attempt: Attempt, url: str) -> Result:
        """The receiver accepted."""
        return Result(
            lease, attempt, url, lambda connection, row: outbox.delivered(connection, row, attempt)
        )

    def failed(self, lease: Lease, attempt: Attempt, url: str, due_unix_nano: int) -> Result:
        """It failed; try again at ``due_unix_nano``, never at or after its end."""

        def then(connection: Connection, row: Row[Any]) -> None:
            outbox.retry(connection, row, attempt, due_unix_nano)

        return Result(lease, attempt, url, then)

    def dead(self, lease: Lease, attempt: Attempt | None, url: str, reason: str) -> Result:
        """It failed for good, or was not sent and never will be; kept for people to read."""

        def then(connection: Connection, row: Row[Any]) -> None:
            outbox.dead(connection, row, reason, self._clock.wall_unix_nano())

        return Result(lease, attempt, url, then)

    def unsent(self, lease: Lease) -> Result:
        """Nothing was sent: end the lease, and bury the row if its time is over."""

        def then(connection: Connection, _row: Row[Any]) -> None:
            outbox.expire(connection, self._clock.wall_unix_nano())

        return Result(lease, None, lease.url, then)

    # --- people -----------------------------------------------------------------------------

    def deliveries(self, decision_id: str | None = None, limit: int = 100) -> list[Delivery]:
        """Newest first, with every attempt."""
        with self._database.read() as connection:
            return outbox.list_deliveries(connection, decision_id, limit)

    def letters(self, wanted: Search) -> list[Delivery]:
        """Rows of the outbox, newest first, with every attempt."""
        with self._database.read() as connection:
            return dead_letters.search(connection, wanted)

    def letter(self, webhook_id: str) -> Letter:
        """One row whole. Raises UnknownRecordError."""
        with self._database.read() as connection:
            return dead_letters.load(connection, webhook_id, self._clock.wall_unix_nano())

    def replay(self, webhook_id: str, who: str, reason: str) -> Letter:
        """Send a dead letter again: the same bytes, the same id, due at once.

        Raises UnknownRecordError, ConflictError (its time is over, a newer decision has overtaken
        it, the kill switch is thrown, ..).
        """
        with self._database.write() as connection:
            now = self._clock.wall_unix_nano()
            self.replay_within(connection, webhook_id, Signed.by(who, reason), now)
            replayed = dead_letters.load(connection, webhook_id, now)
        self.wake()
        return replayed

    def replay_within(
        self, connection: Connection, webhook_id: str, by: Signed, now_unix_nano: int
    ) -> None:
        """The same in the caller's transaction, who calls ``wake()`` once it is committed."""
        self.replayable(connection, webhook_id, now_unix_nano)
        dead_letters.replay(connection, webhook_id, by, now_unix_nano)

    def replayable(self, connection: Connection, webhook_id: str, now_unix_nano: int) -> Letter:
        """Raises UnknownRecordError, and ConflictError when it must not be sent again now."""
        letter = dead_letters.load(connection, webhook_id, now_unix_nano)
        stopped = self.stopped(letter.delivery.lane.partition("/")[2])
        if stopped is not None:
            raise ConflictError(f"the kill switch is thrown: {stopped}")
        if letter.refusal is not None:
            raise ConflictError(f"{webhook_id} {letter.refusal}")
        return letter

    def wake(self) -> None:
        """Something is due again."""
        self._on_replay()


def _record(connection: Connection, result: Result) -> bool:
    try:
        if result.attempt is None:
            row = outbox.end_lease(connection, result.lease)
        else:
            row = outbox.finish_attempt(connection, result.lease, result.attempt, result.url)
    except StaleLeaseError:
        return False
    result.then(connection, row)
    return True


def _token() -> str:
    return os.urandom(16).hex()
