"""The supervisor with real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from davylamp.errors import StartError
from davylamp.supervisor import ProcessSpec, Supervisor
from telemetry.clock import SystemClock

GOOD = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print('noise'); print('ready {name} {{"port": 7}}', flush=True)
time.sleep(60)
"""
REFUSES = "import sys; sys.exit('port 1 is taken')"


def spec(name: str, code: str) -> ProcessSpec:
    return ProcessSpec(name, [sys.executable, "-c", code.format(name=name)])


@pytest.fixture
def supervise(tmp_path):
    def make(*specs, tell=lambda *_: None):
        return Supervisor(
            specs, environ=os.environ, log_dir=tmp_path / "logs", clock=SystemClock(), tell=tell
        )

    return make


async def until(reached):
    async with asyncio.timeout(20):
        while not reached():  # noqa: ASYNC110 - the condition belongs to another process
            await asyncio.sleep(0.02)


async def test_ready_means_all_are_ready_and_facts_are_known(supervise):
    supervisor = supervise(spec("one", GOOD), spec("two", GOOD))
    await supervisor.start()
    assert supervisor.facts("two") == {"port": 7}
    pids = supervisor.pid("one"), supervisor.pid("two")
    await supervisor.stop()
    assert (supervisor.pid("one"), supervisor.pid("two")) == (None, None)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_killed_process_is_started_again(supervise):
    said = []
    supervisor = supervise(spec("one", GOOD), tell=lambda name, what: said.append(what))
    await supervisor.start()
    first = supervisor.pid("one")
    os.kill(first, signal.SIGKILL)
    await until(lambda: said.count("ready again") == 1)
    assert supervisor.pid("one") not in (None, first)
    assert supervisor.starts("one") == 2
    await supervisor.stop()
    assert said == ["ready", "died, starting again", "ready again"]


async def test_a_process_that_cannot_start_ends_the_start_with_its_words(supervise):
    supervisor = supervise(spec("one", GOOD), spec("two", REFUSES))
    with pytest.raises(StartError, match="two: port 1 is taken"):
        await supervisor.start()
    await supervisor.stop()
    assert supervisor.pid("one") is None
