"""Seeded OTLP of a small streaming platform, a second at a time, as the official messages.

Five services in two zones. Playback runs two versions: 1.9.3 as baseline and 2.4.0 as canary, whose
starts fail more often on old televisions.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SECOND_NS = 1_000_000_000
REGION = "eu-west"
ZONES = ("eu-west-1a", "eu-west-1b")
DEVICES = ("tv", "tv-legacy", "phone", "tablet", "computer")
DEPLOYMENT = "playback-2.4.0-7"
SERVER, CLIENT, CUMULATIVE = 2, 3, 2


class Traffic:
    """One audience; counters only ever grow, as a service's own do."""

    def __init__(self, *, seed: int, plays_per_s: float) -> None:
        self._rng = np.random.default_rng(seed)
        self._plays_per_s = plays_per_s
        self._starts: Counter[tuple[str, str, str, str]] = Counter()
        self._first_unix_nano: int | None = None

    def second(self, start_unix_nano: int) -> list:
        """The messages of one second: spans of all services, then playback counters."""
        self._first_unix_nano = self._first_unix_nano or start_unix_nano
        spans: dict[tuple[str, str, str], list] = {}
        for _ in range(int(self._rng.poisson(self._plays_per_s))):
            self._play(start_unix_nano, spans)
        for _ in range(int(self._rng.poisson(self._plays_per_s / 4))):
            self._browse(start_unix_nano, spans)
        traces = [trace_request(*who, what) for who, what in sorted(spans.items())]
        return [*traces, *self._counters(start_unix_nano + SECOND_NS)]

    def _play(self, second: int, spans: dict) -> None:
        rng = self._rng
        zone = ZONES[int(rng.random() < 0.45)]
        cohort = "canary" if rng.random() < 0.25 else "baseline"
        device = DEVICES[int(rng.choice(5, p=(0.35, 0.2, 0.25, 0.1, 0.1)))]
        failure = 0.006 + (0.3 if cohort == "canary" and device == "tv-legacy" else 0.0)
        is_bad = rng.random() < failure
        self._starts[zone, cohort, device, "failure_technical" if is_bad else "success"] += 1
        version = "2.4.0" if cohort == "canary" else "1.9.3"
        labels = {"davylamp.canary.cohort": cohort, "deployment.id": DEPLOYMENT}
        trace = Trace(rng, second, labels)
        took = float(rng.lognormal(np.log(0.06), 0.5))
        edge = trace.server("edge", zone, "3.1.0", "POST /play", took * 1.2 + 0.004, None)
        call = trace.client("edge", zone, "3.1.0", "POST", took * 1.1 + 0.002, edge, failed=is_bad)
        play = trace.server(
            "playback", zone, version, "POST /v1/sessions", took, call,
            error="manifest_unavailable" if is_bad else "",
        )  # fmt: skip
        for service, version_, share in (("profiles", "1.2.0", 0.2), ("steering", "0.9.1", 0.4)):
            out = trace.client("playback", zone, version, "GET", took * share, play)
            trace.server(service, zone, version_, f"GET /v1/{service}", took * share * 0.9, out)
        trace.into(spans)

    def _browse(self, second: int, spans: dict) -> None:
        rng = self._rng
        zone = ZONES[int(rng.random() < 0.45)]
        trace = Trace(rng, second, {})
        took = float(rng.lognormal(np.log(0.02), 0.7))
        edge = trace.server("edge", zone, "3.1.0", "GET /home", took * 1.3 + 0.003, None)
        call = trace.client("edge", zone, "3.1.0", "GET", took * 1.1, edge)
        is_bad = rng.random() < 0.02
        trace.server(
            "recommendations", zone, "5.0.2", "GET /v1/rows", took, call,
            error="timeout" if is_bad else "",
        )  # fmt: skip
        trace.into(spans)

    def _counters(self, now: int) -> list:
        requests = []
        for zone in ZONES:
            request = ExportMetricsServiceRequest()
            group = request.resource_metrics.add()
            fill(group.resource.attributes, resource("edge", zone, "3.1.0"))
            metric = group.scope_metrics.add().metrics.add()
            metric.name, metric.unit = "playback.starts", "{start}"
            metric.sum.is_monotonic = True
            metric.sum.aggregation_temporality = CUMULATIVE
            for (place, cohort, device, outcome), count in sorted(self._starts.items()):
                if place == zone:
                    point = metric.sum.data_points.add()
                    point.start_time_unix_nano = self._first_unix_nano
                    point.time_unix_nano = now - 1
                    point.as_int = count
                    fill(
                        point.attributes,
                        {
                            "playback.outcome": outcome,
                            "playback.device.class": device,
                            "davylamp.canary.cohort": cohort,
                        },
                    )
            requests.append(request)
        return requests


