"""The runner: three loops beside each other, each at its own pace, none able to stop another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from analysis.anomaly.errors import AnomalyError
from analysis.anomaly.signals import SignalsConfig, load_signals
from analysis.anomaly.signals import shipped_text as shipped_signals
from analysis.canary.config import CanaryConfig, default_config_text, load_canary_config
from analysis.canary.errors import CanaryConfigError, CanaryError
from analysis.canary.evidence import Look, VerdictKind
from analysis.decisions.ledger import Ledger
from analysis.decisions.policy import Modes, decide
from analysis.decisions.records import CanaryRecord
from analysis.decisions.states import TERMINAL_CANARY_STATES
from analysis.errors import LedgerUnavailableError, StartError
from analysis.reading.client import CollectorClient
from analysis.runner import config as runner_config
from analysis.runner.canary_watch import CanaryWatch, LookResult
from analysis.runner.config import RunnerConfig
from analysis.runner.confirmation import Confirmer
from analysis.runner.feedback import Feedback
from analysis.runner.fleet import Fleet
from analysis.slo.budget_policy import PolicyStep
from analysis.slo.errors import SloError
from analysis.slo.objectives import Objective, check_steps, load_objectives
from analysis.slo.objectives import shipped_text as shipped_slo
from analysis.slo.policy_document import read_policies
from telemetry.clock import Clock

logger = logging.getLogger("analysis.runner")

#: Looks at canaries under way at once.
MAX_LOOKS = 4


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that is configured as a file, read and checked once at start."""

    canary_text: str
    canary: CanaryConfig
    objectives: tuple[Objective, ...]
    policies: tuple[PolicyStep, ...]
    signals: SignalsConfig


def load_rules(config: RunnerConfig, canary_config_path: str) -> Rules:
    """Read the given files, or the shipped ones where the path is empty. Raises StartError."""
    runner_config.check(config)
    try:
        canary_text = _text(canary_config_path, default_config_text)
        canary_rule = _rule(canary_text, canary_config_path)
        objectives = {
            config.objectives_path or "objectives.yaml": _text(config.objectives_path, shipped_slo)
        }
        if config.alerting_path:
            objectives[config.alerting_path] = _text(config.alerting_path, str)
        loaded = load_objectives(objectives)
        check_steps(loaded, config.fleet_step_s)
        return Rules(
            canary_text,
            canary_rule,
            loaded,
            _policies(config.budget_policy_path, loaded),
            load_signals(_text(config.signals_path, shipped_signals)),
        )
    except (CanaryError, SloError, AnomalyError) as error:
        raise StartError(f"[analysis] a rule cannot be used: {error}") from error


def _policies(path: str, objectives: Sequence[Objective]) -> tuple[PolicyStep, ...]:
    if not path:
        return ()
    windows_s = {one.name: one.window_s for one in objectives}
    return read_policies(_text(path, str), path, windows_s)


def _rule(text: str, path: str) -> CanaryConfig:
    try:
        return load_canary_config(text)
    except CanaryConfigError as error:
        raise StartError(f"[analysis] canary_config_path {path}: {error}") from error


def _text(path: str, shipped: Callable[[], str]) -> str:
    if not path:
        return shipped()
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"[analysis] {path} cannot be read: {error}") from error


