"""One episode of the simulated loop: canaries come, the process lives and dies, the world fails.

The process is the product's own code on a virtual clock: ledger, guards, policy, outbox, leases,
deliverer with its breaker, schedule, signatures and recorder, and the confirmer. Simulated are
what lies outside it: telemetry, the network, the deployer, the disk's failures, people.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from numpy.random import Generator
from prometheus_client import CollectorRegistry

from analysis.canary.evidence import VerdictKind
from analysis.config import EndpointConfig
from analysis.decisions.guard_store import Guarding, Release
from analysis.decisions.ledger import Ledger
from analysis.decisions.policy import decide
from analysis.decisions.records import Arm, CanaryRecord, Decision, Declaration
from analysis.decisions.states import TERMINAL_CANARY_STATES, CanaryState
from analysis.errors import (
    ConflictError,
    IllegalMoveError,
    LedgerUnavailableError,
    UnknownRecordError,
)
from analysis.metrics import Metrics
from analysis.reading.client import CollectorClient
from analysis.reading.proof import Proof
from analysis.runner.config import RunnerConfig
from analysis.runner.confirmation import Confirmer
from analysis.webhooks.deliver import Deliverer
from analysis.webhooks.events import Addressing
from bench.rollback import tapes
from bench.rollback.memory import Fault, MemoryDatabase, no_fault
from bench.rollback.observer import Observer
from bench.rollback.tapes import Tape
from bench.rollback.wire import Deployer, Mood, Wire
from telemetry.clock import FixedClock

T = TypeVar("T")
S: Final = 1_000_000_000
LIFETIME_S: Final = 900.0
CONFIRM_TIMEOUT_S: Final = 300.0
LOOK_EVERY_S: Final = 15.0
CONFIRM_EVERY_S: Final = 60.0
CANARY_EVERY_S: Final = 900.0
#: Share of canaries about which there is something to say.
EVIDENCE_RATIO: Final = 0.7
#: Without faults at the end: a command's life, its confirmation, and what is left of canaries.
QUIET_S: Final = 1_800.0
#: Before that no canary comes any more.
LAST_CALL_S: Final = 300.0
ENVIRONMENTS: Final = ("prod", "stage")
SERVICES: Final = ("playback", "profiles", "home")
ENDS: Final = {
    VerdictKind.PASS: CanaryState.PASSED,
    VerdictKind.FAIL: CanaryState.FAILED,
    VerdictKind.INCONCLUSIVE: CanaryState.INCONCLUSIVE,
    VerdictKind.INVALID: CanaryState.INVALID,
}
#: What the ledger says no with; whoever asked comes again or goes away.
REFUSALS: Final = (LedgerUnavailableError, ConflictError, IllegalMoveError, UnknownRecordError)


@dataclass
class Setting:
    """What every episode of a run has in common."""

    tapes: list[Tape]
    endpoint: EndpointConfig
    addressing: Addressing
    guarding: Guarding
    metrics: Metrics

    @classmethod
    def of(cls, tapes: list[Tape], endpoint: EndpointConfig, guarding: Guarding) -> Setting:
        """``endpoint`` is the deployer's."""
        url, own = endpoint.url, "http://127.0.0.1:8"
        addressing = Addressing(endpoint.endpoint_id, url, own, LIFETIME_S)
        return cls(tapes, endpoint, addressing, guarding, Metrics(CollectorRegistry()))


class SeenConfirmer(Confirmer):
    """The confirmer, its proof taken from the simulated fleet."""

    def __init__(self, ledger: Ledger, world: World) -> None:
        nobody = cast(CollectorClient, None)  # never asked: _prove is all that asks
        settings = cast(RunnerConfig, None)
        super().__init__(nobody, ledger, world.clock, settings, CONFIRM_TIMEOUT_S)
        self._world = world

    async def _prove(self, decision: Decision, since: int) -> Proof:
        del since
        if self._world.is_dark:
            return Proof(False, "no telemetry arrives")
        is_done = decision.decision_id in self._world.observer.carried_out
        return Proof(is_done, "the fleet shows it" if is_done else "the fleet is as it was")


