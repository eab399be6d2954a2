"""A segment counts once, whatever happens between the first attempt and the last."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from collector.store.engine import Signal

TABLES = ("spans", "red", "trace_bounds", "instances", "series", "number_points")
TABLES += ("histogram_points", "exponential_points")
SECOND_NS = 1_000_000_000


def bodies(otlp, t0, service, spans=50):
    traces = otlp.trace_request(
        otlp.resource(service),
        [
            {
                "trace_id": os.urandom(16),
                "span_id": os.urandom(8),
                "start": t0 + i * 1_000_000,
                "duration_ns": 1_000 * (i + 1),
            }
            for i in range(spans)
        ],
    )
    times = [{"time": t0 + i * SECOND_NS, "start": t0} for i in range(10)]
    explicit = {"count": 2, "sum": 1.0, "bounds": [1.0], "counts": [1, 1]}
    exponential = {"count": 2, "sum": 1.0, "scale": 0, "offset": 0, "counts": [1, 1]}
    metrics = [
        otlp.metrics_request(
            otlp.resource(service), f"{service}.n", "sum", [{**at, "value": 1} for at in times]
        ),
        otlp.metrics_request(
            otlp.resource(service),
            f"{service}.h",
            "histogram",
            [{**at, **explicit} for at in times],
        ),
        otlp.metrics_request(
            otlp.resource(service),
            f"{service}.e",
            "exponential_histogram",
            [{**at, **exponential} for at in times],
        ),
    ]
    return traces, metrics


def totals(store):
    """Rows of every table, and the requests the rollup counts."""
    rows = {
        table: store.query(f"SELECT count() AS n FROM {table} FINAL")["n"].to_pylist()[0]
        for table in ("red", "trace_bounds", "instances", "series")
    }
    for table in ("spans", "number_points", "histogram_points", "exponential_points"):
        rows[table] = store.query(f"SELECT count() AS n FROM {table}")["n"].to_pylist()[0]
    sums = store.query("SELECT sum(request_count) AS n FROM red")
    rows["requests"] = sums["n"].to_pylist()[0]
    return rows


def test_the_same_token_twice_adds_nothing(store, insert, otlp, t0):
    """Replaying a segment leaves every table as it was; a new token adds again."""
    traces, metrics = bodies(otlp, t0, "twice")
    before = totals(store)
    assert insert(traces, token="twice-t") == 50
    assert insert(*metrics, token="twice-m") == 30
    once = totals(store)
    assert once["spans"] - before["spans"] == 50
    assert once["requests"] - before["requests"] == 50
    assert once["number_points"] - before["number_points"] == 10
    for _ in range(3):
        assert insert(traces, token="twice-t") == 50
        assert insert(*metrics, token="twice-m") == 30
    assert totals(store) == once
    insert(traces, token="another")
    assert totals(store)["requests"] - once["requests"] == 50


@pytest.mark.parametrize(
    ("broken_view", "message_of"),
    [("red_view", "traces"), ("series_view", "metrics"), ("exponential_points_view", "metrics")],
)
def test_a_half_stored_segment_is_completed_by_its_retry(
    tmp_path, otlp, t0, broken_view, message_of
):
    """If one view fails, other tables may already hold the segment; the retry fills the gap only.

    Runs in a process of its own: it breaks a view, and an engine is bound to one folder.
    """
    traces, metrics = bodies(otlp, t0, "half")
    messages = [traces] if message_of == "traces" else metrics
    segment = tmp_path / "segment"
    segment.write_bytes(b"".join(otlp.framed(one.SerializeToString()) for one in messages))
    script = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from conftest import store_config
from collector.store.engine import Signal, open_store
from collector.store.errors import StoreError
store = open_store(store_config(Path({str(tmp_path / "store")!r})))
connection = store._inserts.get()
store._inserts.put(connection)
connection.query("CREATE TABLE trap (x UInt8) ENGINE = Memory")
connection.query("INSERT INTO trap VALUES (1)")
found = "SELECT as_select FROM system.tables WHERE name = '{broken_view}'"
view = connection.query(found, "TSVRaw")
select = view.data().strip()
connection.query(
    "ALTER TABLE {broken_view} MODIFY QUERY SELECT * FROM (" + select
    + ") WHERE throwIf((SELECT count() FROM trap) > 0) = 0"
)
signal = Signal({message_of!r})
path = Path({str(segment)!r})
try:
    store.insert_segment(path, signal, "token")
except StoreError as error:
    print("failed", type(error).__name__, flush=True)
connection.query("TRUNCATE TABLE trap")
for _ in range(2):
    print("rows", store.insert_segment(path, signal, "token").rows)
for table in ("spans", "number_points", "histogram_points", "exponential_points"):
    print(table, store.query(f"SELECT count() AS n FROM {{table}}")["n"].to_pylist()[0])
print("requests", store.query("SELECT sum(request_count) AS n FROM red")["n"].to_pylist()[0])
print("series", store.query("SELECT uniqExact(series_id) AS n FROM series")["n"].to_pylist()[0])
store.close()
"""
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    lines = run.stdout.split("\n")
    assert lines[0] == "failed SuspectSegment"
    assert lines[1] == lines[2] == ("rows 50" if message_of == "traces" else "rows 30")
    is_traces = message_of == "traces"
    assert lines[3:9] == [
        f"spans {50 if is_traces else 0}",
        f"number_points {0 if is_traces else 10}",
        f"histogram_points {0 if is_traces else 10}",
        f"exponential_points {0 if is_traces else 10}",
        f"requests {50 if is_traces else 0}",
        f"series {0 if is_traces else 3}",
    ]


