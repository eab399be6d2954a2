"""The ledger on disk: settings read back, one owner, all or nothing, every edge with its event."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, insert
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from analysis.decisions.database import MIGRATIONS
from analysis.decisions.outbox import Busy
from analysis.decisions.outbox_desk import Taken
from analysis.decisions.records import Attempt, DecisionDraft, SloPoint
from analysis.decisions.states import Action, CanaryState, DecisionState, DeliveryState
from analysis.decisions.tables import events, metadata
from analysis.errors import (
    ConflictError,
    IllegalMoveError,
    LedgerFullError,
    LedgerUnavailableError,
    SchemaMismatchError,
    StartError,
    UnknownRecordError,
)
from telemetry.clock import FixedClock

DRAFT = DecisionDraft(Action.ROLLBACK, "act", "fail", "Because.", None, None)


#: About the file itself.
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def clock():
    return FixedClock()


@pytest.fixture
def ledger(open_ledger, clock, database_url):
    return open_ledger(clock, url=database_url)


def expired(ledger, now):
    return ledger.outbox.lease_due(now, 60, 0).expired


def kinds(ledger):
    return [one.kind for one in reversed(ledger.events(0, 2**62))]


# --- the file ---------------------------------------------------------------------------------


@ON_SQLITE
def test_sqlite_answers_the_settings_we_asked_for(ledger):
    """WAL, synchronous=FULL (2), foreign keys, 5 s of patience; read back, not assumed."""
    assert ledger.database.durability() == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }


def test_readers_cannot_write(ledger):
    """The readers' connections refuse every change."""
    with (
        pytest.raises(LedgerUnavailableError, match=r"read-?only"),
        ledger.database.read() as connection,
    ):
        connection.execute(
            insert(events).values(unix_nano=1, kind="x", service="x", title="x", detail="x")
        )


def migrations() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return ScriptDirectory.from_config(config)


@ON_SQLITE
def test_migrations_make_the_tables_the_code_knows(ledger, tmp_path):
    """Alembic finds no difference between the migrated file and the tables in the code."""
    engine = create_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == migrations().get_current_head()
    engine.dispose()


def test_there_is_one_line_of_migrations():
    """Each migration names its forerunner, and only one has none."""
    assert len(migrations().get_heads()) == 1
    assert len(migrations().get_bases()) == 1


def test_the_tables_can_be_made_on_postgresql():
    """Every table and index has a form in PostgreSQL's dialect, with 64-bit times."""
    dialect = postgresql.dialect()
    for table in metadata.sorted_tables:
        text = str(CreateTable(table).compile(dialect=dialect))
        for column in table.columns:
            if column.name.endswith("_unix_nano"):
                assert f"{column.name} BIGINT" in text
        for index in table.indexes:
            assert str(CreateIndex(index).compile(dialect=dialect))


@ON_SQLITE
def test_a_second_process_is_kept_out(ledger, open_ledger, clock, tmp_path):
    """One sentence, and the first owner goes on."""
    with pytest.raises(StartError, match=r"another process has the ledger .* open"):
        open_ledger(clock)
    ledger.record_event("x", "playback", "still here")
    ledger.close()
    open_ledger(clock).close()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("sqlite://", "must be kept in a file"),
        ("sqlite:///:memory:", "must be kept in a file"),
        ("not a url", "cannot be read"),
        ("nonsense://x/y", "cannot open the ledger"),
    ],
)
def test_a_useless_address_is_refused_at_start(open_ledger, clock, url, why):
    """In memory nothing would survive; the rest cannot be opened."""
    with pytest.raises(StartError, match=why):
        open_ledger(clock, url=url)


