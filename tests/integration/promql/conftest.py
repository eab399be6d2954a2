"""The API over a real store in its own process, and Debian's Prometheus to hold it against."""

from __future__ import annotations

import itertools
import json
import math
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from collector.promql.labels import NAME, label
from collector.promql.strings import format_general

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SECOND_NS = 1_000_000_000
DELTA, CUMULATIVE = 1, 2
DEADLINE_S = 60.0


class Api:
    """GET and POST of one base address; answers are (status, JSON or text)."""

    def __init__(self, base: str) -> None:
        self.base = base

    def get(self, path: str, fields=(), **more):
        pairs = [*dict(fields).items(), *more.items()] if isinstance(fields, dict) else [
            *fields, *more.items()
        ]  # fmt: skip
        query = urllib.parse.urlencode(pairs, doseq=True)
        return self._ask(urllib.request.Request(f"{self.base}{path}?{query}"))

    def post(self, path: str, body: bytes | dict, **headers):
        raw = body if isinstance(body, bytes) else urllib.parse.urlencode(body, doseq=True).encode()
        request = urllib.request.Request(f"{self.base}{path}", data=raw, headers=headers)
        return self._ask(request)

    @staticmethod
    def _ask(request):
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
                status, raw, kind = answer.status, answer.read(), answer.headers["content-type"]
        except urllib.error.HTTPError as error:
            status, raw, kind = error.code, error.read(), error.headers["content-type"]
        return status, json.loads(raw) if "json" in (kind or "") else raw.decode()


class Serving(Api):
    """The child process: ``insert`` stores OTLP messages, every call sees them at once."""

    def __init__(self, child: subprocess.Popen, folder: Path) -> None:
        word, port = child.stdout.readline().split()
        assert word == "ready"
        super().__init__(f"http://127.0.0.1:{port}/prometheus")
        self.closed_edge = Api(f"http://127.0.0.1:{port}/prometheus2")
        self.self_metrics = Api(f"http://127.0.0.1:{port}/metrics/")
        self._child, self._folder = child, folder
        self._numbers = itertools.count()

    def insert(self, *messages) -> int:
        token = f"segment-{next(self._numbers)}"
        path = self._folder / token
        path.write_bytes(b"".join(framed(message.SerializeToString()) for message in messages))
        self._child.stdin.write(f"{path} {token}\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline().strip()
        assert answer.isdigit(), answer
        return int(answer)


@pytest.fixture(scope="session")
def serving(tmp_path_factory):
    folder = tmp_path_factory.mktemp("promql")
    child = subprocess.Popen(
        [sys.executable, str(HERE / "serve_child.py"), str(folder / "store")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        yield Serving(child, folder)
        child.stdin.close()
        assert child.wait(DEADLINE_S) == 0
    finally:
        child.kill()
        child.wait()


_hours = itertools.count()


@pytest.fixture
def t0_s():
    """Start of an hour no other test uses, in the past so that nothing is ahead of the clock."""
    return 1_780_000_000 + 7200 * next(_hours)


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def framed(body: bytes) -> bytes:
    """One record of the write-ahead log."""
    payload = b"DLW1" + struct.pack("<III", len(body), zlib.crc32(body), 0)
    return varint(15000 << 3 | 2) + varint(len(payload)) + payload + body


def fill(attributes, values: dict) -> None:
    for key, value in values.items():
        item = attributes.add()
        item.key = key
        item.value.string_value = value


def metric(resource: dict, name: str, unit: str, kind: str, points: list[dict], temporality=2):
    """A request with one metric; every point has ``time_s`` and what its kind carries."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    fill(group.resource.attributes, resource)
    made = group.scope_metrics.add().metrics.add()
    made.name, made.unit = name, unit
    data = getattr(made, "sum" if kind == "up_down" else kind)
    if kind != "gauge":
        data.aggregation_temporality = temporality
    if kind == "sum":
        data.is_monotonic = True
    for given in points:
        point = data.data_points.add()
        fill(point.attributes, given.get("attributes", {}))
        point.time_unix_nano = round(given["time_s"] * 1000) * 1_000_000
        point.flags = given.get("flags", 0)
        if "value" in given:
            point.as_double = given["value"]
        for field in ("count", "sum", "scale", "zero_count"):
            if field in given:
                setattr(point, field, given[field])
        if "bounds" in given:
            point.explicit_bounds.extend(given["bounds"])
            point.bucket_counts.extend(given["counts"])
        elif "counts" in given:
            point.positive.offset = given["offset"]
            point.positive.bucket_counts.extend(given["counts"])
    return request


@pytest.fixture
def otlp():
    """The builder above (files here are not a package)."""
    return metric


def find_prometheus() -> tuple[Path, str]:
    """A folder with ``prometheus`` and ``promtool``, or why there is none.

    Debian's package is unpacked, not installed; the copy is kept for the next run.
    """
    for name in ("prometheus", "promtool"):
        if shutil.which(name) is None:
            break
    else:
        return Path(shutil.which("prometheus")).parent, ""
    cache = ROOT / ".davylamp" / "debian-prometheus"
    folder = cache / "usr" / "bin"
    if not (folder / "prometheus").exists():
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            return folder, "no prometheus on the path and no apt-get to fetch Debian's"
        cache.mkdir(parents=True, exist_ok=True)
        for command in (
            ["apt-get", "download", "-qq", "prometheus"],
            ["sh", "-c", "dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb"],
        ):
            done = subprocess.run(command, cwd=cache, capture_output=True, check=False, timeout=100)
            if done.returncode:
                return folder, f"{command[0]} failed: {done.stderr.decode()[-200:]}"
    return folder, ""


@pytest.fixture(scope="session")
def prometheus_bin():
    folder, problem = find_prometheus()
    if problem:
        pytest.skip(problem)
    return folder


@pytest.fixture(scope="session")
def run_prometheus(prometheus_bin, tmp_path_factory):
    """Starts Debian's Prometheus over given series; answers with its API."""
    started = []

    def start(series) -> Api:
        folder = tmp_path_factory.mktemp("prometheus")
        text = folder / "series.txt"
        text.write_text(open_metrics(series), encoding="utf-8")
        subprocess.run(
            [prometheus_bin / "promtool", "tsdb", "create-blocks-from", "openmetrics", text,
             folder / "data"], check=True, capture_output=True,
        )  # fmt: skip
        (folder / "prometheus.yml").write_text("global: {}\n")
        port = free_port()
        process = subprocess.Popen(
            [
                prometheus_bin / "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--storage.tsdb.retention.time=100y",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=error",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        started.append(process)
        wait_until_ready(f"http://127.0.0.1:{port}/-/ready", process)
        return Api(f"http://127.0.0.1:{port}")

    yield start
    for process in started:
        process.terminate()
        process.wait(DEADLINE_S)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_ready(address: str, process: subprocess.Popen) -> None:
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"{address} does not get ready")


def open_metrics(series) -> str:
    """The series in OpenMetrics text, by metric."""
    lines, previous = [], None
    for labels, (times, values) in sorted(series.items()):
        name = label(labels, NAME)
        if name != previous:
            lines.append(f"# TYPE {name} unknown")
            previous = name
        inner = ",".join(f'{key}="{value}"' for key, value in labels if key != NAME)
        for time_ms, value in zip(times.tolist(), values.tolist(), strict=True):
            text = str(value) if math.isfinite(value) else format_general(value)
            lines.append(f"{name}{{{inner}}} {text} {time_ms / 1000:.3f}")
    return "\n".join([*lines, "# EOF\n"])
