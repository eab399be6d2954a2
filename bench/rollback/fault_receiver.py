"""A receiver on a real socket that misbehaves as told and writes down what reached it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from analysis.webhooks.verify import VerificationError, verify

#: What it may do with a request. "lie" accepts and does nothing: only telemetry would tell.
BEHAVIOURS = ("accept", "error", "throttle", "hang", "reset", "slow", "redirect", "lie", "huge")
MAX_REQUEST_BYTES = 1_000_000


@dataclass
class Arrival:
    """One request: when, under which id, and whether it was answered with 2xx."""

    unix_s: float
    expires_unix_s: float
    decision_id: str
    is_accepted: bool = False


@dataclass(eq=False)
class Flight:
    """A request under way; ``is_of_paused``: its sender was paused beyond its lease since."""

    is_of_paused: bool


@dataclass
class FaultReceiver:
    """``behaviour`` counts for the next request. Counters of what must never happen beside."""

    secret: str
    behaviour: str = "accept"
    port: int = 0
    arrivals: dict[str, list[Arrival]] = field(default_factory=dict)
    wrong: Counter[str] = field(default_factory=Counter)
    #: When the leader was last paused beyond its lease.
    paused_unix_s: float = 0.0
    #: Sent again by the next leader while the request of one that was paused was still open.
    beside_a_paused: int = 0
    _bodies: dict[str, bytes] = field(default_factory=dict)
    _lanes: dict[str, set[Flight]] = field(default_factory=dict)
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def listen(self) -> None:
        """On the port it had before, or on any free one."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Nobody listens; requests under way are cut off."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._tasks):
            task.cancel()

    def sender_was_paused(self) -> None:
        """Whoever sends now was paused beyond its lease: what it had begun it cannot take back."""
        self.paused_unix_s = time.time()
        for flights in self._lanes.values():
            for flight in flights:
                flight.is_of_paused = True

    def flight(self, signed_unix_s: int) -> Flight:
        """Signed before the pause: sent by the one that was paused, if only when it woke up."""
        return Flight(signed_unix_s <= self.paused_unix_s)

    def enter(self, lane: str, flight: Flight) -> set[Flight]:
        """What is under way on the lane, with the new one; two whose senders lead are wrong."""
        flights = self._lanes.setdefault(lane, set())
        if any(one.is_of_paused or flight.is_of_paused for one in flights):
            self.beside_a_paused += 1
        elif flights:
            self.wrong["two_at_once_in_a_lane"] += 1
        flights.add(flight)
        return flights

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._one(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the sender was killed, or we stopped listening
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = [line.partition(":") for line in head.split("\r\n")[1:] if line]
        headers = {name.strip().lower(): value.strip() for name, _, value in lines}
        body = await reader.readexactly(min(int(headers["content-length"]), MAX_REQUEST_BYTES))
        arrival, lane = self._note(headers, body)
        flight = self.flight(int(headers["webhook-timestamp"]))
        flights = self.enter(lane, flight)
        try:
            await self._answer(writer, reader, arrival)
        finally:
            flights.discard(flight)

    def _note(self, headers: dict[str, str], body: bytes) -> tuple[Arrival, str]:
        now_unix_s, webhook_id = time.time(), headers["webhook-id"]
        try:
            verify(headers, body, [self.secret], int(now_unix_s))
        except VerificationError:
            self.wrong["not_genuine"] += 1
        event = json.loads(body)
        expires = datetime.fromisoformat(event["data"]["expires_at"]).timestamp()
        arrival = Arrival(now_unix_s, expires, event["id"])
        # The attempt's own time, in whole seconds, is what its sender believed.
        self.wrong["sent_after_expiry"] += int(headers["webhook-timestamp"]) > expires
        self.wrong["other_bytes_under_an_id"] += self._bodies.setdefault(webhook_id, body) != body
        self.arrivals.setdefault(webhook_id, []).append(arrival)
        return arrival, event["subject"]

    async def _answer(
        self, writer: asyncio.StreamWriter, reader: asyncio.StreamReader, arrival: Arrival
    ) -> None:
        behaviour = self.behaviour
        if behaviour == "reset":
            writer.transport.abort()
            return
        if behaviour == "hang":
            await reader.read(1)  # until the sender gives up or dies
            return
        status = {"error": "500 No", "throttle": "503 Busy", "redirect": "302 Elsewhere"}.get(
            behaviour, "200 OK"
        )
        more = {
            "throttle": "retry-after: 1\r\n",
            "redirect": "location: http://169.254.169.254/\r\n",
            "huge": "content-length: 1000000000\r\n",
        }.get(
            behaviour, "content-length: 0\r\n" if behaviour != "slow" else "content-length: 9\r\n"
        )
        writer.write(f"HTTP/1.1 {status}\r\n{more}connection: close\r\n\r\n".encode())
        arrival.is_accepted = status.startswith("2")
        with contextlib.suppress(OSError):
            await writer.drain()
            if behaviour == "slow":
                await asyncio.wait_for(reader.read(1), 3.0)
            if behaviour == "huge":
                writer.write(b"x" * 65_536)
                await writer.drain()