class Runner:
    """Looks, confirmations, objectives. ``run()`` until ``stop`` is set."""

    def __init__(
        self,
        ledger: Ledger,
        client: CollectorClient,
        feedback: Feedback,
        clock: Clock,
        config: RunnerConfig,
        *,
        rules: Rules,
        modes: Modes,
        confirm_timeout_s: float,
    ) -> None:
        self._ledger = ledger
        self._client = client
        self._clock = clock
        self._config = config
        self._rules = rules
        self._modes = modes
        self._feedback = feedback
        self._watches: dict[str, CanaryWatch] = {}
        self._log_e_values: dict[str, float] = {}
        self._late: dict[str, int] = {}
        self._limit = asyncio.Semaphore(MAX_LOOKS)
        self.confirmer = Confirmer(client, ledger, clock, config, confirm_timeout_s)
        self.fleet = Fleet(
            client,
            ledger,
            self._feedback,
            clock,
            config,
            objectives=rules.objectives,
            policies=rules.policies,
            signals=rules.signals,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set; what is under way then is finished first."""
        await self._client.open()
        try:
            await asyncio.gather(
                self._every(self._config.look_interval_s, self.look_at_canaries, stop),
                self._every(self._config.confirm_interval_s, self.confirmer.tick, stop),
                self._run_fleet(stop),
            )
        finally:
            # Another process may go on: what stood here says nothing any more.
            self._feedback.open_canaries({})
            self._feedback.fleet((), ())
            await self._client.close()

    async def _run_fleet(self, stop: asyncio.Event) -> None:
        is_started = False

        async def tick() -> None:
            nonlocal is_started
            if not is_started:
                await self.fleet.start()
                is_started = True
            await self.fleet.tick()

        await self._every(float(self._config.fleet_step_s), tick, stop)

    async def _every(
        self, interval_s: float, act: Callable[[], Awaitable[None]], stop: asyncio.Event
    ) -> None:
        """Call ``act`` at a steady pace; ticks missed while it took longer are left out."""
        due_s = self._clock.monotonic_s()
        while not stop.is_set():
            try:
                await act()
            except LedgerUnavailableError as error:
                logger.warning("the ledger cannot be used now: %s", error)
            except Exception:
                # A defect ends this attempt, loudly; the next one starts from stored state.
                logger.exception("an attempt failed")
            now_s = self._clock.monotonic_s()
            due_s = max(due_s + interval_s, now_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), due_s - now_s)

    # --- canaries ---------------------------------------------------------------------------

    async def look_at_canaries(self) -> None:
        """One look at every open canary. Raises LedgerUnavailableError."""
        records = await asyncio.to_thread(self._ledger.open_canaries)
        open_ids = {record.deployment_id for record in records}
        for known in (self._watches, self._log_e_values, self._late):
            for deployment_id in known.keys() - open_ids:
                del known[deployment_id]
        results = await asyncio.gather(
            *(self._look_at(record) for record in records), return_exceptions=True
        )
        self._feedback.open_canaries(self._log_e_values)
        for record, result in zip(records, results, strict=True):
            if isinstance(result, BaseException):
                # Memory may be ahead of what was stored: the next look starts from the ledger.
                self._watches.pop(record.deployment_id, None)
                logger.error("look at %s failed", record.deployment_id, exc_info=result)

    async def _look_at(self, record: CanaryRecord) -> None:
        async with self._limit:
            started_s = self._clock.monotonic_s()
            watch = self._watches.get(record.deployment_id) or await self._begin(record)
            self._watches[record.deployment_id] = watch
            take_back = self.fleet.take_back(record.declaration)
            result = await watch.look(self._clock.wall_unix_nano(), take_back)
            await self._store(record, result)
            self._note(record.deployment_id, result.look)
            self._feedback.looked(self._clock.monotonic_s() - started_s)

    async def _begin(self, record: CanaryRecord) -> CanaryWatch:
        """A watch for a new canary, or for one this process does not know yet."""
        text = record.config_text
        if not text:
            text = self._rules.canary_text
            digest = self._rules.canary.digest()
            await asyncio.to_thread(self._ledger.start_judging, record.deployment_id, text, digest)
            record = await asyncio.to_thread(self._ledger.canary, record.deployment_id)
        watch = CanaryWatch(record, load_canary_config(text), self._client, self._config)
        state = await asyncio.to_thread(self._ledger.judge_state, record.deployment_id)
        if state is not None and not watch.resume(state):
            await asyncio.to_thread(
                self._ledger.record_event,
                "judged_anew",
                record.declaration.service,
                "The canary is judged anew from its first block",
                detail="The stored judgement was made by another version of the code.",
                deployment_id=record.deployment_id,
            )
        return watch

    async def _store(self, record: CanaryRecord, result: LookResult) -> None:
        """The look, or the end of the canary with everything that follows, in one transaction."""
        look, state = result.look, result.judge_state
        if result.next_state not in TERMINAL_CANARY_STATES:
            await asyncio.to_thread(
                self._ledger.record_look,
                record.deployment_id,
                look.to_json(),
                state,
                result.next_state,
                tape=result.tape,
            )
            return
        assert look.verdict is not None
        ruling = decide(record, look.verdict, self._modes.of(record.declaration.service))
        decision = await asyncio.to_thread(
            lambda: self._ledger.conclude(
                record.deployment_id,
                look.to_json(),
                state,
                result.next_state,
                ruling.draft,
                note=ruling.reason,
                tape=result.tape,
            )
        )
        self._feedback.ended(str(look.verdict.kind))
        action = "no decision" if decision is None else f"{decision.action} {decision.decision_id}"
        logger.info(
            "%s: %s after %.0f s, %s",
            record.deployment_id,
            look.verdict.kind,
            look.elapsed_s,
            action,
        )

    def _note(self, deployment_id: str, look: Look) -> None:
        if look.verdict is None or look.verdict.kind is not VerdictKind.INVALID:
            self._log_e_values[deployment_id] = look.log_e_value
        late = int(look.traffic.get("reading", {}).get("late_events", 0))
        if late > self._late.get(deployment_id, 0):
            self._feedback.late(late - self._late.get(deployment_id, 0))
            self._late[deployment_id] = late
