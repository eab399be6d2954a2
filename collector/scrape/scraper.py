"""All targets: the files are looked at again and again, loops come and go with what they say."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collector.promql.labels import NAME
from collector.receivers.in_flight import InFlight
from collector.scrape.config import ScrapeConfig
from collector.scrape.discovery import DiscoveryFiles
from collector.scrape.errors import BadScrapeFile
from collector.scrape.fetch import Fetcher
from collector.scrape.jobs import Job, read_jobs
from collector.scrape.loop import SampleSink, ScrapeMetrics, TargetLoop
from collector.scrape.targets import Target, targets_of
from telemetry.clock import Clock

logger = logging.getLogger("collector.scrape")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the files say now."""

    targets: Mapping[tuple[Any, ...], Target]
    problems: tuple[str, ...]


class ScrapeFiles:
    """The configuration and its discovery files; blocking."""

    def __init__(self, config: ScrapeConfig) -> None:
        """Reads the configuration. Raises BadScrapeFile: at start a wrong one is an error."""
        self._config = config
        self._path = Path(config.config_path)
        self._discovery = DiscoveryFiles()
        self._stamp = self._stamp_now()
        self._jobs: tuple[Job, ...] = read_jobs(self._path, config)
        self._problem = ""

    def wanted(self) -> Wanted:
        """Targets as the files are now; a configuration that became wrong changes nothing."""
        stamp = self._stamp_now()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._jobs = read_jobs(self._path, self._config)
                self._problem = ""
            except BadScrapeFile as error:
                self._problem = str(error)
        problems = [self._problem] if self._problem else []
        found: dict[tuple[Any, ...], Target] = {}
        for job in self._jobs:
            targets, wrong = targets_of(job, self._discovery.groups(job))
            problems += wrong
            found.update((target.key, target) for target in targets)
        self._discovery.forget_unused(self._jobs)
        problems += self._discovery.problems()
        if len(found) > self._config.max_targets:
            left_out = len(found) - self._config.max_targets
            problems.append(f"{left_out} targets beyond max_targets are not scraped")
            found = dict(list(found.items())[: self._config.max_targets])
        return Wanted(found, tuple(problems))

    def _stamp_now(self) -> tuple[int, int, int]:
        try:
            status = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return status.st_ino, status.st_size, status.st_mtime_ns


class Scraper:
    """Runs one loop per target; lives on one event loop."""

    def __init__(
        self,
        config: ScrapeConfig,
        sink: SampleSink,
        in_flight: InFlight,
        clock: Clock,
        metrics: ScrapeMetrics,
    ) -> None:
        """Raises BadScrapeFile."""
        self._config = config
        self._files = ScrapeFiles(config)
        self._sink = sink
        self._in_flight = in_flight
        self._clock = clock
        self._metrics = metrics
        self._loops: dict[tuple[Any, ...], TargetLoop] = {}
        self._problems: tuple[str, ...] = ()

    async def run(self) -> None:
        """Until cancelled."""
        fetcher = Fetcher(self._in_flight)
        try:
            while True:
                await self._refresh(fetcher)
                await asyncio.sleep(self._config.refresh_s)
        finally:
            for loop in self._loops.values():
                loop.cancel()
            await fetcher.close()

    async def _refresh(self, fetcher: Fetcher) -> None:
        wanted = await asyncio.to_thread(self._files.wanted)
        for problem in wanted.problems:
            if problem not in self._problems:
                logger.warning("%s", problem)
        self._problems = wanted.problems
        changes = []
        for key, loop in list(self._loops.items()):
            target = wanted.targets.get(key)
            if target is None:
                del self._loops[key]
                changes.append(loop.stop(is_gone=True))
            elif target != loop.target:
                changes.append(self._replaced(key, loop, self._made(target, fetcher)))
        await asyncio.gather(*changes)
        for key, target in wanted.targets.items():
            if key not in self._loops:
                self._loops[key] = self._made(target, fetcher)
                self._loops[key].start()

    async def _replaced(self, key: tuple[Any, ...], old: TargetLoop, new: TargetLoop) -> None:
        """The same target with other settings: its series go on."""
        await old.stop(is_gone=False)
        new.series.adopt(old.series)
        new.last = old.last
        self._loops[key] = new
        new.start()

    def _made(self, target: Target, fetcher: Fetcher) -> TargetLoop:
        return TargetLoop(target, fetcher, self._sink, self._clock, self._metrics)

    def status(self) -> dict[str, Any]:
        """Targets with their newest scrape, and what is wrong with the files."""
        return {
            "targets": [_shown(loop) for loop in self._loops.values()],
            "problems": list(self._problems),
        }


def _shown(loop: TargetLoop) -> dict[str, Any]:
    target, last = loop.target, loop.last
    return {
        "job": target.job.name,
        "url": target.url,
        "labels": {name: value for name, value in target.labels if name != NAME},
        "interval_s": target.interval_s,
        "timeout_s": target.timeout_s,
        "health": "unknown" if last is None else "down" if last.error else "up",
        "last_error": "" if last is None else last.error,
        "last_scrape_unix_nano": None if last is None else last.unix_ms * 1_000_000,
        "last_duration_s": None if last is None else round(last.duration_s, 6),
        "last_samples": None if last is None else last.samples,
    }
