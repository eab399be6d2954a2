"""OTLP messages read one level deep: submessages stay bytes, so a hostile body costs little.

The official classes build every element they find: 4 MB of empty spans become 334 MiB. Here a
level is parsed by the same C parser, but what lies below is a slice of bytes that can be counted,
checked and passed on unchanged. Singular submessages are declared repeated, so that a second one
is seen (the official parser would merge it unseen into the first).
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_TYPES: Final = {
    "bytes": _Field.TYPE_BYTES,
    "string": _Field.TYPE_STRING,
    "fixed64": _Field.TYPE_FIXED64,
    "sfixed64": _Field.TYPE_SFIXED64,
    "double": _Field.TYPE_DOUBLE,
    "int32": _Field.TYPE_INT32,
    "sint32": _Field.TYPE_SINT32,
    "uint32": _Field.TYPE_UINT32,
    "uint64": _Field.TYPE_UINT64,
    "bool": _Field.TYPE_BOOL,
}
#: Message -> its fields as "[many|maybe] type name = number"; numbers are those of
#: opentelemetry-proto 1.x, which never change.
_LAYOUT: Final = {
    # ExportTraceServiceRequest and ExportMetricsServiceRequest.
    "Export": ("many bytes groups = 1",),
    # ResourceSpans and ResourceMetrics; ScopeSpans and ScopeMetrics.
    "Group": ("many bytes head = 1", "many bytes parts = 2", "string schema_url = 3"),
    "Resource": ("many bytes attributes = 1",),
    "Scope": ("many bytes attributes = 3",),
    "KeyValue": ("many bytes values = 2",),
    "AnyValue": ("many bytes arrays = 5",),
    "ArrayValue": ("many bytes values = 1",),
    "Span": (
        "bytes trace_id = 1",
        "bytes span_id = 2",
        "bytes parent_span_id = 4",
        "fixed64 start = 7",
        "fixed64 end = 8",
        "many bytes attributes = 9",
        "many bytes events = 11",
        "many bytes links = 13",
    ),
    "Event": ("many bytes attributes = 3",),
    "LogRecord": (
        "fixed64 time = 1",
        "many bytes attributes = 6",
        "bytes trace_id = 9",
        "bytes span_id = 10",
        "fixed64 observed = 11",
    ),
    "Metric": (
        "string name = 1",
        "string unit = 3",
        "many bytes gauge = 5",
        "many bytes sum = 7",
        "many bytes histogram = 9",
        "many bytes exponential_histogram = 10",
        "many bytes summary = 11",
    ),
    "Data": ("many bytes points = 1", "int32 temporality = 2", "bool is_monotonic = 3"),
    "NumberPoint": (
        "fixed64 start = 2",
        "fixed64 time = 3",
        "maybe double as_double = 4",
        "many bytes exemplars = 5",
        "maybe sfixed64 as_int = 6",
        "many bytes attributes = 7",
        "uint32 flags = 8",
    ),
    "HistogramPoint": (
        "fixed64 start = 2",
        "fixed64 time = 3",
        "fixed64 count = 4",
        "maybe double sum = 5",
        "many fixed64 bucket_counts = 6",
        "many double explicit_bounds = 7",
        "many bytes exemplars = 8",
        "many bytes attributes = 9",
        "uint32 flags = 10",
    ),
    "ExponentialPoint": (
        "many bytes attributes = 1",
        "fixed64 start = 2",
        "fixed64 time = 3",
        "fixed64 count = 4",
        "maybe double sum = 5",
        "sint32 scale = 6",
        "fixed64 zero_count = 7",
        "many bytes positive = 8",
        "many bytes negative = 9",
        "uint32 flags = 10",
        "many bytes exemplars = 11",
        "double zero_threshold = 14",
    ),
    "SummaryPoint": (
        "fixed64 start = 2",
        "fixed64 time = 3",
        "fixed64 count = 4",
        "many bytes quantile_values = 6",
        "many bytes attributes = 7",
        "uint32 flags = 8",
    ),
    "QuantileValue": ("double quantile = 1",),
    "Exemplar": ("many bytes attributes = 7",),
    "Buckets": ("sint32 offset = 1", "many uint64 bucket_counts = 2"),
}


def _described() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="davylamp/shapes.proto", package="davylamp.shapes", syntax="proto3"
    )
    for message, fields in _LAYOUT.items():
        described = file.message_type.add(name=message)
        for text in fields:
            declaration, number = text.split(" = ")
            *prefix, kind, name = declaration.split()
            field = described.field.add(name=name, number=int(number), type=_TYPES[kind])
            field.label = _Field.LABEL_REPEATED if prefix == ["many"] else _Field.LABEL_OPTIONAL
            if prefix == ["maybe"]:  # proto3's "optional": a oneof of its own
                field.proto3_optional = True
                field.oneof_index = len(described.oneof_decl)
                described.oneof_decl.add(name=f"_{name}")
    return file


_POOL: Final = descriptor_pool.DescriptorPool()
_POOL.Add(_described())


#: A message of one of the classes below, or its class: their fields exist only at run time.
Shape = Any


def _shape(name: str) -> Shape:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"davylamp.shapes.{name}"))


Export: Final = _shape("Export")
Group: Final = _shape("Group")
Resource: Final = _shape("Resource")
Scope: Final = _shape("Scope")
KeyValue: Final = _shape("KeyValue")
AnyValue: Final = _shape("AnyValue")
ArrayValue: Final = _shape("ArrayValue")
Span: Final = _shape("Span")
Event: Final = _shape("Event")
LogRecord: Final = _shape("LogRecord")
Metric: Final = _shape("Metric")
Data: Final = _shape("Data")
NumberPoint: Final = _shape("NumberPoint")
HistogramPoint: Final = _shape("HistogramPoint")
ExponentialPoint: Final = _shape("ExponentialPoint")
SummaryPoint: Final = _shape("SummaryPoint")
QuantileValue: Final = _shape("QuantileValue")
Exemplar: Final = _shape("Exemplar")
Buckets: Final = _shape("Buckets")


_ONE_BYTE: Final = tuple(bytes((number,)) for number in range(0x80))


def field(number: int, value: bytes) -> bytes:
    """A length-delimited field as it stands on the wire."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; ``number`` >= 0."""
    if number < 0x80:
        return _ONE_BYTE[number]
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
