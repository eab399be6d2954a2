"""The engine's lists of deduplication tokens, kept in step with its parts through a power cut.

For every part it inserts the engine first writes the token into a file beside the parts, then gives
the part its name. It syncs the part, never the list. After a power cut a part without its token
would be inserted again (counted twice), a token without its part never (lost). So the lists are
written through to the disk at once, which leaves only the second case, and before the engine
starts, tokens of parts that are not there are taken out.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from collector.wal.segments import write_durably

_FOLDERS: Final = "store/*/*/deduplication_logs"
#: Linux: FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, and FS_SYNC_FL ("chattr +S").
_GET_FLAGS: Final = 0x80086601
_SET_FLAGS: Final = 0x40086602
_SYNC_FLAG: Final = 0x00000008
#: ``partition_first_last_level``, and a mutation's number.
_PART: Final = re.compile(r"([^_]+)_(\d+)_(\d+)_\d+(?:_\d+)?")
_ADDED: Final = b"1"


def token_folders(store: Path) -> list[Path]:
    """Every table's folder of lists."""
    return sorted(store.glob(_FOLDERS))


def write_through(folders: Iterable[Path]) -> bool:
    """Make every write to the lists, and to those still to come, durable before it returns.

    False if the file system of one of them has no such flag.
    """
    found = [_flagged(path) for folder in folders for path in (folder, *folder.iterdir())]
    return all(found)


def mend_tokens(store: Path) -> int:
    """Take tokens out whose parts are not there; their number. The engine must not run.

    A part that was dropped since, for its age, loses its token too: its segment left the
    write-ahead log long before. Raises OSError.
    """
    return sum(
        _mend(path, _parts(folder.parent))
        for folder in token_folders(store)
        for path in folder.iterdir()
    )


def _flagged(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        flags = struct.unpack("i", fcntl.ioctl(descriptor, _GET_FLAGS, bytes(4)))[0]
        if not flags & _SYNC_FLAG:
            fcntl.ioctl(descriptor, _SET_FLAGS, struct.pack("i", flags | _SYNC_FLAG))
            os.fsync(descriptor)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _mend(path: Path, parts: list[tuple[str, int, int]]) -> int:
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if _is_kept(line, parts)]
    if len(kept) < len(lines):
        write_durably(path, kept)
    return len(lines) - len(kept)


def _is_kept(line: bytes, parts: list[tuple[str, int, int]]) -> bool:
    """False for the token of a part that is not there, and for a line that was cut off."""
    fields = line.split(b"\t")
    if not line.endswith(b"\n") or len(fields) != 3:
        return False
    found = _PART.fullmatch(fields[1].decode(errors="replace"))
    if fields[0] != _ADDED or found is None:
        return True
    partition, number = found[1], int(found[2])
    return any(one == partition and first <= number <= last for one, first, last in parts)


def _parts(table: Path) -> list[tuple[str, int, int]]:
    """Partition, first and last block of every part on the disk."""
    return list(_found_parts(table))


def _found_parts(table: Path) -> Iterator[tuple[str, int, int]]:
    for path in table.iterdir():
        found = _PART.fullmatch(path.name)
        if found is not None:
            yield found[1], int(found[2]), int(found[3])
