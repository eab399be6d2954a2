"""OTLP requests for tests, made with the official messages from plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.wal import frames

DELTA: Final = 1
CUMULATIVE: Final = 2
SECOND_NS: Final = 1_000_000_000


def framed(body: bytes, item_count: int = 0) -> bytes:
    """``body`` as one frame of a segment."""
    return frames.header(body, item_count) + body


def fill(attributes: Any, values: Mapping[str, Any]) -> None:
    """Append ``values`` to a repeated KeyValue."""
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


def resource(
    service: str, version: str = "1.0", instance: str = "i-1", **more: Any
) -> dict[str, Any]:
    """Attributes of a service's resource."""
    return {
        "service.name": service,
        "service.version": version,
        "service.instance.id": instance,
        "cloud.region": "eu-west-1",
        "cloud.availability_zone": "eu-west-1a",
        **more,
    }


def trace_request(
    resource_attributes: Mapping[str, Any], spans: Sequence[Mapping[str, Any]]
) -> ExportTraceServiceRequest:
    """One resource, one scope; a span needs trace_id, span_id and start, in Unix nanoseconds."""
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


def logs_request(
    resource_attributes: Mapping[str, Any], records: Sequence[Mapping[str, Any]]
) -> ExportLogsServiceRequest:
    """One resource, one scope; a record needs time, in Unix nanoseconds, and body."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    fill(group.resource.attributes, resource_attributes)
    scope = group.scope_logs.add()
    scope.scope.name = "tests"
    for given in records:
        record = scope.log_records.add()
        record.time_unix_nano = given["time"]
        record.observed_time_unix_nano = given.get("observed", 0)
        record.severity_number = given.get("severity", 9)
        record.severity_text = given.get("severity_text", "INFO")
        record.trace_id = given.get("trace_id", b"")
        record.span_id = given.get("span_id", b"")
        record.body.string_value = given["body"]
        fill(record.attributes, given.get("attributes", {}))
    return request


def metrics_request(
    resource_attributes: Mapping[str, Any],
    name: str,
    kind: str,
    points: Sequence[Mapping[str, Any]],
    temporality: int = CUMULATIVE,
) -> ExportMetricsServiceRequest:
    """One metric of ``kind``, a field of Metric's oneof; sums are monotonic.

    A point needs time and value, or count, sum, counts and bounds, or count, sum, scale, offset
    and counts.
    """
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
