"""``davylamp store``: what it finds, and that a backup gives back every row."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from collector.testing import DELTA, metrics_request, resource, trace_request

ROOT = Path(__file__).parents[3]


def store(state_dir, *words, api_url=""):
    """Exit code and everything that was said."""
    kept = {name: value for name, value in os.environ.items() if "DAVYLAMP_" not in name}
    port = api_url.rpartition(":")[2] or "1"
    done = subprocess.run(
        [sys.executable, "-m", "davylamp", "store", *map(str, words)],
        cwd=ROOT,
        env={
            **kept,
            "DAVYLAMP_DAVYLAMP__STATE_DIR": str(state_dir),
            "DAVYLAMP_COLLECTOR__API_PORT": port,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def fill(collector, service="kept", spans=40, points=30):
    now = time.time_ns()
    ids = [os.urandom(16) for _ in range(spans)]
    body = trace_request(
        resource(service), [{"trace_id": one, "span_id": one[:8], "start": now} for one in ids]
    )
    assert collector.post("traces", body).status_code == 200
    values = [{"time": now + n, "start": now - 1, "value": 1} for n in range(points)]
    request = metrics_request(resource(service), "kept.points", "sum", values, DELTA)
    assert collector.post("metrics", request).status_code == 200
    collector.settled_books()
    return ids[0]


def counted(collector):
    window = {"from": str(time.time() - 600), "to": str(time.time() + 10)}
    red = collector.get("/api/v1/red", service="kept", **window)["groups"]
    blocks = collector.get("/api/v1/blocks", metric="kept.points", **window)["groups"]
    return (
        sum(point["request_count"] for group in red for point in group["points"]),
        sum(block["increase"] or 0 for group in blocks for block in group["blocks"]),
    )


def test_backup_while_it_runs_and_restore(start, tmp_path):
    """Every row of the moment of the backup, found by the same questions; the copy is checked."""
    first, second, copy = tmp_path / "first", tmp_path / "second", tmp_path / "copy"
    collector = start(first)
    trace_id = fill(collector)
    code, said = store(first, "backup", copy, api_url=collector.api_url)
    assert code == 0, said
    assert "spans: 40 rows" in said
    assert "number_points: 30 rows" in said
    assert not (first / "store/shadow/backup").exists()
    fill(collector)
    assert counted(collector) == (80, 60)
    code, said = store(first, "check")
    assert code == 1
    assert "stop the collector first" in said
    assert collector.terminate() == 0
    code, said = store(second, "restore", copy)
    assert code == 0, said
    assert "spans: 40 rows" in said
    code, said = store(second, "check")
    assert code == 0, said
    assert "40 server spans" in said
    restored = start(second)
    assert counted(restored) == (40, 30)
    assert restored.get(f"/api/v1/traces/{trace_id.hex()}")["spans"]
    assert restored.terminate() == 0


@pytest.mark.slow
def test_backup_of_a_stopped_store_and_what_is_refused(start, tmp_path):
    """A folder that is not empty, a changed file, a backup without its list."""
    first, second, copy = tmp_path / "first", tmp_path / "second", tmp_path / "copy"
    collector = start(first)
    fill(collector)
    assert collector.terminate() == 0
    code, said = store(first, "backup", copy)
    assert code == 0, said
    code, said = store(first, "backup", copy)
    assert (code, "is not empty" in said) == (1, True)
    code, said = store(first, "restore", copy)
    assert (code, "is not empty" in said) == (1, True)
    data = next(copy.rglob("data.bin"))
    raw = data.read_bytes()
    data.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    code, said = store(second, "restore", copy)
    assert (code, "not what was backed up" in said) == (1, True)
    assert not (second / "store").exists()
    data.write_bytes(raw)
    (copy / "manifest.json").unlink()
    code, said = store(second, "restore", copy)
    assert (code, "no complete backup" in said) == (1, True)


@pytest.mark.slow
def test_check_finds_a_broken_part_and_what_was_set_aside(start, tmp_path):
    """One flipped byte of a part; a file in the quarantine folder."""
    collector = start(tmp_path)
    fill(collector)
    assert collector.terminate() == 0
    code, said = store(tmp_path, "check")
    assert code == 0, said
    assert "nothing is wrong" in said
    spans = max((tmp_path / "store/store").rglob("data.bin"), key=lambda path: path.stat().st_size)
    raw = bytearray(spans.read_bytes())
    raw[len(raw) // 2] ^= 1
    spans.write_bytes(raw)
    (tmp_path / "wal/quarantine/x.seg.0-1").write_bytes(b"bad")
    code, said = store(tmp_path, "check")
    assert code == 1, said
    assert "parts cannot be read" in said
    assert "1 files (3 bytes)" in said


@pytest.mark.slow
def test_check_without_a_store(tmp_path):
    """Is an error, and makes none."""
    code, said = store(tmp_path / "none", "check")
    assert (code, "there is no store" in said) == (1, True)
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_retention_is_shown(tmp_path):
    """In days."""
    code, said = store(tmp_path, "retention")
    assert code == 0
    assert "spans are kept for 3 days" in said


@pytest.mark.parametrize("method", ["post", "delete"])
def test_a_browser_cannot_make_snapshots(collector, method):
    """Without the header, which a page of another origin cannot send unasked."""
    answer = getattr(requests, method)(f"{collector.api_url}/api/v1/store/snapshot")
    assert answer.status_code == 403


@pytest.mark.slow
def test_the_doctor_hears_a_running_collector(start, tmp_path):
    """What it was sent and could not take is among the complaints; the exit code says not bad."""
    collector = start(tmp_path)
    trace = {"trace_id": bytes(16), "span_id": bytes(8), "start": time.time_ns()}
    assert collector.post("traces", trace_request(resource("s"), [trace])).status_code == 200
    kept = {name: value for name, value in os.environ.items() if "DAVYLAMP_" not in name}
    port = collector.api_url.rpartition(":")[2]
    ports = {
        "COLLECTOR__API_PORT": port,
        **dict.fromkeys(("COLLECTOR__OTLP_GRPC_PORT", "COLLECTOR__OTLP_HTTP_PORT"), "0"),
        **dict.fromkeys(("ANALYSIS__API_PORT", "DASHBOARDS__PORT"), "0"),
        **dict.fromkeys(("SAMPLES__CONTROLLER_PORT", "SAMPLES__EDGE_PORT"), "0"),
        "DAVYLAMP__STATE_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-m", "davylamp", "doctor"],
        cwd=ROOT,
        env={**kept, **{f"DAVYLAMP_{name}": value for name, value in ports.items()}},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "warning items were rejected since the start: 1 invalid_id" in done.stdout, done.stderr
    assert "the oldest item that waits for the store came 0.0 s ago" in done.stdout
    assert "does not run here" not in done.stdout
    assert done.returncode == ("0 bad" not in done.stdout)