def test_a_folder_that_cannot_be_made_is_named(open_ledger, clock, tmp_path):
    """A file where the folder should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="cannot write the ledger"):
        open_ledger(clock, url=f"sqlite:///{tmp_path / 'file' / 'ledger.db'}")


def test_a_file_that_is_no_database_is_refused(open_ledger, clock, tmp_path):
    """Nothing is overwritten."""
    path = tmp_path / "other.db"
    path.write_bytes(b"this is a letter to my aunt, not a database, and longer than a header " * 9)
    before = path.read_bytes()
    with pytest.raises(StartError, match="not a database"):
        open_ledger(clock, url=f"sqlite:///{path}")
    assert path.read_bytes() == before


@ON_SQLITE
def test_a_ledger_of_a_newer_program_is_refused(ledger, open_ledger, clock, tmp_path):
    """An unknown revision is named; the file stays as it is."""
    ledger.close()
    with sqlite3.connect(tmp_path / "ledger.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '2031_01_future'")
    with pytest.raises(SchemaMismatchError, match="2031_01_future"):
        open_ledger(clock)


@ON_SQLITE
def test_a_locked_database_is_the_worlds_fault(ledger, helpers, tmp_path):
    """Somebody holds the write lock longer than our patience: typed, and nothing took effect."""
    with ledger.database.write() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=50")
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerUnavailableError, match="locked"):
        ledger.declare(helpers.declaration(0))
    assert ledger.canaries() == [], "readers go on"
    other.execute("ROLLBACK")
    other.close()
    assert ledger.declare(helpers.declaration(0)).state is CanaryState.DECLARED


def test_a_closed_ledger_stays_closed(ledger, helpers):
    """A thread that comes late gets a typed refusal, and opens nothing behind our back."""
    ledger.close()
    with pytest.raises(LedgerUnavailableError, match="closed"):
        ledger.declare(helpers.declaration(0))
    with pytest.raises(LedgerUnavailableError, match="closed"):
        ledger.canaries()


# --- canaries ---------------------------------------------------------------------------------


def test_declaring_twice_is_one_canary(ledger, helpers):
    """The same declaration again is no news; another one under the id is a conflict."""
    told = helpers.declaration(1)
    assert ledger.declare_new(told)[1] is True
    assert ledger.declare_new(told)[1] is False
    assert kinds(ledger) == ["canary_declared"]
    from dataclasses import replace

    with pytest.raises(ConflictError):
        ledger.declare(replace(told, expires_unix_nano=told.expires_unix_nano + 1))
    assert ledger.canary("playback-1").declaration == told


def test_the_number_of_open_canaries_is_limited(ledger, helpers, clock):
    """The 65th is refused; when one ends there is room again."""
    for number in range(64):
        ledger.declare(helpers.declaration(number))
    with pytest.raises(LedgerFullError, match="64 canaries are open, at most 64"):
        ledger.declare(helpers.declaration(64))
    assert ledger.declare(helpers.declaration(3)).deployment_id == "playback-3"
    ledger.start_judging("playback-3", "rule", "f" * 64)
    ledger.conclude("playback-3", helpers.look(0, 5, "invalid"), {}, "invalid", None)
    ledger.declare(helpers.declaration(64))


def test_a_canary_from_declaration_to_verdict(ledger, helpers, clock):
    """States, looks, the judge's newest state and the timeline agree."""
    ledger.declare(helpers.declaration(1))
    ledger.start_judging("playback-1", "alpha = 0.005", "f" * 64)
    ledger.start_judging("playback-1", "alpha = 0.005", "f" * 64)
    assert ledger.canary("playback-1").config_text == "alpha = 0.005"
    assert ledger.judge_state("playback-1") is None
    warming = helpers.look(0, 10, "observing", final=False)
    ledger.record_look("playback-1", warming, {"looks": 1}, "warming")
    hold = helpers.look(1, 11, "inconclusive", final=False)
    ledger.record_look("playback-1", {**hold, "reason": "canary_silent"}, {"looks": 2}, "observing")
    assert ledger.canary("playback-1").verdict["final"] is False
    again = {**helpers.look(2, 12, "inconclusive", final=False), "reason": "canary_silent"}
    ledger.record_look("playback-1", again, {"looks": 3}, "observing")
    over = helpers.look(3, 13, "fail")
    decision = ledger.conclude("playback-1", over, {"looks": 4}, "failed", DRAFT)
    record = ledger.canary("playback-1")
    assert (record.state, record.looks, record.is_over) == (CanaryState.FAILED, 4, True)
    assert record.decision == decision
    assert record.verdict == {
        "kind": "fail",
        "reason": "regression",
        "summary": "The canary is worse.",
        "unix_nano": 13,
        "final": True,
        "culprit_metric": "start_failures",
        "culprit_split": None,
    }
    assert ledger.judge_state("playback-1") == {"looks": 4}
    assert [one["index"] for one in ledger.looks("playback-1")] == [0, 1, 2, 3]
    assert [one["index"] for one in ledger.looks("playback-1", 1, 1)] == [2]
    assert ledger.last_look("playback-1") == over
    assert ledger.open_canaries() == []
    assert kinds(ledger) == [
        "canary_declared",
        "canary_state",
        "hold",
        "canary_state",
        "verdict",
        "decision",
    ]


