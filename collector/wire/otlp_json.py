"""OTLP/JSON to OTLP protobuf, by OTLP's rules where they differ from protobuf's JSON mapping.

Trace and span ids are hex, enums are integers only, names are lowerCamelCase only, unknown names
are ignored. google.protobuf.json_format would take base64 ids, enum names and snake_case: it
accepts what it must not and garbles ids. Which fields there are is read from the official
descriptors; bytes come out directly, no message is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import orjson
from google.protobuf.descriptor import Descriptor
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.model import Signal
from collector.wire import json_scalars
from collector.wire.errors import Malformed
from collector.wire.json_scalars import ScalarWriter, WrongValueError
from collector.wire.shapes import varint

#: Levels of objects. A span's attribute is at level 6, each nested list or map takes two more.
MAX_DEPTH: Final = 64
_REQUESTS: Final[dict[Signal, Descriptor]] = {
    Signal.TRACES: ExportTraceServiceRequest.DESCRIPTOR,
    Signal.METRICS: ExportMetricsServiceRequest.DESCRIPTOR,
    Signal.LOGS: ExportLogsServiceRequest.DESCRIPTOR,
}


@dataclass(frozen=True, slots=True)
class _Field:
    """How one field is written."""

    number: int
    #: The oneof it belongs to; "" for none.
    oneof: str
    is_repeated: bool
    #: Set for a submessage.
    message: Descriptor | None
    #: Set for everything else.
    scalar: ScalarWriter | None


class _WrongError(Exception):
    """What is wrong; the path to it is gathered on the way out, so that good input pays nothing."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.path: list[str] = []


def json_to_protobuf(signal: Signal, body: bytes) -> bytes:
    """The same request in protobuf; raises Malformed with the path of what is wrong."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON: {error}") from error
    try:
        return _message(_REQUESTS[signal], document, MAX_DEPTH)
    except _WrongError as error:
        raise Malformed(f"${''.join(reversed(error.path))}: {error}") from error


@cache
def _fields(message: Descriptor) -> dict[str, _Field]:
    return {
        one.json_name: _Field(
            number=one.number,
            oneof=one.containing_oneof.name if one.containing_oneof is not None else "",
            is_repeated=one.is_repeated,
            message=one.message_type,
            scalar=None if one.message_type else json_scalars.writer_of(one),
        )
        for one in message.fields
    }


def _message(message: Descriptor, value: Any, depth: int) -> bytes:
    if not isinstance(value, dict):
        raise _WrongError(f"{message.name} must be an object")
    if depth == 0:
        raise _WrongError(f"more than {MAX_DEPTH} levels of objects")
    known = _fields(message)
    out = bytearray()
    oneofs: set[str] = set()
    for name, item in value.items():
        found = known.get(name)
        if found is None or item is None:
            continue
        if found.oneof:
            if found.oneof in oneofs:
                raise _WrongError(f"{message.name} has more than one {found.oneof}")
            oneofs.add(found.oneof)
        try:
            out += _repeated(found, item, depth) if found.is_repeated else _one(found, item, depth)
        except _WrongError as error:
            error.path.append(f".{name}")
            raise
    return bytes(out)


def _repeated(field: _Field, value: Any, depth: int) -> bytes:
    if not isinstance(value, list):
        raise _WrongError("must be a list")
    out = bytearray()
    is_packed = field.scalar is not None and field.scalar.is_packable
    for index, item in enumerate(value):
        try:
            out += _scalar(field.scalar, item) if is_packed else _one(field, item, depth)
        except _WrongError as error:
            error.path.append(f"[{index}]")
            raise
    return _delimited(field.number, out) if is_packed and out else bytes(out)


def _one(field: _Field, value: Any, depth: int) -> bytes:
    if field.message is not None:
        return _delimited(field.number, _message(field.message, value, depth - 1))
    assert field.scalar is not None
    return varint(field.number << 3 | field.scalar.wire_type) + _scalar(field.scalar, value)


def _scalar(writer: ScalarWriter | None, value: Any) -> bytes:
    assert writer is not None
    try:
        return writer.write(value)
    except WrongValueError as error:
        raise _WrongError(str(error)) from error


def _delimited(number: int, content: bytes | bytearray) -> bytes:
    return varint(number << 3 | json_scalars.DELIMITED) + varint(len(content)) + content
