"""Stores on temporary folders, and OTLP bodies made with the official messages.

The engine can be bound to one folder per process, so the store of this folder's tests is one for
the session; each test takes its own hour of telemetry time and its own service names.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.config import StoreConfig
from collector.store.engine import Signal, open_store
from collector.testing import (
    CUMULATIVE,
    DELTA,
    SECOND_NS,
    fill,
    framed,
    logs_request,
    metrics_request,
    resource,
    trace_request,
)

SIGNALS = {
    ExportTraceServiceRequest: Signal.TRACES,
    ExportMetricsServiceRequest: Signal.METRICS,
    ExportLogsServiceRequest: Signal.LOGS,
}
FIRST_UNIX_NANO = 1_790_000_000_000_000_000
HOUR_NS = 3_600_000_000_000


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


_segments = itertools.count()


@pytest.fixture
def insert(store, tmp_path):
    """Write messages as one segment and store it; returns the number of rows."""

    def run(*messages, token: str | None = None) -> int:
        number = next(_segments)
        path = tmp_path / f"{number}.seg"
        path.write_bytes(b"".join(framed(message.SerializeToString()) for message in messages))
        signal = SIGNALS[type(messages[0])]
        return store.insert_segment(path, signal, token or f"segment-{number}").rows

    return run


@pytest.fixture
def otlp():
    """The builders above, for tests (files here are not a package)."""

    class Builders:
        pass

    for function in (
        trace_request,
        metrics_request,
        logs_request,
        resource,
        framed,
        store_config,
        fill,
    ):
        setattr(Builders, function.__name__, staticmethod(function))
    Builders.DELTA, Builders.CUMULATIVE, Builders.SECOND_NS = DELTA, CUMULATIVE, SECOND_NS
    return Builders
