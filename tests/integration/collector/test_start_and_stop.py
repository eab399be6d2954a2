"""One clear sentence at start, a clean end at SIGTERM."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time

import pytest

from collector.testing import resource, trace_request


def body(service="stopped", count=10):
    spans = [
        {"trace_id": os.urandom(16), "span_id": os.urandom(8), "start": time.time_ns()}
        for _ in range(count)
    ]
    return trace_request(resource(service), spans)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stores_what_waits_and_ends_with_0(start, tmp_path, number):
    """What was acknowledged a moment ago is in the store, not only in the log."""
    collector = start(WAL__TRACES_INTERVAL_S=60)
    assert collector.post("traces", body()).status_code == 200
    began_s = time.monotonic()
    collector.process.send_signal(number)
    assert collector.end() == 0
    assert time.monotonic() - began_s < 5.0
    assert list((tmp_path / "wal").glob("*.seg")) == []
    assert "Traceback" not in collector.stderr()
    again = start()
    assert again.books()["recovered"] == 0
    assert len(again.get("/api/v1/traces", service="stopped")["traces"]) == 10


def test_requests_under_way_are_answered_at_a_stop(start):
    """Senders see 200 or a refused connection, never a broken promise."""
    collector = start()
    statuses = []

    def send():
        while True:
            try:
                statuses.append(collector.post("traces", body("busy")).status_code)
            except OSError:
                return

    senders = [threading.Thread(target=send) for _ in range(4)]
    for one in senders:
        one.start()
    time.sleep(0.5)  # the moment of the stop, not a synchronisation
    assert collector.terminate() == 0
    for one in senders:
        one.join(10)
    assert set(statuses) <= {200, 503}
    again = start()
    again.settled_books()
    red = again.get("/api/v1/red", service="busy", **{"from": "now-60s", "to": "now+1s"})
    counted = sum(one["request_count"] for group in red["groups"] for one in group["points"])
    assert counted >= 10 * statuses.count(200)


@pytest.mark.parametrize("setting", ["otlp_grpc_port", "otlp_http_port", "api_port"])
def test_a_taken_port_is_named(start, setting):
    """Exit 1, one sentence with the port and the setting, no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(AssertionError) as caught:
            start(**{setting.upper(): port})
    (sentence,) = re.findall(r"collector: .*", str(caught.value))
    assert f"port {port} on 127.0.0.1 is taken" in sentence
    assert f"collector.{setting}" in sentence
    assert "Traceback" not in sentence


def test_a_wide_address_is_refused(start):
    """Nobody who connects is authenticated, so nobody outside may connect."""
    with pytest.raises(AssertionError, match="only loopback addresses"):
        start(HOST="0.0.0.0")


def test_a_second_collector_on_the_same_folder_is_refused(start):
    """Two writers would break the log and the store."""
    first = start()
    with pytest.raises(AssertionError) as caught:
        start()
    assert "Traceback" not in str(caught.value)
    assert first.post("traces", body()).status_code == 200
    assert first.settled_books()["stored"] == 10


def test_readiness_and_limits_are_shown(start):
    """/readyz follows the backlog, /metrics shows every limit."""
    collector = start(WAL__MAX_BACKLOG_BYTES=12_345)
    assert collector.get("/readyz") == {"status": "ready"}
    name = "davylamp_ingest_limit"
    assert collector.metric(name, limit="max_backlog_bytes") == 12_345
    assert collector.metric(name, limit="max_spans") == 50_000
