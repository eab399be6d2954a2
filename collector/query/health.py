"""The health page: what is behind, refused, full or silent, and one word for all of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

from collector.config import StoreConfig
from collector.store.engine import Store
from collector.store.points import text

#: Data that waits longer for the store is late for every reader.
LAG_MAX_S: Final = 30.0
#: Parts of one table above which merging is behind (the engine itself refuses at 3,000).
PARTS_MAX: Final = 1_000
#: Senders whose clock is further off are left out of verdicts.
SKEW_MAX_S: Final = 120.0
#: A sender that was heard in fewer of the newest minutes is not heard well.
COVERAGE_MIN_RATIO: Final = 0.5


def health(
    store: Store,
    books: Mapping[str, Any],
    scrape: Mapping[str, Any],
    config: StoreConfig,
    *,
    is_ready: bool,
) -> dict[str, Any]:
    """Everything at once; ``status`` is ok or degraded, ``reasons`` say why. Raises StoreError."""
    tables = _tables(store)
    free = os.statvfs(config.path)
    found = {
        "lag_s": books["lag_s"],
        "pending_items": books["pending"],
        "wal_bytes": books["wal_bytes"],
        "free_bytes": free.f_bavail * free.f_frsize,
        "rejected": _rejected(books),
        "quarantined_items": books["quarantined"],
        "is_safe_mode": books["is_safe_mode"],
        "shed": books["shed"],
        "series": books["series"],
        "tables": tables,
        "services": books["skew"],
        "scrape_down": sum(one["health"] == "down" for one in scrape["targets"]),
        "scrape_problems": scrape["problems"],
        "retention_s": {
            "spans": config.retention_spans_s,
            "points": config.retention_points_s,
            "rollups": config.retention_rollups_s,
        },
    }
    reasons = list(_reasons(found, is_ready=is_ready))
    return {"status": "degraded" if reasons else "ok", "reasons": reasons, **found}


def _tables(store: Store) -> list[dict[str, Any]]:
    rows = store.query(
        "SELECT table, count() AS parts, sum(rows) AS row_count, sum(bytes_on_disk) AS size "
        "FROM system.parts WHERE active AND database = currentDatabase() "
        "GROUP BY table ORDER BY table"
    )
    return [
        {
            "table": text(row["table"]),
            "parts": row["parts"],
            "rows": row["row_count"],
            "bytes": row["size"],
        }
        for row in rows.to_pylist()
    ]


def _rejected(books: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    return {signal: account["rejected"] for signal, account in books["signals"].items()}


def _reasons(found: Mapping[str, Any], *, is_ready: bool) -> Iterator[str]:
    if not is_ready:
        yield "no requests are taken right now"
    if found["lag_s"] > LAG_MAX_S:
        yield f"the oldest item waits for the store for {found['lag_s']:.0f} s"
    if found["quarantined_items"]:
        yield f"{found['quarantined_items']} acknowledged items could not be stored"
    if found["is_safe_mode"]:
        yield "safe mode after deaths for want of memory"
    if found["shed"] != "nothing":
        yield f"memory is short: {found['shed'].replace('_', ' ')} are refused"
    for one in found["tables"]:
        if one["parts"] > PARTS_MAX:
            yield f"{one['table']} has {one['parts']} parts: merging is behind"
    for one in found["services"]:
        if abs(one["behind_s"]) > SKEW_MAX_S:
            yield f"the clock of {one['service']!r} is {one['behind_s']:.0f} s behind ours"
        if one["coverage_ratio"] < COVERAGE_MIN_RATIO:
            yield f"{one['service']!r} was heard in {one['coverage_ratio']:.0%} of its minutes"
    if found["scrape_down"]:
        yield f"{found['scrape_down']} scrape targets are down"
    yield from found["scrape_problems"]
