"""The edge: the one address devices know.

It decides the arm of every play from the sticky table, believes no baggage from outside, and
records what devices report: a witness independent of the services behind it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated, Any

import aiohttp
from fastapi import FastAPI, Query, Response
from pydantic import BaseModel, Field

import telemetry
from sample_services import observability
from sample_services.calls import Caller, Reply
from sample_services.edge.domain import Arm, PlayMemory, arm_of, fit_rows, stock_rows
from sample_services.errors import NoInstanceError
from sample_services.instances import ARM_CANARY
from sample_services.routes_feed import RoutesFeed
from sample_services.serving import Birth, json_response, lifespan_of, serve
from telemetry.errors import InvalidPlaybackError
from telemetry.playback import Playback, PlaybackStart
from telemetry.resilience import Fallbacks

logger = logging.getLogger("samples.edge")

PLAY_TIMEOUT_S = 3.0
#: Plays remembered for their reports: about a minute at several hundred plays a second.
MEMORY_LIMIT = 20_000
BATCH_LIMIT = 500


class PlayRequest(BaseModel):
    """A viewer presses play; ``play_id`` is the device's own session id."""

    play_id: str = Field(min_length=8, max_length=64)
    account: str = Field(min_length=1, max_length=64)
    device_class: str = Field(max_length=16)
    title: str = Field(max_length=64)
    isp: str = Field(max_length=32)


class PlaybackEvent(BaseModel):
    """How one play went, as the device saw it."""

    play_id: str = Field(max_length=64)
    account: str = Field(max_length=64)
    device_class: str = Field(max_length=16)
    outcome: str = Field(max_length=32)
    startup_s: float | None = None
    error_type: str | None = Field(default=None, max_length=64)
    cdn_site: str | None = Field(default=None, max_length=64)
    isp: str | None = Field(default=None, max_length=32)


class PlaybackEvents(BaseModel):
    """A device gateway's batch."""

    events: list[PlaybackEvent] = Field(max_length=BATCH_LIMIT)


class Edge:
    """One edge process."""

    def __init__(self, birth: Birth) -> None:
        self._birth = birth
        self.observed = observability.observe(birth.spec, birth.instance_id, birth.config)
        self._routes = RoutesFeed(birth.controller_url, birth.instance_id)
        self._caller = Caller(self.observed, self._routes, birth.spec.zone)
        self._playback = Playback(self.observed)
        self._fallbacks = Fallbacks(self.observed)
        self._memory = PlayMemory(MEMORY_LIMIT)
        self._first_canary_told: str | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Ready as soon as something can be played."""
        await self._caller.open()
        await self._routes.start(needs=("playback",))

    async def stop(self) -> None:
        """Let go of connections and send the last telemetry."""
        await self._routes.stop()
        await self._caller.close()
        observability.close(self.observed)

    async def play(self, wish: PlayRequest) -> Reply:
        """A manifest, or the status and error the device should see."""
        arm = arm_of(self._routes.table, wish.account)
        telemetry.set_cohort(arm.cohort, arm.deployment_id)
        self._memory.remember(wish.play_id, arm)
        if arm.cohort == ARM_CANARY:
            self._note_first_canary_request(arm)
        try:
            reply = await self._caller.call(
                "playback",
                "POST",
                "/v1/sessions",
                arm=arm.cohort,
                json=wish.model_dump(),
                timeout_s=PLAY_TIMEOUT_S,
            )
        except TimeoutError:
            return Reply(504, {"error": {"type": "playback_timeout"}})
        except (aiohttp.ClientError, NoInstanceError):
            return Reply(503, {"error": {"type": "playback_unreachable"}})
        return reply

    async def home(self, account: str, device_class: str) -> dict[str, Any]:
        """Personal rows, or the stock ones: the home page never waits for recommendations."""
        reason = "error"
        try:
            reply = await self._caller.call(
                "recommendations",
                "GET",
                "/v1/rows",
                params={"account": account},
                timeout_s=self._birth.config.home_timeout_s,
            )
            if reply.status == 200:
                rows = fit_rows(reply.body["rows"], device_class)
                return {"rows": rows, "personal": True}
        except TimeoutError:
            reason = "timeout"
        except (aiohttp.ClientError, NoInstanceError):
            reason = "unreachable"
        self._fallbacks.count(target="recommendations", reason=reason)
        return {"rows": fit_rows(stock_rows(), device_class), "personal": False}

    def report(self, batch: PlaybackEvents) -> int:
        """Record a batch; returns how many events made sense, repeated ones included."""
        accepted = 0
        for event in batch.events:
            arm = self._memory.recall(event.play_id) or arm_of(self._routes.table, event.account)
            if not self._memory.report(event.play_id, arm):
                accepted += 1
                continue
            try:
                self._playback.record(
                    PlaybackStart(
                        device_class=event.device_class,
                        outcome=event.outcome,
                        startup_duration_s=event.startup_s,
                        error_type=event.error_type,
                        cdn_site=event.cdn_site,
                        isp=event.isp,
                        cohort=arm.cohort,
                        deployment_id=arm.deployment_id,
                    )
                )
                accepted += 1
            except InvalidPlaybackError as error:
                logger.warning("playback event refused: %s", error)
        return accepted

    def _note_first_canary_request(self, arm: Arm) -> None:
        if self._first_canary_told == arm.deployment_id:
            return
        self._first_canary_told = arm.deployment_id
        unix_nano = self.observed.clock.wall_unix_nano()
        task = asyncio.create_task(self._tell_first_canary_request(arm, unix_nano))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell_first_canary_request(self, arm: Arm, unix_nano: int) -> None:
        url = (
            f"{self._birth.controller_url}/v1/deployments/{arm.deployment_id}/first-canary-request"
        )
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.post(url, json={"unix_nano": unix_nano}),
            ):
                pass
        except (aiohttp.ClientError, TimeoutError) as error:
            logger.warning("first canary request not told: %s", type(error).__name__)


def build_app(edge: Edge) -> FastAPI:
    """The edge's routes."""
    app = FastAPI(
        title="edge", docs_url=None, redoc_url=None, lifespan=lifespan_of(edge.start, edge.stop)
    )
    observability.observe_app(app, edge.observed, is_edge=True)

    @app.post("/v1/play")
    async def play(wish: PlayRequest) -> Response:
        reply = await edge.play(wish)
        return json_response(reply.body, reply.status)

    @app.get("/v1/home")
    async def home(
        account: Annotated[str, Query(max_length=64)],
        device_class: Annotated[str, Query(max_length=16)],
    ) -> Response:
        return json_response(await edge.home(account, device_class))

    @app.post("/v1/playback-events")
    async def playback_events(batch: PlaybackEvents) -> Response:
        accepted = edge.report(batch)
        return json_response({"accepted": accepted, "refused": len(batch.events) - accepted}, 202)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return app


def main(birth: Birth) -> None:
    """One edge instance, until SIGTERM."""
    serve(build_app(Edge(birth)), birth)