def test_a_canary_is_judged_once(ledger, helpers, clock):
    """After the end no look is taken, no state moves, no second decision is made."""
    decision = helpers.decide(ledger, clock, 1)
    late = helpers.look(1, 99, "pass")
    with pytest.raises(IllegalMoveError):
        ledger.conclude("playback-1", late, {}, "passed", DRAFT)
    with pytest.raises(IllegalMoveError):
        ledger.record_look("playback-1", {**late, "final": False}, {}, "observing")
    assert [one.decision_id for one in ledger.decisions()] == [decision.decision_id]
    assert len(ledger.looks("playback-1")) == 1


def test_a_look_is_stored_once(ledger, helpers):
    """A second look of the same index is refused whole."""
    ledger.declare(helpers.declaration(1))
    ledger.start_judging("playback-1", "rule", "f" * 64)
    seen = helpers.look(0, 1, "observing", final=False)
    ledger.record_look("playback-1", seen, {"looks": 1}, "warming")
    with pytest.raises(ConflictError, match="look 0 of playback-1 is stored"):
        ledger.record_look("playback-1", seen, {"looks": "other"}, "observing")
    assert ledger.judge_state("playback-1") == {"looks": 1}
    assert ledger.canary("playback-1").state is CanaryState.WARMING


def test_looks_of_old_canaries_are_thinned_to_the_last(ledger, helpers, clock, monkeypatch):
    """Beyond the limit an ended canary keeps its last look, an open one keeps all."""
    from analysis.decisions import canaries

    monkeypatch.setattr(canaries, "MAX_CANARIES_WITH_LOOKS", 2)
    for number in range(4):
        clock.advance(1)
        name = f"playback-{number}"
        ledger.declare(helpers.declaration(number))
        ledger.start_judging(name, "rule", "f" * 64)
        for index in range(3):
            seen = helpers.look(index, index, "observing", final=False)
            ledger.record_look(name, seen, {"looks": index + 1}, "warming")
        if number != 1:
            ledger.conclude(name, helpers.look(3, 3, "invalid"), {}, "invalid", None)
    ledger.declare(helpers.declaration(9))
    kept = {n: [one["index"] for one in ledger.looks(f"playback-{n}")] for n in range(4)}
    assert kept == {0: [3], 1: [0, 1, 2], 2: [0, 1, 2, 3], 3: [0, 1, 2, 3]}
    assert ledger.canary("playback-0").looks == 4


def test_another_rule_in_the_middle_is_refused(ledger, helpers):
    """The error budget was promised for one rule."""
    ledger.declare(helpers.declaration(1))
    ledger.start_judging("playback-1", "rule", "a" * 64)
    with pytest.raises(ConflictError, match="judged by rule"):
        ledger.start_judging("playback-1", "other", "b" * 64)


