"""Viewers: arrivals do not wait for answers, so a slow service meets the same crowd."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import aiohttp
import orjson
import uvloop

from sample_services.latency import seeded
from sample_services.routes_feed import RoutesFeed
from sample_services.serving import Birth
from sample_services.traffic.domain import Audience, Outcome, Viewer, start_of
from telemetry.clock import Clock, SystemClock

logger = logging.getLogger("samples.viewers")

PLAY_TIMEOUT_S: Final = 5.0
#: Devices report in batches; at least twice a second, so that a verdict need not wait.
FLUSH_INTERVAL_S: Final = 0.25
REPORT_INTERVAL_S: Final = 1.0
REPORT_TIMEOUT: Final = aiohttp.ClientTimeout(total=5.0)
BATCH_LIMIT: Final = 500
#: Unsent events beyond this are dropped, oldest first, and counted.
BACKLOG_LIMIT: Final = 5_000
#: Requests under way beyond this are not begun, and counted: a bound, not a brake.
IN_FLIGHT_LIMIT: Final = 2_000
JSON: Final = {"content-type": "application/json"}


class Viewers:
    """The whole audience in one process."""

    def __init__(self, birth: Birth, clock: Clock) -> None:
        self._birth = birth
        self._config = birth.config
        self._clock = clock
        rng = seeded(birth.config.seed, "audience")
        self._audience = Audience(rng, accounts=birth.config.accounts, titles=birth.config.titles)
        self._browsers = Audience(
            seeded(birth.config.seed, "browsers"),
            accounts=birth.config.accounts,
            titles=birth.config.titles,
        )
        self._routes = RoutesFeed(birth.controller_url, birth.instance_id)
        self._events: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self._counts: Counter[str] = Counter()
        self._under_way: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    async def run(self) -> None:
        """Blocks until SIGTERM."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        await self._routes.start(needs=("edge",))
        self._birth.ready()
        streams = [
            asyncio.ensure_future(work)
            for work in (
                self._arrive(self._audience, self._config.plays_per_s, self._play),
                self._arrive(self._browsers, self._config.browse_per_s, self._browse),
                self._every(FLUSH_INTERVAL_S, self._flush),
                self._every(REPORT_INTERVAL_S, self._report),
            )
        ]
        ended: asyncio.Task[Any] = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([ended, *streams], return_when=asyncio.FIRST_COMPLETED)
        for task in (*streams, *self._under_way):
            task.cancel()
        await self._routes.stop()
        await self._session.close()
        for task in done:
            task.result()

    async def _arrive(
        self, audience: Audience, rate_per_s: float, act: Callable[[Viewer], Awaitable[None]]
    ) -> None:
        """Start ``act`` at the due times; when late, catch up rather than thin out."""
        if rate_per_s <= 0.0:
            await asyncio.Event().wait()
        due_s = self._clock.monotonic_s()
        while True:
            due_s += audience.gap_s(rate_per_s)
            viewer = audience.next_viewer()
            wait_s = due_s - self._clock.monotonic_s()
            # Also when late: others must get their turn while this catches up.
            await asyncio.sleep(max(wait_s, 0.0))
            if len(self._under_way) >= IN_FLIGHT_LIMIT:
                self._counts["not_begun"] += 1
                continue
            task = asyncio.ensure_future(act(viewer))
            self._under_way.add(task)
            task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._counts["viewer_errors"] += 1
            logger.error("viewer failed", exc_info=task.exception())

    async def _play(self, viewer: Viewer) -> None:
        self._counts["plays_sent"] += 1
        wish = {
            "play_id": viewer.play_id,
            "account": viewer.account,
            "device_class": viewer.device_class,
            "title": viewer.title,
            "isp": viewer.isp,
        }
        begun_s = self._clock.monotonic_s()
        status, body = await self._ask("POST", "/v1/play", viewer.zone, data=orjson.dumps(wish))
        request_s = self._clock.monotonic_s() - begun_s
        outcome = start_of(viewer, status=status, body=body, request_s=request_s)
        self._counts[f"plays_{outcome.outcome}"] += 1
        if status not in {200, 403}:
            self._counts["plays_http_failed"] += 1
        self._note(viewer, outcome)

    async def _browse(self, viewer: Viewer) -> None:
        self._counts["homes_sent"] += 1
        params = {"account": viewer.account, "device_class": viewer.device_class}
        status, body = await self._ask("GET", "/v1/home", viewer.zone, params=params)
        if status != 200:
            self._counts["homes_failed"] += 1
        elif not body.get("personal"):
            self._counts["homes_stock"] += 1

    def _note(self, viewer: Viewer, outcome: Outcome) -> None:
        events = self._events[viewer.zone]
        events.append(
            {
                "play_id": viewer.play_id,
                "account": viewer.account,
                "device_class": viewer.device_class,
                "isp": viewer.isp,
                "outcome": outcome.outcome,
                "startup_s": outcome.startup_s,
                "error_type": outcome.error_type,
                "cdn_site": outcome.cdn_site,
            }
        )
        if len(events) > BACKLOG_LIMIT:
            del events[0]
            self._counts["events_dropped"] += 1

    async def _flush(self) -> None:
        for zone, events in list(self._events.items()):
            batch = events[:BATCH_LIMIT]
            if not batch:
                continue
            del events[: len(batch)]
            data = orjson.dumps({"events": batch})
            status, _ = await self._ask("POST", "/v1/playback-events", zone, data=data)
            if status == 202:
                self._counts["events_sent"] += len(batch)
            else:
                events[:0] = batch

    async def _report(self) -> None:
        assert self._session is not None
        url = f"{self._birth.controller_url}/v1/traffic"
        counts = dict(self._counts) | {"in_flight": len(self._under_way)}
        try:
            async with self._session.post(url, json=counts, timeout=REPORT_TIMEOUT):
                pass
        except (aiohttp.ClientError, TimeoutError) as error:
            logger.warning("traffic not reported: %s", type(error).__name__)

    async def _every(self, interval_s: float, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(interval_s)
            await act()

    async def _ask(
        self,
        method: str,
        path: str,
        zone: str,
        *,
        data: bytes | None = None,
        params: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """(status, body); status 0 when no edge answered. Devices know both edges' addresses, so
        a refused connection is tried at the other one; an answer is never asked for twice.
        """
        assert self._session is not None
        for endpoint in self._routes.table.candidates("edge", arm=None, zone=zone)[:2]:
            try:
                async with self._session.request(
                    method,
                    endpoint.url + path,
                    data=data,
                    params=params,
                    headers=JSON,
                    timeout=aiohttp.ClientTimeout(total=PLAY_TIMEOUT_S),
                ) as reply:
                    body = orjson.loads(await reply.read())
                    return reply.status, body if isinstance(body, dict) else {}
            except aiohttp.ClientConnectorError:
                continue
            except (aiohttp.ClientError, TimeoutError, ValueError):
                return 0, {}
        return 0, {}


def main(birth: Birth) -> None:
    """The audience, until SIGTERM."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Viewers(birth, SystemClock()).run())