def settled_service(start_unix_nano: int) -> list:
    """A service of the past only: 137 requests, 9 of them failed, and none ever again."""
    spans = [
        {
            "trace_id": bytes([7, *divmod(n, 256), *range(13)]),
            "span_id": bytes([7, *divmod(n, 256), *range(5)]),
            "parent": b"",
            "name": "POST /invoice",
            "kind": SERVER,
            "start": start_unix_nano + n * 20_000_000,
            "duration_ns": 5_000_000,
            "status": 2 if n < 9 else 0,
            "message": "",
            "attributes": {},
        }
        for n in range(137)
    ]
    return [trace_request("billing", ZONES[0], "8.0.0", spans)]


def merged(messages: list) -> dict:
    """Path of the signal -> all its messages in one."""
    requests: dict = {}
    for message in messages:
        if isinstance(message, ExportTraceServiceRequest):
            request = requests.setdefault("/v1/traces", ExportTraceServiceRequest())
        else:
            request = requests.setdefault("/v1/metrics", ExportMetricsServiceRequest())
        request.MergeFrom(message)
    return requests


class Trace:
    """Spans of one request, each starting a little after its parent."""

    def __init__(self, rng: np.random.Generator, second: int, labels: dict[str, str]) -> None:
        self._rng = rng
        self._labels = labels
        self._trace_id = rng.bytes(16)
        self._start = second + int(rng.integers(0, SECOND_NS))
        self._depth = 0
        self._spans: list[tuple[tuple[str, str, str], dict]] = []

    def server(self, service, zone, version, name, duration_s, parent, error="") -> bytes:
        """A server span; ``error`` is its error type."""
        return self._add(SERVER, service, zone, version, name, duration_s, parent, error)

    def client(self, service, zone, version, name, duration_s, parent, *, failed=False) -> bytes:
        """A client span of the calling service."""
        error = "500" if failed else ""
        return self._add(CLIENT, service, zone, version, name, duration_s, parent, error)

    def _add(self, kind, service, zone, version, name, duration_s, parent, error) -> bytes:
        self._depth += 1
        span_id = self._rng.bytes(8)
        attributes = dict(self._labels)
        if error:
            attributes |= {"error.type": error, "http.response.status_code": 503}
        span = {
            "trace_id": self._trace_id,
            "span_id": span_id,
            "parent": parent or b"",
            "name": name,
            "kind": kind,
            "start": self._start + self._depth * 700_000,
            "duration_ns": round(duration_s * 1e9),
            "status": 2 if error else 0,
            "message": error.replace("_", " "),
            "attributes": attributes,
        }
        self._spans.append(((service, zone, version), span))
        return span_id

    def into(self, spans: dict) -> None:
        """Add them to the exports of their services."""
        for who, span in self._spans:
            spans.setdefault(who, []).append(span)


def resource(service: str, zone: str, version: str) -> dict[str, str]:
    """Resource attributes of one instance: there is one per service, zone and version."""
    return {
        "service.name": service,
        "service.version": version,
        "service.instance.id": f"{service}-{zone[-2:]}-{version}",
        "deployment.environment.name": "demo",
        "cloud.region": REGION,
        "cloud.availability_zone": zone,
    }


def trace_request(service: str, zone: str, version: str, spans: list) -> ExportTraceServiceRequest:
    """One export of one instance."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    fill(group.resource.attributes, resource(service, zone, version))
    scope = group.scope_spans.add()
    for given in spans:
        span = scope.spans.add()
        span.trace_id, span.span_id = given["trace_id"], given["span_id"]
        span.parent_span_id, span.name = given["parent"], given["name"]
        span.kind = given["kind"]
        span.start_time_unix_nano = given["start"]
        span.end_time_unix_nano = given["start"] + given["duration_ns"]
        span.status.code, span.status.message = given["status"], given["message"]
        fill(span.attributes, given["attributes"])
    return request


def fill(attributes, values: dict) -> None:
    """Add key-values to a repeated field."""
    for key, value in values.items():
        item = attributes.add()
        item.key = key
        if isinstance(value, int):
            item.value.int_value = value
        else:
            item.value.string_value = value
