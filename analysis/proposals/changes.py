"""What a proposed change rests on, and the change itself; both inside the caller's transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict

import orjson
from sqlalchemy import Connection

from analysis.decisions import (
    correction_store,
    guard_desk,
    guard_store,
    override_store,
    settings_store,
)
from analysis.decisions.correction_store import Exclusion, read_when
from analysis.decisions.guard_store import Release
from analysis.decisions.guarded_settings import GuardedSettings
from analysis.decisions.outbox_desk import OutboxDesk
from analysis.decisions.override_store import Suspension
from analysis.decisions.records import Signed
from analysis.decisions.states import DeliveryState
from analysis.decisions.timeline import dumps
from analysis.errors import ConflictError, UnknownRecordError
from analysis.notices import store as notice_store
from analysis.proposals.policy import Change, ChangeKind
from analysis.slo.correction_book import when_json


class Changes:
    """Of one ledger."""

    def __init__(self, outbox: OutboxDesk) -> None:
        self._outbox = outbox

    def state_sha256(self, connection: Connection, change: Change, now_unix_nano: int) -> str:
        """Digest of what ``change`` would undo; another bar or lock of the same name is another.

        Raises UnknownRecordError and ConflictError when there is nothing it could change.
        """
        about = self._about(connection, change, now_unix_nano)
        return hashlib.sha256(dumps(about).encode()).hexdigest()

    def apply(self, connection: Connection, change: Change, by: Signed, now_unix_nano: int) -> None:
        """Raises UnknownRecordError and ConflictError; then nothing of the transaction counts."""
        match change.kind:
            case ChangeKind.CLEAR_BAR:
                guard_desk.clear(connection, _release(change), by, now_unix_nano)
            case ChangeKind.KNOWN_GOOD:
                guard_desk.known_good(connection, _release(change), by, now_unix_nano)
            case ChangeKind.RELEASE_LOCK:
                guard_desk.release_lock(connection, change.environment, by, now_unix_nano)
            case ChangeKind.REPLAY_COMMAND:
                self._outbox.replay_within(connection, change.what, by, now_unix_nano)
            case ChangeKind.REPLAY_NOTICE:
                notice_store.replay(connection, change.what, by, now_unix_nano)
            case ChangeKind.SUSPEND_POLICY:
                override_store.suspend(connection, read_suspension(change), by, now_unix_nano)
            case ChangeKind.EXCLUDE_TIME:
                correction_store.exclude(connection, read_exclusion(change), by, now_unix_nano)
            case ChangeKind.APPROVE_SETTINGS:
                settings_store.approve(connection, read_settings(change), by, now_unix_nano)

    def applied(self, change: Change) -> None:
        """After the commit: what waits for work is told of it."""
        if change.kind in (ChangeKind.REPLAY_COMMAND, ChangeKind.APPROVE_SETTINGS):
            self._outbox.wake()

    def _about(self, connection: Connection, change: Change, now: int) -> list[int | str]:
        match change.kind:
            case ChangeKind.CLEAR_BAR:
                return _barred(connection, change)
            case ChangeKind.KNOWN_GOOD:
                return _not_known(connection, change)
            case ChangeKind.RELEASE_LOCK:
                return _locked(connection, change)
            case ChangeKind.REPLAY_COMMAND:
                delivery = self._outbox.replayable(connection, change.what, now).delivery
                return [str(delivery.state), len(delivery.attempts), delivery.dead_reason or ""]
            case ChangeKind.REPLAY_NOTICE:
                row = notice_store.one(connection, change.what)
                if row.state is DeliveryState.PENDING:
                    raise ConflictError(f"{change.what} is pending; only what is over can be sent")
                return [str(row.state), row.attempts]
            case ChangeKind.SUSPEND_POLICY:
                # It adds to what is and undoes nothing, as the next.
                read_suspension(change).check(now)
                return []
            case ChangeKind.EXCLUDE_TIME:
                read_exclusion(change).made(Signed.by("a person", "a reason"), now)
                return []
            case ChangeKind.APPROVE_SETTINGS:
                return _unapproved(connection, change)


def suspension(asked: Suspension) -> Change:
    """A step of a budget policy that shall not act for a while."""
    return Change(ChangeKind.SUSPEND_POLICY, "*", "*", dumps(asdict(asked)))


def read_suspension(change: Change) -> Suspension:
    """The inverse."""
    return Suspension(**orjson.loads(change.what))


def exclusion(asked: Exclusion) -> Change:
    """Time that shall not count."""
    about = {"objectives": sorted(asked.objectives), "category": asked.category}
    return Change(ChangeKind.EXCLUDE_TIME, "*", "*", dumps({**when_json(asked.when), **about}))


def read_exclusion(change: Change) -> Exclusion:
    """The inverse. Raises CorrectionError for a rule that this version does not read."""
    found = orjson.loads(change.what)
    return Exclusion(read_when(found), tuple(found["objectives"]), found["category"])


def settings(asked: GuardedSettings, looser: Sequence[str]) -> Change:
    """Settings under which a process shall command. ``looser``: in what, for people to read."""
    what = dumps({"looser": list(looser), "settings": asked.to_json()})
    return Change(ChangeKind.APPROVE_SETTINGS, "*", "*", what)


def read_settings(change: Change) -> GuardedSettings:
    """The inverse."""
    return GuardedSettings.from_json(orjson.loads(change.what)["settings"])


def _unapproved(connection: Connection, change: Change) -> list[int | str]:
    number, approved = settings_store.last(connection)
    asked = read_settings(change)
    if approved is not None and approved.sha256 == asked.sha256:
        raise ConflictError(f"the settings {asked.sha256} are approved already")
    return [number]


def _release(change: Change) -> Release:
    return Release(change.environment, change.service, change.what)


def _barred(connection: Connection, change: Change) -> list[int | str]:
    ids = guard_store.bar_ids(connection, _release(change))
    if not ids:
        raise UnknownRecordError(
            f"{change.what} of {change.service} in {change.environment} is not barred"
        )
    return [*ids]


def _not_known(connection: Connection, change: Change) -> list[int | str]:
    release = _release(change)
    if guard_store.known_since(connection, release) is not None:
        raise ConflictError(f"{change.what} is known to be good already")
    # Somebody who bars it meanwhile knows something.
    return [*guard_store.bar_ids(connection, release)]


def _locked(connection: Connection, change: Change) -> list[int | str]:
    lock = guard_store.locked_since(connection, change.environment)
    if lock is None:
        raise UnknownRecordError(f"environment {change.environment!r} is not locked")
    return [*lock]
