"""Inserts the same segments over and over until it is killed; run by test_exactly_once.py.

Arguments: store folder, segment folder. Segments are named <signal>-<number>.seg; the name is the
token. A segment is removed once stored, like the write-ahead log does. One line out per event.
"""

from __future__ import annotations

import sys
from pathlib import Path

from collector.config import StoreConfig
from collector.store.engine import Signal, open_store


def main(store_path: Path, segments: Path) -> None:
    store = open_store(
        StoreConfig(
            path=store_path,
            max_memory_bytes=1_500_000_000,
            query_memory_bytes=500_000_000,
            query_timeout_s=10.0,
            insert_connections=1,
            query_connections=1,
            retention_spans_s=86_400,
            retention_points_s=86_400,
            retention_rollups_s=86_400,
            series_look_back_s=300.0,
            max_series_per_query=1_000,
        )
    )
    print("open", flush=True)
    for path in sorted(segments.glob("*.seg")):
        signal = Signal(path.name.split("-")[0])
        print("begin", path.name, flush=True)
        store.insert_segment(path, signal, path.name)
        print("stored", path.name, flush=True)
        path.unlink()
    for table, column in (
        ("spans", "1"),
        ("red", "request_count"),
        ("trace_bounds", "1"),
        ("number_points", "1"),
        ("histogram_points", "1"),
        ("exponential_points", "1"),
    ):
        is_count = "FINAL" if table == "trace_bounds" else ""
        sql = f"SELECT sum({column}) AS n FROM {table} {is_count}"
        print("count", table, store.query(sql)["n"].to_pylist()[0] or 0, flush=True)
    print("done", flush=True)


main(Path(sys.argv[1]), Path(sys.argv[2]))
