"""Canaries and decisions against the table of moves in the documentation, in any order.

The table is typed here once more, from the documented diagram: what it does not name is refused
and changes nothing; what is final stays; history only grows; the audit log verifies.
"""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from analysis.decisions import audit, commands
from analysis.decisions.records import Arm, Attempt, DecisionDraft, Declaration
from analysis.decisions.states import Action, DecisionState
from analysis.errors import ConflictError, IllegalMoveError
from analysis.webhooks.events import Addressing
from bench.rollback.memory import MemoryDatabase
from telemetry.clock import FixedClock

S = 1_000_000_000
LIFETIME_S = 900.0
URL = "http://127.0.0.1:9/hook"
ADDRESSING = Addressing("deployer", URL, "http://127.0.0.1:8", LIFETIME_S)
SERVICES = ("playback", "profiles")
ENDS = {"passed": "pass", "failed": "fail", "inconclusive": "inconclusive", "invalid": "invalid"}
MOVES = {
    "advised": "",
    "requested": "acknowledged completed confirmed expired unconfirmed",
    "acknowledged": "completed confirmed unconfirmed",
    "completed": "confirmed unconfirmed",
    "expired": "acknowledged completed requested",
    "unconfirmed": "confirmed",
    "confirmed": "",
}
RANK = {"declared": 0, "warming": 1, "observing": 2}
ROWS = "SELECT decision_id, state, lane, sequence, mode, evidence_sha256 FROM decisions"
LINES = "SELECT decision_id, unix_nano, what FROM decision_history ORDER BY id"


@cache
def memory() -> MemoryDatabase:
    return MemoryDatabase()