def test_an_end_outside_the_evidence(ledger, helpers):
    """Without a look the verdict itself says why; it is stored and nothing is decided."""
    ledger.declare(helpers.declaration(1))
    verdict = {
        "kind": "inconclusive",
        "reason": "undecided_at_horizon",
        "summary": "Nobody looked in time.",
        "unix_nano": 5,
        "final": True,
        "culprit_metric": None,
        "culprit_split": None,
    }
    ended = ledger.conclude(
        "playback-1", None, None, "inconclusive", None, note="Nothing follows.", verdict=verdict
    )
    assert ended is None
    record = ledger.canary("playback-1")
    assert (record.state, record.looks) == (CanaryState.INCONCLUSIVE, 0)
    assert record.verdict == verdict
    last = ledger.events(0, 2**62)[0]
    assert (last.kind, last.detail) == ("no_decision", "Nothing follows.")


def test_what_is_unknown_is_named(ledger):
    """Unknown ids raise, they are not empty answers."""
    for ask in (ledger.canary, ledger.looks, ledger.decision):
        with pytest.raises(UnknownRecordError, match="nobody"):
            ask("nobody")
    with pytest.raises(UnknownRecordError):
        ledger.report_status("nobody", "completed", 1, "")


# --- decisions and outbox ---------------------------------------------------------------------


def test_a_decision_and_its_row_are_one(ledger, helpers, clock, tmp_path):
    """Digests, sequence, body and row fit together; the evidence can be digested anew."""
    decision = helpers.decide(ledger, clock, 1)
    (lease,) = ledger.outbox.lease_due(clock.wall_unix_nano(), 60, 10).leases
    data = json.loads(lease.body)["data"]
    assert data["decision_id"] == decision.decision_id == lease.decision_id
    assert data["sequence"] == decision.sequence == 1
    (stored,) = ledger.looks("playback-1")
    text = json.dumps(stored, sort_keys=True, separators=(",", ":"))
    assert decision.evidence_sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert data["evidence_sha256"] == decision.evidence_sha256
    assert data["rule_sha256"] == "f" * 64
    assert decision.expires_unix_nano - decision.created_unix_nano == 900 * 10**9


def test_nothing_remains_of_a_transaction_that_failed(ledger, helpers, clock, monkeypatch):
    """The outbox row cannot be written: no look, no state, no decision, no sequence, no event."""
    from analysis.decisions import outbox

    ledger.declare(helpers.declaration(1, now=clock.wall_unix_nano()))
    ledger.start_judging("playback-1", "rule", "f" * 64)
    before = kinds(ledger)

    def broken(*_):
        raise OSError("no")

    with monkeypatch.context() as patched:
        patched.setattr(outbox, "enqueue", broken)
        told = []
        ledger.on_command(lambda: told.append(1))
        with pytest.raises(OSError, match="no"):
            ledger.conclude("playback-1", helpers.look(0, 1), {"looks": 1}, "failed", DRAFT)
    assert told == []
    assert ledger.canary("playback-1").state is CanaryState.WARMING
    assert ledger.looks("playback-1") == []
    assert ledger.decisions() == []
    assert kinds(ledger) == before
    decision = ledger.conclude("playback-1", helpers.look(0, 1), {"looks": 1}, "failed", DRAFT)
    assert decision.sequence == 1


def test_without_a_receiver_no_command_is_committed(clock, helpers, tmp_path):
    """A ledger opened without an address refuses to command, and can still record advice."""
    from dataclasses import replace

    from analysis.decisions.ledger import Ledger

    ledger = Ledger.open(f"sqlite:///{tmp_path / 'other.db'}", clock)
    ledger.declare(helpers.declaration(1))
    ledger.start_judging("playback-1", "rule", "f" * 64)
    with pytest.raises(ConflictError, match="no receiver"):
        ledger.conclude("playback-1", helpers.look(0, 1), {}, "failed", DRAFT)
    advice = replace(DRAFT, mode="advise")
    decision = ledger.conclude("playback-1", helpers.look(0, 1), {}, "failed", advice)
    assert decision.state is DecisionState.ADVISED
    ledger.close()


