"""What people may do to guards, each with who did it and why on the audit log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection

from analysis.decisions import guard_store, outbox
from analysis.decisions.database import Transactions
from analysis.decisions.guard_store import Guarding, Release
from analysis.decisions.records import Event
from analysis.decisions.timeline import add_event
from analysis.errors import ConflictError
from telemetry.clock import Clock


class GuardDesk:
    """Bars, locks and the register of known releases. Methods block; any thread may call."""

    def __init__(self, database: Transactions, clock: Clock, guarding: Guarding | None) -> None:
        self._database = database
        self._clock = clock
        self._guarding = guarding

    def state(self) -> dict[str, Any]:
        """Everything that may hold a command now, as JSON."""
        guarding = self._guarding
        if guarding is None:
            raise ConflictError("this ledger is opened without guards")
        switch = guarding.kill_switch
        with self._database.read() as connection:
            kept = guard_store.state(connection)
        shown = {"file": str(switch.path), "thrown": switch.thrown("")}
        return {"kill_switch": shown, "limits": asdict(guarding.limits), **kept}

    def counts(self) -> dict[str, int]:
        """Locks, barred releases, and 1 while the general kill switch is thrown."""
        with self._database.read() as connection:
            locks, barred = guard_store.counts(connection)
        guarding = self._guarding
        thrown = guarding is not None and guarding.kill_switch.thrown("") is not None
        return {"locks": locks, "barred": barred, "kill_switch": int(thrown)}

    def clear(self, release: Release, who: str, reason: str) -> None:
        """End the bar of a release. Raises UnknownRecordError."""

        def work(connection: Connection, now: int) -> None:
            guard_store.clear(connection, release, now)

        self._change(
            work, "guard_cleared", f"{release.digest} is barred no more", release, who, reason
        )

    def bar(self, release: Release, who: str, reason: str) -> None:
        """No canary of it, no promotion of it, no rollback to it; a queued one is given up."""

        def work(connection: Connection, now: int) -> None:
            guard_store.bar(connection, release, f"{who}: {reason}", now)
            lane, why = f"{release.environment}/{release.service}", f"barred by {who}: {reason}"
            outbox.withdraw(connection, lane, release.digest, why, now)

        self._change(work, "guard_barred", f"{release.digest} is barred", release, who, reason)

    def known_good(self, release: Release, who: str, reason: str) -> None:
        """A rollback may lead to this release."""

        def work(connection: Connection, now: int) -> None:
            guard_store.add_known_good(connection, release, f"{who}: {reason}", now)

        self._change(work, "guard_known_good", f"{release.digest} is good", release, who, reason)

    def lock(self, environment: str, who: str, reason: str) -> None:
        """Command nothing in this environment (``*`` = in any)."""

        def work(connection: Connection, now: int) -> None:
            guard_store.lock(connection, environment, f"{who}: {reason}", now)

        self._change(work, "guard_locked", f"{environment} is locked", None, who, reason)

    def release_lock(self, environment: str, who: str, reason: str) -> None:
        """End a lock, also one that a storm has set. Raises UnknownRecordError."""

        def work(connection: Connection, _now: int) -> None:
            guard_store.release_lock(connection, environment)

        self._change(work, "guard_released", f"{environment} is released", None, who, reason)

    def _change(
        self,
        work: Callable[[Connection, int], None],
        kind: str,
        title: str,
        release: Release | None,
        who: str,
        reason: str,
    ) -> None:
        service = "" if release is None else release.service
        with self._database.write() as connection:
            now = self._clock.wall_unix_nano()
            work(connection, now)
            event = Event(now, kind, service, None, f"{title}, says {who}", reason)
            add_event(connection, event, actor=who)
