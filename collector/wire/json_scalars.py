"""One JSON value as one protobuf scalar, or a WrongValueError that says what is taken."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from collector.wire.shapes import varint

#: Wire types of protobuf.
VARINT: Final = 0
FIXED64: Final = 1
DELIMITED: Final = 2

#: Fields of type bytes that OTLP/JSON writes in hex, not base64.
_HEX_FIELDS: Final = frozenset({"trace_id", "span_id", "parent_span_id"})
_DECIMAL: Final = re.compile(r"-?[0-9]{1,20}")
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_HEX: Final = re.compile(r"([0-9a-fA-F]{2})*")
_NOT_FINITE: Final = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class WrongValueError(ValueError):
    """A JSON value that a field does not take; the message says what it does."""


@dataclass(frozen=True, slots=True)
class ScalarWriter:
    """``write`` gives the value without its tag."""

    wire_type: int
    write: Callable[[Any], bytes]

    @property
    def is_packable(self) -> bool:
        """Whether a repeated field of it is one packed block."""
        return self.wire_type != DELIMITED


def writer_of(field: FieldDescriptor) -> ScalarWriter:
    """The writer for a field that is not a message."""
    if field.type == FieldDescriptor.TYPE_BYTES:
        return ScalarWriter(DELIMITED, _hex if field.name in _HEX_FIELDS else _base64)
    return _WRITERS[field.type]


def _integer(value: Any, low: int, high: int) -> int:
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        number = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    else:
        raise WrongValueError("must be an integer, as a number or a decimal string")
    if not low <= number <= high:
        raise WrongValueError(f"must be from {low} to {high}")
    return number


def _enum(value: Any) -> bytes:
    if isinstance(value, str):
        raise WrongValueError("must be the enum's number; OTLP does not use its name")
    return varint(_integer(value, -(2**31), 2**31 - 1) % 2**64)


def _double(value: Any) -> bytes:
    if isinstance(value, str):
        if value in _NOT_FINITE:
            return struct.pack("<d", _NOT_FINITE[value])
        if not _NUMBER.fullmatch(value):
            raise WrongValueError('must be a number, "NaN", "Infinity" or "-Infinity"')
        return struct.pack("<d", float(value))
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise WrongValueError("must be a number")
    return struct.pack("<d", float(value))


def _bool(value: Any) -> bytes:
    if not isinstance(value, bool):
        raise WrongValueError("must be true or false")
    return b"\x01" if value else b"\x00"


def _string(value: Any) -> bytes:
    if not isinstance(value, str):
        raise WrongValueError("must be a string")
    return _with_length(value.encode())


def _hex(value: Any) -> bytes:
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise WrongValueError("must be an id in hex digits, two a byte")
    return _with_length(bytes.fromhex(value))


def _base64(value: Any) -> bytes:
    """Standard or URL-safe alphabet, padded or not, as protobuf's JSON mapping asks."""
    if not isinstance(value, str) or not value.isascii():
        raise WrongValueError("must be base64")
    plain = value.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return _with_length(base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True))
    except binascii.Error as error:
        raise WrongValueError(f"must be base64: {error}") from error


def _with_length(content: bytes) -> bytes:
    return varint(len(content)) + content


def _signed_varint(bits: int) -> ScalarWriter:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return ScalarWriter(VARINT, lambda value: varint(_integer(value, low, high) % 2**64))


def _zigzag_varint(bits: int) -> ScalarWriter:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def write(value: Any) -> bytes:
        number = _integer(value, low, high)
        return varint(number << 1 if number >= 0 else (-number << 1) - 1)

    return ScalarWriter(VARINT, write)


def _unsigned_varint(bits: int) -> ScalarWriter:
    return ScalarWriter(VARINT, lambda value: varint(_integer(value, 0, 2**bits - 1)))


_WRITERS: Final = {
    FieldDescriptor.TYPE_DOUBLE: ScalarWriter(FIXED64, _double),
    FieldDescriptor.TYPE_INT64: _signed_varint(64),
    FieldDescriptor.TYPE_UINT64: _unsigned_varint(64),
    FieldDescriptor.TYPE_INT32: _signed_varint(32),
    FieldDescriptor.TYPE_UINT32: _unsigned_varint(32),
    FieldDescriptor.TYPE_SINT32: _zigzag_varint(32),
    FieldDescriptor.TYPE_FIXED64: ScalarWriter(
        FIXED64, lambda value: struct.pack("<Q", _integer(value, 0, 2**64 - 1))
    ),
    FieldDescriptor.TYPE_SFIXED64: ScalarWriter(
        FIXED64, lambda value: struct.pack("<q", _integer(value, -(2**63), 2**63 - 1))
    ),
    # Span.flags and Link.flags; wire type 5.
    FieldDescriptor.TYPE_FIXED32: ScalarWriter(
        5, lambda value: struct.pack("<I", _integer(value, 0, 2**32 - 1))
    ),
    FieldDescriptor.TYPE_BOOL: ScalarWriter(VARINT, _bool),
    FieldDescriptor.TYPE_STRING: ScalarWriter(DELIMITED, _string),
    FieldDescriptor.TYPE_ENUM: ScalarWriter(VARINT, _enum),
}
