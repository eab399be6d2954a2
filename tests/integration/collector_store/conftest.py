"""Stores on temporary folders, and OTLP bodies made with the official messages.

The engine can be bound to one folder per process, so the store of this folder's tests is one for
the session; each test takes its own hour of telemetry time and its own service names.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.config import StoreConfig
from collector.store.engine import Signal, open_store

FIRST_UNIX_NANO = 1_790_000_000_000_000_000
HOUR_NS = 3_600_000_000_000
SECOND_NS = 1_000_000_000


def store_config(path: Path) -> StoreConfig:
    return StoreConfig(
        path=path,
        max_memory_bytes=1_500_000_000,
        query_memory_bytes=500_000_000,
        query_timeout_s=10.0,
        insert_connections=2,
        query_connections=4,
        retention_spans_s=86_400,
        retention_points_s=86_400,
        retention_rollups_s=86_400,
        series_look_back_s=300.0,
        max_series_per_query=20_000,
    )


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    opened = open_store(store_config(tmp_path_factory.mktemp("store")))
    yield opened
    opened.close()


_hours = itertools.count()


@pytest.fixture
def t0():
    """Start of an hour no other test uses."""
    return FIRST_UNIX_NANO + next(_hours) * HOUR_NS


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def framed(body: bytes) -> bytes:
    """One WAL record: field 15000 with magic, length, checksum and spare, then the body."""
    payload = b"DLW1" + struct.pack("<III", len(body), zlib.crc32(body), 0)
    return varint(15000 << 3 | 2) + varint(len(payload)) + payload + body


_segments = itertools.count()


@pytest.fixture
def insert(store, tmp_path):
    """Write messages as one segment and store it; returns the number of rows."""

    def run(*messages, token: str | None = None) -> int:
        number = next(_segments)
        path = tmp_path / f"{number}.seg"
        path.write_bytes(b"".join(framed(message.SerializeToString()) for message in messages))
        is_trace = isinstance(messages[0], ExportTraceServiceRequest)
        signal = Signal.TRACES if is_trace else Signal.METRICS
        return store.insert_segment(path, signal, token or f"segment-{number}").rows

    return run


def fill(attributes, values: dict) -> None:
    for key, value in values.items():
        item = attributes.add()
        item.key = key
        if isinstance(value, bool):
            item.value.bool_value = value
        elif isinstance(value, int):
            item.value.int_value = value
        elif isinstance(value, float):
            item.value.double_value = value
        elif isinstance(value, bytes):
            item.value.bytes_value = value
        elif isinstance(value, list):
            for one in value:
                item.value.array_value.values.add().string_value = one
        else:
            item.value.string_value = value


def resource(service: str, version: str = "1.0", instance: str = "i-1", **more) -> dict:
    return {
        "service.name": service,
        "service.version": version,
        "service.instance.id": instance,
        "cloud.region": "eu-west-1",
        "cloud.availability_zone": "eu-west-1a",
        **more,
    }


def trace_request(resource_attributes: dict, spans: list[dict]) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    fill(group.resource.attributes, resource_attributes)
    scope = group.scope_spans.add()
    scope.scope.name = "tests"
    for given in spans:
        span = scope.spans.add()
        span.trace_id = given["trace_id"]
        span.span_id = given["span_id"]
        span.parent_span_id = given.get("parent", b"")
        span.name = given.get("name", "GET /x")
        span.kind = given.get("kind", 2)
        span.start_time_unix_nano = given["start"]
        span.end_time_unix_nano = given["start"] + given.get("duration_ns", 1_000_000)
        span.status.code = given.get("status", 0)
        fill(span.attributes, given.get("attributes", {}))
        for name in given.get("events", []):
            event = span.events.add()
            event.name = name
            event.time_unix_nano = given["start"]
            fill(event.attributes, {"exception.type": "ValueError"})
    return request


DELTA, CUMULATIVE = 1, 2


def metrics_request(
    resource_attributes: dict, name: str, kind: str, points: list[dict], temporality=CUMULATIVE
) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    fill(group.resource.attributes, resource_attributes)
    metric = group.scope_metrics.add().metrics.add()
    metric.name = name
    metric.unit = "s"
    data = getattr(metric, kind)
    if kind != "gauge":
        data.aggregation_temporality = temporality
    if kind == "sum":
        data.is_monotonic = True
    for given in points:
        point = data.data_points.add()
        fill(point.attributes, given.get("attributes", {}))
        point.time_unix_nano = given["time"]
        point.start_time_unix_nano = given.get("start", 0)
        if kind in {"gauge", "sum"}:
            if isinstance(given["value"], int):
                point.as_int = given["value"]
            else:
                point.as_double = given["value"]
            continue
        point.count = given["count"]
        point.sum = given["sum"]
        if kind == "histogram":
            point.explicit_bounds.extend(given["bounds"])
            point.bucket_counts.extend(given["counts"])
        else:
            point.scale = given["scale"]
            point.zero_count = given.get("zero_count", 0)
            point.positive.offset = given["offset"]
            point.positive.bucket_counts.extend(given["counts"])
    return request


@pytest.fixture
def otlp():
    """The builders above, for tests (files here are not a package)."""

    class Builders:
        pass

    for function in (trace_request, metrics_request, resource, framed, store_config, fill):
        setattr(Builders, function.__name__, staticmethod(function))
    Builders.DELTA, Builders.CUMULATIVE, Builders.SECOND_NS = DELTA, CUMULATIVE, SECOND_NS
    return Builders
