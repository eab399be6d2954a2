"""Is the store whole? Every part read, tables held against each other, the log looked at.

Statements are put together from names and numbers of ours alone.
"""

# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from collector.config import CollectorConfig
from collector.store.engine import Store
from collector.wal import frames
from collector.wal.recovery import QUARANTINE
from collector.wal.segments import SUFFIX

_POINT_TABLES: Final = ("number_points", "histogram_points", "exponential_points")
_TABLES: Final = (
    "SELECT name FROM system.tables "
    "WHERE database = currentDatabase() AND engine LIKE '%MergeTree' ORDER BY name"
)

Run = Callable[[str], list[list[str]]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence, and whether all is well."""

    is_good: bool
    text: str


def check_store(store: Store, config: CollectorConfig, *, now_unix_s: int) -> Iterator[Finding]:
    """One finding per question. Raises StoreError."""
    with store.administration() as run:
        for (table,) in run(_TABLES):
            yield _parts(run, table)
        # Spans may be stamped max_past_s ago; those of this window cannot have expired.
        age_s = min(config.limits.max_past_s, config.store.retention_spans_s / 2)
        yield _rollups(run, now_unix_s - round(age_s))
        yield _traces(run, now_unix_s - round(age_s))
        for table in _POINT_TABLES:
            yield _series(run, table, "series")
        yield _series(run, "samples", "sample_series")
    yield from check_log(config.wal.path)


def check_log(folder: Path) -> Iterator[Finding]:
    """What waits in the write-ahead log, and what is set aside."""
    items = segments = torn = damaged = 0
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        data = path.read_bytes()
        contents = frames.read(data)
        segments += 1
        items += contents.item_count
        torn += len(data) - contents.torn_from
        damaged += sum(end - start for start, end in contents.damaged)
    if segments:
        yield Finding(
            True, f"{items} items in {segments} segments of the log enter the store at its start"
        )
    if torn:
        yield Finding(True, f"{torn} bytes at the ends of segments were never acknowledged")
    if damaged:
        yield Finding(False, f"{damaged} acknowledged bytes of the log cannot be read any more")
    kept = [path for path in (folder / QUARANTINE).glob("*") if path.is_file()]
    if kept:
        size = sum(path.stat().st_size for path in kept)
        yield Finding(
            False, f"{len(kept)} files ({size} bytes) lie in {folder / QUARANTINE}: never stored"
        )
    if not (segments or kept):
        yield Finding(True, "the write-ahead log is empty")


def _parts(run: Run, table: str) -> Finding:
    rows = run(f"CHECK TABLE {table} SETTINGS check_query_single_value_result = 0")
    broken = [f"{row[0]} ({row[2]})" for row in rows if row[1] != "1"]
    if broken:
        return Finding(False, f"{table}: parts cannot be read: {', '.join(broken)}")
    return Finding(True, f"{table}: {len(rows)} parts, every checksum right")


def _rollups(run: Run, since_unix_s: int) -> Finding:
    """Requests by the second against the spans they were counted from."""
    spans = _number(
        run,
        "SELECT count() FROM spans "
        f"WHERE kind = 2 AND start_unix_nano >= {since_unix_s} * 1000000000",
    )
    counted = _number(
        run, f"SELECT sum(request_count) FROM red WHERE second_unix >= {since_unix_s}"
    )
    return Finding(
        spans == counted, f"{spans} server spans since {since_unix_s}, {counted} in the rollup"
    )


def _traces(run: Run, since_unix_s: int) -> Finding:
    count = _number(
        run,
        "SELECT count() FROM spans "
        f"WHERE start_unix_nano >= {since_unix_s} * 1000000000 "
        "AND trace_id NOT IN (SELECT trace_id FROM trace_bounds)",
    )
    return Finding(count == 0, f"{count} spans cannot be found by their trace's id")


def _series(run: Run, table: str, of_series: str) -> Finding:
    count = _number(
        run,
        f"SELECT count() FROM {table} WHERE series_id NOT IN (SELECT series_id FROM {of_series})",
    )
    return Finding(count == 0, f"{table}: {count} points belong to no series")


def _number(run: Run, sql: str) -> int:
    return int(run(sql)[0][0])
