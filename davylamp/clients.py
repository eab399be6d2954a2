"""Asking the deployer and the analysis, as the demonstration and its tests do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

import aiohttp

from collector.access.own import own_headers
from davylamp.config import Settings, access_config
from davylamp.errors import NoAnswerError, StoryError

TIMEOUT_S: Final = 10.0


class Clients:
    """JSON over HTTP to the deployer and the analysis; use as an async context manager."""

    def __init__(self, settings: Settings) -> None:
        self._controller_url = settings.url("samples", "controller_port")
        self._analysis_url = settings.url("analysis", "api_port")
        self._headers = own_headers(access_config(settings))
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), headers=self._headers
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def deploy(self, build: str, **more: Any) -> dict[str, Any]:
        """Ask the deployer for a canary of playback. Raises StoryError when it refuses."""
        body = {"service": "playback", "build": build, **more}
        return await self._ask("POST", f"{self._controller_url}/v1/deployments", body)

    async def deployment(self, deployment_id: str) -> dict[str, Any]:
        """How a deployment stands at the deployer."""
        return await self._ask("GET", f"{self._controller_url}/v1/deployments/{deployment_id}")

    async def traffic(self) -> dict[str, Any]:
        """The audience's own counts since the start."""
        return await self._ask("GET", f"{self._controller_url}/v1/traffic")

    async def instances(self) -> list[dict[str, Any]]:
        """Every running instance, with its position and process id."""
        answer = await self._ask("GET", f"{self._controller_url}/v1/instances")
        found: list[dict[str, Any]] = answer["instances"]
        return found

    async def switch(self, service: str, action: str) -> None:
        """``stop`` or ``start`` every instance of a service."""
        await self._ask("POST", f"{self._controller_url}/v1/services/{service}/{action}")

    async def canary(self, deployment_id: str) -> dict[str, Any]:
        """How the canary stands at the analysis."""
        return await self._ask("GET", f"{self._analysis_url}/api/v1/canaries/{deployment_id}")

    async def decisions(self) -> list[dict[str, Any]]:
        """Every decision, newest first."""
        answer = await self._ask("GET", f"{self._analysis_url}/api/v1/decisions")
        found: list[dict[str, Any]] = answer["decisions"]
        return found

    async def deliveries(self, decision_id: str) -> list[dict[str, Any]]:
        """The webhook of a decision and its attempts."""
        answer = await self._ask(
            "GET", f"{self._analysis_url}/api/v1/deliveries?decision_id={decision_id}"
        )
        found: list[dict[str, Any]] = answer["deliveries"]
        return found

    async def _ask(
        self,
        method: str,
        url: str,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        assert self._session is not None, "use Clients as an async context manager"
        try:
            async with self._session.request(method, url, json=body) as reply:
                if reply.status >= 300:
                    raise StoryError(f"{method} {url}: {reply.status} {(await reply.text())[:300]}")
                answer: dict[str, Any] = await reply.json()
                return answer
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NoAnswerError(f"{method} {url}: {type(error).__name__} {error}") from error