def run_until(store_path, segments, *, kill_after: tuple[str, float] | None):
    """Start the child; kill it ``delay_s`` after its first line with the given word, if any."""
    child = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("crash_child.py")), store_path, segments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    lines = []
    try:
        for line in child.stdout:
            lines.append(line.split())
            if kill_after and line.startswith(kill_after[0]):
                try:
                    # The wait is the moment of the crash, not a synchronisation.
                    child.wait(kill_after[1])
                except subprocess.TimeoutExpired:
                    child.send_signal(signal.SIGKILL)
                break
        child.wait(60)
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        child.stdout.close()
    return lines


@pytest.mark.slow
def test_kill_9_at_any_moment_loses_and_doubles_nothing(tmp_path, otlp, t0):
    """Killed again and again in inserts or before a file is removed, then replayed."""
    segments, store_path = tmp_path / "segments", tmp_path / "store"
    segments.mkdir()
    count = 8
    for number in range(count):
        traces, metrics = bodies(otlp, t0 + number * 60 * SECOND_NS, f"kill{number}")
        (segments / f"traces-{number}.seg").write_bytes(otlp.framed(traces.SerializeToString()))
        (segments / f"metrics-{number}.seg").write_bytes(
            b"".join(otlp.framed(one.SerializeToString()) for one in metrics)
        )
    rng = np.random.default_rng(5)
    for attempt in range(6):
        word = ("begin", "stored")[attempt % 3 == 2]
        run_until(store_path, segments, kill_after=(word, float(rng.uniform(0.0, 0.12))))
    assert list(segments.glob("*.seg")), "every attempt finished before it could be killed"
    lines = run_until(store_path, segments, kill_after=None)
    assert lines[-1] == ["done"]
    counts = {line[1]: int(line[2]) for line in lines if line[0] == "count"}
    assert counts == {
        "spans": 50 * count,
        "red": 50 * count,
        "trace_bounds": 50 * count,
        "number_points": 10 * count,
        "histogram_points": 10 * count,
        "exponential_points": 10 * count,
    }


def test_two_threads_insert_at_once(store, otlp, t0, tmp_path):
    """Concurrent inserts of different segments all land."""
    from concurrent.futures import ThreadPoolExecutor

    paths = []
    for number in range(6):
        traces, _ = bodies(otlp, t0, f"par{number}", spans=10)
        path = tmp_path / f"par{number}"
        path.write_bytes(otlp.framed(traces.SerializeToString()))
        paths.append(path)
    before = totals(store)["spans"]
    with ThreadPoolExecutor(6) as pool:
        results = list(
            pool.map(lambda path: store.insert_segment(path, Signal.TRACES, path.name), paths)
        )
    assert [result.rows for result in results] == [10] * 6
    assert totals(store)["spans"] - before == 60
