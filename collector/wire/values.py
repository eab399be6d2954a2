"""Attribute values as they are stored and read.

Spans, log records and exemplars keep each value encoded, an AnyValue; what is found by its
attributes, a series, has text. The text is that of OpenTelemetry's mapping to protocols without
such types: JSON for lists and maps, base64 for bytes, "NaN" and "Infinity" for doubles JSON has no
word for.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable
from typing import Any, Final

import orjson
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from collector.wire.shapes import varint

_NOT_PLAIN: Final = frozenset(("array_value", "kvlist_value", "bytes_value"))
_WORDS: Final = {math.inf: "Infinity", -math.inf: "-Infinity"}
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_STRING_TAG: Final = 0x0A
#: A string value of up to this many bytes has a head of two: tag and length.
_SHORT_BYTES: Final = 129


def make_plain(attributes: Iterable[KeyValue]) -> None:
    """Turn every list, map and bytes into text; texts, numbers and booleans stay."""
    for one in attributes:
        if one.value.WhichOneof("value") in _NOT_PLAIN:
            make_text(one.value)


def make_text(value: AnyValue) -> None:
    """Turn any value into its text."""
    if not is_text(value):
        value.string_value = text_of(value)


def is_text(value: AnyValue) -> bool:
    """Whether the value is text, or nothing."""
    return value.WhichOneof("value") in {"string_value", None}


def text_of(value: AnyValue) -> str:
    """The value as text; nothing is empty text."""
    plain = json_of(value)
    if isinstance(plain, str):
        return plain
    return "" if plain is None else orjson.dumps(plain).decode()


def json_of(value: AnyValue) -> Any:
    """The value as JSON has it."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [json_of(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return {one.key: json_of(one.value) for one in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    plain = getattr(value, kind)
    if isinstance(plain, float) and not math.isfinite(plain):
        return _WORDS.get(plain, "NaN")
    return plain


def stored_text(encoded: bytes) -> str:
    """The text of a value as the store has it; what is not UTF-8 is shown as such."""
    if len(encoded) <= _SHORT_BYTES and encoded[:1] == b"\n":
        return encoded[2:].decode("utf-8", "replace")
    return text_of(AnyValue.FromString(encoded))


def stored_json(encoded: bytes) -> Any:
    """The value as the store has it, in JSON's types."""
    if len(encoded) <= _SHORT_BYTES and encoded[:1] == b"\n":
        return encoded[2:].decode("utf-8", "replace")
    return json_of(AnyValue.FromString(encoded))


def encodings_of(text: str) -> list[bytes]:
    """Every value that reads as ``text`` and is not a list, map or bytes, as the store has it."""
    raw = text.encode()
    found = [b"\n" + varint(len(raw)) + raw]
    if not raw:
        found.append(b"")
    if text in {"true", "false"}:
        found.append(b"\x10\x01" if text == "true" else b"\x10\x00")
    if _INTEGER.fullmatch(text) and -(2**63) <= int(text) < 2**63:
        found.append(AnyValue(int_value=int(text)).SerializeToString())
    try:
        number = float(text)
    except ValueError:
        return found
    return [*found, AnyValue(double_value=number).SerializeToString()]
