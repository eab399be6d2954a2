"""A fleet that sends OTLP second by second, a collector in its own process, a real ledger."""

from __future__ import annotations

import asyncio
import itertools
import struct
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from analysis.decisions.ledger import Ledger
from analysis.decisions.policy import Modes
from analysis.decisions.records import Arm, Declaration
from analysis.reading.client import CollectorClient
from analysis.runner.feedback import Feedback
from analysis.runner.runner import Runner, load_rules
from analysis.webhooks.events import Addressing
from davylamp.config import analysis_config, load_settings
from telemetry.clock import FixedClock, SystemClock
from telemetry.provider import assemble
from telemetry.settings import TelemetrySettings
from telemetry.tally import StatsCounter

SECOND_NS = 1_000_000_000
FIRST_UNIX_NANO = 1_790_000_000 * SECOND_NS
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
DEVICES = ("tv", "tv-legacy", "computer", "phone", "tablet")
DEVICE_SHARES = (0.50, 0.20, 0.15, 0.10, 0.05)
SCALE = 4

SHIPPED = analysis_config(load_settings((), {})).runner
RUNNER = replace(
    SHIPPED,
    fleet_backfill_s=300,
    fleet_stale_s=15.0,
    reading=replace(SHIPPED.reading, prime_s=30),
)


