"""The real processes on free ports, with the small profile and a fresh folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from davylamp import config, processes
from davylamp.clients import Clients
from davylamp.errors import NoAnswerError
from davylamp.supervisor import Supervisor
from telemetry.clock import SystemClock

FREE_PORTS = {
    "collector": {"otlp_grpc_port": 0, "otlp_http_port": 0, "api_port": 0},
    "analysis": {"api_port": 0},
    "dashboards": {"port": 0},
    "samples": {"controller_port": 0, "edge_port": 0},
}
TINY = {"samples": {"profile": "tiny"}}


def pytest_collection_modifyitems(items):
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(420))


@dataclass
class Running:
    """The platform at work."""

    settings: config.Settings
    supervisor: Supervisor
    clients: Clients

    async def until(
        self, ask: Callable[[], Any], reached: Callable[[Any], bool], deadline_s: float
    ):
        """Ask until the answer is as wanted; the last answer is in the failure's message."""
        answer = None
        try:
            async with asyncio.timeout(deadline_s):
                while True:
                    try:
                        answer = await ask()
                        if reached(answer):
                            return answer
                    except NoAnswerError as silence:
                        # A process that starts again does not answer for a while.
                        answer = silence
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pytest.fail(f"not within {deadline_s} s; last: {str(answer)[:2000]}")

    async def viewers_are_served(self):
        await self.until(self.clients.traffic, lambda t: t.get("plays_success", 0) > 100, 60)

    async def instance_pid(self, service: str) -> int:
        listed = await self.clients.instances()
        return next(one["pid"] for one in listed if one["spec"]["service"] == service)


@asynccontextmanager
async def platform(tmp_path, names=processes.WITH_SAMPLES, values=TINY):
    wanted = {section: dict(keys) for section, keys in FREE_PORTS.items()}
    for section, keys in values.items():
        wanted.setdefault(section, {}).update(keys)
    wanted["davylamp"] = {"state_dir": str(tmp_path / "state")}
    settings = processes.settle_ports(config.load_settings(environ={}).with_values(wanted))
    supervisor = processes.prepare(
        settings, [], names, SystemClock(), lambda *_: None, overrides=wanted
    )
    try:
        await supervisor.start()
        async with Clients(settings) as clients:
            yield Running(settings, supervisor, clients)
    finally:
        await supervisor.stop()


@pytest.fixture
def start_platform(tmp_path):
    """``async with start_platform(...) as running``; everything is stopped afterwards."""

    def make(**options):
        return platform(tmp_path, **options)

    return make
