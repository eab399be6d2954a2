"""One seeded load of Prometheus samples, sent alike to whoever takes remote-write.

Series are a mixture of what services show: 25 % constants, 35 % counters of whole numbers, 10 % of
fractions, 15 % histogram buckets, 15 % gauges with three decimals or of bytes. Each is scraped
every 15 s, 2,000 a request, over two connections that own half of the requests each.
"""

from __future__ import annotations

import http.client
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from collector.samples.labels import spelled, varint
from collector.samples.snappy import compress_block

SCRAPE_INTERVAL_MS = 15_000
SERIES_PER_REQUEST = 2_000
CONNECTIONS = 2
QUEUE = 8
METRICS = (
    b"http_server_request_duration_seconds_bucket", b"http_server_requests_total",
    b"process_resident_memory_bytes", b"playback_starts_total", b"cdn_bytes_total",
    b"grpc_server_handled_total", b"db_pool_in_use", b"queue_depth",
)  # fmt: skip
HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


def labels_of(number: int) -> tuple[tuple[bytes, bytes], ...]:
    """Eight labels, sorted; the instance is a target of 250 series."""
    target = number // 250
    pairs = {
        b"__name__": METRICS[number % len(METRICS)],
        b"cluster": b"c1",
        b"deployment_canary": b"baseline" if number % 20 else b"canary",
        b"http_route": b"/v1/r%d" % (number % 97),
        b"instance": b"10.%d.%d.%d:9090" % (target // 65536, target // 256 % 256, target % 256),
        b"job": b"svc-%d" % (number // 1250),
        b"le": b"%.2f" % (number % 250 * 0.05),
        b"region": b"region-%d" % (number % 6),
    }
    return tuple(sorted(pairs.items()))


class Values:
    """The numbers of all series, scrape after scrape."""

    def __init__(self, series: int, seed: int, start_ms: int) -> None:
        self._rng = rng = np.random.default_rng(seed)
        kind = rng.random(series)
        self._is_counter = (kind >= 0.25) & (kind < 0.60)
        self._is_fraction = (kind >= 0.60) & (kind < 0.70)
        self._is_bucket = (kind >= 0.70) & (kind < 0.85)
        self._is_gauge = kind >= 0.85
        self._is_bytes = self._is_gauge & (rng.random(series) < 0.3)
        self._rate = 10 ** rng.uniform(-2, 2.3, series)
        self._bucket_rate = 10 ** rng.uniform(-2, 1, series)
        whole = rng.integers(0, 10**6, series).astype(float)
        values = np.where(self._is_counter | self._is_bucket, whole, np.round(whole / 1e3))
        values = np.where(self._is_fraction, np.round(rng.uniform(0, 1e4, series), 6), values)
        values = np.where(self._is_gauge, np.round(rng.uniform(0, 100, series), 3), values)
        self._values = np.where(self._is_bytes, rng.integers(10**6, 10**9, series) * 4096.0, values)
        offsets_ms = rng.integers(0, SCRAPE_INTERVAL_MS, series // 250 + 1)
        self._next_ms = start_ms + offsets_ms[np.arange(series) // 250]

    def step(self) -> tuple[np.ndarray, np.ndarray]:
        """Times (ms) and values of one scrape."""
        rng, size = self._rng, len(self._values)
        values = self._values
        values = values + np.where(self._is_counter, rng.poisson(self._rate), 0)
        values = values + np.where(self._is_bucket, rng.poisson(self._bucket_rate), 0)
        more = np.round(rng.gamma(1.0, 0.5, size) * self._rate * 0.05, 6)
        values = np.where(self._is_fraction, np.round(values + more, 6), values)
        drifting = self._is_gauge & ~self._is_bytes
        values = np.where(drifting, np.round(values + rng.normal(0, 0.5, size), 3), values)
        pages = 4096 * np.round(rng.normal(0, 200, size))
        self._values = np.where(self._is_bytes, values + pages, values)
        times = self._next_ms.copy()
        self._next_ms += SCRAPE_INTERVAL_MS
        return times, self._values


class Requests:
    """Bodies made by writing times and values into a template."""

    def __init__(self, series: int) -> None:
        self._templates = [
            self._template(first, min(series, first + SERIES_PER_REQUEST))
            for first in range(0, series, SERIES_PER_REQUEST)
        ]

    @staticmethod
    def _template(first: int, behind: int):
        body, value_at, time_at = bytearray(), [], []
        for number in range(first, behind):
            labels = spelled(labels_of(number))
            body += b"\x0a" + varint(len(labels) + 18) + labels + b"\x12\x10\x09"
            value_at.append(len(body))
            body += bytes(8) + b"\x10"
            time_at.append(len(body))
            body += bytes(6)
        values = np.array(value_at)[:, None] + np.arange(8)
        times = np.array(time_at)[:, None] + np.arange(6)
        return first, behind, np.frombuffer(body, np.uint8).copy(), values, times

    def of(self, times_ms: np.ndarray, values: np.ndarray) -> Iterator[tuple[bytes, int]]:
        """(body, samples) of every request of a scrape."""
        value_bytes = np.ascontiguousarray(values).view(np.uint8).reshape(-1, 8)
        time_bytes = (times_ms[:, None] >> (7 * np.arange(6))) & 0x7F
        time_bytes[:, :5] |= 0x80
        for first, behind, body, value_at, time_at in self._templates:
            body[value_at] = value_bytes[first:behind]
            body[time_at] = time_bytes[first:behind].astype(np.uint8)
            yield compress_block(body.tobytes()), behind - first


@dataclass
class Sent:
    """What the load gave."""

    samples: int = 0
    wire_bytes: int = 0
    wall_s: float = 0.0
    statuses: Counter = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)

    def latency_s(self, quantile: float) -> float:
        return float(np.quantile(self.latencies_s, quantile))


def send(
    port: int, path: str, *, series: int, scrapes: int, seed: int, end_ms: int | None = None
) -> Sent:
    """All of it, as fast as the receiver takes it; times end now, or at ``end_ms``."""
    end_ms = time.time_ns() // 1_000_000 if end_ms is None else end_ms
    start_ms = end_ms - (scrapes + 1) * SCRAPE_INTERVAL_MS
    values, requests, sent = Values(series, seed, start_ms), Requests(series), Sent()
    queues: list[queue.Queue] = [queue.Queue(QUEUE) for _ in range(CONNECTIONS)]

    def work(mine: queue.Queue) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while (body := mine.get()) is not None:
            while True:
                began_s = time.perf_counter()
                connection.request("POST", path, body, HEADERS)
                reply = connection.getresponse()
                reply.read()
                sent.latencies_s.append(time.perf_counter() - began_s)
                sent.statuses[reply.status] += 1
                if reply.status != 429:
                    break
                time.sleep(0.2)  # told to wait

    threads = [threading.Thread(target=work, args=(mine,)) for mine in queues]
    for thread in threads:
        thread.start()
    began_s = time.perf_counter()
    for _ in range(scrapes):
        for index, (body, count) in enumerate(requests.of(*values.step())):
            queues[index % CONNECTIONS].put(body)
            sent.samples += count
            sent.wire_bytes += len(body)
    for mine in queues:
        mine.put(None)
    for thread in threads:
        thread.join()
    sent.wall_s = time.perf_counter() - began_s
    return sent