class DecisionMachine(RuleBasedStateMachine):
    canaries = Bundle("canaries")

    @initialize()
    def open(self):
        self.database = memory()
        self.database.clear()
        self.clock = FixedClock()
        self.ledger = self.database.open(self.clock, ADDRESSING)
        self.canary_states: dict[str, str] = {}
        self.looks: dict[str, int] = {}
        self.decided: dict[str, str] = {}
        self.states: dict[str, str] = {}
        self.order: dict[str, list[str]] = {}  # lane -> decisions
        self.history: dict[str, list[tuple[int, str]]] = {}

    def now(self) -> int:
        return self.clock.wall_unix_nano()

    def teardown(self):
        """The audit log verifies, and names every decision that was made."""
        if not hasattr(self, "states"):
            return
        with self.database.read() as connection:
            rows = list(audit.rows(connection))
            assert audit.verify(rows, audit.head(connection)) is None
        assert sum(row.action == "verdict" for row in rows) == len(
            [one for one in self.canary_states.values() if one in ENDS]
        )

    def moved(self, decision_id: str, wanted: str) -> None:
        present = self.states[decision_id]
        assert present == wanted or wanted in MOVES[present].split(), (present, wanted)
        self.states[decision_id] = wanted

    # --- canaries ----------------------------------------------------------------------------

    @rule(target=canaries, service=st.sampled_from(SERVICES))
    def declare(self, service):
        name = f"d-{len(self.canary_states)}"
        arms = Arm("1", "sha256:a", ("b",)), Arm("2", "sha256:b", ("c",))
        declaration = Declaration(name, "prod", service, *arms, self.now(), self.now() + 10**12)
        self.ledger.declare(declaration)
        self.canary_states[name], self.looks[name] = "declared", 0
        return name

    def look(self, name: str, verdict: str, *, final: bool):
        return {
            "index": self.looks[name],
            "unix_nano": self.now(),
            "verdict": verdict,
            "final": final,
            "reason": verdict,
            "summary": f"It is {verdict}.",
            "culprit_metric": None,
            "culprit_split": None,
        }

    @rule(
        name=canaries,
        state=st.sampled_from(["warming", "observing"]),
        verdict=st.sampled_from(["observing", "invalid"]),
    )
    def take_a_look(self, name, state, verdict):
        """A hold is a verdict that is not final; it moves nothing and decides nothing."""
        seen, present = self.look(name, verdict, final=False), self.canary_states[name]
        if present in ENDS or RANK[state] < RANK[present]:
            with pytest.raises(IllegalMoveError):
                self.ledger.record_look(name, seen, {}, state)
            return
        self.ledger.record_look(name, seen, {}, state)
        self.canary_states[name] = state
        self.looks[name] += 1

    @rule(name=canaries)
    def look_twice(self, name):
        """A look of an index that is stored is refused: evidence counts once."""
        if self.looks[name] == 0 or self.canary_states[name] in ENDS:
            return
        self.looks[name] -= 1
        seen = self.look(name, "observing", final=False)
        self.looks[name] += 1
        with pytest.raises(ConflictError):
            self.ledger.record_look(name, seen, {}, "observing")

    @rule(name=canaries, end=st.sampled_from(sorted(ENDS)), mode=st.sampled_from(["act", "advise"]))
    def conclude(self, name, end, mode):
        """FAIL and PASS decide, the others never do; what is over stays over."""
        kind = ENDS[end]
        seen, draft = self.look(name, kind, final=True), None
        if end in ("passed", "failed"):
            action = Action.PROMOTION if end == "passed" else Action.ROLLBACK
            draft = DecisionDraft(action, mode, kind, "Because.", None, None)
        if self.canary_states[name] in ENDS:
            with pytest.raises(IllegalMoveError):
                self.ledger.conclude(name, seen, None, end, draft)
            return
        decision = self.ledger.conclude(name, seen, None, end, draft)
        assert (decision is None) is (draft is None)
        self.canary_states[name] = end
        self.looks[name] += 1
        if decision is None:
            return
        lane = self.order.setdefault(decision.lane, [])
        if mode == "act":
            self.bury(lane)
        lane.append(decision.decision_id)
        self.decided[name] = decision.decision_id
        self.states[decision.decision_id] = "requested" if mode == "act" else "advised"

    def bury(self, decision_ids: list[str]) -> None:
        """What the outbox gave up: requested becomes expired, any other word stands."""
        for decision_id in decision_ids:
            for row in self.ledger.outbox.deliveries(decision_id):
                if row.state == "dead" and self.states[decision_id] == "requested":
                    self.moved(decision_id, "expired")

    @rule(target=canaries, service=st.sampled_from(SERVICES))
    def command(self, service):
        """The way to a command in one step."""
        name = self.declare(service)
        self.conclude(name, "failed", "act")
        return name

    # --- what becomes of a decision ----------------------------------------------------------

    @rule(answer=st.sampled_from(["delivered", "retry", "dead"]))
    def deliver(self, answer):
        """2xx says accepted and no more: the state waits for the receiver's own word."""
        desk = self.ledger.outbox
        for one in desk.lease_due(self.now(), 60.0, 8).leases:
            attempt = Attempt(self.now(), 202 if answer == "delivered" else 422, "x", 0.01)
            results = {
                "delivered": desk.delivered(one, attempt, URL),
                "retry": desk.failed(one, attempt, URL, self.now()),
                "dead": desk.dead(one, attempt, URL, "422"),
            }
            assert desk.record([results[answer]]) == [True]
        self.bury(list(self.states))

    @rule(name=canaries, status=st.sampled_from(["acknowledged", "completed"]))
    def report(self, name, status):
        """A late report fills its time; it moves the state only along the table."""
        decision_id = self.decided.get(name)
        if decision_id is None:
            return
        if self.states[decision_id] == "advised":
            with pytest.raises(ConflictError):
                self.ledger.report_status(decision_id, status, self.now(), "")
            return
        before = self.ledger.decision(decision_id)
        after = self.ledger.report_status(decision_id, status, self.now(), "")
        is_new = getattr(before, f"{status}_unix_nano") is None
        if is_new and status in MOVES[self.states[decision_id]].split():
            self.moved(decision_id, status)
        assert self.ledger.report_status(decision_id, status, self.now(), "") == after

    @rule(name=canaries, wanted=st.sampled_from(list(DecisionState)))
    def move(self, name, wanted):
        """Any move at all is tried: the table alone says which are made."""
        decision_id = self.decided.get(name)
        if decision_id is None:
            return
        present = self.states[decision_id]
        is_legal = wanted == present or wanted in MOVES[present].split()
        if wanted == "requested" and present == "expired":
            return  # only with its row: replay, below
        if wanted == "expired" and present == "requested":
            return  # only with its row: deliver, expire
        with self.database.write() as connection:
            if is_legal:
                commands.move(connection, decision_id, wanted, self.now(), "tried")
                self.moved(decision_id, str(wanted))
            else:
                with pytest.raises(IllegalMoveError):
                    commands.move(connection, decision_id, wanted, self.now(), "tried")

    @rule(name=canaries)
    def replay(self, name):
        """An expired command becomes a requested one, and no other does."""
        decision_id = self.decided.get(name)
        for row in self.ledger.outbox.deliveries(decision_id or "none"):
            try:
                self.ledger.outbox.replay(row.webhook_id, "ann", "again")
            except ConflictError:
                continue
            assert self.states[decision_id] == "expired"
            self.moved(decision_id, "requested")

    @rule(seconds=st.sampled_from([0.001, 30.0, 1000.0]))
    def advance(self, seconds):
        self.clock.advance(seconds)

    @rule()
    def restart(self):
        self.ledger = self.database.open(self.clock, ADDRESSING)

    # --- what always holds -------------------------------------------------------------------

    @invariant()
    def stored_is_what_was_told(self):
        """States, one sequence a lane, evidence under every decision; history only grows."""
        if not hasattr(self, "states"):
            return
        with self.database.read() as connection:
            rows = {row[0]: row[1:] for row in connection.exec_driver_sql(ROWS)}
            lines: dict[str, list[tuple[int, str]]] = {}
            for decision_id, at, what in connection.exec_driver_sql(LINES):
                lines.setdefault(decision_id, []).append((at, what))
        assert {name: row[0] for name, row in rows.items()} == self.states
        for lane, decision_ids in self.order.items():
            stored = [rows[one][1:3] for one in decision_ids]
            assert stored == [(lane, number) for number in range(1, len(stored) + 1)]
        for decision_id, (_, _, _, mode, evidence) in rows.items():
            assert len(evidence) == 64
            assert (self.states[decision_id] == "advised") is (mode == "advise")
            before = self.history.get(decision_id, [])
            assert lines[decision_id][: len(before)] == before
        self.history = lines


@pytest.mark.timeout(600)  # seconds of work; a busy machine stretches them
def test_decisions_follow_the_documented_moves(run_machine):
    run_machine(DecisionMachine, 15)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_decisions_follow_the_documented_moves_for_long(run_machine):
    """500 runs of 50 steps."""
    run_machine(DecisionMachine, 500)
