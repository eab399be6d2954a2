"""``davylamp store``: check, back up and restore what the collector keeps.

``check`` and ``restore`` need the collector stopped, since one process owns a store; ``backup``
asks a running one for a snapshot, or takes it itself. Each prints plain sentences and ends with 0
if all is well, else with 1.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from collector.access.own import own_headers
from collector.config import CollectorConfig
from collector.query.snapshots import HEADER
from collector.store.backup import BackupError, attach, verified, write_backup
from collector.store.check import check_store
from collector.store.engine import Store, open_store
from collector.store.errors import StoreError, StoreUnavailable
from collector.store.snapshot import FrozenTable, freeze, release
from davylamp.config import Settings, collector_config
from davylamp.errors import DavylampError
from telemetry.clock import SystemClock

#: Seconds a running collector may take to freeze its tables.
SNAPSHOT_TIMEOUT_S: Final = 60.0


class StoreCommandError(DavylampError):
    """The command cannot be carried out; one sentence says why."""


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``store`` and what it can do to the program's commands."""
    store = subparsers.add_parser("store", help="check, back up and restore what is kept")
    commands = store.add_subparsers(dest="store_command", required=True)
    commands.add_parser("check", help="read everything and hold it against itself")
    commands.add_parser("retention", help="how long what is kept")
    backup = commands.add_parser("backup", help="copy the store, also while the collector runs")
    backup.add_argument("folder", type=Path, help="an empty or new folder")
    restore = commands.add_parser("restore", help="make the store anew from a backup")
    restore.add_argument("folder", type=Path, help="what backup wrote")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Carry the command out; returns the exit code. Raises StoreCommandError."""
    config = collector_config(settings)
    try:
        if options.store_command == "check":
            return _check(config)
        if options.store_command == "retention":
            return _retention(config)
        if options.store_command == "backup":
            return _backup(config, settings, options.folder)
        return _restore(config, options.folder)
    except (StoreError, BackupError) as error:
        raise StoreCommandError(str(error)) from None
    except OSError as error:
        raise StoreCommandError(
            f"{error.filename or config.store.path}: {error.strerror}"
        ) from None


def _check(config: CollectorConfig) -> int:
    _require_store(config)
    now_unix_s = SystemClock().wall_unix_nano() // 1_000_000_000
    bad = 0
    with contextlib.closing(_opened(config)) as store:
        for finding in check_store(store, config, now_unix_s=now_unix_s):
            print(f"{'ok ' if finding.is_good else 'BAD'} {finding.text}")
            bad += not finding.is_good
    print("nothing is wrong" if not bad else f"{bad} things are wrong")
    return int(bad > 0)


def _retention(config: CollectorConfig) -> int:
    store = config.store
    for what, seconds in (
        ("spans", store.retention_spans_s),
        ("metric points", store.retention_points_s),
        ("rollups of requests", store.retention_rollups_s),
    ):
        print(f"{what} are kept for {seconds / 86_400:g} days after they arrived")
    return 0


def _backup(config: CollectorConfig, settings: Settings, target: Path) -> int:
    now_unix_nano = SystemClock().wall_unix_nano()
    with _snapshot(config, settings.url("collector", "api_port")) as tables:
        copied = write_backup(tables, target, now_unix_nano=now_unix_nano)
    for table, rows in copied.rows.items():
        print(f"{table}: {rows} rows")
    print(f"{copied.size_bytes} bytes in {target}, read back as they were written")
    return 0


@contextlib.contextmanager
def _snapshot(config: CollectorConfig, api_url: str) -> Iterator[list[FrozenTable]]:
    """Of the running collector if there is one on this store, else our own."""
    headers = own_headers(config.access)
    found = _asked(api_url, "POST", headers)
    if found is not None:
        tables = [FrozenTable(one["name"], Path(one["folder"])) for one in found["tables"]]
        if not all(config.store.path.resolve() in one.folder.resolve().parents for one in tables):
            _asked(api_url, "DELETE", headers)
            raise StoreCommandError(f"the collector on {api_url} has another store")
        try:
            yield tables
        finally:
            _asked(api_url, "DELETE", headers)
        return
    _require_store(config)
    with contextlib.closing(_opened(config)) as store:
        try:
            yield freeze(store)
        finally:
            release(store)


def _asked(api_url: str, method: str, headers: Mapping[str, str]) -> dict[str, Any] | None:
    """The collector's answer; None if there is no collector."""
    request = urllib.request.Request(  # noqa: S310 - http://, from our own settings
        f"{api_url}/api/v1/store/snapshot", method=method, headers={HEADER: "1", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=SNAPSHOT_TIMEOUT_S) as answer:  # noqa: S310
            found: dict[str, Any] = json.loads(answer.read())
            return found
    except urllib.error.HTTPError as error:
        said = error.read()[:300].decode(errors="replace")
        raise StoreCommandError(
            f"the collector on {api_url} answers {error.code}: {said}"
        ) from None
    except OSError:
        return None


def _restore(config: CollectorConfig, source: Path) -> int:
    path = config.store.path
    if path.exists() and any(path.iterdir()):
        raise StoreCommandError(f"{path} is not empty; move it away, then restore")
    manifest = verified(source)
    with contextlib.closing(open_store(config.store)) as store:
        rows = attach(store, source, manifest)
    for table, count in rows.items():
        print(f"{table}: {count} rows")
    print(f"restored into {path}, every row counted")
    return 0


def _require_store(config: CollectorConfig) -> None:
    if not config.store.path.is_dir():
        raise StoreCommandError(f"there is no store in {config.store.path}")


def _opened(config: CollectorConfig) -> Store:
    try:
        return open_store(config.store)
    except StoreUnavailable as error:
        raise StoreCommandError(f"{error}; stop the collector first") from None
