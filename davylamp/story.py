"""The demonstration: quiet, a bad release caught, trouble nobody deployed, a good release.

Everything shown is asked from the deployer and the analysis; the story itself decides nothing. It
raises StoryError when the loop does not close, or when something was decided that should not be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from davylamp.clients import Clients
from davylamp.errors import NoAnswerError, StoryError
from davylamp.timeline import Timeline

POLL_S: Final = 0.25
#: A canary is decided about within the analysis' horizon of 300 s, or something is wrong.
CANARY_DEADLINE_S: Final = 360.0
CONFIRM_DEADLINE_S: Final = 60.0
TRAFFIC_DEADLINE_S: Final = 60.0
#: How long the third chapter takes a service away.
OUTAGE_S: Final = 12.0
#: Start success may move by this much without anyone calling it an effect (0.02 = 2 points).
OUTAGE_EFFECT_MAX_RATIO: Final = 0.05

_NS: Final = 1e-9


@dataclass(frozen=True, slots=True)
class StoryConfig:
    """Which releases the story deploys and how long it stays quiet first."""

    quiet_s: float
    bad_build: str
    good_build: str


@dataclass(slots=True)
class CanaryRecord:
    """When what happened to one canary; seconds since the viewer's first request reached it."""

    build: str
    deployment_id: str = ""
    verdict: str = ""
    summary: str = ""
    state: str = ""
    first_request_unix_nano: int = 0
    verdict_s: float | None = None
    webhook_s: float | None = None
    gone_s: float | None = None
    promoted_s: float | None = None
    confirmed_s: float | None = None
    webhook_attempts: int = 0

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class StoryRecord:
    """What one run showed."""

    ready_s: float = 0.0
    canaries: list[CanaryRecord] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {"ready_s": self.ready_s, "canaries": [one.to_json() for one in self.canaries]}


class Story:
    """One run of the story against running processes."""

    def __init__(self, clients: Clients, timeline: Timeline, config: StoryConfig) -> None:
        self._clients = clients
        self._timeline = timeline
        self._config = config
        self.record = StoryRecord()

    async def run(self) -> StoryRecord:
        """All chapters. Raises StoryError."""
        await self._quiet()
        bad = await self.canary(self._config.bad_build)
        if bad.state != "rolled_back":
            raise StoryError(f"the bad release was not rolled back: {bad.state}, {bad.summary}")
        await self._outage("recommendations")
        good = await self.canary(self._config.good_build)
        if good.state != "promoted":
            raise StoryError(f"the good release was not promoted: {good.state}, {good.summary}")
        self._timeline.say(
            "The story is over: the bad release is gone, the good one serves everyone."
        )
        return self.record

    async def _quiet(self) -> None:
        traffic = await self._until(
            self._clients.traffic,
            lambda counts: counts.get("plays_success", 0) > 0,
            TRAFFIC_DEADLINE_S,
            lambda _: "waiting for the first viewer",
            "no viewer has seen a picture",
        )
        self._timeline.say(
            "Viewers press play; every play crosses edge, playback, profiles, steering."
        )
        ends_s = self._timeline.elapsed_s + self._config.quiet_s
        while (left_s := ends_s - self._timeline.elapsed_s) > 0:
            traffic = await self._clients.traffic()
            self._timeline.progress(f"{_traffic_text(traffic)}; first release in {left_s:.0f} s")
            await asyncio.sleep(min(1.0, left_s))
        self._timeline.say(f"A quiet start: {_traffic_text(traffic)}.")

    async def canary(self, build: str, **more: Any) -> CanaryRecord:
        """Deploy ``build`` and follow it to its end."""
        record = CanaryRecord(build)
        self.record.canaries.append(record)
        deployment = await self._clients.deploy(build, **more)
        record.deployment_id = deployment["deployment_id"]
        share = deployment["share_ratio"]
        self._timeline.say(
            f"Deploying playback {deployment['canary']['version']} beside a fresh "
            f"{deployment['baseline']['version']}, {share:.0%} of the accounts each."
        )
        watch = _Watch(self._clients, self._timeline, record)
        await self._until(
            watch.look,
            lambda _: watch.decided,
            CANARY_DEADLINE_S,
            lambda _: watch.progress,
            "the canary was not decided about",
        )
        if watch.action:
            await self._until(
                watch.look,
                lambda _: watch.confirmed,
                CONFIRM_DEADLINE_S,
                lambda _: "the platform looks for proof in the telemetry",
                "the end of the canary was not confirmed from telemetry",
            )
        return record

    async def _outage(self, service: str) -> None:
        """Take a service away that playing must not need."""
        known = {decision["decision_id"] for decision in await self._clients.decisions()}
        before = await self._clients.traffic()
        await self._clients.switch(service, "stop")
        self._timeline.say(f"Killing every instance of {service}. Nobody deployed anything.")
        ends_s = self._timeline.elapsed_s + OUTAGE_S
        while (left_s := ends_s - self._timeline.elapsed_s) > 0:
            self._timeline.progress(f"{service} is gone for {left_s:.0f} s more")
            await asyncio.sleep(min(1.0, left_s))
        after = await self._clients.traffic()
        await self._clients.switch(service, "start")
        plays = {key: after.get(key, 0) - before.get(key, 0) for key in after}
        success_ratio = _success_ratio(plays)
        stock = plays.get("homes_stock", 0)
        self._timeline.say(
            f"{service} is back. Meanwhile {success_ratio:.1%} of the plays started, "
            f"{stock} home pages showed stock rows; nothing was rolled back."
        )
        decided = [d for d in await self._clients.decisions() if d["decision_id"] not in known]
        if decided:
            raise StoryError(f"an outage without a release led to a decision: {decided[0]}")
        if success_ratio < _success_ratio(before) - OUTAGE_EFFECT_MAX_RATIO:
            raise StoryError(f"playing needed {service}: only {success_ratio:.1%} started")

    async def _until(
        self,
        ask: Callable[[], Awaitable[dict[str, Any]]],
        reached: Callable[[dict[str, Any]], bool],
        deadline_s: float,
        progress: Callable[[dict[str, Any]], str],
        failure: str,
    ) -> dict[str, Any]:
        ends_s = self._timeline.elapsed_s + deadline_s
        while True:
            try:
                answer = await ask()
                if reached(answer):
                    return answer
                last = progress(answer)
            except NoAnswerError as silence:
                # Waiting is all this does: one lost answer on a busy machine ends nothing.
                last = str(silence)
            if self._timeline.elapsed_s >= ends_s:
                raise StoryError(f"{failure} within {deadline_s:.0f} s; last: {last}")
            self._timeline.progress(last)
            await asyncio.sleep(POLL_S)


