"""Bodies of OTLP answers, in the content type of the request."""

from __future__ import annotations

from typing import Any, Final

import orjson
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from collector.model import Signal
from collector.pipeline.intake import Taken
from collector.receivers.refusal import Refusal
from collector.wire import shapes

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
#: Signal -> its answer, the field that counts rejected items, the same in JSON.
_RESPONSES: Final[dict[Signal, tuple[type[Any], str, str]]] = {
    Signal.TRACES: (
        trace_service_pb2.ExportTraceServiceResponse,
        "rejected_spans",
        "rejectedSpans",
    ),
    Signal.METRICS: (
        metrics_service_pb2.ExportMetricsServiceResponse,
        "rejected_data_points",
        "rejectedDataPoints",
    ),
    Signal.LOGS: (
        logs_service_pb2.ExportLogsServiceResponse,
        "rejected_log_records",
        "rejectedLogRecords",
    ),
}
_RETRY_INFO_TYPE: Final = b"type.googleapis.com/google.rpc.RetryInfo"


def success(signal: Signal, taken: Taken) -> bytes:
    """An Export…ServiceResponse; ``partial_success`` is unset when there is nothing to tell."""
    if not taken.message:
        return b""
    response, count, _ = _RESPONSES[signal]
    answer = response()
    setattr(answer.partial_success, count, taken.rejected_count)
    answer.partial_success.error_message = taken.message
    encoded: bytes = answer.SerializeToString()
    return encoded


def success_json(signal: Signal, taken: Taken) -> bytes:
    """The same in OTLP's JSON: lowerCamelCase, 64-bit integers as strings."""
    body: dict[str, Any] = {}
    if taken.message:
        _, _, name = _RESPONSES[signal]
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
