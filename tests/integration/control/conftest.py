"""A receiver on a real socket that answers as told, a ledger on disk, a deliverer between them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from analysis.config import EndpointConfig
from analysis.decisions.database import Database
from analysis.decisions.ledger import Ledger
from analysis.decisions.records import Arm, DecisionDraft, Declaration
from analysis.decisions.states import Action
from analysis.metrics import Metrics
from analysis.webhooks.deliver import Deliverer
from analysis.webhooks.events import Addressing
from bench.rollback.postgres import Postgres, missing
from telemetry.clock import SystemClock

ROOT = Path(__file__).parents[3]
RUN_CHILD = Path(__file__).with_name("run_child.py")
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
TOKEN = "a-token-of-this-test"
DEADLINE_S = 20.0


@dataclass
class Request:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes
    unix_nano: int


@dataclass
class Receiver:
    """Answers every request by ``answer(number)``; keeps what arrived."""

    answer: Callable[[int], web.Response | web.StreamResponse | None] = lambda _: web.Response()
    hang: Callable[[int], bool] = lambda _: False
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def start(self, port: int = 0):
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self):
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.Request):
        number = len(self.requests)
        body = await request.read()
        self.requests.append(
            Request(
                request.path,
                {name.lower(): value for name, value in request.headers.items()},
                body,
                SystemClock().wall_unix_nano(),
            )
        )
        if self.hang(number):
            await asyncio.sleep(3600)
        return self.answer(number)


async def until(condition: Callable[[], object], deadline_s: float = DEADLINE_S):
    """Wait until ``condition()`` is true and return it; fail after the deadline."""
    try:
        async with asyncio.timeout(deadline_s):
            while not (found := condition()):  # noqa: ASYNC110 - any condition, not our event
                await asyncio.sleep(0.005)
            return found
    except TimeoutError:
        pytest.fail(f"not within {deadline_s} s")


@pytest.fixture
async def receiver():
    """Listening on a free port; a test sets ``answer``."""
    made = await Receiver().start()
    yield made
    await made.stop()


@pytest.fixture
def secret_file(tmp_path):
    path = tmp_path / "webhook.secret"
    path.write_text(SECRET + "\n")
    return path


@pytest.fixture
def wait():
    return until


@dataclass
class Control:
    """A ledger and a deliverer as the process has them."""

    ledger: Ledger
    endpoint: EndpointConfig
    metrics: Metrics
    deliverer: Deliverer
    clock: SystemClock
    _numbers: itertools.count = field(default_factory=itertools.count)

    def decide(self, service: str = "playback", *, mode: str = "act", action="rollback"):
        """A canary declared and concluded; returns its decision."""
        return decide(self.ledger, self.clock, next(self._numbers), service, mode, action)

    def delivery(self, decision):
        (found,) = self.ledger.outbox.deliveries(decision.decision_id)
        return found

    def value(self, name: str, **labels) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


def declaration(number: int, service: str = "playback", now: int = 1_700_000_000_000_000_000):
    return Declaration(
        deployment_id=f"{service}-{number}",
        environment="demo",
        service=service,
        baseline=Arm("1.0.0", "sha256:aaaa", ("b-1", "b-2")),
        canary=Arm("1.1.0", "sha256:bbbb", ("c-1", "c-2")),
        started_unix_nano=now,
        expires_unix_nano=now + 900 * 10**9,
    )


def look(index: int, now: int, verdict: str = "fail", *, final: bool = True):
    return {
        "index": index,
        "unix_nano": now,
        "verdict": verdict,
        "final": final,
        "reason": "regression",
        "summary": "The canary is worse.",
        "culprit_metric": "start_failures",
        "culprit_split": None,
    }


def decide(ledger, clock, number, service="playback", mode="act", action="rollback"):
    now = clock.wall_unix_nano()
    told = declaration(number, service, now)
    ledger.declare(told)
    ledger.start_judging(told.deployment_id, "rule", "f" * 64)
    verdict, state = ("fail", "failed") if action == "rollback" else ("pass", "passed")
    draft = DecisionDraft(Action(action), mode, verdict, "Because.", "start_failures", None)
    seen = look(0, now, verdict)
    return ledger.conclude(told.deployment_id, seen, {"looks": 1}, state, draft)


@pytest.fixture
async def start_control(tmp_path, secret_file):
    """``await start_control(url, lifetime_s=..)`` -> Control with a running deliverer."""
    running = []

    async def start(url: str, *, lifetime_s: float = 900.0, endpoint_id: str = "deployer"):
        clock = SystemClock()
        endpoint = EndpointConfig(endpoint_id, url, secret_file, ("127.0.0.0/8",), plain_http=False)
        addressing = Addressing("deployer", url, "http://127.0.0.1:1", lifetime_s)
        ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", clock, addressing)
        metrics = Metrics(CollectorRegistry())
        rng = np.random.default_rng(7)
        deliverer = Deliverer(ledger, [endpoint], clock, rng, metrics)
        await deliverer.start()
        running.append((deliverer, ledger))
        return Control(ledger, endpoint, metrics, deliverer, clock)

    yield start
    for deliverer, ledger in running:
        await deliverer.stop()
        ledger.close()


@dataclass
class Process:
    """A real analysis process; ``port`` is its API's."""

    popen: subprocess.Popen
    port: int
    stderr: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self):
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait(10)

    def terminate(self) -> int:
        self.popen.terminate()
        return self.popen.wait(10)


