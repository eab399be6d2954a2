"""A segment the engine cannot decode: halve it until the bad body stands alone.

The good bodies are stored. The bad one is written anew, as the official classes write it, and only
if the engine does not read that either is it moved to the quarantine folder. Every half has a token
made of the segment's and its place, so doing all of it again after a crash adds nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from collector.store.errors import PoisonedSegment
from collector.wal import frames
from collector.wal.frames import Frame
from collector.wal.recovery import QUARANTINE
from collector.wal.segments import Segment, write_durably
from collector.wire.errors import Malformed
from collector.wire.scan import rewritten

#: Not the suffix of segments, so that a crash leaves nothing a start would take for one.
_HALF_SUFFIX: Final = ".half.tmp"

#: Stores the file under the token; raises PoisonedSegment or StoreUnavailable.
Insert = Callable[[Path, str], None]


@dataclass(frozen=True, slots=True)
class Isolated:
    """Items of a segment, by where they went."""

    stored: int
    quarantined: int


def isolate(segment: Segment, insert: Insert) -> Isolated:
    """Store what can be stored of ``segment``. Raises StoreUnavailable: then call again."""
    data = segment.path.read_bytes()
    contents = frames.read(data)
    work = [(0, len(contents.frames))] if contents.frames else []
    stored = 0
    while work:
        first, behind = work.pop()
        part = contents.frames[first:behind]
        name = f"{segment.token}.{first}-{behind}"
        if _is_stored(segment.path.with_name(name + _HALF_SUFFIX), data, part, name, insert):
            stored += _items(part)
        elif len(part) == 1:
            if _is_mended(segment, data, part[0], name, insert):
                stored += part[0].item_count
                continue
            write_durably(
                segment.path.parent / QUARANTINE / name, (data[part[0].start : part[0].end],)
            )
        else:
            middle = (first + behind) // 2
            work += [(middle, behind), (first, middle)]
    # Whatever was acknowledged and is not stored is in the quarantine folder, also what the disk
    # made unreadable since.
    for start, end in contents.damaged:
        name = f"{segment.token}.damaged-{start}"
        write_durably(segment.path.parent / QUARANTINE / name, (data[start:end],))
    # A file that could not be cut after a failed sync holds frames beyond those in the books.
    stored = min(stored, segment.item_count)
    return Isolated(stored, segment.item_count - stored)


def _is_mended(segment: Segment, data: bytes, frame: Frame, name: str, insert: Insert) -> bool:
    """Store one body as another parser reads it: the engine's is stricter than the official one."""
    body = data[frame.start + frames.HEADER_BYTES : frame.end]
    try:
        anew = rewritten(segment.signal, body)
    except Malformed:
        return False
    mended = frames.header(anew, frame.item_count) + anew
    whole = Frame(0, len(mended), frame.item_count)
    path = segment.path.with_name(f"{name}.anew{_HALF_SUFFIX}")
    return _is_stored(path, mended, (whole,), f"{name}.anew", insert)


def _is_stored(
    path: Path, data: bytes, part: tuple[Frame, ...], token: str, insert: Insert
) -> bool:
    path.write_bytes(b"".join(data[frame.start : frame.end] for frame in part))
    try:
        insert(path, token)
    except PoisonedSegment:
        return False
    finally:
        path.unlink()
    return True


def _items(part: tuple[Frame, ...]) -> int:
    return sum(frame.item_count for frame in part)
