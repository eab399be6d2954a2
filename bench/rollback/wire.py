"""A simulated network with a simulated deployer behind it, in the place of an HTTP session.

Requests and answers are dropped, delayed, doubled, refused; the deployer hangs, errs, throttles,
and says 2xx without doing anything. It follows the documented contract: it verifies, refuses what
is over or older than what it has seen, and acts once per id.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import aiohttp
import orjson
from numpy.random import Generator

from analysis.webhooks.verify import VerificationError, verify
from bench.rollback.observer import Observer

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLw8kRPbMqyvyzTw="


class Mood(StrEnum):
    """How the receiver or the way to it fares."""

    WELL = "well"
    REFUSES = "refuses"  # connection refused
    HANGS = "hangs"  # takes the request, never answers
    ERRS = "errs"  # 500
    THROTTLES = "throttles"  # 429 or 503 with Retry-After
    REJECTS = "rejects"  # 422: never again
    LIES = "lies"  # 202, and does nothing
    LOSES_REQUESTS = "loses_requests"
    LOSES_ANSWERS = "loses_answers"  # it acts, and we never hear
    DELAYS = "delays"  # either way, up to 30 s
    DOUBLES = "doubles"  # the request arrives again later


class Content:
    """An answer's body."""

    async def read(self, size: int) -> bytes:
        del size
        return b""


@dataclass
class Reply:
    """What ``attempt.post`` reads of an answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    content: Content = field(default_factory=Content)


@dataclass
class Deployer:
    """Acts on commands; ``do`` begins what a genuine, new one asks for."""

    observer: Observer
    do: Callable[[dict[str, Any]], None]
    _seen: set[str] = field(default_factory=set)
    _newest: dict[str, int] = field(default_factory=dict)

    def receive(self, headers: Mapping[str, str], body: bytes) -> int:
        """One request arrives, perhaps late, perhaps again. Returns the status."""
        now = self.observer.clock.wall_unix_nano()
        webhook_id = headers["webhook-id"]
        try:
            verify(headers, body, [SECRET], now // 1_000_000_000)
        except VerificationError as error:
            # What the network held for longer than the tolerance is refused, and nothing else.
            self.observer.demand("old" in str(error), f"{webhook_id}: {error}")
            return 401
        event = orjson.loads(body)
        data, lane = event["data"], event["subject"]
        if now / 1e9 >= datetime.fromisoformat(data["expires_at"]).timestamp():
            self.observer.note("arrived too late", webhook_id)
            return 422
        if webhook_id in self._seen:
            self.observer.note("arrived again", webhook_id)
            return 202
        if data["sequence"] <= self._newest.get(lane, 0):
            self.observer.note("arrived overtaken", webhook_id)
            return 200
        self._seen.add(webhook_id)
        self._newest[lane] = data["sequence"]
        self.observer.note("acted on", webhook_id)
        self.do(data)
        return 202


class Wire:
    """In the place of ``aiohttp.ClientSession``; belongs to one process."""

    def __init__(
        self,
        observer: Observer,
        deployer: Deployer,
        rng: Generator,
        mood: Callable[[], Mood],
        thrown: Callable[[str], str | None],
    ) -> None:
        self._observer, self._deployer, self._rng = observer, deployer, rng
        self._mood, self._thrown = mood, thrown

    async def close(self) -> None:
        """Nothing to close."""

    @asynccontextmanager
    async def post(
        self,
        url: str,
        *,
        data: bytes,
        headers: Mapping[str, str],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
        allow_redirects: bool,
    ) -> AsyncIterator[Reply]:
        """One request, as the present mood has it."""
        del url
        assert not allow_redirects
        service = orjson.loads(data)["subject"].partition("/")[2]
        lane = self._observer.sending(headers["webhook-id"], data, self._thrown(service))
        try:
            async with asyncio.timeout(timeout.total):
                reply = await self._exchange(dict(headers), data)
        finally:
            self._observer.sent(lane)
        yield reply

    async def _exchange(self, headers: dict[str, str], body: bytes) -> Reply:
        mood = self._mood()
        self._observer.note(f"mood {mood}", headers["webhook-id"])
        await asyncio.sleep(float(self._rng.exponential(0.05)))
        match mood:
            case Mood.REFUSES:
                raise ConnectionRefusedError(111, "Connection refused")
            case Mood.HANGS | Mood.LOSES_REQUESTS:
                await asyncio.sleep(3600)
            case Mood.ERRS:
                return Reply(500)
            case Mood.THROTTLES:
                wait_s = int(self._rng.integers(1, 120))
                return Reply(429 if wait_s % 2 else 503, {"retry-after": str(wait_s)})
            case Mood.REJECTS:
                return Reply(422)
            case Mood.LIES:
                self._observer.accepted.add(headers["webhook-id"])
                return Reply(202)
            case Mood.DELAYS:
                # The request is on its way, whatever becomes of whoever sent it.
                arrived: asyncio.Future[int] = asyncio.get_running_loop().create_future()
                self._later(float(self._rng.uniform(0, 30)), headers, body, arrived)
                return await self._answer(headers, await arrived)
            case Mood.DOUBLES:
                self._later(float(self._rng.uniform(0, 60)), headers, body, None)
        status = self._deployer.receive(headers, body)
        if mood is Mood.LOSES_ANSWERS:
            await asyncio.sleep(3600)
        return await self._answer(headers, status)

    def _later(
        self,
        delay_s: float,
        headers: dict[str, str],
        body: bytes,
        arrived: asyncio.Future[int] | None,
    ) -> None:
        def arrive() -> None:
            status = self._deployer.receive(headers, body)
            if arrived is not None and not arrived.done():
                arrived.set_result(status)

        asyncio.get_running_loop().call_later(delay_s, arrive)

    async def _answer(self, headers: dict[str, str], status: int) -> Reply:
        if 200 <= status <= 299:
            self._observer.accepted.add(headers["webhook-id"])
        await asyncio.sleep(float(self._rng.exponential(0.05)))
        return Reply(status)
