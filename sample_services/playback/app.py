"""The playback service: sessions in, manifests out. It never needs recommendations."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from fastapi import FastAPI, Response
from pydantic import BaseModel, Field

from sample_services import observability
from sample_services.calls import Caller, Reply
from sample_services.errors import NoInstanceError
from sample_services.latency import ServiceTime, seeded
from sample_services.playback.builds import build_of
from sample_services.playback.domain import Session, licence_granted, manifest_of
from sample_services.routes_feed import RoutesFeed
from sample_services.serving import Birth, json_response, lifespan_of, serve

ASSEMBLY_MEDIAN_S = 0.030
ASSEMBLY_SIGMA = 0.30
DEPENDENCY_TIMEOUT_S = 1.0


class SessionRequest(BaseModel):
    """What the edge passes on."""

    play_id: str = Field(max_length=64)
    account: str = Field(max_length=64)
    device_class: str = Field(max_length=16)
    title: str = Field(max_length=64)
    isp: str = Field(max_length=32)


class PlaybackService:
    """One playback process."""

    def __init__(self, birth: Birth) -> None:
        self._build = build_of(birth.spec.build)
        self.observed = observability.observe(birth.spec, birth.instance_id, birth.config)
        self._routes = RoutesFeed(birth.controller_url, birth.instance_id)
        self._caller = Caller(self.observed, self._routes, birth.spec.zone)
        self._assembly = ServiceTime(
            seeded(birth.config.seed, birth.spec.slot),
            median_s=ASSEMBLY_MEDIAN_S * self._build.assembly_factor,
            sigma=ASSEMBLY_SIGMA,
        )

    async def start(self) -> None:
        """Ready as soon as both dependencies are routable."""
        await self._caller.open()
        await self._routes.start(needs=("profiles", "steering"))

    async def stop(self) -> None:
        """Let go of connections and send the last telemetry."""
        await self._routes.stop()
        await self._caller.close()
        observability.close(self.observed)

    async def open_session(self, wish: SessionRequest) -> Reply:
        """A manifest (200), a business refusal (403), or a failure (500, 503)."""
        session = Session(wish.play_id, wish.account, wish.device_class, wish.title)
        try:
            account, ranking = await asyncio.gather(
                self._ask("profiles", f"/v1/accounts/{wish.account}", "/v1/accounts/{account}"),
                self._ask("steering", "/v1/locations", "/v1/locations", isp=wish.isp),
            )
        except (aiohttp.ClientError, NoInstanceError, TimeoutError):
            return Reply(503, _error("dependency_unreachable"))
        if account.status != 200 or ranking.status != 200:
            return Reply(503, _error("dependency_failed"))
        if not account.body["entitled"]:
            return Reply(403, _error("not_entitled"))
        await self._assembly.pass_()
        if not licence_granted(session, self._build):
            return Reply(500, _error("licence_refused"))
        return Reply(200, manifest_of(session, self._build, ranking.body["locations"]))

    async def _ask(self, service: str, path: str, template: str, **params: str) -> Reply:
        return await self._caller.call(
            service,
            "GET",
            template,
            path=path,
            params=params or None,
            timeout_s=DEPENDENCY_TIMEOUT_S,
        )


def _error(kind: str) -> dict[str, Any]:
    return {"error": {"type": kind}}


def build_app(service: PlaybackService) -> FastAPI:
    """Playback's routes."""
    app = FastAPI(
        title="playback",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan_of(service.start, service.stop),
    )
    observability.observe_app(app, service.observed, is_edge=False)

    @app.post("/v1/sessions")
    async def sessions(wish: SessionRequest) -> Response:
        reply = await service.open_session(wish)
        return json_response(reply.body, reply.status)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return app


def main(birth: Birth) -> None:
    """One playback instance, until SIGTERM."""
    serve(build_app(PlaybackService(birth)), birth)