def test_sequences_belong_to_lanes(ledger, helpers, clock):
    """Each environment/service counts for itself, without gaps."""
    for number in range(3):
        assert helpers.decide(ledger, clock, number, "playback").sequence == number + 1
    assert helpers.decide(ledger, clock, 9, "profiles").sequence == 1


def test_nothing_is_leased_at_or_after_its_end(ledger, helpers, clock):
    """A nanosecond before the end it can be taken, at the end no more, only buried."""
    decision = helpers.decide(ledger, clock, 1)
    end = decision.expires_unix_nano
    (lease,) = ledger.outbox.lease_due(end - 1, 60, 10).leases
    assert expired(ledger, end) == 0, "under way: its answer may still come"
    assert ledger.outbox.record([ledger.outbox.unsent(lease)]) == [True]
    assert expired(ledger, end - 1) == 0
    assert ledger.outbox.lease_due(end, 60, 10) == Taken(1, ())
    assert ledger.decision(decision.decision_id).state is DecisionState.EXPIRED


def test_giving_back_after_the_end_buries(ledger, helpers, clock):
    """A lease that could not be used in time leaves nothing behind that waits."""
    decision = helpers.decide(ledger, clock, 1)
    (lease,) = ledger.outbox.lease_due(clock.wall_unix_nano(), 60, 10).leases
    clock.advance(901)
    assert ledger.outbox.record([ledger.outbox.unsent(lease)]) == [True]
    (row,) = ledger.outbox.deliveries(decision.decision_id)
    assert (row.state, row.attempts) == (DeliveryState.DEAD, ())


def test_a_failed_attempt_does_not_revive_what_was_superseded(ledger, helpers, clock):
    """The older row stays dead when its request fails after a newer decision came."""
    older = helpers.decide(ledger, clock, 1)
    (lease,) = ledger.outbox.lease_due(clock.wall_unix_nano(), 60, 10).leases
    newer = helpers.decide(ledger, clock, 2)
    assert newer.supersedes == older.decision_id
    attempt = Attempt(clock.wall_unix_nano(), 500, "x", 0.1)
    due = ledger.outbox.deliveries(older.decision_id)[0].due_unix_nano
    later = ledger.outbox.failed(lease, attempt, "http://127.0.0.1:9/x", due + 10**9)
    assert ledger.outbox.record([later]) == [True]
    (row,) = ledger.outbox.deliveries(older.decision_id)
    assert (row.state, row.dead_reason) == (
        DeliveryState.DEAD,
        f"superseded by {newer.decision_id}",
    )
    assert row.due_unix_nano == due
    (next_lease,) = ledger.outbox.lease_due(clock.wall_unix_nano() + 10**10, 60, 10).leases
    assert next_lease.decision_id == newer.decision_id


def test_a_lost_lease_writes_nothing(ledger, helpers, clock):
    """After a minute somebody else has it; the first holder's late answer is refused."""
    decision = helpers.decide(ledger, clock, 1)
    (old,) = ledger.outbox.lease_due(clock.wall_unix_nano(), 60, 10).leases
    clock.advance(60)
    (new,) = ledger.outbox.lease_due(clock.wall_unix_nano(), 60, 10).leases
    attempt = Attempt(clock.wall_unix_nano(), 202, None, 0.1)
    desk = ledger.outbox
    late = [desk.delivered(old, attempt, "x"), desk.dead(old, attempt, "x", "x"), desk.unsent(old)]
    assert desk.record(late) == [False, False, False]
    assert ledger.outbox.deliveries(decision.decision_id)[0].attempts == ()
    assert desk.record([late[0], desk.delivered(new, attempt, "x")]) == [False, True]
    assert ledger.outbox.deliveries(decision.decision_id)[0].state is DeliveryState.DELIVERED


