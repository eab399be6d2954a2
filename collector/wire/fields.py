"""How many fields a message has at its top, counted before a parser makes something of each.

A parser spends up to a hundred bytes on every two bytes of a hostile body. Small messages cannot
hold enough of them to matter; only large ones are counted.
"""

from __future__ import annotations

from typing import Final

from collector.wire.errors import TooLarge

#: Messages up to this size are not counted: their fields cost some megabytes at most.
SMALL_BYTES: Final = 262_144
#: Fields of one message; more than any limit on items lets through in practice.
MAX_FIELDS: Final = 262_144

_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5


def require_few_fields(raw: bytes) -> None:
    """Raises TooLarge. Broken bytes are left to the parser."""
    if len(raw) <= SMALL_BYTES:
        return
    position, end, left = 0, len(raw), MAX_FIELDS
    while position < end:
        left -= 1
        if left < 0:
            raise TooLarge(f"a message has more than {MAX_FIELDS} fields")
        kind = raw[position] & 7
        position = _after_varint(raw, position, end)
        if kind == _DELIMITED:
            length = shift = 0
            while position < end:
                byte = raw[position]
                position += 1
                length |= (byte & 0x7F) << shift
                if byte < 0x80 or shift > 28:
                    break
                shift += 7
            position += length
        elif kind == _VARINT:
            position = _after_varint(raw, position, end)
        elif kind == _FIXED64:
            position += 8
        elif kind == _FIXED32:
            position += 4


def _after_varint(raw: bytes, position: int, end: int) -> int:
    while position < end and raw[position] >= 0x80:
        position += 1
    return position + 1
