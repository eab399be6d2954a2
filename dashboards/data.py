"""The only module that reads the two APIs: bounded, briefly, and never raising to a page.

Pages ask; an answer younger than ``refresh_s`` is shared with every other open page, and equal
questions asked at the same time are asked once. At most ``max_concurrent_reads`` run at once, each
for at most ``request_timeout_s`` including its wait, and reads at most ``max_answer_bytes``.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import aiohttp
import orjson

from collector.access.own import own_headers
from dashboards.answers import analysis, collector
from dashboards.answers.looks import Look, looks
from dashboards.answers.reading import Answer, Available, Source, Unavailable, Why
from dashboards.config import DashboardsConfig
from dashboards.errors import UnreadableAnswerError
from telemetry.clock import Clock

T = TypeVar("T")
Params = tuple[tuple[str, str], ...]

#: Looks asked for at once, and kept per canary: an hour of one look a second.
LOOKS_PER_PAGE: Final = 500
MAX_LOOKS: Final = 3_600
#: Share of ``refresh_s`` for which an answer is shared: the next update asks anew.
_FRESH_RATIO: Final = 0.8
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ReadCounts:
    """What reading cost so far, for /metrics."""

    asked: int
    shared: int
    failed: int
    broken_pages: int
    refused: int


class Data:
    """Questions of the pages, as methods. Use as an async context manager."""

    def __init__(self, config: DashboardsConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._turns = asyncio.Semaphore(config.max_concurrent_reads)
        self._recent: OrderedDict[tuple[str, Params], tuple[float, Answer[Any]]] = OrderedDict()
        self._running: dict[tuple[str, Params], asyncio.Task[Answer[Any]]] = {}
        self._looks: OrderedDict[str, tuple[Look, ...]] = OrderedDict()
        self._looking: dict[str, asyncio.Lock] = {}
        self._asked = self._shared = self._failed = self._broken = self._refused = 0

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._config.request_timeout_s),
            connector=aiohttp.TCPConnector(limit=self._config.max_concurrent_reads),
            headers={"Accept": "application/json"},
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in list(self._running.values()):
            task.cancel()
        if self._session is not None:
            await self._session.close()

    @property
    def clock(self) -> Clock:
        return self._clock

    def counts(self) -> ReadCounts:
        return ReadCounts(self._asked, self._shared, self._failed, self._broken, self._refused)

    def count_refusal(self, _outcome: str) -> None:
        """Somebody without a right token asked for a page."""
        self._refused += 1

    def count_broken_page(self) -> None:
        """An update of a page raised: a mistake of ours, shown on the page and counted here."""
        self._broken += 1

    # --- collector --------------------------------------------------------------------------

    async def services(self, window_s: float) -> Answer[tuple[collector.Service, ...]]:
        return await self._collector("/api/v1/services", collector.services, window_s)

    async def topology(self, window_s: float) -> Answer[collector.Topology]:
        return await self._collector("/api/v1/topology", collector.topology, window_s)

    async def series(
        self, metric: str, window_s: float, *, step_s: float, group_by: str, agg: str
    ) -> Answer[collector.SeriesAnswer]:
        return await self._collector(
            "/api/v1/series",
            collector.series,
            window_s,
            metric=metric,
            group_by=group_by,
            step_s=f"{step_s:g}",
            agg=agg,
        )

    async def red(
        self, service: str, window_s: float, *, step_s: float, group_by: str | None
    ) -> Answer[collector.Red]:
        more = {"group_by": group_by} if group_by else {}
        return await self._collector(
            "/api/v1/red", collector.red, window_s, service=service, step_s=f"{step_s:g}", **more
        )

    async def heatmap(
        self, service: str, window_s: float, *, step_s: float
    ) -> Answer[collector.Heatmap]:
        return await self._collector(
            "/api/v1/heatmap", collector.heatmap, window_s, service=service, step_s=f"{step_s:g}"
        )

    async def operations(
        self, service: str, window_s: float
    ) -> Answer[tuple[collector.Operation, ...]]:
        return await self._collector(
            "/api/v1/operations", collector.operations, window_s, service=service
        )

    async def traces(
        self, service: str, window_s: float, *, limit: int, error: bool, min_duration_s: float
    ) -> Answer[tuple[collector.TraceSummary, ...]]:
        more = {"error": "true"} if error else {}
        if min_duration_s > 0:
            more["min_duration_s"] = f"{min_duration_s:.6f}"
        return await self._collector(
            "/api/v1/traces",
            collector.traces,
            window_s,
            service=service,
            limit=str(limit),
            **more,
        )

    async def trace(self, trace_id: str) -> Answer[collector.Trace]:
        path = f"/api/v1/traces/{quote(trace_id, safe='')}"
        return await self._ask(Source.COLLECTOR, path, (), collector.trace)

    async def _collector(
        self, path: str, read: Callable[[Any], T], window_s: float, **params: str
    ) -> Answer[T]:
        pairs = (("from", f"now-{window_s:g}s"), *sorted(params.items()))
        return await self._ask(Source.COLLECTOR, path, pairs, read)

    # --- analysis ---------------------------------------------------------------------------

    async def canaries(self, *, limit: int) -> Answer[tuple[analysis.Canary, ...]]:
        return await self._analysis("/api/v1/canaries", analysis.canaries, limit=str(limit))

    async def canary(self, deployment_id: str) -> Answer[analysis.Canary]:
        path = f"/api/v1/canaries/{quote(deployment_id, safe='')}"
        return await self._analysis(path, analysis.canary)

    async def deliveries(self, decision_id: str) -> Answer[tuple[analysis.Delivery, ...]]:
        return await self._analysis(
            "/api/v1/deliveries", analysis.deliveries, decision_id=decision_id
        )

    async def slos(self) -> Answer[tuple[analysis.Slo, ...]]:
        return await self._analysis("/api/v1/slos", analysis.slos)

    async def anomalies(self) -> Answer[tuple[analysis.Anomaly, ...]]:
        return await self._analysis("/api/v1/anomalies", analysis.anomalies)

    async def events(self, window_s: float) -> Answer[tuple[analysis.Event, ...]]:
        return await self._analysis(
            "/api/v1/events", analysis.events, **{"from": f"now-{window_s:g}s"}
        )

    async def _analysis(self, path: str, read: Callable[[Any], T], **params: str) -> Answer[T]:
        return await self._ask(Source.ANALYSIS, path, tuple(sorted(params.items())), read)

    async def looks(self, deployment_id: str, *, total: int) -> Answer[tuple[Look, ...]]:
        """All looks of a canary, oldest first; only those not yet known are read.

        ``total``: how many the canary says it has. Fewer than known means another history under
        the same id (a state folder was replaced), so everything is read again.
        """
        lock = self._looking.setdefault(deployment_id, asyncio.Lock())
        async with lock:
            known = self._looks.get(deployment_id, ())
            if known and known[-1].index >= total:
                known = ()
            while True:
                answer = await self._looks_after(deployment_id, known)
                if isinstance(answer, Unavailable):
                    return answer
                known = (*known, *answer.value)[-MAX_LOOKS:]
                if len(answer.value) < LOOKS_PER_PAGE:
                    break
            self._keep_looks(deployment_id, known)
            return Available(known, answer.read_unix_nano)

    async def _looks_after(
        self, deployment_id: str, known: Sequence[Look]
    ) -> Answer[tuple[Look, ...]]:
        more = {"after_index": str(known[-1].index)} if known else {}
        path = f"/api/v1/canaries/{quote(deployment_id, safe='')}/looks"
        return await self._analysis(path, looks, limit=str(LOOKS_PER_PAGE), **more)

    def _keep_looks(self, deployment_id: str, known: tuple[Look, ...]) -> None:
        self._looks[deployment_id] = known
        self._looks.move_to_end(deployment_id)
        while len(self._looks) > self._config.max_cached_canaries:
            dropped, _ = self._looks.popitem(last=False)
            self._looking.pop(dropped, None)

    # --- asking -----------------------------------------------------------------------------

    async def _ask(
        self, source: Source, path: str, params: Params, read: Callable[[Any], T]
    ) -> Answer[T]:
        key = (path, params)
        recent = self._recent.get(key)
        if recent is not None and self._clock.monotonic_s() < recent[0]:
            self._shared += 1
            return recent[1]
        running = self._running.get(key)
        if running is None:
            running = asyncio.create_task(self._ask_once(source, path, params, read))
            self._running[key] = running
            running.add_done_callback(lambda _: self._running.pop(key, None))
        else:
            self._shared += 1
        return await asyncio.shield(running)

    async def _ask_once(
        self, source: Source, path: str, params: Params, read: Callable[[Any], T]
    ) -> Answer[T]:
        answer = await self._fetch(source, path, params, read)
        self._asked += 1
        self._failed += isinstance(answer, Unavailable)
        fresh_until_s = self._clock.monotonic_s() + _FRESH_RATIO * self._config.refresh_s
        self._recent[path, params] = (fresh_until_s, answer)
        self._recent.move_to_end((path, params))
        while len(self._recent) > self._config.max_cached_answers:
            self._recent.popitem(last=False)
        return answer

    async def _fetch(
        self, source: Source, path: str, params: Params, read: Callable[[Any], T]
    ) -> Answer[T]:
        assert self._session is not None, "Data is used inside its context"
        base = self._base(source)
        try:
            async with (
                asyncio.timeout(self._config.request_timeout_s),
                self._turns,
                self._session.get(
                    base + path, params=list(params), headers=own_headers(self._config.access)
                ) as response,
            ):
                raw = await _read_at_most(response, self._config.max_answer_bytes)
                status = response.status
        except TimeoutError:
            text = f"{_the(source)} did not answer within {self._config.request_timeout_s:g} s"
            return Unavailable(source, Why.TIMEOUT, text)
        except aiohttp.ClientError:
            return Unavailable(source, Why.UNREACHABLE, f"{_the(source)} does not answer at {base}")
        if raw is None:
            text = f"{_the(source)} answered more than {self._config.max_answer_bytes} bytes"
            return Unavailable(source, Why.TOO_LARGE, text)
        if status != 200:
            return _refusal(source, status, raw)
        try:
            value = read(orjson.loads(raw))
        except (orjson.JSONDecodeError, UnreadableAnswerError) as error:
            text = f"{_the(source)} answered in a form this page does not know: {error}"
            return Unavailable(source, Why.UNREADABLE, text)
        return Available(value, self._clock.wall_unix_nano())

    def _base(self, source: Source) -> str:
        if source is Source.COLLECTOR:
            return self._config.collector_url.rstrip("/")
        return self._config.analysis_url.rstrip("/")


def _the(source: Source) -> str:
    return f"The {source}"


async def _read_at_most(response: aiohttp.ClientResponse, limit: int) -> bytes | None:
    """The body; None when it is longer than ``limit`` bytes."""
    parts = bytearray()
    async for chunk in response.content.iter_any():
        parts += chunk
        if len(parts) > limit:
            return None
    return bytes(parts)


def _refusal(source: Source, status: int, raw: bytes) -> Unavailable:
    why = {404: Why.NOT_FOUND, 503: Why.BUSY}.get(status, Why.REFUSED)
    return Unavailable(source, why, f"{_the(source)} answered {status}: {_message(raw)}")


def _message(raw: bytes) -> str:
    """The message of the one error shape both APIs have, or a plain word."""
    try:
        message = orjson.loads(raw)["error"]["message"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "no reason given"
    return str(message)[:300]
