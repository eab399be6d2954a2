"""The ledger: the one door to everything the control plane must not forget.

Every method is one transaction: a state edge, its events and its outbox row are on disk together
or not at all, when the method returns. Methods block (a commit takes a few milliseconds) and may
be called from any thread; in a coroutine use ``asyncio.to_thread``. All raise
LedgerUnavailableError when the database cannot do it now; then nothing took effect, unless a
server's answer to the commit itself was lost: then all of it may have. Who tries again begins from
what is stored.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from analysis.decisions import canaries, commands, deciding, guard_store, outbox, timeline, totals
from analysis.decisions.canaries import JudgedLook
from analysis.decisions.correction_store import CorrectionStore
from analysis.decisions.database import Database, Transactions
from analysis.decisions.definition_store import DefinitionStore
from analysis.decisions.guard_desk import GuardDesk
from analysis.decisions.guard_store import Guarding
from analysis.decisions.outbox_desk import OutboxDesk
from analysis.decisions.override_store import OverrideStore
from analysis.decisions.records import (
    CanaryRecord,
    Decision,
    DecisionDraft,
    Declaration,
    Event,
    SloPoint,
)
from analysis.decisions.silence_store import SilenceStore
from analysis.decisions.states import (
    TERMINAL_CANARY_STATES,
    Action,
    CanaryState,
    DecisionState,
)
from analysis.decisions.totals import Totals
from analysis.webhooks.events import Addressing
from telemetry.clock import Clock


class Ledger:
    """Canaries, looks, decisions, deliveries, timeline. One process opens a SQLite ledger."""

    def __init__(
        self,
        database: Transactions,
        clock: Clock,
        addressing: Addressing | None,
        guarding: Guarding | None = None,
    ) -> None:
        self.database = database
        self._clock = clock
        self._addressing = addressing
        self._guarding = guarding
        self.guards = GuardDesk(database, clock, guarding)
        self.corrections = CorrectionStore(database, clock)
        self.silences = SilenceStore(database, clock)
        self.overrides = OverrideStore(database, clock)
        self.definitions = DefinitionStore(database, clock)
        self.outbox = OutboxDesk(database, clock, guarding, self._tell)
        self._listeners: list[Callable[[], None]] = []
        self._listeners_lock = threading.Lock()

    @classmethod
    def open(
        cls,
        url: str,
        clock: Clock,
        addressing: Addressing | None = None,
        guarding: Guarding | None = None,
    ) -> Ledger:
        """Open or create, migrate, end the leases of a process that died. Raises StartError.

        ``url``: SQLAlchemy's, such as ``sqlite:////var/lib/davylamp/ledger.db``. ``addressing``:
        where commands go; without it no decision can be committed in the mode ``act``.
        ``guarding``: what may hold a command; the analysis process always has it.
        """
        database = Database(url)
        if not database.is_shared:
            # The file is ours alone, so whoever had them is gone; else the next leader ends them.
            with database.write() as connection:
                outbox.release_leases(connection)
        return cls(database, clock, addressing, guarding)

    def on(self, database: Transactions) -> Ledger:
        """The same ledger through other transactions, such as a leader's; one set of listeners."""
        other = Ledger(database, self._clock, self._addressing, self._guarding)
        other._listeners, other._listeners_lock = self._listeners, self._listeners_lock
        return other

    def close(self) -> None:
        """Close the database; the ledger cannot be used any more."""
        self.database.close()

    def on_command(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` (from any thread) whenever a command was committed.

        Returns what ends it.
        """
        with self._listeners_lock:
            self._listeners.append(listener)

        def end() -> None:
            with self._listeners_lock, contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return end

    # --- canaries ---------------------------------------------------------------------------

    def declare(self, declaration: Declaration) -> CanaryRecord:
        """Store a canary; the same declaration again is no news.

        Raises ConflictError (other content under this id) and LedgerFullError.
        """
        return self.declare_new(declaration)[0]

    def declare_new(self, declaration: Declaration) -> tuple[CanaryRecord, bool]:
        """Like :meth:`declare`; the second value says whether it was new."""
        with self.database.write() as connection:
            now = self._now()
            is_new = canaries.declare(connection, declaration, now)
            if is_new and self._guarding is not None:
                guard_store.admit(connection, declaration, now)
            return canaries.load(connection, declaration.deployment_id), is_new

    def canary(self, deployment_id: str) -> CanaryRecord:
        """One canary. Raises UnknownRecordError."""
        with self.database.read() as connection:
            return canaries.load(connection, deployment_id)

    def canaries(self, state: CanaryState | None = None, limit: int = 100) -> list[CanaryRecord]:
        """Newest first."""
        with self.database.read() as connection:
            return canaries.list_canaries(connection, state, limit)

    def open_canaries(self) -> list[CanaryRecord]:
        """Canaries whose state is not final, oldest first."""
        with self.database.read() as connection:
            return canaries.list_open(connection)

    def start_judging(self, deployment_id: str, config_text: str, rule_digest: str) -> None:
        """Fix the rule (TOML text and its digest); ``declared`` becomes ``warming``.

        The same rule again changes nothing. Raises ConflictError for another rule.
        """
        with self.database.write() as connection:
            now = self._now()
            canaries.start_judging(connection, deployment_id, config_text, rule_digest, now)

    def judge_state(self, deployment_id: str) -> dict[str, Any] | None:
        """``CanaryJudge.to_state()`` as of the newest stored look; None before the first.

        The rule it belongs to is ``canary(deployment_id).config_text``.
        """
        with self.database.read() as connection:
            return canaries.judge_state(connection, deployment_id)

    def record_look(
        self,
        deployment_id: str,
        look: Mapping[str, Any],
        judge_state: Mapping[str, Any],
        next_state: str,
        *,
        tape: bytes | None = None,
    ) -> None:
        """Store a look that does not end the canary (``Look.to_json()``), and the judge with it.

        ``next_state``: ``warming`` or ``observing``; the present state is no move. Raises
        IllegalMoveError and ConflictError (this index is stored already).
        """
        state = CanaryState(next_state)
        assert state not in TERMINAL_CANARY_STATES, "conclude() ends a canary"
        step = JudgedLook(look, judge_state, state, _verdict_of(look), tape)
        with self.database.write() as connection:
            canaries.add_look(connection, deployment_id, step, self._now())

    def conclude(
        self,
        deployment_id: str,
        look: Mapping[str, Any] | None,
        judge_state: Mapping[str, Any] | None,
        next_state: str,
        draft: DecisionDraft | None,
        *,
        note: str = "",
        verdict: Mapping[str, Any] | None = None,
        tape: bytes | None = None,
    ) -> Decision | None:
        """End a canary: look, state, decision, sequence, outbox row and events, or none of them.

        ``note``: why nothing is decided (``Ruling.reason``), for the timeline. ``look`` may be
        None when the canary ends for a reason outside the evidence; then ``verdict``
        (``Verdict.to_json()``) says which. Raises IllegalMoveError when the canary is over.
        """
        state = CanaryState(next_state)
        assert state in TERMINAL_CANARY_STATES, "record_look() goes on"
        final = verdict if look is None else _verdict_of(look)
        assert final is not None, "a canary ends with a verdict"
        assert final["final"], "a hold does not end a canary"
        step = JudgedLook(look, judge_state, state, final, tape)
        with self.database.write() as connection:
            now = self._now()
            digest = canaries.add_look(connection, deployment_id, step, now)
            record = canaries.load(connection, deployment_id)
            title = f"Verdict on {record.declaration.canary.version}: {final['kind']}"
            self._note(connection, record, "verdict", title, str(final["summary"]))
            if draft is None:
                self._note(connection, record, "no_decision", "Nothing is decided", note)
                return None
            context = (now, self._addressing, self._guarding)
            decision = deciding.decide(connection, record, draft, digest, *context)
        if decision.state is DecisionState.REQUESTED:
            self._tell()
        return decision

    def looks(
        self, deployment_id: str, after_index: int = -1, limit: int = 1000
    ) -> list[dict[str, Any]]:
        """Looks with an index above ``after_index``, oldest first. Raises UnknownRecordError."""
        with self.database.read() as connection:
            return canaries.list_looks(connection, deployment_id, after_index, limit)

    def taped_looks(self, deployment_id: str) -> list[tuple[int, str, bytes | None]]:
        """Index, JSON text and tape of every look that is kept. Raises UnknownRecordError."""
        with self.database.read() as connection:
            return canaries.taped_looks(connection, deployment_id)

    def last_look(self, deployment_id: str) -> dict[str, Any] | None:
        """The newest look."""
        with self.database.read() as connection:
            return canaries.last_look(connection, deployment_id)

    # --- decisions --------------------------------------------------------------------------

    def decision(self, decision_id: str) -> Decision:
        """One decision. Raises UnknownRecordError."""
        with self.database.read() as connection:
            return commands.load(connection, decision_id)

    def decisions(self, limit: int = 100) -> list[Decision]:
        """Newest first."""
        with self.database.read() as connection:
            return commands.list_decisions(connection, limit)

    def delivered_since(self, action: Action, unix_nano: int) -> list[Decision]:
        """Decisions of one action delivered after a moment, made at most a day before."""
        with self.database.read() as connection:
            return commands.delivered_since(connection, action, unix_nano)

    def report_status(self, decision_id: str, status: str, unix_nano: int, detail: str) -> Decision:
        """Take the receiver's word: ``acknowledged`` or ``completed``. Idempotent.

        Raises UnknownRecordError and ConflictError (the decision was advice only).
        """
        wanted = DecisionState(status)
        assert wanted in (DecisionState.ACKNOWLEDGED, DecisionState.COMPLETED)
        with self.database.write() as connection:
            now = self._now()
            return commands.report(connection, decision_id, wanted, unix_nano, detail, now)

    def awaiting_confirmation(self) -> list[Decision]:
        """Delivered or reported on, not yet confirmed nor given up; oldest first."""
        with self.database.read() as connection:
            return commands.awaiting_confirmation(connection)

    def confirm(self, decision_id: str, unix_nano: int, detail: str) -> Decision:
        """Telemetry shows that it is done. Idempotent. Raises IllegalMoveError."""
        with self.database.write() as connection:
            wanted = DecisionState.CONFIRMED
            decision = commands.move(connection, decision_id, wanted, unix_nano, detail)
            if self._guarding is not None:
                record = canaries.load(connection, decision.deployment_id)
                guard_store.confirmed(connection, decision, record.declaration)
            return decision

    def unconfirmed(self, decision_id: str, unix_nano: int, detail: str) -> Decision:
        """Telemetry did not show it in time: people are to look. Raises IllegalMoveError."""
        with self.database.write() as connection:
            wanted = DecisionState.UNCONFIRMED
            return commands.move(connection, decision_id, wanted, unix_nano, detail)

    # --- all of it ------------------------------------------------------------------------------

    def totals(self) -> Totals:
        """How many canaries, looks, decisions and deliveries there are."""
        with self.database.read() as connection:
            return totals.count(connection)

    # --- timeline ---------------------------------------------------------------------------

    def record_event(
        self,
        kind: str,
        service: str,
        title: str,
        *,
        detail: str = "",
        deployment_id: str | None = None,
        unix_nano: int | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        """Append one line to the timeline; without ``unix_nano`` it happened now."""
        at = self._now() if unix_nano is None else unix_nano
        with self.database.write() as connection:
            event = Event(at, kind, service, deployment_id, title, detail, about)
            timeline.add_event(connection, event)

    def events(
        self,
        from_unix_nano: int,
        to_unix_nano: int,
        limit: int = 500,
        kinds: Sequence[str] | None = None,
    ) -> list[Event]:
        """Events of [from, to), newest first; of every kind unless some are named."""
        with self.database.read() as connection:
            return timeline.list_events(connection, from_unix_nano, to_unix_nano, limit, kinds)

    def put_status(self, kind: str, name: str, status: Mapping[str, Any]) -> None:
        """Replace the current status ``name`` of a kind (``slo``, ``anomaly``)."""
        self.put_statuses(kind, {name: status})

    def put_statuses(
        self, kind: str, named: Mapping[str, Mapping[str, Any]], *, only: bool = False
    ) -> None:
        """Replace several in one transaction; with ``only``, forget all others of the kind."""
        now = self._now()
        with self.database.write() as connection:
            for name, status in named.items():
                timeline.put_status(connection, kind, name, status, now)
            if only:
                timeline.drop_statuses(connection, kind, list(named))

    def statuses(self, kind: str) -> list[dict[str, Any]]:
        """Current statuses of one kind, by name."""
        with self.database.read() as connection:
            return timeline.list_statuses(connection, kind)

    def status_names(self, kind: str) -> list[str]:
        """Names of the current statuses of one kind."""
        with self.database.read() as connection:
            return timeline.list_status_names(connection, kind)

    def record_slo_point(self, name: str, point: SloPoint) -> None:
        """Add one point to an SLO's history; history older than 45 days is dropped."""
        with self.database.write() as connection:
            timeline.add_slo_point(connection, name, point)

    def slo_points(
        self, name: str, from_unix_nano: int, to_unix_nano: int, limit: int = 11_000
    ) -> list[SloPoint]:
        """The newest ``limit`` points of [from, to), oldest first."""
        with self.database.read() as connection:
            return timeline.list_slo_points(connection, name, from_unix_nano, to_unix_nano, limit)

    # --- parts ------------------------------------------------------------------------------

    def _note(
        self, connection: Connection, record: CanaryRecord, kind: str, title: str, detail: str
    ) -> None:
        service = record.declaration.service
        event = Event(self._now(), kind, service, record.deployment_id, title, detail)
        timeline.add_event(connection, event)

    def _tell(self) -> None:
        with self._listeners_lock:
            listeners: Sequence[Callable[[], None]] = tuple(self._listeners)
        for listener in listeners:
            listener()

    def _now(self) -> int:
        return self._clock.wall_unix_nano()


def _verdict_of(look: Mapping[str, Any]) -> dict[str, Any] | None:
    """``Verdict.to_json()`` out of ``Look.to_json()``; None while there is none."""
    if look["verdict"] == "observing":
        return None
    return {
        "kind": look["verdict"],
        "reason": look["reason"],
        "summary": look["summary"],
        "unix_nano": look["unix_nano"],
        "final": look["final"],
        "culprit_metric": look["culprit_metric"],
        "culprit_split": look["culprit_split"],
    }
