"""Targets that answer as told, on loopback; a sink that keeps what it gets."""

from __future__ import annotations

import asyncio
import contextlib

import numpy as np
import pytest
from aiohttp import web

from collector.promql.series import is_stale
from collector.receivers.in_flight import InFlight
from collector.scrape.scraper import Scraper
from davylamp.config import collector_config, load_settings
from telemetry.clock import SystemClock


class Pages:
    """What the target answers next: text, bytes, or a function of the request."""

    def __init__(self):
        self.answer = "a 1\n"
        self.requests = []

    async def handle(self, request):
        self.requests.append(request)
        answer = self.answer
        if callable(answer):
            answer = answer(request)
            if asyncio.iscoroutine(answer):
                answer = await answer
        if isinstance(answer, str | bytes):
            body = answer.encode() if isinstance(answer, str) else answer
            return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4"})
        return answer


class Sink:
    """Every sample, as (labels, value or "stale")."""

    def __init__(self):
        self.samples = []
        self.batches = []
        self.refusals = []
        self.more = asyncio.Event()

    async def take(self, batch):
        if self.refusals:
            raise self.refusals.pop(0)
        self.batches.append(batch)
        for labels, time_ms, value in zip(batch.labels, batch.times_ms, batch.values, strict=True):
            shown = "stale" if is_stale(np.array([value]))[0] else value
            self.samples.append((dict(labels), time_ms, shown))
        self.more.set()
        return 0

    def values(self, name, **labels):
        return [
            value
            for found, _, value in self.samples
            if found["__name__"] == name and all(found.get(k) == v for k, v in labels.items())
        ]

    async def until(self, condition, timeout_s=10.0):
        """Wait for batches until ``condition`` holds of this sink."""
        async with asyncio.timeout(timeout_s):
            while not condition(self):
                self.more.clear()
                await self.more.wait()


class Counts:
    """The loop's metrics, as plain lists."""

    def __init__(self):
        self.outcomes = []
        self.samples = []
        self.late = 0

    def scraped(self, job, outcome, duration_s):
        self.outcomes.append(outcome)

    def scrape_samples(self, job, outcome, count):
        self.samples.append((outcome, count))

    def scrape_late(self, job, count):
        self.late += count


@pytest.fixture
async def pages():
    """A target; ``pages.address`` is where."""
    made = Pages()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.address = f"127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def scrape(tmp_path, pages):
    """Runs a scraper on jobs of this target: ``(sink, counts, scraper)``."""
    async with contextlib.AsyncExitStack() as stack:

        def run(more="", interval="100ms", path=None, **settings):
            path = path or tmp_path / "scrape.yml"
            path.write_text(
                f"scrape_configs:\n- job_name: j\n  scrape_interval: {interval}\n"
                f"  static_configs: [{{targets: ['{pages.address}']}}]\n{more}"
            )
            values = {"config_path": str(path), "refresh_s": 0.05, **settings}
            tree = load_settings(environ={})
            scrape = {**tree.section("collector")["scrape"], **values}
            config = collector_config(tree.with_values({"collector": {"scrape": scrape}})).scrape
            sink, counts = Sink(), Counts()
            scraper = Scraper(config, sink, InFlight(50_000_000), SystemClock(), counts)
            task = asyncio.create_task(scraper.run())
            stack.push_async_callback(ended, task)
            return sink, counts, scraper

        yield run


async def ended(task):
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
