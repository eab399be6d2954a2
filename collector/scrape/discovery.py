"""Which addresses there are: groups from the configuration and from discovery files.

A discovery file is read again when it changed. One that cannot be read keeps the targets it had
(the writer may be in the middle of it) and is told; one that is gone takes them along.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from collector.scrape.document import read_document
from collector.scrape.errors import BadScrapeFile
from collector.scrape.jobs import Job, StaticGroup, read_group

FILE_LABEL: Final = "__meta_filepath"

#: What tells that a file is another one: inode, size, time of change.
_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Read:
    stamp: _Stamp
    groups: tuple[StaticGroup, ...]
    problem: str


class DiscoveryFiles:
    """The newest good content of every file; blocking, for one thread at a time."""

    def __init__(self) -> None:
        self._known: dict[Path, _Read] = {}

    def groups(self, job: Job) -> tuple[StaticGroup, ...]:
        """All groups of the job, those of the configuration first."""
        found = list(job.static_groups)
        for path in self._paths(job):
            found += self._read(path).groups
        return tuple(found)

    def forget_unused(self, jobs: tuple[Job, ...]) -> None:
        """Drop what no job names any more."""
        used = {path for job in jobs for path in self._paths(job)}
        self._known = {path: read for path, read in self._known.items() if path in used}

    def problems(self) -> list[str]:
        """One sentence per file that could not be read as it is now."""
        return [read.problem for read in self._known.values() if read.problem]

    @staticmethod
    def _paths(job: Job) -> list[Path]:
        return sorted({path for one in job.discovery_files for path in one.parent.glob(one.name)})

    def _read(self, path: Path) -> _Read:
        known = self._known.get(path)
        try:
            status = path.stat()
            stamp = status.st_ino, status.st_size, status.st_mtime_ns
        except OSError:
            return known or _Read((0, 0, 0), (), "")
        if known is None or known.stamp != stamp:
            try:
                known = _Read(stamp, _groups_of(path), "")
            except BadScrapeFile as error:
                known = _Read(stamp, () if known is None else known.groups, str(error))
            self._known[path] = known
        return known


def _groups_of(path: Path) -> tuple[StaticGroup, ...]:
    root = read_document(path)
    if root is None:
        return ()
    groups = (read_group(item) for item in root.items())
    return tuple(
        StaticGroup(group.addresses, {**group.labels, FILE_LABEL: str(path)}) for group in groups
    )
