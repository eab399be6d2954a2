"""Whatever is wished, in any order and with any clock: never more rollbacks than the limits.

The model keeps every command ever committed and counts anew at each step, by the words of the
documentation. A command is committed exactly when no guard of the model holds it.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import orjson
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from analysis.decisions.guard_store import Guarding, Release
from analysis.decisions.guards import GuardLimits
from analysis.decisions.kill_switch import KillSwitch
from analysis.decisions.records import Arm, Attempt, DecisionDraft, Declaration
from analysis.decisions.states import Action
from analysis.errors import ConflictError, UnknownRecordError
from analysis.webhooks.events import Addressing
from bench.rollback.memory import MemoryDatabase
from telemetry.clock import FixedClock

S = 1_000_000_000
LIFETIME_S = 900.0
URL = "http://127.0.0.1:9/hook"
ADDRESSING = Addressing("deployer", URL, "http://127.0.0.1:8", LIFETIME_S)
LIMITS = GuardLimits(
    min_looks=2,
    rollbacks_per_release=1,
    rollbacks_per_service=2,
    service_window_s=3600.0,
    in_flight_per_environment=2,
    storm_services=2,
    storm_window_s=600.0,
)
ENVIRONMENTS = st.sampled_from(["prod", "stage"])
SERVICES = st.sampled_from(["playback", "profiles", "home"])
#: "a" is known to be good from the first canary on; the others when somebody says so.
DIGESTS = st.sampled_from(["a", "b", "c"])
#: Of a service in an environment.
Key = tuple[str, str]


@cache
def memory() -> MemoryDatabase:
    return MemoryDatabase()


@dataclass
class Command:
    """A rollback that was committed."""

    key: Key
    digest: str
    unix_nano: int
    decision_id: str
    is_under_way: bool = True
    is_cleared: bool = False


class LimiterMachine(RuleBasedStateMachine):
    @initialize()
    def open(self):
        self.folder = Path(tempfile.mkdtemp())
        self.database = memory()
        self.database.clear()
        self.clock = FixedClock()
        self.switch = KillSwitch(self.folder / "stop")
        self.guarding = Guarding(LIMITS, self.switch)
        self.ledger = self.database.open(self.clock, ADDRESSING, self.guarding)
        self.commands: list[Command] = []
        self.barred: set[tuple[Key, str]] = set()
        self.good: set[tuple[Key, str]] = set()
        self.locks: set[str] = set()
        self.thrown: set[str] = set()
        self.declared = 0

    def teardown(self):
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    def now(self) -> int:
        return self.clock.wall_unix_nano()

    # --- the model ---------------------------------------------------------------------------

    def since(self, window_s: float) -> list[Command]:
        return [one for one in self.commands if one.unix_nano > self.now() - round(window_s * S)]

    def holds(self, key: Key, action: str, digests: tuple[str, str], looks: int) -> set[str]:
        """Names of the guards that hold a wish; ``digests``: the canary's, the baseline's."""
        environment, service = key
        canary, baseline = digests
        kept = canary if action == "promotion" else baseline
        own = [one for one in self.commands if one.key == key]
        found = {
            "kill_switch": bool(self.thrown & {"", service}),
            "environment_lock": bool(self.locks & {"*", environment}),
            "barred": (key, kept) in self.barred,
            "dwell": looks < 2,
        }
        if action == "rollback":
            repeated = [one for one in own if one.digest == canary and not one.is_cleared]
            recent = [one for one in self.since(3600) if one.key == key]
            under_way = [
                one for one in self.commands if one.is_under_way and one.key[0] == environment
            ]
            struck = {one.key for one in self.since(600)} | {key}
            found |= {
                "same_release": canary == baseline,
                "target_not_known_good": (key, baseline) not in self.good,
                "release_limit": len(repeated) >= 1,
                "service_limit": len(recent) >= 2,
                "in_flight_limit": len(under_way) >= 2,
                "storm": len(struck) > 2,
            }
        return {name for name, holds in found.items() if holds}

    # --- wishes ------------------------------------------------------------------------------

    @rule(
        environment=ENVIRONMENTS,
        service=SERVICES,
        canary=DIGESTS,
        baseline=DIGESTS,
        is_bad=st.sampled_from([True, True, True, False]),
        looks=st.sampled_from([1, 2, 2, 2, 3]),
    )
    def judge(self, environment, service, canary, baseline, is_bad, looks):
        """A canary from its declaration to its verdict."""
        key = (environment, service)
        self.declared += 1
        name = f"d-{self.declared}"
        arms = Arm("1", baseline, ("b",)), Arm("2", canary, ("c",))
        now = self.now()
        declaration = Declaration(name, environment, service, *arms, now, now + 10**12)
        if (key, canary) in self.barred:
            with pytest.raises(ConflictError, match="is barred"):
                self.ledger.declare(declaration)
            return
        self.ledger.declare(declaration)
        if not any(known == key for known, _ in self.good):
            self.good.add((key, baseline))
        self.conclude(name, key, (canary, baseline), looks, is_bad=is_bad)

    def conclude(self, name, key, digests, looks, *, is_bad):
        for index in range(looks - 1):
            self.ledger.record_look(name, self.look(index, "observing"), {}, "observing")
        verdict, end = ("fail", "failed") if is_bad else ("pass", "passed")
        action = Action.ROLLBACK if is_bad else Action.PROMOTION
        holds = self.holds(key, str(action), digests, looks)
        draft = DecisionDraft(action, "act", verdict, "Because.", None, None)
        decision = self.ledger.conclude(name, self.look(looks - 1, verdict), {}, end, draft)
        assert decision.mode == ("advise" if holds else "act"), holds
        if "storm" in holds:
            self.locks.add("*")
        if holds:
            assert self.ledger.outbox.deliveries(decision.decision_id) == []
            return
        for one in self.commands:  # superseded, if its delivery was still queued
            if one.key == key and one.is_under_way:
                one.is_under_way = self.ledger.decision(one.decision_id).state != "expired"
        if is_bad:
            self.barred.add((key, digests[0]))
            created = decision.created_unix_nano
            self.commands.append(Command(key, digests[0], created, decision.decision_id))

    def look(self, index: int, verdict: str):
        return {
            "index": index,
            "unix_nano": self.now(),
            "verdict": verdict,
            "final": verdict != "observing",
            "reason": verdict,
            "summary": "It is so.",
            "culprit_metric": None,
            "culprit_split": None,
        }

    # --- what becomes of a rollback ----------------------------------------------------------

    @rule(answer=st.sampled_from(["delivered", "dead", "confirmed", "unconfirmed"]))
    def deliver(self, answer):
        """Whatever is queued gets this end. Nothing is sent that leads to what is barred."""
        desk = self.ledger.outbox
        for one in desk.lease_due(self.now(), 60.0, 8).leases:
            data = orjson.loads(one.body)["data"]
            key = (data["audience"]["environment"], data["release"]["service"])
            assert (key, data["target"]["digest"]) not in self.barred
            attempt = Attempt(self.now(), 422 if answer == "dead" else 202, "x", 0.01)
            if answer == "dead":
                desk.record([desk.dead(one, attempt, URL, "422")])
                continue
            desk.record([desk.delivered(one, attempt, URL)])
            if answer != "delivered":
                say = self.ledger.confirm if answer == "confirmed" else self.ledger.unconfirmed
                say(one.decision_id, self.now(), "seen")
                is_promotion = self.ledger.decision(one.decision_id).action is Action.PROMOTION
                if answer == "confirmed" and is_promotion:
                    self.good.add((key, data["target"]["digest"]))
        for one in self.commands:
            state = self.ledger.decision(one.decision_id).state
            one.is_under_way = state in ("requested", "acknowledged", "completed")

    @rule()
    def replay(self):
        """A person sends a dead letter again; never one whose release was barred since."""
        for row in self.ledger.outbox.deliveries(limit=50):
            body = orjson.loads(self.ledger.outbox.letter(row.webhook_id).body)["data"]
            key = (body["audience"]["environment"], body["release"]["service"])
            try:
                self.ledger.outbox.replay(row.webhook_id, "ann", "again")
            except ConflictError:
                continue
            assert (key, body["target"]["digest"]) not in self.barred
            assert not self.locks & {"*", key[0]}
            assert not self.thrown & {"", key[1]}
            for one in self.commands:
                one.is_under_way = one.is_under_way or one.decision_id == row.decision_id

    # --- people ------------------------------------------------------------------------------

    @rule(environment=ENVIRONMENTS, service=SERVICES, digest=DIGESTS)
    def bar(self, environment, service, digest):
        self.ledger.guards.bar(Release(environment, service, digest), "ann", "a hole")
        self.barred.add(((environment, service), digest))
        for one in self.commands:  # what led there is given up, unless it is under way
            one.is_under_way = one.is_under_way and (
                self.ledger.decision(one.decision_id).state != "expired"
            )

    @rule(environment=ENVIRONMENTS, service=SERVICES, digest=DIGESTS)
    def clear(self, environment, service, digest):
        key, release = (environment, service), Release(environment, service, digest)
        if (key, digest) not in self.barred:
            with pytest.raises(UnknownRecordError):
                self.ledger.guards.clear(release, "ann", "a false alarm")
            return
        self.ledger.guards.clear(release, "ann", "a false alarm")
        self.barred.remove((key, digest))
        for one in self.commands:
            one.is_cleared = one.is_cleared or (one.key, one.digest) == (key, digest)

    @rule(environment=ENVIRONMENTS, service=SERVICES, digest=DIGESTS)
    def know_good(self, environment, service, digest):
        self.ledger.guards.known_good(Release(environment, service, digest), "ann", "by hand")
        self.good.add(((environment, service), digest))

    @rule(environment=st.sampled_from(["prod", "*"]))
    def lock(self, environment):
        self.ledger.guards.lock(environment, "ann", "freeze")
        self.locks.add(environment)

    @rule()
    def release(self):
        for environment in sorted(self.locks):
            self.ledger.guards.release_lock(environment, "ann", "over")
        self.locks.clear()

    @rule(service=st.sampled_from(["", "playback"]))
    def stop(self, service):
        path = self.switch.of_service(service) if service else self.switch.path
        path.write_text("incident 12")
        self.thrown.add(service)

    @rule()
    def go(self):
        for path in self.folder.iterdir():
            path.unlink()
        self.thrown.clear()

    @rule(seconds=st.sampled_from([1.0, 590.0, 601.0, 1000.0, 3700.0]))
    def advance(self, seconds):
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([-1800.0, 1800.0]))
    def step_the_wall_clock(self, seconds):
        self.clock.step_wall(seconds)

    @rule()
    def restart(self):
        self.ledger = self.database.open(self.clock, ADDRESSING, self.guarding)

    # --- what always holds -------------------------------------------------------------------

    @invariant()
    def no_window_holds_more_than_its_limit(self):
        """In any window that ends with a rollback, sliding, over all that were ever committed."""
        if not hasattr(self, "commands"):
            return
        for number, last in enumerate(self.commands):
            before = self.commands[: number + 1]
            hour = [one for one in before if one.unix_nano > last.unix_nano - 3600 * S]
            assert sum(one.key == last.key for one in hour) <= 2
            storm = [one for one in before if one.unix_nano > last.unix_nano - 600 * S]
            assert len({one.key for one in storm}) <= 2

    @invariant()
    def the_register_is_the_models(self):
        if not hasattr(self, "commands"):
            return
        state = self.ledger.guards.state()
        for name, known in (("barred", self.barred), ("known_good", self.good)):
            rows = {((row["environment"], row["service"]), row["digest"]) for row in state[name]}
            assert rows == known
        assert {row["environment"] for row in state["locks"]} == self.locks


@pytest.mark.timeout(600)  # seconds of work; a busy machine stretches them
def test_no_order_of_events_gets_past_the_limits(run_machine):
    run_machine(LimiterMachine, 15)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_order_of_events_gets_past_the_limits_for_long(run_machine):
    """500 runs of 50 steps."""
    run_machine(LimiterMachine, 500)
