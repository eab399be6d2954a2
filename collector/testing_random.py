"""OTLP requests nobody would write by hand: seeded, odd in every field, for property tests.

``odd_request`` makes sane requests and then bends some of their fields; ``filled`` fills any
message at random. The same generator state gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.model import Signal
from collector.testing import SECOND_NS, logs_request, metrics_request, resource, trace_request

Rng = np.random.Generator
Request = ExportTraceServiceRequest | ExportMetricsServiceRequest | ExportLogsServiceRequest

_TEXTS: Final = ("", "a", "http.route", "service.name", "é√ 🎬", "x" * 200, "\x00\n\t\"'\\", "NaN")
_DOUBLES: Final = (0.0, -0.0, 1.5, -3.25, 1e308, 5e-324, float("inf"), float("-inf"), float("nan"))
_KINDS: Final = ("gauge", "sum", "histogram", "exponential_histogram")
#: Levels of submessages ``filled`` makes; AnyValue nests in itself without end.
_MAX_DEPTH: Final = 7


def odd_request(signal: Signal, rng: Rng, now_unix_nano: int, *, bends: int) -> Request:
    """Up to three resources of sane items, then ``bends`` changes anywhere."""
    make: Callable[[Rng, int], Any] = _SANE[signal]
    request: Request = make(rng, now_unix_nano)
    for _ in range(int(rng.integers(3))):
        request.MergeFrom(make(rng, now_unix_nano))
    for _ in range(bends):
        messages = list(_messages(request))
        bend(messages[int(rng.integers(len(messages)))], rng)
    return request


def bend(message: Message, rng: Rng) -> None:
    """Change one field: cleared, filled at random, or one of its elements once more."""
    fields = message.DESCRIPTOR.fields
    field = fields[int(rng.integers(len(fields)))]
    if rng.random() < 0.3:
        message.ClearField(field.name)
    else:
        _set(message, field, rng, _MAX_DEPTH - 2)


def filled(message: Message, rng: Rng, depth: int = 0) -> Message:
    """``message`` with about half of its fields set at random, oneofs once."""
    oneofs: set[str] = set()
    for field in message.DESCRIPTOR.fields:
        if rng.random() < 0.4:
            continue
        if field.containing_oneof is not None:
            if field.containing_oneof.name in oneofs:
                continue
            oneofs.add(field.containing_oneof.name)
        _set(message, field, rng, depth)
    return message


def _sane_spans(rng: Rng, now_unix_nano: int) -> ExportTraceServiceRequest:
    spans = [
        {
            "trace_id": rng.bytes(16),
            "span_id": rng.bytes(8),
            "start": now_unix_nano - int(rng.integers(0, 10 * SECOND_NS)),
            "duration_ns": int(rng.integers(0, SECOND_NS)),
            "kind": int(rng.integers(0, 6)),
            "attributes": {
                "http.route": "/r",
                "n": 5,
                "ratio": 0.5,
                "list": ["a", "b"],
                "ok": True,
            },
            "events": ["exception"] * int(rng.integers(0, 2)),
        }
        for _ in range(int(rng.integers(0, 5)))
    ]
    return trace_request(resource("odd"), spans)


def _sane_logs(rng: Rng, now_unix_nano: int) -> ExportLogsServiceRequest:
    records = [
        {
            "time": now_unix_nano - int(rng.integers(0, SECOND_NS)),
            "trace_id": rng.bytes(16) if rng.random() < 0.5 else b"",
            "severity": int(rng.integers(0, 25)),
            "body": "a request took longer",
            "attributes": {"n": 5, "list": ["a", "b"], "ok": True},
        }
        for _ in range(int(rng.integers(0, 5)))
    ]
    return logs_request(resource("odd"), records)


def _sane_points(rng: Rng, now_unix_nano: int) -> ExportMetricsServiceRequest:
    kind = _KINDS[int(rng.integers(len(_KINDS)))]
    points = []
    for _ in range(int(rng.integers(0, 5))):
        counts = rng.integers(0, 9, 4).tolist()
        points.append(
            {
                "time": now_unix_nano,
                "start": now_unix_nano - SECOND_NS,
                "value": float(rng.integers(0, 100)),
                "count": sum(counts),
                "sum": 1.5,
                "counts": counts,
                "bounds": [0.1, 0.2, 0.4],
                "scale": int(rng.integers(-2, 4)),
                "offset": int(rng.integers(-5, 5)),
                "attributes": {"outcome": "ok", "n": int(rng.integers(3))},
            }
        )
    temporality = int(rng.integers(1, 3))
    return metrics_request(resource("odd"), f"odd.{kind}", kind, points, temporality)


_SANE: Final[dict[Signal, Callable[[Rng, int], Any]]] = {
    Signal.TRACES: _sane_spans,
    Signal.METRICS: _sane_points,
    Signal.LOGS: _sane_logs,
}


def _messages(message: Message) -> Iterator[Message]:
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for one in value if field.is_repeated else (value,):
                yield from _messages(one)


def _set(message: Message, field: Any, rng: Rng, depth: int) -> None:
    if field.message_type is not None:
        if depth < _MAX_DEPTH:
            for _ in range(int(rng.integers(1, 3)) if field.is_repeated else 1):
                here: Any = getattr(message, field.name)
                child = here.add() if field.is_repeated else here
                child.SetInParent()
                filled(child, rng, depth + 1)
    elif field.is_repeated:
        getattr(message, field.name).extend(_scalar(field, rng) for _ in range(rng.integers(0, 4)))
    else:
        setattr(message, field.name, _scalar(field, rng))


def _integer(low: int, high: int) -> Callable[[Rng], int]:
    """Often an edge or a small number, else anything in between."""

    def draw(rng: Rng) -> int:
        edges = (low, high, 0, 1, 2, 5)
        if rng.random() < 0.7:
            return edges[int(rng.integers(len(edges)))]
        return int(rng.integers(low, high, endpoint=True, dtype=np.int64 if low else np.uint64))

    return draw


_DRAW: Final[dict[int, Callable[[Rng], Any]]] = {
    FieldDescriptor.TYPE_DOUBLE: lambda rng: _DOUBLES[int(rng.integers(len(_DOUBLES)))],
    FieldDescriptor.TYPE_BOOL: lambda rng: bool(rng.integers(2)),
    FieldDescriptor.TYPE_STRING: lambda rng: _TEXTS[int(rng.integers(len(_TEXTS)))],
    FieldDescriptor.TYPE_BYTES: lambda rng: rng.bytes(int(rng.choice((0, 3, 8, 16, 20)))),
    FieldDescriptor.TYPE_ENUM: lambda rng: int(rng.integers(0, 6)),
    FieldDescriptor.TYPE_INT32: _integer(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SINT32: _integer(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: _integer(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SFIXED64: _integer(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT32: _integer(0, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED32: _integer(0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: _integer(0, 2**64 - 1),
    FieldDescriptor.TYPE_FIXED64: _integer(0, 2**64 - 1),
}


def _scalar(field: Any, rng: Rng) -> Any:
    return _DRAW[field.type](rng)