class CollectorProcess:
    """The child; ``kill()`` and ``start()`` keep port and folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("collector_child.py")),
            str(self._folder),
            str(self.port),
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            self.port = int(await self._process.stdout.readline())

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def insert(self, requests: list[ExportMetricsServiceRequest]) -> None:
        bodies = [request.SerializeToString() for request in requests]
        raw = b"".join(struct.pack(">I", len(body)) + body for body in bodies)
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/insert", data=raw) as reply,
        ):
            assert reply.status == 200, await reply.text()


@pytest.fixture(scope="session")
def collector_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("collector")


@pytest.fixture
async def collector(tmp_path):
    process = CollectorProcess(tmp_path)
    await process.start()
    yield process
    await process.kill()


@dataclass
class Behaviour:
    """What an arm does to its viewers."""

    failure_ratio: float = 0.006
    legacy_failure_ratio: float = 0.006
    error_ratio: float = 0.002
    slower: float = 1.0
    is_heard: bool = True  # its own instances report
    plays_per_s: float = 12.0


@dataclass
class Sender:
    """One process with cumulative counters."""

    service: str
    version: str
    instance: str
    born_unix_nano: int
    is_alive: bool = True
    counters: dict = field(default_factory=dict)
    histograms: dict = field(default_factory=dict)
    exponentials: dict = field(default_factory=dict)

    def add(self, **attributes) -> None:
        key = tuple(sorted(attributes.items()))
        self.counters[key] = self.counters.get(key, 0) + 1

    def observe(self, seconds: float, **attributes) -> None:
        key = tuple(sorted(attributes.items()))
        counts = self.histograms.setdefault(key, [0] * (len(BOUNDS_S) + 1))
        counts[int(np.searchsorted(BOUNDS_S, seconds))] += 1

    def observe_exponential(self, seconds: float, **attributes) -> None:
        key = tuple(sorted(attributes.items()))
        index = int(np.ceil(np.log2(seconds) * 2**SCALE)) - 1
        counts = self.exponentials.setdefault(key, {})
        counts[index] = counts.get(index, 0) + 1

    def export(self, unix_nano: int) -> ExportMetricsServiceRequest:
        request = ExportMetricsServiceRequest()
        group = request.resource_metrics.add()
        for key, value in (
            ("service.name", self.service),
            ("service.version", self.version),
            ("service.instance.id", self.instance),
        ):
            item = group.resource.attributes.add()
            item.key, item.value.string_value = key, value
        metrics = group.scope_metrics.add().metrics
        self._export_counters(metrics, unix_nano)
        self._export_histograms(metrics, unix_nano)
        self._export_exponentials(metrics, unix_nano)
        return request

    def _point(self, points, key, unix_nano: int):
        point = points.add()
        point.time_unix_nano, point.start_time_unix_nano = unix_nano, self.born_unix_nano
        for name, value in key:
            item = point.attributes.add()
            item.key, item.value.string_value = name.replace("__", "."), str(value)
        return point

    def _export_counters(self, metrics, unix_nano: int) -> None:
        if self.counters:
            metric = metrics.add(name="playback.starts", unit="{start}")
            metric.sum.aggregation_temporality, metric.sum.is_monotonic = 2, True
            for key, value in self.counters.items():
                self._point(metric.sum.data_points, key, unix_nano).as_int = value

    def _export_histograms(self, metrics, unix_nano: int) -> None:
        if self.histograms:
            metric = metrics.add(name="http.server.request.duration", unit="s")
            metric.histogram.aggregation_temporality = 2
            for key, counts in self.histograms.items():
                point = self._point(metric.histogram.data_points, key, unix_nano)
                point.count, point.sum = sum(counts), float(sum(counts))
                point.explicit_bounds.extend(BOUNDS_S)
                point.bucket_counts.extend(counts)

    def _export_exponentials(self, metrics, unix_nano: int) -> None:
        if self.exponentials:
            metric = metrics.add(name="playback.startup.duration", unit="s")
            metric.exponential_histogram.aggregation_temporality = 2
            for key, counts in self.exponentials.items():
                point = self._point(metric.exponential_histogram.data_points, key, unix_nano)
                point.count, point.sum = sum(counts.values()), 1.0
                point.scale = SCALE
                low = min(counts)
                point.positive.offset = low
                point.positive.bucket_counts.extend(
                    counts.get(i, 0) for i in range(low, max(counts) + 1)
                )


class SampleFleet:
    """Edges and playback instances of one deployment; ``second()`` is one second of viewers."""

    def __init__(self, deployment_id: str, start_unix_nano: int, seed: int) -> None:
        self.deployment_id = deployment_id
        self.now_unix_nano = start_unix_nano
        self.rng = np.random.default_rng(seed)
        self.arms = {"baseline": Behaviour(), "canary": Behaviour()}
        self.stable = Behaviour(plays_per_s=24.0)
        self.edges = [self._new("edge", "5.1.0", f"edge-{zone}") for zone in "ab"]
        self.playback = {
            "baseline": [self._new("playback", "2.3.0", f"b-{i}") for i in range(2)],
            "canary": [self._new("playback", "2.4.0", f"c-{i}") for i in range(2)],
            "stable": [self._new("playback", "2.3.0", f"s-{i}") for i in range(2)],
        }
        self.sent = {"baseline": 0, "canary": 0}
        self.has_canary = True

    def _new(self, service: str, version: str, instance: str) -> Sender:
        name = f"{instance}-{self.deployment_id}"
        return Sender(service, version, name, self.now_unix_nano)

    def second(self) -> list[ExportMetricsServiceRequest]:
        """What everybody exports at the end of the next second."""
        if self.has_canary:
            for name, behaviour in self.arms.items():
                self._plays(name, behaviour)
        self._plays("stable", self.stable)
        begin, self.now_unix_nano = self.now_unix_nano, self.now_unix_nano + SECOND_NS
        requests = []
        for sender in [*self.edges, *itertools.chain(*self.playback.values())]:
            if sender.is_alive:
                phase = self.rng.uniform(0.85, 0.99)
                requests.append(sender.export(begin + int(phase * SECOND_NS)))
        return requests

    def _plays(self, name: str, behaviour: Behaviour) -> None:
        for sender in self.playback[name]:
            sender.is_alive = behaviour.is_heard and (name == "stable" or self.has_canary)
        arm = {}
        if name != "stable":
            arm = {"davylamp__canary__cohort": name, "deployment__id": self.deployment_id}
        for _ in range(self.rng.poisson(behaviour.plays_per_s)):
            self.sent[name] = self.sent.get(name, 0) + 1
            edge = self.edges[self.rng.integers(2)]
            instance = self.playback[name][self.rng.integers(2)]
            device = str(self.rng.choice(DEVICES, p=DEVICE_SHARES))
            status = 503 if self.rng.random() < behaviour.error_ratio else 200
            took_s = self.rng.lognormal(np.log(0.06), 0.6) * behaviour.slower
            instance.observe(took_s, http__response__status_code=status, **arm)
            is_legacy = device == "tv-legacy"
            ratio = behaviour.legacy_failure_ratio if is_legacy else behaviour.failure_ratio
            has_failed = status == 503 or self.rng.random() < ratio
            outcome = "failure_technical" if has_failed else "success"
            edge.add(playback__device__class=device, playback__outcome=outcome, **arm)
            if not has_failed:
                startup_s = self.rng.lognormal(np.log(0.8), 0.5) * behaviour.slower
                edge.observe_exponential(startup_s, playback__device__class=device, **arm)

    def declaration(self) -> Declaration:
        def arm(name: str, version: str) -> Arm:
            return Arm(version, f"sha256:{version}", tuple(s.instance for s in self.playback[name]))

        return Declaration(
            deployment_id=self.deployment_id,
            environment="demo",
            service="playback",
            baseline=arm("baseline", "2.3.0"),
            canary=arm("canary", "2.4.0"),
            started_unix_nano=self.now_unix_nano,
            expires_unix_nano=self.now_unix_nano + 900 * SECOND_NS,
        )


_seeds = itertools.count(1)


class Stage:
    """A fleet, a collector, a ledger and a runner, moved by hand one second at a time."""

    def __init__(self, collector: CollectorProcess, folder: Path) -> None:
        number = next(_seeds)
        self.collector = collector
        self.clock = FixedClock(FIRST_UNIX_NANO + number * 3_600 * SECOND_NS)
        self.fleet = SampleFleet(f"dep-{number}", self.clock.wall_unix_nano(), seed=number)
        addressing = Addressing("controller", "http://127.0.0.1:9/hook", "http://127.0.0.1:9", 900)
        self.ledger = Ledger.open(f"sqlite:///{folder / 'ledger.db'}", self.clock, addressing)
        self.is_cut = False  # nothing reaches the collector
        self.canary_config_path = ""  # the shipped rule
        self.kept: list = []
        self.runner: Runner | None = None
        self.client: CollectorClient | None = None

    async def new_runner(self, policy_path: str = "", objectives_path: str = "") -> Runner:
        """A runner as a fresh process would make it: it knows what the ledger knows."""
        config = replace(RUNNER, budget_policy_path=policy_path, objectives_path=objectives_path)
        if self.client is not None:
            await self.client.close()
        self.client = CollectorClient(self.collector.url, RUNNER.reading)
        await self.client.open()
        self.runner = Runner(
            self.ledger,
            self.client,
            Feedback(quiet_telemetry()),
            self.clock,
            config,
            rules=load_rules(config, self.canary_config_path),
            modes=Modes("act", {}),
            confirm_timeout_s=60.0,
        )
        return self.runner

    async def declare(self) -> str:
        self.fleet.now_unix_nano = self.clock.wall_unix_nano()
        await asyncio.to_thread(self.ledger.declare, self.fleet.declaration())
        return self.fleet.deployment_id

    async def second(self, *, look: bool = True) -> None:
        """One second of traffic arrives 0.4 s after its end; then everybody looks."""
        requests = self.fleet.second()
        self.clock.advance(1.0)
        if not self.is_cut:
            await self.collector.insert(requests)
        if look:
            self.clock.advance(0.4)
            await self.runner.look_at_canaries()
            self.clock.step_wall(-0.4)

    async def until_over(self, seconds: int) -> None:
        for _ in range(seconds):
            await self.second()
            if self.canary.is_over:
                return

    @property
    def canary(self):
        return self.ledger.canary(self.fleet.deployment_id)

    @property
    def last_look(self):
        return self.ledger.last_look(self.fleet.deployment_id)

    async def close(self) -> None:
        if self.client is not None:
            await self.client.close()
        self.ledger.close()


def quiet_telemetry():
    """Real providers that export nowhere."""
    settings = TelemetrySettings(
        service="davylamp-analysis",
        namespace=None,
        version=None,
        instance_id="test",
        environment=None,
        region=None,
        zone=None,
        extra_resource=(),
        traces_url="",
        metrics_url="",
        export_interval_s=60.0,
        span_delay_s=1.0,
        export_timeout_s=1.0,
        temporality="cumulative",
        cardinality_limit=2000,
        disabled=True,
    )
    return assemble(settings, stats=StatsCounter(), clock=SystemClock(), processors=(), readers=())


@pytest.fixture
async def stage(collector, tmp_path):
    made = Stage(collector, tmp_path)
    await made.new_runner()
    yield made
    await made.close()
