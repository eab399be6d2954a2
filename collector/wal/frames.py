"""The format of a segment: frames one behind the other, each a header and a body.

::

    varint 15000 << 3 | 2   the header is protobuf field 15000, so that ...
    varint 16
    "DLW1"
    u32 body length         little endian
    u32 crc32(body)         started with the item count, so that it covers both
    u32 item count          spans or data points of the body
    body                    ... header and body together are one OTLP message,

and since messages concatenate, a whole segment is one too: the engine reads it as it lies.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Final

from collector.wire.shapes import varint

_MAGIC: Final = b"DLW1"
_FIELDS: Final = struct.Struct("<III")
_PREFIX: Final = varint(15000 << 3 | 2) + varint(len(_MAGIC) + _FIELDS.size) + _MAGIC
HEADER_BYTES: Final = len(_PREFIX) + _FIELDS.size


@dataclass(frozen=True, slots=True)
class Frame:
    """One body of a segment; ``data[start:end]`` is header and body."""

    start: int
    end: int
    item_count: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What a segment's bytes hold; frames and damage together cover all of them, in order."""

    frames: tuple[Frame, ...]
    #: (start, end) of bytes between or behind frames that are no frame: the disk's doing.
    damaged: tuple[tuple[int, int], ...]
    #: Where an append that never finished begins; the length of the data if there is none.
    torn_from: int

    @property
    def item_count(self) -> int:
        return sum(frame.item_count for frame in self.frames)


def header(body: bytes, item_count: int) -> bytes:
    """What stands before ``body``."""
    return _PREFIX + _FIELDS.pack(len(body), zlib.crc32(body, item_count), item_count)


def read(data: bytes) -> Contents:
    """Every frame whose checksum holds, also those behind damage.

    A tail that is shorter than its header says is a torn append. It was never acknowledged,
    since acknowledging comes after writing all of it.
    """
    frames: list[Frame] = []
    damaged: list[tuple[int, int]] = []
    view = memoryview(data)
    offset = 0
    while offset < len(data):
        frame = _frame_at(view, offset)
        if frame is not None:
            frames.append(frame)
            offset = frame.end
            continue
        following = _next_frame(data, view, offset + 1)
        if following is None:
            if _is_torn(view, offset):
                return Contents(tuple(frames), tuple(damaged), offset)
            following = len(data)
        damaged.append((offset, following))
        offset = following
    return Contents(tuple(frames), tuple(damaged), len(data))


def _frame_at(view: memoryview, offset: int) -> Frame | None:
    start = offset + HEADER_BYTES
    if view[offset : offset + len(_PREFIX)] != _PREFIX or start > len(view):
        return None
    length, checksum, item_count = _FIELDS.unpack_from(view, offset + len(_PREFIX))
    if zlib.crc32(view[start : start + length], item_count) != checksum:
        return None
    return Frame(offset, start + length, item_count) if start + length <= len(view) else None


def _next_frame(data: bytes, view: memoryview, offset: int) -> int | None:
    found = data.find(_PREFIX, offset)
    while found >= 0:
        if _frame_at(view, found) is not None:
            return found
        found = data.find(_PREFIX, found + 1)
    return None


def _is_torn(view: memoryview, offset: int) -> bool:
    """Whether the bytes from ``offset`` on are the beginning of a frame."""
    left = len(view) - offset
    if left < HEADER_BYTES:
        return view[offset : offset + len(_PREFIX)] == _PREFIX[:left]
    if view[offset : offset + len(_PREFIX)] != _PREFIX:
        return False
    length = _FIELDS.unpack_from(view, offset + len(_PREFIX))[0]
    return bool(left < HEADER_BYTES + length)
