"""Remote-write's protobuf messages, declared where they are read.

``RawRequest`` leaves every series as bytes: for the usual body that is all the parsing there is.
Sources: prompb/remote.proto (``prometheus.WriteRequest``) and
prompb/io/prometheus/write/v2/types.proto (``io.prometheus.write.v2.Request``).
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_KINDS: Final = {
    "bytes": _Field.TYPE_BYTES,
    "double": _Field.TYPE_DOUBLE,
    "int64": _Field.TYPE_INT64,
    "uint32": _Field.TYPE_UINT32,
}
#: Message -> (name, number, type, repeated). A type in capitals is another message of these.
_MESSAGES: Final[dict[str, tuple[tuple[str, int, str, bool], ...]]] = {
    "RawRequest": (("timeseries", 1, "bytes", True),),
    "Label": (("name", 1, "bytes", False), ("value", 2, "bytes", False)),
    "Sample": (("value", 1, "double", False), ("timestamp", 2, "int64", False)),
    "Series": (
        ("labels", 1, "Label", True),
        ("samples", 2, "Sample", True),
        ("exemplars", 3, "bytes", True),
        ("histograms", 4, "bytes", True),
    ),
    "Request2": (("symbols", 4, "bytes", True), ("timeseries", 5, "Series2", True)),
    "Series2": (
        ("labels_refs", 1, "uint32", True),
        ("samples", 2, "Sample", True),
        ("histograms", 3, "bytes", True),
        ("exemplars", 4, "bytes", True),
    ),
}
_PACKAGE: Final = "davylamp.remote_write"


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="davylamp/remote_write.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind, is_repeated in fields:
            label = _Field.LABEL_REPEATED if is_repeated else _Field.LABEL_OPTIONAL
            field = message.field.add(name=field_name, number=number, label=label)
            if kind in _KINDS:
                field.type = _KINDS[kind]
            else:
                field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


_CLASSES: Final = _classes()
RawRequest: Final = _CLASSES["RawRequest"]
Series: Final = _CLASSES["Series"]
Request2: Final = _CLASSES["Request2"]
