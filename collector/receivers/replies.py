"""Bodies of OTLP answers, in the content type of the request."""

from __future__ import annotations

from typing import Any, Final

import orjson
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from collector.model import Signal
from collector.pipeline.intake import Taken
from collector.receivers.refusal import Refusal
from collector.wire import shapes

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
_RETRY_INFO_TYPE: Final = b"type.googleapis.com/google.rpc.RetryInfo"


def success(signal: Signal, taken: Taken) -> bytes:
    """An Export…ServiceResponse; ``partial_success`` is unset when there is nothing to tell."""
    if not taken.message:
        return b""
    if signal is Signal.TRACES:
        traces = trace_service_pb2.ExportTraceServiceResponse()
        traces.partial_success.rejected_spans = taken.rejected_count
        traces.partial_success.error_message = taken.message
        return traces.SerializeToString()
    metrics = metrics_service_pb2.ExportMetricsServiceResponse()
    metrics.partial_success.rejected_data_points = taken.rejected_count
    metrics.partial_success.error_message = taken.message
    return metrics.SerializeToString()


def success_json(signal: Signal, taken: Taken) -> bytes:
    """The same in OTLP's JSON: lowerCamelCase, 64-bit integers as strings."""
    body: dict[str, Any] = {}
    if taken.message:
        name = "rejectedSpans" if signal is Signal.TRACES else "rejectedDataPoints"
        body["partialSuccess"] = {
            name: str(taken.rejected_count),
            "errorMessage": taken.message,
        }
    return orjson.dumps(body)


def failure(refused: Refusal, content_type: str) -> bytes:
    """A google.rpc.Status; JSON for every content type that is not protobuf."""
    if content_type == PROTOBUF:
        return status(refused)
    return orjson.dumps({"code": refused.grpc_code, "message": refused.message})


def status(refused: Refusal) -> bytes:
    """An encoded google.rpc.Status: code 1, message 2, details 3."""
    out = shapes.varint(1 << 3) + shapes.varint(refused.grpc_code)
    out += shapes.field(2, refused.message.encode())
    if refused.retry_after_s is not None:
        # google.protobuf.Any: type_url 1, value 2.
        detail = shapes.field(1, _RETRY_INFO_TYPE) + shapes.field(2, retry_info(refused))
        out += shapes.field(3, detail)
    return out


def retry_info(refused: Refusal) -> bytes:
    """An encoded google.rpc.RetryInfo: retry_delay 1, a Duration with seconds 1."""
    seconds = shapes.varint(1 << 3) + shapes.varint(refused.retry_after_s or 0)
    return shapes.field(1, seconds)