@ON_SQLITE
def test_leases_of_a_dead_process_are_over(ledger, open_ledger, helpers, clock):
    """The next process takes the row at once, with the same id and bytes."""
    helpers.decide(ledger, clock, 1)
    (old,) = ledger.outbox.lease_due(clock.wall_unix_nano(), 60, 10).leases
    ledger.close()
    again = open_ledger(clock)
    (new,) = again.outbox.lease_due(clock.wall_unix_nano(), 60, 10).leases
    assert (new.webhook_id, new.body) == (old.webhook_id, old.body)
    assert new.token != old.token


def test_busy_lanes_are_left_alone_whatever_the_clock_says(ledger, helpers, clock):
    """The wall clock jumped over the lease's end; the caller knows better."""
    helpers.decide(ledger, clock, 1)
    (lease,) = ledger.outbox.lease_due(clock.wall_unix_nano(), 60, 10).leases
    clock.step_wall(120)
    assert ledger.outbox.lease_due(clock.wall_unix_nano(), 60, 10, Busy((lease.lane,))).leases == ()


def test_the_receivers_word(ledger, helpers, clock):
    """Acknowledged, completed, confirmed; each with its time, a history line and an event."""
    decision = helpers.decide(ledger, clock, 1)
    assert ledger.awaiting_confirmation() == []
    (lease,) = ledger.outbox.lease_due(clock.wall_unix_nano(), 60, 10).leases
    now = clock.wall_unix_nano()
    accepted = Attempt(now, 202, None, 0.0)
    ledger.outbox.record([ledger.outbox.delivered(lease, accepted, "http://127.0.0.1:9/x")])
    assert [d.decision_id for d in ledger.awaiting_confirmation()] == [decision.decision_id]
    clock.advance(1)
    t1 = clock.wall_unix_nano()
    first = ledger.report_status(decision.decision_id, "acknowledged", t1, "draining")
    assert (first.state, first.acknowledged_unix_nano) == (DecisionState.ACKNOWLEDGED, t1)
    assert ledger.report_status(decision.decision_id, "acknowledged", t1 + 5, "other") == first
    ledger.report_status(decision.decision_id, "completed", t1, "gone")
    done = ledger.confirm(decision.decision_id, clock.wall_unix_nano(), "the canary is silent")
    assert done.state is DecisionState.CONFIRMED
    assert [what for _, what in done.history] == [
        "requested: rollback",
        "delivered: deployer answered 202, attempt 1",
        "acknowledged: draining",
        "completed: gone",
        "confirmed: the canary is silent",
    ]
    assert kinds(ledger)[-5:] == ["decision", "delivered", "acknowledged", "completed", "confirmed"]
    assert ledger.awaiting_confirmation() == []


def test_reports_out_of_order_only_fill_in(ledger, helpers, clock):
    """An acknowledgement after the completion does not move the state back."""
    decision = helpers.decide(ledger, clock, 1)
    ledger.report_status(decision.decision_id, "completed", clock.wall_unix_nano(), "")
    late = ledger.report_status(decision.decision_id, "acknowledged", clock.wall_unix_nano(), "")
    assert late.state is DecisionState.COMPLETED
    assert late.acknowledged_unix_nano is not None


def test_a_receivers_clock_is_believed_within_reason(ledger, helpers, clock):
    """A time before the decision or after now is moved to the nearest possible one."""
    decision = helpers.decide(ledger, clock, 1)
    clock.advance(5)
    early = ledger.report_status(decision.decision_id, "acknowledged", 1, "")
    late = ledger.report_status(decision.decision_id, "completed", 2**62, "")
    assert early.acknowledged_unix_nano == decision.created_unix_nano
    assert late.completed_unix_nano == clock.wall_unix_nano()


def test_a_late_report_lifts_an_expired_decision(ledger, helpers, clock):
    """The receiver accepted at the last moment and our side missed it: its word counts."""
    decision = helpers.decide(ledger, clock, 1)
    clock.advance(901)
    assert expired(ledger, clock.wall_unix_nano()) == 1
    late = ledger.report_status(decision.decision_id, "completed", clock.wall_unix_nano(), "")
    assert late.state is DecisionState.COMPLETED


