"""What a collector costs at the sample system's load: many small requests.

python -m bench.collector.demo_load --senders 15 --spans-per-s 1000 --seconds 30

Fifteen services send traces and metrics once a second over OTLP/HTTP. Printed are the CPU seconds
the collector's process took per second, idle and loaded, and how long acknowledgements took. The
sender runs on the same cores, so only the CPU figures are comparable between machines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import numpy as np

from collector.testing import metrics_request, resource, trace_request

PROTOBUF = {"content-type": "application/x-protobuf"}
BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0]
METRICS_PER_SENDER = 12
POINTS_PER_METRIC = 5


@contextmanager
def running_collector() -> Iterator[tuple[subprocess.Popen[str], dict[str, int]]]:
    """A collector with default settings on free ports and a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        ports = ("OTLP_GRPC_PORT", "OTLP_HTTP_PORT", "API_PORT")
        environment = {f"DAVYLAMP_COLLECTOR__{name}": "0" for name in ports}
        process = subprocess.Popen(
            [sys.executable, "-m", "davylamp", "run", "collector"],
            env={**os.environ, **environment, "DAVYLAMP_DAVYLAMP__STATE_DIR": folder},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline().split(" ", 2)[2])
        finally:
            process.terminate()
            process.wait(20)


def cpu_s(process: subprocess.Popen[str]) -> float:
    """CPU seconds of all threads since the start."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def traces(sender: int, span_count: int, now: int) -> bytes:
    """Server and client spans with ten attributes each."""
    spans = [
        {
            "trace_id": os.urandom(16),
            "span_id": os.urandom(8),
            "parent": os.urandom(8),
            "name": f"GET /r{index % 8}",
            "kind": 2 + index % 2,
            "start": now - index * 1_000_000,
            "duration_ns": 1_000_000 * (1 + index % 20),
            "attributes": {
                "http.request.method": "GET",
                "http.route": f"/r{index % 8}",
                "http.response.status_code": 200,
                "url.scheme": "http",
                "server.address": "127.0.0.1",
                "server.port": 8000,
                "network.protocol.version": "1.1",
                "davylamp.canary.cohort": "baseline",
                "deployment.id": "d1",
                "playback.device.class": "tv",
            },
        }
        for index in range(span_count)
    ]
    return trace_request(service_of(sender), spans).SerializeToString()


def metrics(sender: int, now: int) -> bytes:
    """Cumulative histograms and counters, as an SDK sends them."""
    body = b""
    for number in range(METRICS_PER_SENDER):
        kind = "histogram" if number % 2 else "sum"
        points = [
            {
                "time": now,
                "start": now - 60_000_000_000,
                "attributes": {"http.route": f"/r{point}", "http.request.method": "GET"},
                "value": 5,
                "count": 100,
                "sum": 3.0,
                "bounds": BOUNDS,
                "counts": [100] + [0] * len(BOUNDS),
            }
            for point in range(POINTS_PER_METRIC)
        ]
        request = metrics_request(service_of(sender), f"metric.{number}", kind, points)
        body += request.SerializeToString()
    return body


def service_of(sender: int) -> dict[str, str]:
    """Six services share the senders."""
    return resource(f"service-{sender % 6}", instance=f"i-{sender}")


async def send(
    sender: int, senders: int, span_count: int, ends_s: float, url: str, acks_s: list[float]
) -> int:
    """Both signals once a second until the end; returns the items sent."""
    items = 0
    async with aiohttp.ClientSession(url, headers=PROTOBUF) as session:
        await asyncio.sleep(sender / senders)
        while time.monotonic() < ends_s:
            began_s = time.monotonic()
            now = time.time_ns()
            for path, body in (
                ("/v1/traces", traces(sender, span_count, now)),
                ("/v1/metrics", metrics(sender, now)),
            ):
                asked_s = time.monotonic()
                async with session.post(path, data=body) as answer:
                    assert (answer.status, await answer.read()) == (200, b"")
                acks_s.append(time.monotonic() - asked_s)
            items += span_count + METRICS_PER_SENDER * POINTS_PER_METRIC
            await asyncio.sleep(max(0.0, began_s + 1.0 - time.monotonic()))
    return items


async def loaded(
    senders: int, span_count: int, seconds: float, url: str
) -> tuple[int, list[float]]:
    """Items acknowledged and the time each acknowledgement took."""
    acks_s: list[float] = []
    ends_s = time.monotonic() + seconds
    sent = await asyncio.gather(
        *(send(one, senders, span_count, ends_s, url, acks_s) for one in range(senders))
    )
    return sum(sent), acks_s


def main() -> int:
    """Print the figures, as one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--senders", type=int, default=15)
    parser.add_argument("--spans-per-s", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--quick", action="store_true", help="8 seconds")
    args = parser.parse_args()
    seconds = 8.0 if args.quick else args.seconds
    span_count = args.spans_per_s // args.senders
    with running_collector() as (process, ports):
        url = f"http://127.0.0.1:{ports['otlp_http_port']}"
        time.sleep(2.0)  # what happens once after the start is not the idle cost
        idle_from_s = cpu_s(process)
        time.sleep(seconds / 2)
        idle = (cpu_s(process) - idle_from_s) / (seconds / 2)
        asyncio.run(loaded(args.senders, span_count, 3.0, url))
        from_s, began_s = cpu_s(process), time.monotonic()
        items, acks_s = asyncio.run(loaded(args.senders, span_count, seconds, url))
        took_s = time.monotonic() - began_s
        cpu_per_s = (cpu_s(process) - from_s) / took_s
    p50_s, p99_s = np.quantile(acks_s, (0.5, 0.99)).tolist()
    figures = {
        "idle_cpu_s_per_s": round(idle, 4),
        "loaded_cpu_s_per_s": round(cpu_per_s, 4),
        "items_per_s": round(items / took_s, 1),
        "requests_per_s": round(len(acks_s) / took_s, 1),
        "ack_p50_s": round(p50_s, 4),
        "ack_p99_s": round(p99_s, 4),
    }
    print("\n".join(f"{name:20} {value}" for name, value in figures.items()))
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
