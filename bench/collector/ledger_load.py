"""Senders that know every item they sent, which were acknowledged, and what the store has."""

from __future__ import annotations

import http.client
import itertools
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bench.collector.process import Collector
from collector.promql.labels import make_labels
from collector.samples.snappy import compress_block
from collector.scrape.sample_sink import WriteRequests
from collector.scrape.samples import Batch
from collector.store.engine import open_store
from collector.testing import DELTA, metrics_request, resource, trace_request
from davylamp.config import collector_config, load_settings

SPANS_PER_BODY = 20
POINTS_PER_BODY = 20
PAUSE_S = 0.02
HEADERS = {"content-type": "application/x-protobuf"}


@dataclass(slots=True)
class Ledger:
    """Items by identity: a trace's id, (sender, time) of a point, with a slot of a sample."""

    sent: set[tuple[str, object]] = field(default_factory=set)
    acknowledged: set[tuple[str, object]] = field(default_factory=set)


class Sender(threading.Thread):
    """Sends new bodies one after the other, each again and again until it is acknowledged."""

    def __init__(self, number: int, target: Callable[[], Collector | None]) -> None:
        super().__init__(daemon=True)
        self.ledger = Ledger()
        self.retries = 0
        self.is_stopping = False
        self._whose = resource("durability", instance=f"sender-{number}")
        self._number = number
        self._target = target
        self._last_ns = 0
        self._last_ms = 0
        self._written = WriteRequests()

    def run(self) -> None:
        for turn in itertools.count():
            if self.is_stopping:
                return
            self._deliver(*(self._spans, self._points, self._samples)[turn % 3]())

    def _spans(self) -> tuple[str, bytes, list[tuple[str, object]]]:
        ids = [os.urandom(16) for _ in range(SPANS_PER_BODY)]
        spans = [{"trace_id": i, "span_id": i[:8], "start": time.time_ns()} for i in ids]
        body = trace_request(self._whose, spans).SerializeToString()
        return "traces", body, [("span", one.hex()) for one in ids]

    def _points(self) -> tuple[str, bytes, list[tuple[str, object]]]:
        first = max(time.time_ns(), self._last_ns + 1)
        times = range(first, first + POINTS_PER_BODY)
        self._last_ns = times[-1]
        points = [{"time": one, "start": one - 1, "value": 1} for one in times]
        request = metrics_request(self._whose, "durability.points", "sum", points, DELTA)
        items = [("point", (f"sender-{self._number}", one)) for one in times]
        return "metrics", request.SerializeToString(), items

    def _samples(self) -> tuple[str, bytes, list[tuple[str, object]]]:
        """One time for several series, of scraped or remote-written samples."""
        self._last_ms = max(time.time_ns() // 1_000_000, self._last_ms + 1)
        batch = Batch()
        items: list[tuple[str, object]] = []
        for slot in range(POINTS_PER_BODY):
            labels = {"__name__": "durability", "sender": str(self._number), "slot": str(slot)}
            batch.add(make_labels(labels), self._last_ms, 1.0)
            items.append(("sample", (str(self._number), str(slot), self._last_ms)))
        return "samples", compress_block(self._written.request(batch)), items

    def _deliver(self, signal: str, body: bytes, items: list[tuple[str, object]]) -> None:
        self.ledger.sent.update(items)
        while not self._is_acknowledged(signal, body):
            if self.is_stopping:
                return
            self.retries += 1
            time.sleep(PAUSE_S)
        self.ledger.acknowledged.update(items)

    def _is_acknowledged(self, signal: str, body: bytes) -> bool:
        collector = self._target()
        if collector is None:
            return False
        is_samples = signal == "samples"
        url = collector.api_url if is_samples else collector.http_url
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
        path = "/api/v1/write" if is_samples else f"/v1/{signal}"
        headers = {**HEADERS, "content-encoding": "snappy"} if is_samples else HEADERS
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        if answer.status in {200, 400} and said:
            raise AssertionError(f"an item was rejected: {said!r}")
        return answer.status in {200, 204}


def stored_items(state_dir: Path) -> dict[tuple[str, object], int]:
    """What a stopped collector's store has, with how often.

    Read by a process of its own: a process can have one store open in its life.
    """
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawned) as pool:
        return pool.submit(_stored_items, state_dir).result()


def _stored_items(state_dir: Path) -> dict[tuple[str, object], int]:
    settings = load_settings(environ={}).with_values({"davylamp": {"state_dir": str(state_dir)}})
    store = open_store(collector_config(settings).store)
    try:
        spans = store.query(
            "SELECT hex(trace_id) AS id, count() AS n FROM spans "
            "WHERE service_name = 'durability' GROUP BY trace_id"
        )
        points = store.query(
            "SELECT s.resource['service.instance.id'] AS who, p.time_unix_nano AS t, p.n AS n FROM "
            "(SELECT series_id, time_unix_nano, count() AS n FROM number_points "
            "GROUP BY series_id, time_unix_nano) AS p INNER JOIN "
            "(SELECT series_id, any(resource) AS resource FROM series "
            "WHERE metric_name = 'durability.points' GROUP BY series_id) AS s USING series_id"
        )
        samples = store.query(
            "SELECT s.label_values[indexOf(s.names, 'sender')] AS who, "
            "s.label_values[indexOf(s.names, 'slot')] AS slot, p.time_unix_ms AS t, p.n AS n FROM "
            "(SELECT series_id, time_unix_ms, count() AS n FROM samples "
            "GROUP BY series_id, time_unix_ms) AS p INNER JOIN "
            "(SELECT series_id, any(names) AS names, any(label_values) AS label_values "
            "FROM sample_series GROUP BY series_id) AS s USING series_id"
        )
    finally:
        store.close()
    found: dict[tuple[str, object], int] = {}
    for row in spans.to_pylist():
        found["span", row["id"].decode().lower()] = row["n"]
    for row in points.to_pylist():
        found["point", (row["who"].decode(), row["t"])] = row["n"]
    for row in samples.to_pylist():
        found["sample", (row["who"].decode(), row["slot"].decode(), row["t"])] = row["n"]
    return found


def judged(ledgers: list[Ledger], stored: dict[tuple[str, object], int]) -> dict[str, int]:
    """Acknowledged and lost, doubled, or never sent."""
    sent = set().union(*(one.sent for one in ledgers))
    acknowledged = set().union(*(one.acknowledged for one in ledgers))
    return {
        "acknowledged": len(acknowledged),
        "lost": len(acknowledged - stored.keys()),
        "doubled": sum(count > 1 for count in stored.values()),
        "never_sent": len(stored.keys() - sent),
    }