def test_unconfirmed_is_told_and_may_still_be_confirmed(ledger, helpers, clock):
    """Not seen in time is an event; seen later is one more."""
    decision = helpers.decide(ledger, clock, 1)
    ledger.report_status(decision.decision_id, "completed", clock.wall_unix_nano(), "")
    ledger.unconfirmed(decision.decision_id, clock.wall_unix_nano(), "still serving")
    assert kinds(ledger)[-1] == "unconfirmed"
    assert ledger.confirm(decision.decision_id, 5, "silent now").state is DecisionState.CONFIRMED
    with pytest.raises(IllegalMoveError):
        ledger.unconfirmed(decision.decision_id, 6, "x")


# --- timeline and threads ---------------------------------------------------------------------


def test_events_are_read_by_time(ledger):
    """[from, to), newest first, limited; long texts are cut."""
    for at in (1, 2, 2, 3):
        ledger.record_event("x", "playback", f"at {at}", detail="d" * 5000, unix_nano=at)
    found = ledger.events(2, 3)
    assert [one.unix_nano for one in found] == [2, 2]
    assert [one.title for one in ledger.events(0, 9, 2)] == ["at 3", "at 2"]
    assert len(found[0].detail) == 2000


def test_events_are_kept_for_ninety_days(ledger):
    """A new event drops what is older than 90 days."""
    day = 86_400 * 10**9
    for at in (1, 2 * day, 91 * day):
        ledger.record_event("x", "playback", "t", unix_nano=at)
    assert [one.unix_nano for one in ledger.events(0, 2**62)] == [91 * day, 2 * day]


def test_statuses_are_replaced(ledger):
    """By kind and name; with ``only`` what is not named is forgotten."""
    ledger.put_status("slo", "b", {"v": 1})
    ledger.put_statuses("slo", {"a": {"v": 2}, "b": {"v": 3}})
    ledger.put_status("anomaly", "a", {"v": 4})
    assert ledger.statuses("slo") == [{"v": 2}, {"v": 3}]
    ledger.put_statuses("slo", {"c": {"v": 5}}, only=True)
    assert ledger.statuses("slo") == [{"v": 5}]
    assert ledger.status_names("slo") == ["c"]
    assert ledger.statuses("anomaly") == [{"v": 4}]


def test_slo_history_keeps_the_newest(ledger):
    """Oldest first, nulls stay nulls, one point a time, 45 days."""
    day = 86_400 * 10**9
    for at, value in ((1, 0.5), (2, None), (2, 0.25), (46 * day, 1.0)):
        ledger.record_slo_point("s", SloPoint(at * 1, value, None, None, 2.0))
    assert [(p.unix_nano, p.error_ratio) for p in ledger.slo_points("s", 0, 2**62)] == [
        (46 * day, 1.0)
    ]
    ledger.record_slo_point("s", SloPoint(46 * day + 1, None, 0.1, None, None))
    assert ledger.slo_points("s", 0, 2**62, limit=1)[0].unix_nano == 46 * day + 1
    assert ledger.slo_points("other", 0, 2**62) == []


def test_many_threads_lose_nothing(ledger, helpers, clock):
    """Eight threads declare, conclude and read at once: every call counts exactly once."""
    problems = []

    def work(number):
        try:
            helpers.decide(ledger, clock, number, f"service-{number % 4}")
            ledger.canaries()
            ledger.totals()
        except Exception as error:
            problems.append(error)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    assert problems == []
    decisions = ledger.decisions()
    assert len(decisions) == 40
    for service in range(4):
        numbers = sorted(d.sequence for d in decisions if d.service == f"service-{service}")
        assert numbers == list(range(1, 11))
    assert ledger.totals().decisions["requested"] == 4, "newer decisions superseded the rest"
    assert threading.active_count() < 30