class _Watch:
    """Turns polled states into lines, each said once."""

    def __init__(self, clients: Clients, timeline: Timeline, record: CanaryRecord) -> None:
        self._clients = clients
        self._timeline = timeline
        self._record = record
        self.progress = "waiting for the arms"
        self.action = ""
        self.decided = False
        self.confirmed = False

    async def look(self) -> dict[str, Any]:
        """Ask once, say what is new."""
        record = self._record
        deployment = await self._clients.deployment(record.deployment_id)
        first = deployment["first_canary_request_unix_nano"]
        if first and not record.first_request_unix_nano:
            record.first_request_unix_nano = first
            self._timeline.say("The first viewer's request reached the canary.")
        canary = await self._clients.canary(record.deployment_id)
        self.progress = _canary_text(canary)
        if canary["verdict"] and canary["verdict"]["final"] and not record.verdict:
            self._take_verdict(canary)
        if record.verdict:
            await self._take_decision(canary["decision"], deployment)
        return canary

    def _take_verdict(self, canary: Mapping[str, Any]) -> None:
        verdict, record = canary["verdict"], self._record
        record.verdict, record.summary = verdict["kind"], verdict["summary"]
        record.verdict_s = self._since_first(verdict["unix_nano"])
        self._timeline.say(f"Verdict {verdict['kind'].upper()}: {verdict['summary']}")
        if canary["decision"] is None:
            record.state = "undecided"
            self.decided = True

    async def _take_decision(
        self, decision: Mapping[str, Any] | None, deployment: Mapping[str, Any]
    ) -> None:
        if decision is None:
            return
        record = self._record
        self.action = decision["action"]
        delivered = decision["delivered_unix_nano"]
        if delivered and record.webhook_s is None:
            record.webhook_s = self._since_first(delivered)
            deliveries = await self._clients.deliveries(decision["decision_id"])
            record.webhook_attempts = sum(len(one["attempts"]) for one in deliveries)
            self._timeline.say(
                f"Decision: {self.action}. Signed webhook accepted by the deployer "
                f"({record.webhook_attempts} attempt{'s'[: record.webhook_attempts != 1]})."
            )
        if deployment["state"] in ("rolled_back", "promoted") and not record.state:
            record.state = deployment["state"]
            record.gone_s = self._since_first(deployment["canary_gone_unix_nano"])
            record.promoted_s = self._since_first(deployment["promoted_unix_nano"])
            self._say_done()
            self.decided = True
        if decision["state"] == "confirmed" and not self.confirmed:
            self.confirmed = True
            record.confirmed_s = self._since_first(decision["confirmed_unix_nano"])
            self._timeline.say(f"Confirmed from telemetry: {decision['history'][-1]['what']}")

    def _say_done(self) -> None:
        record = self._record
        if record.state == "promoted":
            self._timeline.say(
                f"The canary's version serves everyone, {_seconds(record.promoted_s)} after its "
                "first request."
            )
        else:
            self._timeline.say(
                f"The canary is gone, {_seconds(record.gone_s)} after its first request."
            )

    def _since_first(self, unix_nano: int | None) -> float | None:
        first = self._record.first_request_unix_nano
        return None if not unix_nano or not first else round((unix_nano - first) * _NS, 3)


def _seconds(value_s: float | None) -> str:
    return "an unknown time" if value_s is None else f"{value_s:.1f} s"


def _success_ratio(counts: Mapping[str, Any]) -> float:
    """Successful starts over those that succeeded or failed technically; 1 without any."""
    good, bad = counts.get("plays_success", 0), counts.get("plays_failure_technical", 0)
    return good / (good + bad) if good + bad else 1.0


def _traffic_text(counts: Mapping[str, Any]) -> str:
    plays = counts.get("plays_success", 0) + counts.get("plays_failure_technical", 0)
    return f"{plays} plays, {_success_ratio(counts):.2%} started"


def _canary_text(canary: Mapping[str, Any]) -> str:
    look = canary.get("last_look")
    if not look:
        return f"{canary['state']}: {canary['summary'] or 'no look yet'}"
    traffic, evidence = look["traffic"], look["log_e_value"]
    # None of a rule whose metrics are all judged once.
    known = (
        "" if evidence is None else f", evidence {evidence:.1f} of {look['threshold_log_e']:.1f}"
    )
    return (
        f"look {look['index'] + 1}: {traffic['baseline_requests']} + {traffic['canary_requests']} "
        f"starts{known}; {look['summary']}"
    )
