"""Backups: a snapshot's parts copied with a list of every file's size and digest, and back.

The list is written last; a folder without it is no backup. What was acknowledged and not yet stored
is in the write-ahead log, not in a backup.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from collector.store.engine import Store
from collector.store.schema import SCHEMA_VERSION
from collector.store.snapshot import FrozenTable
from collector.wal.segments import sync_folder, write_durably

MANIFEST: Final = "manifest.json"
_TABLES: Final = "tables"
_CHUNK_BYTES: Final = 1 << 20
_FOLDERS: Final = (
    "SELECT name, arrayElement(data_paths, 1) FROM system.tables "
    "WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
)


class BackupError(Exception):
    """What is wrong with a backup or its target; one sentence."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What a backup holds."""

    rows: dict[str, int]
    size_bytes: int


def write_backup(tables: Iterable[FrozenTable], target: Path, *, now_unix_nano: int) -> Copied:
    """Copy the parts to ``target``, which is made. Raises BackupError or OSError."""
    if target.exists() and any(target.iterdir()):
        raise BackupError(f"{target} is not empty")
    rows: dict[str, int] = {}
    files: dict[str, list[Any]] = {}
    for table in tables:
        rows[table.name] = 0
        for part in table.parts():
            rows[table.name] += int((part / "count.txt").read_text())
            place = Path(_TABLES) / table.name / part.name
            for source in _files(part):
                name = place / source.relative_to(part)
                files[str(name)] = list(_copied(source, target / name))
    for folder in {(target / name).parent for name in files}:
        sync_folder(folder)
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "created_unix_nano": now_unix_nano,
        "rows": rows,
        "files": files,
    }
    target.mkdir(parents=True, exist_ok=True)
    write_durably(target / MANIFEST, (json.dumps(manifest).encode(),))
    return Copied(rows, sum(size for size, _ in files.values()))


def verified(source: Path) -> dict[str, Any]:
    """The backup's list, after every file was read and found as it says. Raises BackupError."""
    try:
        manifest: dict[str, Any] = json.loads((source / MANIFEST).read_bytes())
        files, version = manifest["files"], manifest["schema_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupError(f"{source} is no complete backup: {error}") from None
    if version != SCHEMA_VERSION:
        raise BackupError(
            f"{source} is of schema version {version}, this program needs {SCHEMA_VERSION}"
        )
    for name, (size, digest) in files.items():
        path = source / name
        if ".." in path.parts or Path(name).parts[0] != _TABLES:
            raise BackupError(f"{source} names a file outside of it: {name!r}")
        try:
            is_same = path.stat().st_size == size and _digest(path) == digest
        except OSError as error:
            raise BackupError(f"{path} cannot be read: {error.strerror}") from None
        if not is_same:
            raise BackupError(f"{path} is not what was backed up")
    return manifest


def attach(store: Store, source: Path, manifest: dict[str, Any]) -> dict[str, int]:
    """Put the parts of a verified backup into a new store; rows by table, counted there.

    Raises BackupError where the store has other rows than were backed up, StoreError or OSError.
    """
    parts: dict[str, set[str]] = {name: set() for name in manifest["rows"]}
    for name in manifest["files"]:
        _, table, part, *_ = Path(name).parts
        parts[table].add(part)
    found: dict[str, int] = {}
    with store.administration() as run:
        run("SYSTEM STOP MERGES")  # rows are counted as they were backed up
        folders = {row[0]: Path(row[1]) for row in run(_FOLDERS)}
        for table, names in parts.items():
            if table not in folders:
                raise BackupError(f"the store has no table {table!r}")
            for part in sorted(names):
                detached = folders[table] / "detached" / part
                shutil.copytree(source / _TABLES / table / part, detached)
                for path in _files(detached):
                    _sync(path)
                run(f"ALTER TABLE {table} ATTACH PART '{part}'")
            # Its name is one of the store's own tables.
            found[table] = int(run(f"SELECT count() FROM {table}")[0][0])  # noqa: S608
        run("SYSTEM START MERGES")
    if found != manifest["rows"]:
        raise BackupError(f"restored {found}, backed up {manifest['rows']}")
    return found


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _copied(source: Path, target: Path) -> tuple[int, str]:
    """Size and digest of what was written and read back."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    _sync(target)
    digest = _digest(source)
    if _digest(target) != digest:
        raise BackupError(f"{target} does not read back as it was written")
    return target.stat().st_size, digest


def _digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=32)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
