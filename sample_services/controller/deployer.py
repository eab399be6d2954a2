"""The deployer: one canary at a time, from two fresh arms to rollback or promotion.

A canary gets no viewer before the analysis knows about it, and an arm loses its viewers before it
loses its processes. Nobody deciding is a decision too: an undecided canary is taken back.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sample_services.config import SamplesConfig
from sample_services.controller import domain
from sample_services.controller.analysis_client import AnalysisClient
from sample_services.controller.commands import Artifact, Command
from sample_services.controller.domain import Deployment, Release, release_of
from sample_services.controller.fleet import Fleet
from sample_services.controller.journal import Journal
from sample_services.controller.ledger import AdmissionLedger, Admitted
from sample_services.controller.leftovers import leftovers
from sample_services.controller.publisher import Publisher
from sample_services.errors import (
    CommandRefusedError,
    DeploymentError,
    SamplesError,
    ZygoteError,
)
from sample_services.instances import ARM_BASELINE, ARM_CANARY, ARM_STABLE, InstanceSpec
from sample_services.layout import ZONES, arm_zones, slot_name
from sample_services.playback.builds import STABLE, build_of
from sample_services.routing import RoutingTable, Split, build_table
from telemetry.clock import Clock

logger = logging.getLogger("samples.deployer")

#: Readers follow a new table within milliseconds; a hung one must not hold up a rollback.
TAKEN_TIMEOUT_S = 0.5
#: The only service that has releases to choose from.
DEPLOYABLE = "playback"
HISTORY_LIMIT = 200
#: Beyond the grace for leftovers of a predecessor: time to start and to notice.
SETTLE_MARGIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Wish:
    """A request for a deployment."""

    service: str
    build: str
    share_ratio: float
    #: Where the canary's own telemetry goes; empty = where everyone's goes.
    canary_otlp_endpoint: str


class Deployer:
    """See the module. All methods belong to one event loop."""

    def __init__(
        self,
        config: SamplesConfig,
        fleet: Fleet,
        analysis: AnalysisClient,
        journal: Journal,
        ledger: AdmissionLedger,
        clock: Clock,
    ) -> None:
        self._config = config
        self._fleet = fleet
        self._analysis = analysis
        self._journal = journal
        self._ledger = ledger
        self._clock = clock
        self._split: Split | None = None
        self._hidden: set[str] = set()
        self._deployments: dict[str, Deployment] = {}
        self._active: Deployment | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._expiry: asyncio.TimerHandle | None = None
        self.publisher = Publisher(self._build_table, clock)

    def resume(self) -> None:
        """Publish what runs, and finish what a predecessor of this process had begun."""
        self.on_fleet_change()
        for admitted in self._ledger.unfinished():
            self._spawn(self._settle(admitted))

    def on_fleet_change(self) -> None:
        """Publish what runs now, and clear away what belongs to no deployment of ours."""
        if self._active is None:
            extra = leftovers(self._fleet.instances.values(), DEPLOYABLE)
            new = [slot for slot in extra if slot not in self._hidden]
            if new:
                self._hidden.update(new)
                self._spawn(self._clear(new))
        running = {instance.instance_id for instance in self._fleet.instances.values()}
        self.publisher.keep_readers(running)
        self.publisher.publish()

    def find(self, deployment_id: str) -> Deployment | None:
        """A deployment of this deployer's life."""
        return self._deployments.get(deployment_id)

    def recent(self) -> list[Deployment]:
        """Newest first."""
        return list(reversed(self._deployments.values()))

    async def deploy(self, wish: Wish) -> Deployment:
        """Start both arms, declare them, then give them viewers.

        Raises DeploymentError, UnknownBuildError, DeclarationError, ZygoteError; then nothing of
        the deployment is left running.
        """
        deployment = self._prepare(wish)
        specs = self._arm_specs(deployment, wish)
        slots = [spec.slot for spec in specs]
        self._hidden.update(slots)
        try:
            instances = await self._fleet.start(specs)
            ids = {
                arm: [i.instance_id for i in instances if i.spec.arm == arm]
                for arm in (ARM_BASELINE, ARM_CANARY)
            }
            await self._analysis.declare(self._declaration(deployment, ids))
        except SamplesError as error:
            self._step(deployment, domain.REFUSED, f"refused: {error}")
            self._active = None
            await self._fleet.stop(slots, grace_s=self._config.drain_timeout_s)
            raise
        self._hidden.difference_update(slots)
        self._split = Split(deployment.deployment_id, deployment.service, deployment.share_ratio)
        self.publisher.publish()
        self._step(deployment, domain.OBSERVING, "both arms healthy, declared and routed")
        self._expiry = asyncio.get_running_loop().call_later(
            self._config.canary_lifetime_s, lambda: self._spawn(self._expire(deployment))
        )
        return deployment

    def saw_canary_request(self, deployment_id: str, unix_nano: int) -> None:
        """An edge sent the first viewer to the canary."""
        deployment = self._deployments.get(deployment_id)
        if deployment is not None and deployment.saw_canary_request(unix_nano):
            self._journal.write(
                "first_canary_request", deployment_id=deployment_id, at_unix_nano=unix_nano
            )

    def check(self, command: Command) -> None:
        """Refuse what does not fit the present deployment. Raises CommandRefusedError."""
        deployment = self._deployments.get(command.deployment_id)
        if deployment is None:
            raise CommandRefusedError(409, "unknown_deployment", "no such deployment here")
        if deployment is not self._active or deployment.state != domain.OBSERVING:
            raise CommandRefusedError(
                409, "superseded", f"{command.deployment_id} is {deployment.state}"
            )
        target = deployment.baseline if command.action == "rollback" else deployment.canary
        if (
            command.service != deployment.service
            or command.release != _artifact(deployment.canary)
            or command.target != _artifact(target)
        ):
            raise CommandRefusedError(422, "wrong_release", "release or target is not ours")

    def obey(self, command: Command) -> None:
        """Act on an admitted command; returns at once, the rest happens beside."""
        deployment = self._deployments[command.deployment_id]
        self._step(deployment, domain.DRAINING, f"{command.action} commanded: {command.summary}")
        self._journal.write(
            "command",
            deployment_id=deployment.deployment_id,
            action=command.action,
            decision_id=command.decision_id,
        )
        self._spawn(self._act(deployment, command))

    async def close(self) -> None:
        """Leave unfinished work; the parent ends every process anyway."""
        self.publisher.close()
        if self._expiry is not None:
            self._expiry.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- steps ------------------------------------------------------------------------------

    async def _act(self, deployment: Deployment, command: Command) -> None:
        acknowledged = asyncio.create_task(
            self._analysis.report(
                command.confirm_url, "acknowledged", self._clock.wall_unix_nano(), command.action
            )
        )
        if command.action == "rollback":
            await self._roll_back(deployment)
            done = True
        else:
            done = await self._promote(deployment)
        done_unix_nano = self._clock.wall_unix_nano()
        await acknowledged
        if done:
            delivered = await self._analysis.report(
                command.confirm_url, "completed", done_unix_nano, f"{command.action} completed"
            )
            self._journal.write(
                "completed_reported", deployment_id=deployment.deployment_id, delivered=delivered
            )
        self._ledger.finish(command.decision_id)

    async def _settle(self, admitted: Admitted) -> None:
        """Report a command a predecessor began when the processes show it done; begin nothing."""
        await self._fleet.settled(self._is_tidy, self._config.drain_timeout_s + SETTLE_MARGIN_S)
        stable = {i.spec.slot for i in self._fleet.instances.values() if i.spec.arm == ARM_STABLE}
        promoted = any(f"/{admitted.deployment_id}/" in slot for slot in stable)
        done = admitted.action == "rollback" or promoted
        delivered = done and await self._analysis.report(
            admitted.confirm_url,
            "completed",
            self._clock.wall_unix_nano(),
            f"{admitted.action} completed, seen after a restart of the deployer",
        )
        self._journal.write(
            "settled", deployment_id=admitted.deployment_id, done=done, delivered=delivered
        )
        self._ledger.finish(admitted.decision_id)

    def _is_tidy(self) -> bool:
        extra = leftovers(self._fleet.instances.values(), DEPLOYABLE)
        return not extra and not self._fleet.leaving()

    async def _expire(self, deployment: Deployment) -> None:
        if deployment.state != domain.OBSERVING:
            return
        self._step(deployment, domain.DRAINING, "nobody decided in time")
        await self._roll_back(deployment)

    async def _roll_back(self, deployment: Deployment) -> None:
        """Viewers leave both arms at once; the processes follow when their requests are done."""
        slots = self._slots_of(deployment)
        await self._unroute(slots)
        deployment.note(self._clock.wall_unix_nano(), "no viewer is routed to the arms")
        await self._fleet.stop(slots, grace_s=self._config.drain_timeout_s)
        deployment.canary_gone_unix_nano = self._journal.write(
            "canary_gone", deployment_id=deployment.deployment_id
        )
        self._finish(deployment, domain.ROLLED_BACK, "both arms are gone")

    async def _promote(self, deployment: Deployment) -> bool:
        """New stable instances first, then the routes, then the old ones and the arms go.

        False when the new ones do not start; then the canary is taken back instead.
        """
        specs = self._stable_specs(deployment)
        old = [
            slot
            for slot, instance in self._fleet.instances.items()
            if instance.spec.service == deployment.service and instance.spec.arm == ARM_STABLE
        ]
        self._hidden.update(spec.slot for spec in specs)
        try:
            await self._fleet.start(specs)
        except ZygoteError as error:
            deployment.note(self._clock.wall_unix_nano(), f"not promoted: {error}")
            await self._fleet.stop(
                [spec.slot for spec in specs], grace_s=self._config.drain_timeout_s
            )
            await self._roll_back(deployment)
            return False
        self._hidden.difference_update(spec.slot for spec in specs)
        leaving = [*old, *self._slots_of(deployment)]
        await self._unroute(leaving)
        deployment.promoted_unix_nano = self._journal.write(
            "promoted", deployment_id=deployment.deployment_id, version=deployment.canary.version
        )
        await self._fleet.stop(leaving, grace_s=self._config.drain_timeout_s)
        deployment.canary_gone_unix_nano = self._clock.wall_unix_nano()
        self._finish(deployment, domain.PROMOTED, f"{deployment.canary.version} is stable")
        return True

    async def _unroute(self, slots: Sequence[str]) -> None:
        self._split = None
        self._hidden.update(slots)
        if not await self.publisher.wait_taken(self.publisher.publish(), TAKEN_TIMEOUT_S):
            logger.warning("a reader has not taken the new routes within %.1f s", TAKEN_TIMEOUT_S)

    def _finish(self, deployment: Deployment, state: str, what: str) -> None:
        self._active = None
        if self._expiry is not None:
            self._expiry.cancel()
        self._hidden.intersection_update(self._fleet.instances)
        self._step(deployment, state, what)

    async def _clear(self, slots: Sequence[str]) -> None:
        self._journal.write("leftovers_cleared", slots=list(slots))
        await self._fleet.stop(slots, grace_s=self._config.drain_timeout_s)
        self._hidden.difference_update(slots)

    # -- parts ------------------------------------------------------------------------------

    def _prepare(self, wish: Wish) -> Deployment:
        if wish.service != DEPLOYABLE:
            raise DeploymentError(f"only {DEPLOYABLE} has releases to deploy, not {wish.service!r}")
        canary_build = build_of(wish.build)
        if self._active is not None:
            raise DeploymentError(f"{self._active.deployment_id} is still {self._active.state}")
        now_unix_nano = self._clock.wall_unix_nano()
        stable = self._stable_build()
        deployment = Deployment(
            deployment_id=f"{wish.service}-{now_unix_nano // 1_000_000_000}-{secrets.token_hex(3)}",
            service=wish.service,
            share_ratio=wish.share_ratio,
            baseline=release_of(wish.service, stable, build_of(stable)),
            canary=release_of(wish.service, wish.build, canary_build),
            started_unix_nano=now_unix_nano,
            expires_unix_nano=now_unix_nano + round(self._config.canary_lifetime_s * 1e9),
        )
        deployment.note(now_unix_nano, "arms are being started")
        self._journal.write("deploy", deployment_id=deployment.deployment_id, build=wish.build)
        self._active = deployment
        self._deployments[deployment.deployment_id] = deployment
        if len(self._deployments) > HISTORY_LIMIT:
            del self._deployments[next(iter(self._deployments))]
        return deployment

    def _stable_build(self) -> str:
        """What runs is the truth, also after this process was started anew."""
        for instance in self._fleet.instances.values():
            if instance.spec.service == DEPLOYABLE and instance.spec.arm == ARM_STABLE:
                return instance.spec.build
        return STABLE

    def _arm_specs(self, deployment: Deployment, wish: Wish) -> list[InstanceSpec]:
        default = self._config.otlp_endpoint
        arms = (
            (ARM_BASELINE, deployment.baseline, default),
            (ARM_CANARY, deployment.canary, wish.canary_otlp_endpoint or default),
        )
        return [
            self._spec(deployment, release, arm, zone, endpoint)
            for arm, release, endpoint in arms
            for zone in arm_zones(self._config)
        ]

    def _stable_specs(self, deployment: Deployment) -> list[InstanceSpec]:
        return [
            self._spec(deployment, deployment.canary, ARM_STABLE, zone, self._config.otlp_endpoint)
            for zone in ZONES
        ]

    def _spec(
        self, deployment: Deployment, release: Release, arm: str, zone: str, endpoint: str
    ) -> InstanceSpec:
        return InstanceSpec(
            slot=slot_name(deployment.service, zone, f"{deployment.deployment_id}/{arm}"),
            service=deployment.service,
            zone=zone,
            version=release.version,
            build=release.build,
            arm=arm,
            port=0,
            otlp_endpoint=endpoint,
        )

    def _slots_of(self, deployment: Deployment) -> list[str]:
        return [
            slot_name(deployment.service, zone, f"{deployment.deployment_id}/{arm}")
            for arm in (ARM_BASELINE, ARM_CANARY)
            for zone in arm_zones(self._config)
        ]

    def _declaration(self, deployment: Deployment, ids: dict[str, list[str]]) -> dict[str, Any]:
        return {
            "deployment_id": deployment.deployment_id,
            "environment": self._config.environment,
            "service": deployment.service,
            "baseline": deployment.baseline.to_json(ids[ARM_BASELINE]),
            "canary": deployment.canary.to_json(ids[ARM_CANARY]),
            "started_unix_nano": deployment.started_unix_nano,
            "expires_unix_nano": deployment.expires_unix_nano,
        }

    def _build_table(self, version: int) -> RoutingTable:
        return build_table(
            version,
            list(self._fleet.instances.values()),
            split=self._split,
            hidden_slots=self._hidden,
            host=self._config.host,
        )

    def _step(self, deployment: Deployment, state: str, what: str) -> None:
        unix_nano = self._journal.write(
            "state", deployment_id=deployment.deployment_id, state=state, detail=what
        )
        deployment.step(state, unix_nano, what)

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("deployment work failed", exc_info=task.exception())


def _artifact(release: Release) -> Artifact:
    return Artifact(version=release.version, digest=release.digest)