@contextlib.contextmanager
def processes(folder: Path):
    """``start(receiver_url, ...)`` runs analysis.server in a process until the block ends."""
    token_file, secret_file = folder / "api.token", folder / "webhook.secret"
    token_file.write_text(TOKEN + "\n")
    secret_file.write_text(SECRET + "\n")
    started = []

    def start(receiver_url: str, *, mode: str = "act", port: int = 0, **changes) -> Process:
        settings = {
            "host": "127.0.0.1",
            "api_port": port,
            "database_url": f"sqlite:///{folder / 'ledger.db'}",
            "api_token_file": str(token_file),
            "secret_file": str(secret_file),
            "url": receiver_url,
            "mode": mode,
            **changes,
        }
        stderr = folder / f"stderr-{len(started)}"
        with stderr.open("w") as errors:
            popen = subprocess.Popen(
                [sys.executable, str(RUN_CHILD), json.dumps(settings)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        started.append(popen)
        line = popen.stdout.readline()
        if not line.startswith("ready analysis "):
            popen.wait(10)
            return Process(popen, 0, stderr)
        return Process(popen, json.loads(line.removeprefix("ready analysis "))["api_port"], stderr)

    try:
        yield start
    finally:
        for popen in started:
            with contextlib.suppress(ProcessLookupError):
                popen.kill()
            popen.wait(10)
            popen.stdout.close()


@pytest.fixture
def start_process(tmp_path):
    """Processes on this test's folder."""
    with processes(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory):
    """Of the module's processes."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def start_shared(shared_folder):
    """Processes that live as long as the module's tests."""
    with processes(shared_folder) as start:
        yield start


@pytest.fixture(scope="module")
def shared_process(start_shared):
    """One process for all tests of a module that leave nothing behind."""
    return start_shared("http://127.0.0.1:9/nobody")


@pytest.fixture
def helpers():
    """Plain functions for tests that need no deliverer."""

    class Helpers:
        declaration = staticmethod(declaration)
        look = staticmethod(look)
        decide = staticmethod(decide)
        token = TOKEN
        secret = SECRET

    return Helpers


@pytest.fixture(scope="session")
def postgres():
    """A server of our own; every test has a database of its own in it."""
    if reason := missing():
        pytest.skip(reason)
    with Postgres() as server:
        # Made once, copied for each test.
        Database(server.new_database()).close()
        yield server


@pytest.fixture
def postgres_url(postgres):
    """A migrated, empty database."""
    return postgres.new_database("test_1")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """The same test on both engines."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def open_ledger(tmp_path):
    """``open_ledger(clock)`` opens the test's ledger, again after ``close()``."""
    opened = []

    def start(clock=None, *, lifetime_s: float = 900.0, url: str | None = None):
        addressing = Addressing(
            "deployer", "http://127.0.0.1:9/x", "http://127.0.0.1:1", lifetime_s
        )
        path = url or f"sqlite:///{tmp_path / 'ledger.db'}"
        ledger = Ledger.open(path, clock or SystemClock(), addressing)
        opened.append(ledger)
        return ledger

    yield start
    for ledger in opened:
        ledger.close()
