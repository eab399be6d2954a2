"""One target, again and again: on its beat, whatever the page, the network or the log do."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from dataclasses import dataclass
from typing import Final, Protocol

from collector.pipeline.errors import BacklogFull
from collector.scrape.errors import ScrapeFailed
from collector.scrape.exposition import Page
from collector.scrape.fetch import OPENMETRICS, Fetched, Fetcher
from collector.scrape.openmetrics import parse_openmetrics
from collector.scrape.report import Report
from collector.scrape.samples import Batch, Counts, TargetSeries
from collector.scrape.targets import Target
from collector.scrape.text_format import parse_text
from collector.wal.errors import WalUnavailable
from collector.wire.errors import WireError
from telemetry.clock import Clock

logger = logging.getLogger("collector.scrape")

#: Pages above this are read on a thread, so that small requests need not wait.
INLINE_BYTES: Final = 65_536
#: Pause before samples that were refused are offered once more.
RETRY_S: Final = 1.0


class SampleSink(Protocol):
    """Where samples go; the same way that remote-write takes."""

    async def take(self, batch: Batch) -> int:
        """How many were rejected, once the others are durable.

        Raises BacklogFull or WalUnavailable: the same again later; or a WireError: never.
        """
        ...


class ScrapeMetrics(Protocol):
    """What a loop reports."""

    def scraped(self, job: str, outcome: str, duration_s: float) -> None:
        """One scrape ended; ``outcome`` is ok or what went wrong."""
        ...

    def scrape_samples(self, job: str, outcome: str, count: int) -> None:
        """Samples of a page: taken, rejected, duplicate or lost."""
        ...

    def scrape_late(self, job: str, count: int) -> None:
        """Beats that were left out because the one before took too long."""
        ...


@dataclass(frozen=True, slots=True)
class Last:
    """The newest scrape of a target, for people."""

    unix_ms: int
    duration_s: float
    samples: int
    #: "" = up.
    error: str


class TargetLoop:
    """Scrapes until told to stop; lives on one event loop."""

    def __init__(
        self,
        target: Target,
        fetcher: Fetcher,
        sink: SampleSink,
        clock: Clock,
        metrics: ScrapeMetrics,
    ) -> None:
        self.target = target
        self.series = TargetSeries(target)
        self.last: Last | None = None
        self._fetcher = fetcher
        self._sink = sink
        self._clock = clock
        self._metrics = metrics
        self._report = Report(target.labels)
        self._stopped = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, at this target's own place within the interval."""
        self._task = asyncio.create_task(self._run())

    async def stop(self, *, is_gone: bool) -> None:
        """Finish the scrape under way; ``is_gone`` ends every series of the target."""
        self._stopped.set()
        if self._task is not None:
            await self._task
        if is_gone:
            now_ms = self._now_ms()
            batch = self.series.end(now_ms)
            if self.last is not None:
                self._report.end(batch, now_ms)
                await self._offered(batch, until_s=self._clock.monotonic_s())

    def cancel(self) -> None:
        """End at once: the process stops."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        next_s = self._clock.monotonic_s() + self._first_delay_s()
        while not await self._is_stopped_before(next_s):
            try:
                await self._beat(next_s + self.target.interval_s)
            except Exception:
                # A bug of ours on one page must not end the loop.
                logger.exception("scraping %s failed", self.target.url)
                self._metrics.scraped(self.target.job.name, "internal", 0.0)
            next_s += self.target.interval_s
            late = int((self._clock.monotonic_s() - next_s) // self.target.interval_s) + 1
            if late > 0:
                self._metrics.scrape_late(self.target.job.name, late)
                next_s += late * self.target.interval_s

    def _first_delay_s(self) -> float:
        """Spread over the interval by the target's identity, at the same place after a restart."""
        digest = hashlib.blake2b(repr(self.target.key).encode(), digest_size=8).digest()
        interval_ns = round(self.target.interval_s * 1e9)
        offset = int.from_bytes(digest, "big") % interval_ns
        return float((offset - self._clock.wall_unix_nano()) % interval_ns) / 1e9

    async def _is_stopped_before(self, moment_s: float) -> bool:
        wait_s = max(moment_s - self._clock.monotonic_s(), 0.0)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), wait_s)
        return self._stopped.is_set()

    async def _beat(self, next_beat_s: float) -> None:
        now_ms, started_s = self._now_ms(), self._clock.monotonic_s()
        counts: Counts | None = None
        outcome, error = "ok", ""
        try:
            page = await self._page()
            batch, counts = self.series.take(page, now_ms)
        except (ScrapeFailed, BacklogFull) as failure:
            outcome = failure.outcome if isinstance(failure, ScrapeFailed) else "backlog_full"
            error = str(failure)
            batch = self.series.end(now_ms)
        duration_s = self._clock.monotonic_s() - started_s
        self.last = Last(now_ms, duration_s, 0 if counts is None else counts.scraped, error)
        self._metrics.scraped(self.target.job.name, outcome, duration_s)
        if counts is not None and counts.duplicates:
            self._metrics.scrape_samples(self.target.job.name, "duplicate", counts.duplicates)
        self._report.add(batch, now_ms, duration_s, counts)
        await self._offered(batch, until_s=next_beat_s)

    async def _page(self) -> Page:
        fetched = await self._fetcher.fetch(self.target)
        if len(fetched.body) <= INLINE_BYTES:
            return self._parsed(fetched)
        return await asyncio.to_thread(self._parsed, fetched)

    def _parsed(self, fetched: Fetched) -> Page:
        parse = parse_openmetrics if fetched.content_type == OPENMETRICS else parse_text
        return parse(fetched.body, self.series.known)

    async def _offered(self, batch: Batch, *, until_s: float) -> None:
        """Hand the samples on; refused ones are offered again until the next beat."""
        job = self.target.job.name
        while True:
            try:
                rejected = await self._sink.take(batch)
            except (BacklogFull, WalUnavailable) as refused:
                if await self._is_retried(until_s):
                    continue
                self._lose(batch, refused)
                return
            except WireError as refused:
                self._lose(batch, refused)
                return
            self._metrics.scrape_samples(job, "taken", len(batch) - rejected)
            if rejected:
                self._metrics.scrape_samples(job, "rejected", rejected)
            return

    async def _is_retried(self, until_s: float) -> bool:
        """After a pause; False if the loop stops or the next scrape is due."""
        is_stopped = await self._is_stopped_before(self._clock.monotonic_s() + RETRY_S)
        return not is_stopped and self._clock.monotonic_s() < until_s

    def _lose(self, batch: Batch, why: Exception) -> None:
        logger.warning("%s: %d samples lost: %s", self.target.url, len(batch), why)
        self._metrics.scrape_samples(self.target.job.name, "lost", len(batch))

    def _now_ms(self) -> int:
        return self._clock.wall_unix_nano() // 1_000_000
