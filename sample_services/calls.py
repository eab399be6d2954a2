"""Calls between services: observed, zone-aware, moved once to another instance when refused."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from sample_services.errors import NoInstanceError
from sample_services.routes_feed import RoutesFeed
from sample_services.routing import Endpoint
from telemetry import Telemetry, semconv
from telemetry.aiohttp import trace_config

#: The instance never saw the request, or closed an idle connection under it: safe to ask another.
NOT_DELIVERED = (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError)


@dataclass(frozen=True, slots=True)
class Reply:
    """A service's answer; ``body`` is decoded JSON."""

    status: int
    body: Any


class Caller:
    """One process's way to the other services. Use as an async context manager."""

    def __init__(self, observed: Telemetry, routes: RoutesFeed, zone: str) -> None:
        self._routes = routes
        self._zone = zone
        self._turns = itertools.count()
        self._observed = observed
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Open the connection pool; needs a running loop."""
        self._session = aiohttp.ClientSession(
            trace_configs=[trace_config(self._observed)],
            connector=aiohttp.TCPConnector(limit=512),
        )

    async def close(self) -> None:
        """Close the connection pool."""
        if self._session is not None:
            await self._session.close()

    async def call(
        self,
        service: str,
        method: str,
        template: str,
        *,
        path: str | None = None,
        arm: str | None = None,
        json: Any = None,
        params: dict[str, str] | None = None,
        timeout_s: float,
    ) -> Reply:
        """Ask one instance of ``service``; ``template`` names the route, ``path`` the address.

        When the connection is refused the newest table is asked for another instance, once.
        Raises NoInstanceError, aiohttp.ClientError and TimeoutError.
        """
        assert self._session is not None, "Caller.open() comes first"
        tried: list[str] = []
        refused: Exception | None = None
        for _ in range(2):
            endpoint = self._pick(service, arm, tried)
            if endpoint is None:
                break
            tried.append(endpoint.instance_id)
            try:
                async with self._session.request(
                    method,
                    endpoint.url + (path or template),
                    data=None if json is None else orjson.dumps(json),
                    headers=None if json is None else {"content-type": "application/json"},
                    params=params,
                    timeout=aiohttp.ClientTimeout(total=timeout_s),
                    trace_request_ctx={semconv.URL_TEMPLATE: template},
                ) as reply:
                    return Reply(reply.status, orjson.loads(await reply.read()))
            except NOT_DELIVERED as error:
                refused = error
        if refused is not None:
            raise refused
        raise NoInstanceError(f"no instance of {service} is routable")

    def _pick(self, service: str, arm: str | None, tried: list[str]) -> Endpoint | None:
        """Own zone before others; turns among equals. An arm that has just been taken out of
        the table is served by stable: its viewers were moved, not dropped.
        """
        table = self._routes.table
        if arm is not None and table.split is None:
            arm = None
        found = table.candidates(service, arm=arm, zone=self._zone, avoid=tried)
        if not found:
            return None
        local = [endpoint for endpoint in found if endpoint.zone == self._zone] or found
        return local[next(self._turns) % len(local)]
