"""Where the ledger under faults is kept: a SQLite file on a tmpfs, or a PostgreSQL server."""

from __future__ import annotations

import contextlib
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from sqlalchemy import NullPool, create_engine, make_url, text

from analysis.decisions.engines import named_driver
from bench.rollback.postgres import Postgres, missing

#: More than a ledger of 20,000 decisions.
DISK_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Place:
    """One ledger's database. ``processes``: how many may have it open at once."""

    url: str
    processes: int
    server: Postgres | None = None
    disk: Path | None = None  # a tmpfs that holds nothing but the ledger
    skipped: dict[str, str] = field(default_factory=dict)  # faults that cannot be done here: why


@contextlib.contextmanager
def new_place(database: str, folder: Path) -> Iterator[Place]:
    """``database``: sqlite or postgresql. Raises RuntimeError when it cannot be had here."""
    with _file(folder) if database == "sqlite" else _server() as place:
        yield place


@contextlib.contextmanager
def _file(folder: Path) -> Iterator[Place]:
    disk = folder / "disk"
    disk.mkdir(exist_ok=True)
    url = f"sqlite:///{disk / 'ledger.sqlite'}"
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "davylamp-faults", str(disk)]
    try:
        made = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        yield Place(url, 1, skipped={"enospc": "there is no program to mount a tmpfs"})
        return
    if made.returncode != 0:
        yield Place(url, 1, skipped={"enospc": f"cannot mount a tmpfs: {made.stderr.strip()}"})
        return
    try:
        yield Place(url, 1, disk=disk)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@contextlib.contextmanager
def _server() -> Iterator[Place]:
    if reason := missing():
        raise RuntimeError(reason)
    with Postgres() as server:
        yield Place(server.new_database(), 2, server)


@dataclass(frozen=True, slots=True)
class Ends:
    """What the ledger says at the end, read by a stranger."""

    states: dict[str, str]  # by decision
    told: set[str]  # deployments whose end as a dead letter is on the timeline
    deployments: dict[str, str]  # by decision
    reasons: Counter[str]  # first word of why a row is dead
    terms: int = 0  # of leaders

    @classmethod
    def read(cls, url: str) -> Self:
        engine = create_engine(named_driver(make_url(url)), poolclass=NullPool)
        with engine.connect() as raw:
            rows = raw.execute(text("SELECT decision_id, state, dead_reason FROM outbox")).all()
            decisions = raw.execute(text("SELECT decision_id, deployment_id FROM decisions")).all()
            events = raw.execute(text("SELECT kind, deployment_id FROM events")).all()
        engine.dispose()
        return cls(
            {row[0]: row[1] for row in rows},
            {deployment for kind, deployment in events if kind == "dead_letter"},
            {row[0]: row[1] for row in decisions},
            Counter(row[2].split()[0] for row in rows if row[2]),
            sum(kind == "leader" for kind, _ in events),
        )

    @staticmethod
    def has_pending(url: str) -> bool:
        """Whether a command still waits."""
        engine = create_engine(named_driver(make_url(url)), poolclass=NullPool)
        with engine.connect() as raw:
            found = raw.execute(text("SELECT 1 FROM outbox WHERE state = 'pending' LIMIT 1")).all()
        engine.dispose()
        return bool(found)
