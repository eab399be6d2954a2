"""Full backlog, full disk, a store that fails: senders are told to wait, nothing is lost."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from collector.testing import resource, trace_request

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def body(count=10, service="pressed"):
    spans = [
        {"trace_id": os.urandom(16), "span_id": os.urandom(8), "start": time.time_ns()}
        for _ in range(count)
    ]
    return trace_request(resource(service), spans).SerializeToString()


def export(collector, content):
    with grpc.insecure_channel(collector.grpc_address) as channel:
        channel.unary_unary(EXPORT)(content, timeout=10)


def check_grpc_says(collector, code):
    with pytest.raises(grpc.RpcError) as caught:
        export(collector, body())
    assert caught.value.code() is code
    trailer = dict(caught.value.trailing_metadata())
    status = Status.FromString(trailer["grpc-status-details-bin"])
    standard = RetryInfo()
    assert status.details[0].Unpack(standard)
    # The Python exporter reads this one and ignores the standard place.
    ours = RetryInfo.FromString(trailer["google.rpc.retryinfo-bin"])
    assert ours == standard
    assert 1 <= ours.retry_delay.seconds <= 5


def test_a_full_backlog_pushes_back_and_recovers(start):
    """429 and RESOURCE_EXHAUSTED with a pause of 1 to 5 s; once stored, all is well again."""
    size = len(body()) + 20
    collector = start(WAL__MAX_BACKLOG_BYTES=3 * size + 10, WAL__TRACES_INTERVAL_S=1.5)
    answers = [collector.post("traces", body()) for _ in range(5)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429, 429]
    refused = answers[-1]
    assert 1 <= int(refused.headers["retry-after"]) <= 5
    assert Status.FromString(refused.content).code == 8
    check_grpc_says(collector, grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert collector.settled_books()["stored"] == 30
    assert collector.post("traces", body()).status_code == 200
    labels = {"protocol": "http", "outcome": "backlog_full"}
    assert collector.metric("davylamp_otlp_requests_total", **labels) == 2


def test_requests_may_hold_only_so_much_memory(start):
    """Over the bytes in flight the answer is 429, whatever the backlog."""
    collector = start(LIMITS__MAX_IN_FLIGHT_BYTES=1_000)
    assert collector.post("traces", body(count=1)).status_code == 200
    assert collector.post("traces", body(count=50)).status_code == 429
    check_grpc_says_nothing_is_held(collector)


def check_grpc_says_nothing_is_held(collector):
    assert collector.metric("davylamp_ingest_in_flight_bytes") == 0


def test_little_free_space_stops_acknowledging(start):
    """Below the watermark 503 and UNAVAILABLE, so that the store keeps room to work."""
    collector = start(WAL__MIN_FREE_BYTES=2**60)
    answer = collector.post("traces", body())
    assert answer.status_code == 503
    assert 1 <= int(answer.headers["retry-after"]) <= 5
    check_grpc_says(collector, grpc.StatusCode.UNAVAILABLE)
    books = collector.books()
    assert (books["received"], books["wal_bytes"]) == (0, 0)


@contextlib.contextmanager
def tiny_file_system(folder, size):
    """A file system of ``size`` mounted at ``folder``, where mounting is allowed."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "davylamp-test", str(folder)]
    made = subprocess.run(mount, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        # Lazily, because the collector may still run; the file system goes with its last file.
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_acknowledges_nothing_and_loses_nothing(start, tmp_path):
    """The log's disk fills up: 503 until there is room, and every 200 before is stored."""
    with tiny_file_system(tmp_path / "wal", "4m") as folder:
        check_full_disk(start, folder)


def check_full_disk(start, folder):
    # Nothing leaves the log in the meantime.
    collector = start(WAL__TRACES_INTERVAL_S=3.0)
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(3_500_000))
    statuses = [collector.post("traces", body(count=1_000)).status_code for _ in range(20)]
    taken = statuses.index(503)
    assert taken > 0
    assert set(statuses[taken:]) <= {503, 200}
    acknowledged = statuses.count(200)
    ballast.unlink()
    assert collector.post("traces", body(count=1_000)).status_code == 200
    books = collector.settled_books()
    assert books["stored"] == books["received"] == (acknowledged + 1) * 1_000
    found = collector.metric("davylamp_wal_appends_total", outcome="failed")
    assert found == statuses.count(503)
    assert collector.terminate() == 0


def test_a_full_disk_of_the_store_delays_and_loses_nothing(start, tmp_path, wait_for):
    """Inserts fail, the log keeps what was acknowledged, and storing goes on by itself."""
    with tiny_file_system(tmp_path / "store", "48m") as folder:
        collector = start(WAL__TRACES_INTERVAL_S=0.1)
        assert collector.post("traces", body(service="first")).status_code == 200
        collector.settled_books()
        ballast = folder / "ballast"
        fill_up(ballast)
        for _ in range(5):
            assert collector.post("traces", body(count=500)).status_code == 200
        failures = "davylamp_store_insert_failures_total"
        wait_for(lambda: collector.metric(failures, kind="unavailable") > 0)
        books = collector.books()
        assert (books["stored"], books["pending"], books["quarantined"]) == (10, 2_500, 0)
        assert collector.metric("davylamp_ingest_lag_seconds") > 0
        ballast.unlink()
        books = collector.settled_books()
        assert (books["stored"], books["quarantined"]) == (2_510, 0)
        assert collector.terminate() == 0


def fill_up(path):
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(100_000)):
            pass


def test_a_sync_that_fails_is_never_acknowledged(start, tmp_path):
    """fdatasync returns EIO: those requests get 503, the next ones a new segment."""
    collector = start(WAL__TRACES_INTERVAL_S=0.1)
    assert collector.post("traces", body()).status_code == 200
    collector.settled_books()
    with failing_syncs(collector.process.pid, tmp_path):
        statuses = [collector.post("traces", body()).status_code for _ in range(6)]
    assert 503 in statuses
    assert set(statuses) <= {200, 503}
    assert collector.post("traces", body()).status_code == 200
    books = collector.settled_books()
    assert books["stored"] == books["received"] == 10 * (2 + statuses.count(200))
    assert collector.metric("davylamp_wal_appends_total", outcome="failed") == statuses.count(503)
    found = collector.get("/api/v1/traces", service="pressed", limit="500")["traces"]
    assert len(found) == books["stored"]


@contextlib.contextmanager
def failing_syncs(pid, folder):
    """Every second fdatasync of each thread fails while the block runs."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    log = folder / "strace.log"
    tracer = subprocess.Popen(
        [
            *("strace", "-f", "-p", str(pid), "-o", str(log), "-e", "trace=fdatasync"),
            *("-e", "inject=fdatasync:error=EIO:when=1+2"),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = tracer.stderr.readline()
        if "attached" not in line:
            pytest.skip(f"strace cannot attach here: {line.strip()}")
        yield
    finally:
        tracer.terminate()
        tracer.communicate(timeout=10)
