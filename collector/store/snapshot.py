"""A snapshot of the store: every part at one moment, kept by links that cost no space.

Nothing is inserted while the tables are frozen, so that they belong together. There is one snapshot
at a time; a new one takes the place of one that somebody forgot.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from collector.store.engine import Store

NAME: Final = "backup"
#: Made anew by whoever creates a store.
_NOT_COPIED: Final = frozenset(("schema_version",))
_TABLES: Final = (
    "SELECT name, toString(uuid) FROM system.tables "
    "WHERE database = currentDatabase() AND engine LIKE '%MergeTree' ORDER BY name"
)


@dataclass(frozen=True, slots=True)
class FrozenTable:
    """A table's parts: folders below ``folder``; none if it is empty."""

    name: str
    folder: Path

    def parts(self) -> list[Path]:
        """The parts' folders."""
        return sorted(self.folder.iterdir()) if self.folder.is_dir() else []


def freeze(store: Store) -> list[FrozenTable]:
    """Keep every part as it is now. Raises StoreUnavailable or OSError."""
    with store.administration() as run:
        release(store)
        tables = [row for row in run(_TABLES) if row[0] not in _NOT_COPIED]
        for name, _ in tables:
            run(f"ALTER TABLE {name} FREEZE WITH NAME '{NAME}'")
    root = snapshot_folder(store.path)
    return [FrozenTable(name, root / "store" / uuid[:3] / uuid) for name, uuid in tables]


def release(store: Store) -> None:
    """Let the parts go. Raises OSError."""
    folder = snapshot_folder(store.path)
    if folder.is_dir():
        shutil.rmtree(folder)


def snapshot_folder(store: Path) -> Path:
    """Where the engine links the parts."""
    return store / "shadow" / NAME
