"""What one request may hold, counted before anything is built from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeVar

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from collector.wire import shapes
from collector.wire.errors import Malformed, TooLarge
from collector.wire.fields import require_few_fields

_M = TypeVar("_M", bound=Message)
#: Tags of AnyValue's string_value and bytes_value.
_TEXT_TAGS: Final = frozenset((0x0A, 0x3A))
#: The longest encoding of a bool, an int or a double with its tag.
_NUMBER_BYTES: Final = 11


class Budget:
    """Counts down the limits of one request; raises TooLarge when one is passed."""

    __slots__ = ("_elements", "_items", "_max_elements", "_max_items", "is_ample")

    def __init__(self, *, max_items: int, max_elements: int, body_bytes: int) -> None:
        #: Whether no body of this size could hold too many elements: each takes two bytes.
        self.is_ample = body_bytes <= 2 * max_elements
        self._items = 0
        self._elements = 0
        self._max_items = max_items
        self._max_elements = max_elements

    def spend_items(self, count: int) -> None:
        """``count`` more spans or points."""
        self._items += count
        if self._items > self._max_items:
            raise TooLarge(f"the request holds more than {self._max_items} items")

    def spend_elements(self, count: int) -> None:
        """``count`` more parts: groups, attributes, events, array elements, buckets."""
        self._elements += count
        if self._elements > self._max_elements:
            raise TooLarge(f"the request holds more than {self._max_elements} elements")


def parsed(shape: Any, raw: bytes) -> Any:
    """``raw`` as a message of class ``shape``; raises Malformed, TooLarge."""
    require_few_fields(raw)
    try:
        return shape.FromString(raw)
    except DecodeError as error:
        raise Malformed(f"{shape.DESCRIPTOR.name}: {error}") from error


def official(official_class: type[_M], raw: bytes) -> _M:
    """The message without fields its official class does not know. Raises Malformed."""
    message: _M = parsed(official_class, raw)
    message.DiscardUnknownFields()
    return message


def canonical(official_class: type[Message], raw: bytes) -> bytes:
    """The message as the official class writes it, without fields it does not know.

    Parsers agree on what that class writes and differ on the rest: the engine's refuses groups,
    overlong varints and booleans above 1, which this one forgives. Raises Malformed.
    """
    return official(official_class, raw).SerializeToString()


def attribute_elements(attributes: Iterable[bytes]) -> int:
    """How many values the encoded KeyValues hold: one each, and one per element of an array.

    Nearly every attribute is a short key with a short scalar, which six bytes prove; only the
    others are parsed.
    """
    count = 0
    for raw in attributes:
        count += 1
        try:
            value = raw[1] + 2
            length = raw[value + 1]
            if (
                raw[0] == 0x0A
                and value < 0x82
                and raw[value] == 0x12
                and value + 2 + length == len(raw)
                and (length <= _NUMBER_BYTES or _is_text(raw, value + 2, length))
            ):
                continue
        except IndexError:
            pass  # shorter than any complete pair: the parser decides
        count += _array_elements(raw)
    return count


def array_elements(attributes: Iterable[KeyValue]) -> int:
    """How many values the arrays among parsed attributes hold."""
    return sum(
        len(one.value.array_value.values) for one in attributes if one.value.HasField("array_value")
    )


def _is_text(raw: bytes, start: int, length: int) -> bool:
    """Whether the ``length`` bytes of AnyValue at ``start`` are one string or bytes value."""
    return length < 0x80 and raw[start] in _TEXT_TAGS and raw[start + 1] + 2 == length


def _array_elements(raw: bytes) -> int:
    return sum(
        len(parsed(shapes.ArrayValue, array).values)
        for value in parsed(shapes.KeyValue, raw).values
        for array in parsed(shapes.AnyValue, value).arrays
    )
