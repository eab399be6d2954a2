"""Stock OpenTelemetry SDK exporters, without any of our code, over both protocols."""

from __future__ import annotations

import time

import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (
    OTLPMetricExporter as GrpcMetricExporter,
)
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
    OTLPSpanExporter as GrpcSpanExporter,
)
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
    OTLPMetricExporter as HttpMetricExporter,
)
from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
    OTLPSpanExporter as HttpSpanExporter,
)
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind

TEMPORALITIES = {
    "cumulative": AggregationTemporality.CUMULATIVE,
    "delta": AggregationTemporality.DELTA,
}


def exporters(collector, protocol, temporality):
    preferred = dict.fromkeys((Counter, Histogram), TEMPORALITIES[temporality])
    if protocol == "grpc":
        address = {"endpoint": collector.grpc_address, "insecure": True}
        return (
            GrpcSpanExporter(**address),
            GrpcMetricExporter(**address, preferred_temporality=preferred),
        )
    zipped = {"compression": Compression.Gzip}
    return (
        HttpSpanExporter(f"{collector.http_url}/v1/traces", **zipped),
        HttpMetricExporter(
            f"{collector.http_url}/v1/metrics", preferred_temporality=preferred, **zipped
        ),
    )


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_stock_service_appears_within_5_s(collector, wait_for, protocol, temporality):
    """Traces and every kind of metric arrive; counts come back exactly."""
    service = f"stock-{protocol}-{temporality}"
    resource = Resource({"service.name": service, "service.version": "7"})
    span_exporter, metric_exporter = exporters(collector, protocol, temporality)
    reader = PeriodicExportingMetricReader(metric_exporter, export_interval_millis=3_600_000)
    fine = View(instrument_name="*.fine", aggregation=ExponentialBucketHistogramAggregation())
    meters = MeterProvider([reader], resource=resource, views=[fine], shutdown_on_exit=False)
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(span_exporter, schedule_delay_millis=50))
    meter = meters.get_meter("tests")
    starts = meter.create_counter(f"{service}.starts")
    level = meter.create_up_down_counter(f"{service}.level")
    coarse = meter.create_histogram(f"{service}.coarse", "s")
    fine_histogram = meter.create_histogram(f"{service}.fine", "s")
    values = [0.001 * 2**power for power in range(10)]
    try:
        began_s = time.monotonic()
        with tracers.get_tracer("tests").start_as_current_span("GET /", kind=SpanKind.SERVER):
            pass
        for round_number in range(3):
            starts.add(5, {"outcome": "ok"})
            level.add(2)
            for value in values:
                coarse.record(value)
                fine_histogram.record(value)
            assert meters.force_flush(), round_number
        found = wait_for(lambda: seen(collector, service), timeout_s=5.0)
        assert time.monotonic() - began_s < 5.0
        assert found["versions"] == ["7"]
        wait_for(lambda: seen(collector, service)["request_rate_per_s"])
        collector.settled_books()
        check_metrics(collector, service, values)
    finally:
        tracers.shutdown()
        meters.shutdown()


def seen(collector, service):
    services = collector.get("/api/v1/services")["services"]
    return next((one for one in services if one["service_name"] == service), None)


def check_metrics(collector, service, values):
    window = {"from": "now-60s", "to": "now+1s", "step_s": "61"}

    def blocks(name):
        (group,) = collector.get("/api/v1/blocks", metric=f"{service}.{name}", **window)["groups"]
        (block,) = group["blocks"]
        return group, block

    _, starts = blocks("starts")
    assert starts["increase"] == 15.0
    for name in ("coarse", "fine"):
        group, block = blocks(name)
        assert sum(block["counts"]) == 3 * len(values)
        assert len(block["counts"]) == len(group["bounds"]) + 1
        assert block["sum"] == pytest.approx(3 * sum(values))
    level = collector.get("/api/v1/series", metric=f"{service}.level", agg="last", **window)
    newest = [value for _, value in level["groups"][0]["points"] if value is not None]
    assert newest[-1] == 6.0
