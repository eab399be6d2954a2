"""The ledger under any sequence of calls, crashes and clock steps keeps its promises.

Hypothesis drives a real SQLite file on a clock it owns. A plain dictionary says what must be
there; the invariants below are the guarantee printed in the documentation.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from analysis.decisions.ledger import Ledger
from analysis.decisions.records import Arm, Attempt, DecisionDraft, Declaration
from analysis.decisions.states import Action, CanaryState, DecisionState, DeliveryState
from analysis.errors import ConflictError, IllegalMoveError
from analysis.webhooks.events import Addressing
from telemetry.clock import FixedClock

#: Thousands of commits: their durability is another test's business.
MEMORY = Path("/dev/shm")
LIFETIME_S = 900.0
LEASE_S = 60.0
SERVICES = ("playback", "profiles")
ADDRESSING = Addressing("deployer", "http://127.0.0.1:9/hook", "http://127.0.0.1:8", LIFETIME_S)
FINAL = [CanaryState.PASSED, CanaryState.FAILED, CanaryState.INCONCLUSIVE, CanaryState.INVALID]
KINDS = {"passed": "pass", "failed": "fail"}


def look(index: int, unix_nano: int, verdict: str, *, final: bool):
    return {
        "index": index,
        "unix_nano": unix_nano,
        "verdict": verdict,
        "final": final,
        "reason": verdict,
        "summary": f"It is {verdict}.",
        "culprit_metric": None,
        "culprit_split": None,
    }


class LedgerMachine(RuleBasedStateMachine):
    """What a control plane does, in any order, killed at any time."""

    canaries = Bundle("canaries")
    leases = Bundle("leases")

    @initialize()
    def open(self):
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.url = f"sqlite:///{Path(self.folder.name) / 'ledger.db'}"
        self.clock = FixedClock()
        self.ledger = Ledger.open(self.url, self.clock, ADDRESSING)
        self.declared: dict[str, Declaration] = {}
        self.looks: dict[str, int] = {}
        self.final: dict[str, str] = {}
        self.decided: dict[str, str] = {}  # deployment -> decision
        self.bodies: dict[str, bytes] = {}  # webhook -> bytes of its first lease
        self.ended: dict[str, DeliveryState] = {}  # webhook -> delivered or dead, as we were told
        self.holders: dict[str, tuple[str, int]] = {}  # lane -> webhook under way, until
        self.tokens: dict[str, str] = {}  # webhook -> the token that counts

    def teardown(self):
        if hasattr(self, "ledger"):
            self.ledger.close()
            self.folder.cleanup()

    def now(self) -> int:
        return self.clock.wall_unix_nano()

    # --- canaries ---------------------------------------------------------------------------

    @rule(target=canaries, service=st.sampled_from(SERVICES))
    def declare(self, service):
        deployment_id = f"d-{len(self.declared)}"
        declaration = Declaration(
            deployment_id,
            "demo",
            service,
            Arm("1", "sha256:a", ("b",)),
            Arm("2", "sha256:b", ("c",)),
            self.now(),
            self.now() + 10**12,
        )
        assert self.ledger.declare(declaration).state is CanaryState.DECLARED
        assert self.ledger.declare_new(declaration)[1] is False
        self.declared[deployment_id] = declaration
        self.ledger.start_judging(deployment_id, "rule", "f" * 64)
        return deployment_id

    @rule(deployment_id=canaries, state=st.sampled_from(["warming", "observing"]))
    def record_look(self, deployment_id, state):
        index = self.looks.get(deployment_id, 0)
        seen = look(index, self.now(), "observing", final=False)
        before = self.ledger.canary(deployment_id).state
        goes_back = state == "warming" and before is CanaryState.OBSERVING
        if deployment_id in self.final or goes_back:
            with pytest.raises(IllegalMoveError):
                self.ledger.record_look(deployment_id, seen, {"looks": index + 1}, state)
            return
        self.ledger.record_look(deployment_id, seen, {"looks": index + 1}, state)
        self.looks[deployment_id] = index + 1

    @rule(
        deployment_id=canaries,
        state=st.sampled_from(FINAL),
        mode=st.sampled_from(["act", "act", "advise", "observe"]),
    )
    def conclude(self, deployment_id, state, mode):
        index = self.looks.get(deployment_id, 0)
        kind = KINDS.get(state, str(state))
        seen = look(index, self.now(), kind, final=True)
        draft = None
        if state in KINDS and mode != "observe":
            action = Action.PROMOTION if kind == "pass" else Action.ROLLBACK
            draft = DecisionDraft(action, mode, kind, "Because.", None, None)
        told = []
        end = self.ledger.on_command(lambda: told.append(True))
        arguments = (deployment_id, seen, {"looks": index + 1}, state, draft)
        if deployment_id in self.final:
            with pytest.raises(IllegalMoveError):
                self.ledger.conclude(*arguments)
            assert told == []
        else:
            decision = self.ledger.conclude(*arguments)
            assert (decision is None) is (draft is None)
            assert told == ([True] if draft is not None and mode == "act" else [])
            self.final[deployment_id] = str(state)
            self.looks[deployment_id] = index + 1
            if decision is not None:
                self.decided[deployment_id] = decision.decision_id
        end()

    # --- outbox -----------------------------------------------------------------------------

    @rule(target=canaries, service=st.sampled_from(SERVICES))
    def command(self, service):
        """The way to the outbox in one step, or hardly any run would get there."""
        deployment_id = self.declare(service)
        self.conclude(deployment_id, CanaryState.FAILED, "act")
        return deployment_id

    @rule(target=leases, limit=st.integers(1, 3))
    def lease(self, limit):
        taken = self.ledger.outbox.lease_due(self.now(), LEASE_S, limit).leases
        assert len(taken) <= limit
        assert len({one.lane for one in taken}) == len(taken)
        for one in taken:
            assert one.expires_unix_nano > self.now(), "never leased after its end"
            held, until = self.holders.get(one.lane, ("", 0))
            assert until <= self.now(), f"{held} is under way on {one.lane}"
            assert self.bodies.setdefault(one.webhook_id, one.body) == one.body
            assert one.webhook_id not in self.ended
            self.holders[one.lane] = (one.webhook_id, one.until_unix_nano)
            self.tokens[one.webhook_id] = one.token
        return multiple(*taken)

    @rule(
        lease=consumes(leases),
        answer=st.sampled_from(["delivered", "retry", "dead", "nothing"]),
    )
    def answer(self, lease, answer):
        """Only the newest lease of a living process counts, and it counts once."""
        attempt = Attempt(self.now(), 202 if answer == "delivered" else 500, "x", 0.01)
        if self.tokens.get(lease.webhook_id) != lease.token:
            assert self.record(lease, attempt, answer) == [False]
            return
        assert self.record(lease, attempt, answer) == [True]
        if answer == "delivered":
            self.ended[lease.webhook_id] = DeliveryState.DELIVERED
        if answer == "dead":
            self.ended.setdefault(lease.webhook_id, DeliveryState.DEAD)
        del self.tokens[lease.webhook_id]
        if self.holders.get(lease.lane, ("", 0))[0] == lease.webhook_id:
            del self.holders[lease.lane]
        assert self.record(lease, attempt, answer) == [False]

    def record(self, lease, attempt, answer):
        desk, url = self.ledger.outbox, "http://127.0.0.1:9/hook"
        results = {
            "delivered": desk.delivered(lease, attempt, url),
            "retry": desk.failed(lease, attempt, url, self.now() + 5 * 10**9),
            "dead": desk.dead(lease, attempt, url, "422"),
            "nothing": desk.unsent(lease),
        }
        return desk.record([results[answer]])

    @rule()
    def expire(self):
        """What is over is buried, unless its request is under way."""
        self.ledger.outbox.lease_due(self.now(), LEASE_S, 0)
        under_way = {
            webhook_id for webhook_id, until in self.holders.values() if until > self.now()
        }
        for row in self.ledger.outbox.deliveries(limit=500):
            is_over = row.expires_unix_nano <= self.now()
            if row.state is DeliveryState.PENDING and is_over:
                assert row.webhook_id in under_way

    @rule(seconds=st.sampled_from([0.001, 5.0, 59.0, 61.0, 850.0, 1000.0]))
    def advance(self, seconds):
        self.clock.advance(seconds)

    @rule()
    def die_and_come_back(self):
        """A new process: everything is there, and the leases of the dead one are over."""
        self.ledger.close()
        self.ledger = Ledger.open(self.url, self.clock, ADDRESSING)
        self.holders.clear()
        self.tokens.clear()
        due = {
            one.webhook_id
            for one in self.ledger.outbox.deliveries(limit=500)
            if one.state is DeliveryState.PENDING
            and one.due_unix_nano <= self.now() < one.expires_unix_nano
        }
        taken = self.ledger.outbox.lease_due(self.now(), LEASE_S, 10).leases
        assert {one.webhook_id for one in taken} == due
        self.ledger.outbox.record([self.ledger.outbox.unsent(one) for one in taken])

    # --- reports ----------------------------------------------------------------------------

    @rule(deployment_id=canaries, status=st.sampled_from(["acknowledged", "completed"]))
    def report(self, deployment_id, status):
        decision_id = self.decided.get(deployment_id)
        if decision_id is None:
            return
        if self.ledger.decision(decision_id).state is DecisionState.ADVISED:
            with pytest.raises(ConflictError):
                self.ledger.report_status(decision_id, status, self.now(), "")
            return
        first = self.ledger.report_status(decision_id, status, self.now(), "")
        self.clock.advance(0.001)
        assert self.ledger.report_status(decision_id, status, self.now(), "") == first
        assert getattr(first, f"{status}_unix_nano") is not None

    @rule(deployment_id=canaries, is_confirmed=st.booleans())
    def confirm(self, deployment_id, is_confirmed):
        decision_id = self.decided.get(deployment_id)
        waiting = {one.decision_id for one in self.ledger.awaiting_confirmation()}
        if decision_id not in waiting:
            return
        say = self.ledger.confirm if is_confirmed else self.ledger.unconfirmed
        first = say(decision_id, self.now(), "seen")
        assert say(decision_id, self.now(), "seen") == first

    # --- what always holds ------------------------------------------------------------------

    @invariant()
    def nothing_is_forgotten(self):
        """Every canary, look and decision we were told is stored is there, once."""
        if not hasattr(self, "ledger"):
            return
        stored = {one.deployment_id: one for one in self.ledger.canaries(limit=500)}
        assert stored.keys() == self.declared.keys()
        for deployment_id, record in stored.items():
            assert record.declaration == self.declared[deployment_id]
            assert record.looks == self.looks.get(deployment_id, 0)
            assert record.is_over is (deployment_id in self.final)
            if record.is_over:
                assert str(record.state) == self.final[deployment_id]
            decision_id = record.decision and record.decision.decision_id
            assert decision_id == self.decided.get(deployment_id)
            saved = self.ledger.judge_state(deployment_id)
            assert (saved or {"looks": 0})["looks"] == record.looks
        assert len(self.ledger.decisions(500)) == len(self.decided)

    @invariant()
    def every_command_has_one_row(self):
        """A commanded decision has exactly one delivery, advice has none; sequences increase."""
        if not hasattr(self, "ledger"):
            return
        decisions = self.ledger.decisions(500)
        rows: dict[str, list] = {}
        for row in self.ledger.outbox.deliveries(limit=500):
            rows.setdefault(row.decision_id, []).append(row)
        for decision in decisions:
            assert len(rows.get(decision.decision_id, [])) == (decision.mode == "act")
        for service in SERVICES:
            lane = [one for one in decisions if one.service == service]
            numbers = sorted(one.sequence for one in lane)
            assert numbers == list(range(1, len(lane) + 1))
            pending = [
                row
                for one in lane
                for row in rows.get(one.decision_id, [])
                if row.state is DeliveryState.PENDING
            ]
            assert len(pending) <= 1, "a newer decision buries what is queued"

    @invariant()
    def ends_are_final_and_consistent(self):
        """What was delivered stays so; an expired decision has a dead row, never a pending one."""
        if not hasattr(self, "ledger"):
            return
        rows = {one.webhook_id: one for one in self.ledger.outbox.deliveries(limit=500)}
        for webhook_id, state in self.ended.items():
            if state is DeliveryState.DELIVERED:
                assert rows[webhook_id].state is DeliveryState.DELIVERED
            else:
                assert rows[webhook_id].state is not DeliveryState.PENDING
        by_decision = {row.decision_id: row for row in rows.values()}
        for decision in self.ledger.decisions(500):
            row = by_decision.get(decision.decision_id)
            if row is None:
                assert decision.state is DecisionState.ADVISED
            elif decision.state is DecisionState.EXPIRED:
                assert row.state is not DeliveryState.PENDING
            elif row.state is DeliveryState.DEAD:
                assert decision.state is not DecisionState.REQUESTED
        assert self.ledger.totals().pending == sum(
            row.state is DeliveryState.PENDING for row in rows.values()
        )


@pytest.mark.slow
def test_the_ledger_keeps_its_promises():
    """Any 30 steps of deciding, delivering, reporting and dying."""
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
