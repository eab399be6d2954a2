"""What a start finds of earlier ones: every acknowledged frame, and how much the disk lost.

A torn tail is cut off: nobody was told that it is safe. Damage elsewhere is a loss; the bytes
move to the quarantine folder, the frames around them are stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from collector.wal import frames
from collector.wal.segments import SUFFIX, Segment, signal_of, write_durably

QUARANTINE: Final = "quarantine"


@dataclass(frozen=True, slots=True)
class Recovered:
    """Segments to store, oldest first."""

    segments: tuple[Segment, ...]
    #: Bytes of appends that were never acknowledged.
    torn_bytes: int
    #: Bytes that were acknowledged and cannot be read any more; kept in the quarantine folder.
    damaged_bytes: int


def recover(folder: Path, *, now_monotonic_s: float) -> Recovered:
    """Mend every segment in ``folder``. Raises OSError if the folder cannot be read or written."""
    (folder / QUARANTINE).mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob("*.tmp"):
        leftover.unlink()
    segments: list[Segment] = []
    torn_bytes = damaged_bytes = 0
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        data = path.read_bytes()
        contents = frames.read(data)
        torn_bytes += len(data) - contents.torn_from
        damaged_bytes += sum(end - start for start, end in contents.damaged)
        size_bytes = _mend(path, data, contents)
        if size_bytes == 0:
            path.unlink()
            continue
        segments.append(
            Segment(path, signal_of(path), size_bytes, contents.item_count, now_monotonic_s)
        )
    return Recovered(tuple(segments), torn_bytes, damaged_bytes)


def _mend(path: Path, data: bytes, contents: frames.Contents) -> int:
    """Leave only frames in the file; returns their size."""
    for start, end in contents.damaged:
        kept = path.parent / QUARANTINE / f"{path.name}.damaged-{start}"
        write_durably(kept, (data[start:end],))
    whole = [memoryview(data)[frame.start : frame.end] for frame in contents.frames]
    size_bytes = sum(map(len, whole))
    if 0 < size_bytes < len(data):
        write_durably(path, whole)
    return size_bytes