class World:
    """Everything of one episode."""

    def __init__(
        self,
        setting: Setting,
        database: MemoryDatabase,
        clock: FixedClock,
        observer: Observer,
        rng: Generator,
    ) -> None:
        self.setting, self.database, self.clock = setting, database, clock
        self.observer, self.rng = observer, rng
        self.deployer = Deployer(observer, self._carry_out)
        self.mood = Mood.WELL
        #: No telemetry arrives.
        self.is_dark = False
        self.ledger: Ledger | None = None
        self._is_quiet = False
        self._kill = asyncio.Event()
        self._news = asyncio.Event()
        self._stable: dict[str, str] = {}
        self._tapes: dict[str, Tape] = {}
        self._declared = 0
        self._kill_at_commit = 0
        self._background: set[asyncio.Task[None]] = set()
        self._loops: tuple[asyncio.Task[None], ...] = ()

    # --- the episode -------------------------------------------------------------------------

    async def run(self, length_s: float) -> None:
        """Faults for ``length_s``, then quiet until everything has ended."""
        self.database.on_commit = self._committed
        end_s = self.clock.monotonic_s() + length_s
        life = self._spawn("life", self._live())
        others = [
            self._spawn("canaries", self._canaries(end_s - LAST_CALL_S)),
            self._spawn("moods", self._moods()),
            self._spawn("disk", self._disk()),
            self._spawn("dark", self._darkness()),
            self._spawn("accidents", self._accidents()),
            self._spawn("people", self._people()),
        ]
        await self._until(end_s)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self._heal()
        must_arrive = self.observer.healed()
        await self._until(self.clock.monotonic_s() + QUIET_S)
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)
        await self._end_process(gently=True)
        self.observer.ended(must_arrive)

    async def _until(self, end_s: float) -> None:
        """Or until a promise is broken."""
        while True:
            left_s = end_s - self.clock.monotonic_s()
            if left_s <= 0 or self.observer.violations:
                return
            await asyncio.sleep(min(30.0, max(left_s, 0.001)))

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=f"world {name}")
        self._background.add(task)
        task.add_done_callback(self._world_task_ended)
        return task

    def _world_task_ended(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.observer.demand(False, f"{task.get_name()}: {task.exception()!r}")

    def _heal(self) -> None:
        self._is_quiet, self.mood, self.is_dark = True, Mood.WELL, False
        self.database.next_fault = no_fault
        switch = self.setting.guarding.kill_switch.path
        switch.unlink(missing_ok=True)
        self._kill_at_commit = 0

    def _committed(self) -> None:
        self.observer.committed()
        self.observer.note("commit")
        if self.observer.commits == self._kill_at_commit:
            self._kill.set()

    # --- the process -------------------------------------------------------------------------

    async def _live(self) -> None:
        """Start, die at any moment, start again."""
        while True:
            try:
                await self._begin()
            except LedgerUnavailableError:
                await asyncio.sleep(1.0)
                continue
            await self._kill.wait()
            self._kill.clear()
            gently = bool(self.rng.random() < 0.2)
            await self._end_process(gently=gently)
            await asyncio.sleep(float(self.rng.exponential(5.0)))

    async def _begin(self) -> None:
        setting = self.setting
        ledger = self.database.open(self.clock, setting.addressing, setting.guarding)
        endpoints = [setting.endpoint]
        self.deliverer = Deliverer(ledger, endpoints, self.clock, self.rng, setting.metrics)
        await self.deliverer.start()
        self.ledger = ledger
        loop = asyncio.get_running_loop()
        self._loops = (
            loop.create_task(self._judge(ledger), name="judge"),
            loop.create_task(self._confirm(ledger), name="confirm"),
        )
        self.observer.note("start")

    async def _end_process(self, *, gently: bool) -> None:
        """``gently``: asked to stop, else killed."""
        if self.ledger is None:
            return
        self.ledger = None
        self.observer.demand(self.deliverer.is_alive(), "the deliverer ended by itself")
        tasks = [task for task in asyncio.all_tasks() if not task.get_name().startswith("world")]
        for task in self._loops:
            self.observer.demand(not task.done(), f"{task.get_name()} ended by itself")
        if gently:
            await self.deliverer.stop()
        for task in sorted(tasks, key=asyncio.Task.get_name):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.observer.note("stop" if gently else "kill")

    def wire(self) -> Wire:
        """The session of a new process."""
        switch = self.setting.guarding.kill_switch
        return Wire(self.observer, self.deployer, self.rng, lambda: self.mood, switch.thrown)

    async def _judge(self, ledger: Ledger) -> None:
        """Looks at every open canary, as the runner does: from what the ledger has stored."""
        while True:
            records: list[CanaryRecord] = []
            try:
                records = await asyncio.to_thread(ledger.open_canaries)
                for record in records:
                    await self._look(ledger, record)
            except LedgerUnavailableError:
                self.observer.note("look refused by the ledger")
                await asyncio.sleep(1.0)
                continue
            if not records:
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(600):
                        await self._news.wait()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self, ledger: Ledger, record: CanaryRecord) -> None:
        name = record.deployment_id
        tape, now = self._tapes[name], self.clock.wall_unix_nano()
        if not record.config_text:
            await asyncio.to_thread(ledger.start_judging, name, "rule", "f" * 64)
        state = await asyncio.to_thread(ledger.judge_state, name)
        position = 0 if state is None else int(state["position"])
        look = tapes.dark(tape.looks[position], now) if self.is_dark else tape.looks[position]
        look = tapes.at(look, record.looks, now)
        saved = {"position": position + (not self.is_dark)}
        if not look.final:
            step = CanaryState.OBSERVING
            await asyncio.to_thread(ledger.record_look, name, look.to_json(), saved, str(step))
            return
        assert look.verdict is not None
        ruling = decide(record, look.verdict, "act")
        end = ENDS[look.verdict.kind]
        assert end in TERMINAL_CANARY_STATES
        text, draft, note = look.to_json(), ruling.draft, ruling.reason
        decision = await asyncio.to_thread(
            lambda: ledger.conclude(name, text, saved, str(end), draft, note=note)
        )
        self.observer.note(f"verdict {look.verdict.kind}", name)
        if decision is not None:
            self.observer.confirmed_stored.add(decision.decision_id)
            self.observer.note(f"{decision.mode} {decision.action}", decision.decision_id)

    async def _confirm(self, ledger: Ledger) -> None:
        confirmer = SeenConfirmer(ledger, self)
        while True:
            if self.observer.has_open_decisions():
                with contextlib.suppress(LedgerUnavailableError):
                    await confirmer.tick()
            await asyncio.sleep(CONFIRM_EVERY_S)

    # --- the deployer ------------------------------------------------------------------------

    def _carry_out(self, data: dict[str, Any]) -> None:
        self._spawn("work", self._work(data))

    async def _work(self, data: dict[str, Any]) -> None:
        decision_id = data["decision_id"]
        await self._report(decision_id, "acknowledged")
        await asyncio.sleep(float(self.rng.uniform(1, 60)))
        self.observer.carried_out.add(decision_id)
        lane = f"{data['audience']['environment']}/{data['release']['service']}"
        self._stable[lane] = data["target"]["digest"]
        await self._report(decision_id, "completed")

    async def _report(self, decision_id: str, status: str) -> None:
        """Over the same bad network: lost, repeated, refused while the process is down."""
        for _ in range(int(self.rng.integers(0, 4))):
            await asyncio.sleep(float(self.rng.exponential(3.0)))
            if self.ledger is None:
                continue
            claimed = self.clock.wall_unix_nano() + round(float(self.rng.normal(0, 60)) * S)
            with contextlib.suppress(LedgerUnavailableError):
                self.ledger.report_status(decision_id, status, claimed, "")
                self.observer.note(f"reported {status}", decision_id)

    # --- what comes --------------------------------------------------------------------------

    async def _canaries(self, end_s: float) -> None:
        """One every quarter of an hour or so, sometimes three of one service at once."""
        while True:
            await asyncio.sleep(float(self.rng.exponential(CANARY_EVERY_S)))
            if self.clock.monotonic_s() >= end_s:
                return
            environment, service = self._draw(ENVIRONMENTS), self._draw(SERVICES)
            for _ in range(3 if self.rng.random() < 0.25 else 1):
                await self._declare(environment, service)

    async def _declare(self, environment: str, service: str) -> None:
        self._declared += 1
        name, lane = f"d-{self._declared}", f"{environment}/{service}"
        has_evidence = bool(self.rng.random() < EVIDENCE_RATIO)
        tape = self._draw([one for one in self.setting.tapes if one.has_evidence is has_evidence])
        baseline = Arm("1", self._stable.setdefault(lane, "r-0"), ("b",))
        canary = Arm("2", f"r-{self._declared}", ("c",))
        now = self.clock.wall_unix_nano()
        new = Declaration(name, environment, service, baseline, canary, now, now + 3600 * S)
        self._tapes[name] = tape
        if not tape.has_evidence:
            self.observer.without_evidence.add(name)
        for _ in range(5):
            with contextlib.suppress(*REFUSALS):
                if self.ledger is not None:
                    self.ledger.declare(new)
                    self.observer.declared.add(name)
                    self.observer.note("declared", name, tape.name)
                    self._news.set()
                    return
            await asyncio.sleep(5.0)
        self.observer.note("not declared", name)

    async def _moods(self) -> None:
        moods = list(Mood)
        while True:
            await asyncio.sleep(float(self.rng.exponential(240.0)))
            self.mood = self._draw(moods) if self.rng.random() < 0.7 else Mood.WELL

    async def _disk(self) -> None:
        async def bad() -> None:
            self.database.next_fault = self._next_fault
            await asyncio.sleep(float(self.rng.exponential(40.0)))
            self.database.next_fault = no_fault

        await self._now_and_then(600.0, bad)

    def _next_fault(self) -> Fault:
        fault: Fault = self._draw([Fault.NONE, *Fault])
        self.observer.note(f"disk {fault}")
        return fault

    async def _darkness(self) -> None:
        async def dark() -> None:
            self.is_dark = True
            await asyncio.sleep(float(self.rng.exponential(120.0)))
            self.is_dark = False

        await self._now_and_then(900.0, dark)

    async def _accidents(self) -> None:
        """Kills, kills at a commit to come, standstills, steps of the wall clock."""

        async def accident() -> None:
            what = self._draw(["kill", "kill at commit", "standstill", "step"])
            self.observer.note(f"accident {what}")
            if what == "kill":
                self._kill.set()
            elif what == "kill at commit":
                self._kill_at_commit = self.observer.commits + int(self.rng.integers(1, 12))
            elif what == "standstill":
                self.clock.advance(self._draw([1.0, 15.0, 90.0, 200.0]))
            else:
                self.clock.step_wall(self._draw([-2.0, -0.2, 0.2, 2.0]))

        await self._now_and_then(400.0, accident)

    async def _people(self) -> None:
        async def act() -> None:
            ledger = self.ledger
            if ledger is None:
                return
            with contextlib.suppress(*REFUSALS):
                await self._act(ledger, self._draw(["lock", "stop", "bar", "replay", "release"]))

        await self._now_and_then(900.0, act)

    async def _act(self, ledger: Ledger, what: str) -> None:
        self.observer.note(f"people {what}")
        environment, service = self._draw(ENVIRONMENTS), self._draw(SERVICES)
        pause_s = float(self.rng.exponential(120.0))
        if what == "lock":
            ledger.guards.lock(environment, "ann", "freeze")
        elif what == "release":
            for name in ("*", *ENVIRONMENTS):
                with contextlib.suppress(UnknownRecordError):
                    ledger.guards.release_lock(name, "ann", "over")
        elif what == "stop":
            switch = self.setting.guarding.kill_switch.path
            switch.write_text("incident")
            await asyncio.sleep(pause_s)
            switch.unlink(missing_ok=True)
        elif what == "bar":
            digest = self._stable.get(f"{environment}/{service}", "r-0")
            release = Release(environment, service, digest)
            ledger.guards.bar(release, "ann", "a hole")
            await asyncio.sleep(pause_s)
            if self.ledger is not None:
                self.ledger.guards.clear(release, "ann", "none after all")
        else:
            for row in ledger.outbox.deliveries(limit=5):
                with contextlib.suppress(ConflictError):
                    ledger.outbox.replay(row.webhook_id, "ann", "again")
                    self.observer.note("replayed", row.webhook_id)

    async def _now_and_then(
        self, mean_s: float, act: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        while True:
            await asyncio.sleep(float(self.rng.exponential(mean_s)))
            await act()

    def _draw(self, values: Sequence[T]) -> T:
        return values[int(self.rng.integers(len(values)))]
