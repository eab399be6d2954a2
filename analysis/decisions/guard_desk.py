"""What people may do to guards, each with who did it and why on the audit log."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection

from analysis.decisions import guard_store, outbox
from analysis.decisions.database import Transactions
from analysis.decisions.guard_store import Guarding, Release
from analysis.decisions.guards import Guard
from analysis.decisions.records import Event, Signed
from analysis.decisions.settings_store import SettingsWatch
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
            if guarding.settings is not None:
                kept["settings"] = _settings(connection, guarding.settings)
        shown = {"file": str(switch.path), "thrown": switch.thrown("")}
        return {"kill_switch": shown, "limits": asdict(guarding.limits), **kept}

    @property
    def settings(self) -> SettingsWatch:
        """Of this process. Raises ConflictError where nobody watches them."""
        if self._guarding is None or self._guarding.settings is None:
            raise ConflictError("this ledger is opened without guarded settings")
        return self._guarding.settings

    def begin(self) -> str | None:
        """At the start of a process: why its commands are held until two people approve."""
        with self._database.write() as connection:
            return self.settings.begin(connection, self._clock.wall_unix_nano())

    def looser(self) -> tuple[str, ...]:
        """In what this process's settings go beyond what was approved; empty: in nothing."""
        with self._database.read() as connection:
            return self.settings.looser(connection)

    def held_by_settings(self) -> bool:
        """Whether commands wait for an approval of the settings."""
        return (
            self._guarding is not None
            and self._guarding.settings is not None
            and bool(self.looser())
        )

    def counts(self) -> dict[str, int]:
        """Locks, barred releases, and 1 each while kill switch or settings hold everything."""
        with self._database.read() as connection:
            locks, barred = guard_store.counts(connection)
        guarding = self._guarding
        thrown = guarding is not None and guarding.kill_switch.thrown("") is not None
        unapproved = int(self.held_by_settings())
        return {
            "locks": locks,
            "barred": barred,
            "kill_switch": int(thrown),
            "settings_not_approved": unapproved,
        }

    def clear(self, release: Release, who: str, reason: str) -> None:
        """End the bar of a release. Raises UnknownRecordError."""
        with self._database.write() as connection:
            clear(connection, release, Signed.by(who, reason), self._clock.wall_unix_nano())

    def bar(self, release: Release, who: str, reason: str) -> None:
        """No canary of it, no promotion of it, no rollback to it; a queued one is given up."""
        with self._database.write() as connection:
            now = self._clock.wall_unix_nano()
            why = f"{who}: {reason}"
            guard_store.bar(connection, release, why, now)
            lane = f"{release.environment}/{release.service}"
            outbox.withdraw(connection, lane, release.digest, f"barred by {why}", now)
            title = f"{release.digest} is barred"
            _note(connection, "guard_barred", title, release.service, Signed.by(who, reason), now)

    def known_good(self, release: Release, who: str, reason: str) -> None:
        """A rollback may lead to this release."""
        with self._database.write() as connection:
            known_good(connection, release, Signed.by(who, reason), self._clock.wall_unix_nano())

    def lock(self, environment: str, who: str, reason: str) -> None:
        """Command nothing in this environment (``*`` = in any)."""
        with self._database.write() as connection:
            now = self._clock.wall_unix_nano()
            guard_store.lock(connection, environment, f"{who}: {reason}", now)
            title = f"{environment} is locked"
            _note(connection, "guard_locked", title, "", Signed.by(who, reason), now)

    def release_lock(self, environment: str, who: str, reason: str) -> None:
        """End a lock, also one that a storm has set. Raises UnknownRecordError."""
        with self._database.write() as connection:
            now = self._clock.wall_unix_nano()
            release_lock(connection, environment, Signed.by(who, reason), now)


def _settings(connection: Connection, watch: SettingsWatch) -> dict[str, Any]:
    looser = watch.looser(connection)
    return {
        "sha256": watch.own.sha256,
        "two_persons": watch.is_required,
        "is_approved": not looser,
        "looser": list(looser),
        "held": str(Guard.SETTINGS_NOT_APPROVED) if looser else None,
        **watch.own.to_json(),
    }


def clear(connection: Connection, release: Release, by: Signed, now_unix_nano: int) -> None:
    """End the bar of a release. Raises UnknownRecordError."""
    guard_store.clear(connection, release, now_unix_nano)
    title = f"{release.digest} is barred no more"
    _note(connection, "guard_cleared", title, release.service, by, now_unix_nano)


def known_good(connection: Connection, release: Release, by: Signed, now_unix_nano: int) -> None:
    """A rollback may lead to this release."""
    guard_store.add_known_good(connection, release, f"{by.who}: {by.reason}", now_unix_nano)
    title = f"{release.digest} is good"
    _note(connection, "guard_known_good", title, release.service, by, now_unix_nano)


def release_lock(connection: Connection, environment: str, by: Signed, now_unix_nano: int) -> None:
    """End a lock. Raises UnknownRecordError."""
    guard_store.release_lock(connection, environment)
    _note(connection, "guard_released", f"{environment} is released", "", by, now_unix_nano)


def _note(
    connection: Connection, kind: str, title: str, service: str, by: Signed, now: int
) -> None:
    event = Event(now, kind, service, None, f"{title}, says {by.who}", by.reason)
    add_event(connection, event, actor=by.actor)
