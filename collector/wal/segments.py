"""Segments as files: what they are called, how one is opened, cut and removed.

A name is the deduplication token of its content and never used twice: the time it was opened, a
random session and a number within the session. Sorted names are in the order of opening.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from collector.model import Signal

SUFFIX: Final = ".seg"
#: One ``writev`` takes at most this many buffers (Linux IOV_MAX).
_MAX_BUFFERS: Final = 1024


@dataclass(frozen=True, slots=True)
class Segment:
    """A closed segment, ready for the store."""

    path: Path
    signal: Signal
    size_bytes: int
    item_count: int
    #: When its first frame was acknowledged, by the monotonic clock of this process.
    first_monotonic_s: float

    @property
    def token(self) -> str:
        return self.path.name


def segment_name(signal: Signal, unix_nano: int, session: str, number: int) -> str:
    """``00001790000000000000-1f2e3d4c-00000001.traces.seg``."""
    return f"{unix_nano:020d}-{session}-{number:08d}.{signal}{SUFFIX}"


def signal_of(path: Path) -> Signal:
    """The signal a segment's name tells; raises ValueError for other files."""
    return Signal(path.name.removesuffix(SUFFIX).rpartition(".")[2])


class OpenSegment:
    """The segment that is being appended to; not thread-safe."""

    def __init__(self, path: Path, signal: Signal, first_monotonic_s: float) -> None:
        self.path = path
        self.signal = signal
        self.size_bytes = 0
        self.item_count = 0
        self.first_monotonic_s = first_monotonic_s
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600)
        try:
            sync_folder(path.parent)
        except OSError:
            self.close()
            raise

    def append(self, buffers: list[bytes], item_count: int) -> None:
        """Write and sync; after an OSError the file may hold a part: call ``cut``."""
        size = write_all(self._descriptor, buffers)
        os.fdatasync(self._descriptor)
        self.size_bytes += size
        self.item_count += item_count

    def cut(self) -> None:
        """Take away whatever lies behind the last append that succeeded."""
        os.ftruncate(self._descriptor, self.size_bytes)
        os.fdatasync(self._descriptor)

    def close(self) -> Segment:
        """No more appends."""
        os.close(self._descriptor)
        return Segment(
            self.path, self.signal, self.size_bytes, self.item_count, self.first_monotonic_s
        )


def write_all(descriptor: int, buffers: list[bytes]) -> int:
    """All bytes of ``buffers``, however many calls it takes; returns their number."""
    total = 0
    waiting: list[bytes | memoryview] = list(buffers)
    while waiting:
        written = os.writev(descriptor, waiting[:_MAX_BUFFERS])
        total += written
        while waiting and written >= len(waiting[0]):
            written -= len(waiting[0])
            waiting.pop(0)
        if written:
            waiting[0] = memoryview(waiting[0])[written:]
    return total


def write_durably(path: Path, chunks: Iterable[bytes | memoryview]) -> None:
    """Replace ``path`` by a file of ``chunks``: either the old or the new one survives a crash."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fdatasync(file.fileno())
    temporary.rename(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
