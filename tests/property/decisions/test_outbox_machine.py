"""The outbox against a model of a few lines, for any order of calls, faults, restarts and clocks.

The model says for every row whether it may be sent, by whom, and what became of it. What the
outbox stores must be the same after every step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from analysis.decisions.records import Arm, Attempt, DecisionDraft, Declaration, Lease
from analysis.decisions.states import Action
from analysis.errors import ConflictError, LedgerUnavailableError
from analysis.webhooks.events import Addressing
from bench.rollback.memory import Fault, MemoryDatabase
from telemetry.clock import FixedClock

S = 1_000_000_000
LIFETIME_S = 900.0
LEASE_S = 60.0
URL = "http://127.0.0.1:9/hook"
ADDRESSING = Addressing("deployer", URL, "http://127.0.0.1:8", LIFETIME_S)
SERVICES = ("playback", "profiles", "home")
ROWS = (
    "SELECT o.webhook_id, o.state, o.attempts, o.lease_token, o.body, d.state,"
    " (SELECT count(*) FROM attempts a WHERE a.webhook_id = o.webhook_id)"
    " FROM outbox o JOIN decisions d ON d.decision_id = o.decision_id"
)
TOLD = "SELECT count(*) FROM events WHERE kind = 'dead_letter'"


@cache
def memory() -> MemoryDatabase:
    return MemoryDatabase()


@dataclass
class Row:
    """What the model knows of one delivery."""

    lane: str
    sequence: int
    body: bytes
    due: int
    expires: int
    state: str = "pending"
    decision: str = "requested"
    attempts: int = 0
    token: str | None = None
    until: int = 0
    #: Its lease was over once; a clock set back makes nobody send again.
    is_lapsed: bool = False

    def is_held(self, now: int) -> bool:
        return self.token is not None and self.until > now


class OutboxMachine(RuleBasedStateMachine):
    leases = Bundle("leases")

    @initialize()
    def open(self):
        # Ids and tokens decide ties: the same steps must give the same ones again.
        self.entropy = patch("os.urandom", np.random.default_rng(1).bytes)
        self.entropy.start()
        self.database = memory()
        self.database.clear()
        self.clock = FixedClock()
        self.ledger = self.database.open(self.clock, ADDRESSING)
        self.rows: dict[str, Row] = {}
        self.told = 0
        self.declared = 0

    def teardown(self):
        if hasattr(self, "entropy"):
            self.entropy.stop()

    def now(self) -> int:
        return self.clock.wall_unix_nano()

    def fail_once(self, fault: Fault) -> None:
        def next_fault() -> Fault:
            self.database.next_fault = lambda: Fault.NONE
            return fault

        self.database.next_fault = next_fault

    # --- the model ---------------------------------------------------------------------------

    def bury(self, row: Row) -> None:
        row.state = "dead"
        self.told += 1
        if row.decision == "requested":
            row.decision = "expired"

    def expire(self) -> None:
        for row in self.rows.values():
            is_over = row.state == "pending" and row.expires <= self.now()
            if is_over and not row.is_held(self.now()):
                self.bury(row)

    def free(self) -> list[str]:
        """Ids that may be leased now, in the order of their turns."""
        now = self.now()
        held = {row.lane for row in self.rows.values() if row.is_held(now)}
        found = [
            (row.due, row.sequence, webhook_id)
            for webhook_id, row in self.rows.items()
            if row.state == "pending" and row.due <= now < row.expires and row.lane not in held
        ]
        return [webhook_id for _, _, webhook_id in sorted(found)]

    # --- writers -----------------------------------------------------------------------------

    def declaration(self, service: str) -> Declaration:
        self.declared += 1
        arms = Arm("1", "sha256:a", ("b",)), Arm("2", "sha256:b", ("c",))
        now = self.now()
        name = f"d-{self.declared}"
        return Declaration(name, "prod", service, *arms, now, now + 10**12)

    def decide(self, declaration: Declaration):
        self.ledger.declare(declaration)
        look = {
            "index": 0,
            "unix_nano": self.now(),
            "verdict": "fail",
            "final": True,
            "reason": "regression",
            "summary": "Worse.",
            "culprit_metric": None,
            "culprit_split": None,
        }
        draft = DecisionDraft(Action.ROLLBACK, "act", "fail", "Worse.", None, None)
        return self.ledger.conclude(declaration.deployment_id, look, None, "failed", draft)

    @rule(service=st.sampled_from(SERVICES))
    def enqueue(self, service):
        """A newer command of a lane buries what is still queued there."""
        decision = self.decide(self.declaration(service))
        for row in self.rows.values():
            if row.lane == decision.lane and row.state == "pending":
                self.bury(row)
        (found,) = self.ledger.outbox.deliveries(decision.decision_id)
        body = self.ledger.outbox.letter(found.webhook_id).body
        self.rows[found.webhook_id] = Row(
            decision.lane, decision.sequence, body, found.due_unix_nano, found.expires_unix_nano
        )

    @rule(service=st.sampled_from(SERVICES), fault=st.sampled_from(["refused", "rolled_back"]))
    def enqueue_on_a_failing_disk(self, service, fault):
        """No decision, no row, nothing buried, no sequence used."""
        declaration = self.declaration(service)
        self.ledger.declare(declaration)
        self.fail_once(Fault(fault))
        with pytest.raises(LedgerUnavailableError):
            self.decide(declaration)

    # --- workers -----------------------------------------------------------------------------

    def lend(self, webhook_ids: list[str], tokens: list[str]) -> None:
        for webhook_id, token in zip(webhook_ids, tokens, strict=True):
            row = self.rows[webhook_id]
            row.token, row.until = token, self.now() + round(LEASE_S * S)
            row.is_lapsed = False

    @rule(target=leases, limit=st.integers(0, 4))
    def lease(self, limit):
        """Exactly what is due, in time and free; never two of a lane at once."""
        taken = self.ledger.outbox.lease_due(self.now(), LEASE_S, limit)
        before = self.told
        self.expire()
        assert taken.expired == self.told - before
        expected = self.free()[:limit]
        firsts = [(self.rows[x].due, self.rows[x].sequence) for x in expected]
        got = [one.webhook_id for one in taken.leases]
        assert [(self.rows[x].due, self.rows[x].sequence) for x in got] == firsts
        if limit >= len(self.free()):
            assert set(got) == set(expected)
        self.lend(got, [one.token for one in taken.leases])
        return multiple(*taken.leases)

    @rule(target=leases, service=st.sampled_from(SERVICES))
    def overtake(self, service):
        """A newer command comes while a request of its lane is under way, and waits for it."""
        self.enqueue(service)
        under_way = self.lease(4)
        self.enqueue(service)
        self.lease(4)
        return under_way

    @rule(fault=st.sampled_from(list(Fault)[1:]))
    def lease_on_a_failing_disk(self, fault):
        """Refused: nothing changed. Committed unheard: nobody sends until the leases end."""
        self.fail_once(fault)
        with pytest.raises(LedgerUnavailableError):
            self.ledger.outbox.lease_due(self.now(), LEASE_S, 8)
        if fault is Fault.UNANSWERED:
            self.expire()
            free = self.free()
            self.lend(free, ["lost"] * len(free))

    @rule(
        lease=consumes(leases),
        answer=st.sampled_from(["delivered", "retry", "retry", "dead", "unsent"]),
        wait_s=st.sampled_from([1.0, 60.0, 3600.0]),
        is_failing=st.booleans(),
    )
    def answer(self, lease, answer, wait_s, is_failing):
        """Only whoever has the lease changes anything, and once."""
        due = self.now() + round(wait_s * S)
        if is_failing:
            self.fail_once(Fault.ROLLED_BACK)
            with pytest.raises(LedgerUnavailableError):
                self.record(lease, answer, due)
        row = self.rows[lease.webhook_id]
        is_valid = row.token == lease.token
        assert self.record(lease, answer, due) is is_valid
        if not is_valid:
            return
        row.token = None
        row.attempts += answer != "unsent"
        if answer == "unsent":
            self.expire()
        elif answer == "delivered":
            row.state = "delivered"
        elif row.state == "pending" and answer == "dead":
            self.bury(row)
        elif row.state == "pending":
            row.due = min(due, row.expires)

    def record(self, lease: Lease, answer: str, due: int) -> bool:
        desk = self.ledger.outbox
        attempt = Attempt(self.now(), 202 if answer == "delivered" else 500, "x", 0.01)
        if answer == "delivered":
            result = desk.delivered(lease, attempt, URL)
        elif answer == "retry":
            result = desk.failed(lease, attempt, URL, due)
        elif answer == "dead":
            result = desk.dead(lease, attempt, URL, "422")
        else:
            result = desk.unsent(lease)
        (is_valid,) = desk.record([result])
        return is_valid

    # --- people, time, death -----------------------------------------------------------------

    @rule(data=st.data())
    def replay(self, data):
        """Only the newest command of a lane, dead, in time, with nothing under way."""
        if not self.rows:
            return
        webhook_id = data.draw(st.sampled_from(sorted(self.rows)))
        row, now = self.rows[webhook_id], self.now()
        newest = max(one.sequence for one in self.rows.values() if one.lane == row.lane)
        is_right = (
            row.state == "dead"
            and not row.is_held(now)
            and now < row.expires
            and row.sequence == newest
        )
        if not is_right:
            with pytest.raises(ConflictError):
                self.ledger.outbox.replay(webhook_id, "ann", "again")
            return
        letter = self.ledger.outbox.replay(webhook_id, "ann", "again")
        assert letter.body == row.body
        row.state, row.decision, row.due = "pending", "requested", now

    @rule(seconds=st.sampled_from([0.001, 1.0, 30.0, 59.999, 61.0, 850.0, 1000.0]))
    def advance(self, seconds):
        self.clock.advance(seconds)
        self.lapse()

    @rule(seconds=st.sampled_from([-3600.0, -30.0, 30.0, 3600.0]))
    def step_the_wall_clock(self, seconds):
        self.clock.step_wall(seconds)
        self.lapse()

    def lapse(self):
        for row in self.rows.values():
            row.is_lapsed = row.is_lapsed or not row.is_held(self.now())

    @rule()
    def restart(self):
        self.ledger = self.database.open(self.clock, ADDRESSING)
        for row in self.rows.values():
            row.token = None

    # --- what always holds -------------------------------------------------------------------

    @invariant()
    def stored_is_what_the_model_says(self):
        """States, attempts, holders, bytes; every buried row was told of once per burial."""
        if not hasattr(self, "rows"):
            return
        with self.database.read() as connection:
            stored = {row[0]: row[1:] for row in connection.exec_driver_sql(ROWS)}
            told = connection.exec_driver_sql(TOLD).scalar_one()
        assert stored.keys() == self.rows.keys()
        for webhook_id, row in self.rows.items():
            state, attempts, token, body, decision, listed = stored[webhook_id]
            assert (state, decision) == (row.state, row.decision)
            assert attempts == listed == row.attempts
            assert (token is None) is (row.token is None)
            assert row.token in (None, "lost", token)
            assert body == row.body
        assert told == self.told

    @invariant()
    def a_lane_is_one_queue(self):
        """At most one row to be sent and one valid lease; the one to be sent is the newest."""
        if not hasattr(self, "rows"):
            return
        for lane in {row.lane for row in self.rows.values()}:
            rows = [row for row in self.rows.values() if row.lane == lane]
            assert sorted(row.sequence for row in rows) == list(range(1, len(rows) + 1))
            held = [row for row in rows if row.is_held(self.now()) and not row.is_lapsed]
            assert len(held) <= 1
            pending = [row.sequence for row in rows if row.state == "pending"]
            assert pending in ([], [len(rows)])


@pytest.mark.timeout(600)  # seconds of work; a busy machine stretches them
def test_the_outbox_is_its_model(run_machine):
    run_machine(OutboxMachine, 15)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_outbox_is_its_model_for_long(run_machine):
    """500 runs of 50 steps."""
    run_machine(OutboxMachine, 500)
