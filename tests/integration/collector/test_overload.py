"""More than there is room for: what gives way, what stays, and that the books close.

Row names (B20, F5, ...) are those of docs/reference/limits-and-faults.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
import requests
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)

from collector.limits.lives import FILE
from collector.testing import metrics_request, resource, trace_request

QUOTAS = {
    "OVERLOAD__MAX_SERIES": 500,
    "OVERLOAD__RESERVED_SERIES": 100,
    "OVERLOAD__MAX_SERIES_PER_SERVICE": 300,
    "OVERLOAD__MAX_SERIES_PER_METRIC": 200,
}


def gauge(name, values, service="burst", **attributes):
    now = time.time_ns()
    points = [
        {"time": now, "value": 1.0, "attributes": {"id": str(value), **attributes}}
        for value in values
    ]
    return metrics_request(resource(service), name, "gauge", points)


def rejected_points(answer):
    assert answer.status_code == 200
    partial = ExportMetricsServiceResponse.FromString(answer.content).partial_success
    return partial.rejected_data_points, partial.error_message


def spans(count=3):
    return trace_request(
        resource("overload"),
        [
            {"trace_id": os.urandom(16), "span_id": os.urandom(8), "start": time.time_ns()}
            for _ in range(count)
        ],
    )


def test_b20_a_burst_of_series_blinds_nobody(start):
    """Up to the quotas stored, the rest rejected; other services, and what is judged, go on."""
    collector = start(**QUOTAS)
    count, said = rejected_points(collector.post("metrics", gauge("burst.a", range(1_000))))
    assert count == 1_000 - 200
    assert "series_limit" in said
    count, _ = rejected_points(collector.post("metrics", gauge("burst.b", range(1_000))))
    assert count == 1_000 - 100
    assert rejected_points(collector.post("metrics", gauge("burst.a", range(200))))[0] == 0
    other = gauge("other", range(50), service="quiet")
    assert rejected_points(collector.post("metrics", other)) == (0, "")
    count, _ = rejected_points(collector.post("metrics", gauge("c", range(99), service="third")))
    assert count == 99 - 50
    judged = gauge("playback.starts", range(40), service="quiet")
    assert rejected_points(collector.post("metrics", judged)) == (0, "")
    cohort = gauge("c", range(40), service="third", **{"davylamp.canary.cohort": "canary"})
    assert rejected_points(collector.post("metrics", cohort)) == (0, "")
    books = collector.settled_books()
    assert books["signals"]["metrics"]["rejected"] == {"series_limit": 800 + 900 + 49}
    assert books["series"] == 480
    assert collector.metric("davylamp_ingest_series") == 480


@pytest.mark.slow
def test_items_per_second_are_limited(start):
    """429 with a pause for every signal until the bucket has filled; what came is stored."""
    collector = start(OVERLOAD__MAX_ITEMS_PER_S=2.0, OVERLOAD__BURST_ITEMS=5)
    assert collector.post("traces", spans(6)).status_code == 200
    for answer in (collector.post("traces", spans()), collector.post("metrics", gauge("m", [1]))):
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 5
    labels = {"protocol": "http", "outcome": "rate_limited"}
    assert collector.metric("davylamp_otlp_requests_total", **labels) == 2
    books = collector.settled_books()
    assert (books["received"], books["stored"]) == (6, 6)


@pytest.mark.slow
def test_f6_spans_give_way_before_points(start):
    """Memory beyond 80 %: spans get 429; known series and points go on."""
    collector = start(OVERLOAD__MAX_RSS_BYTES=10_000_000_000, OVERLOAD__SHED_TRACES_RATIO=0.001)
    assert collector.post("traces", spans()).status_code == 429
    labels = {"protocol": "http", "outcome": "memory_short"}
    assert collector.metric("davylamp_otlp_requests_total", **labels) == 1
    assert rejected_points(collector.post("metrics", gauge("m", [1])))[0] == 0
    assert collector.books()["shed"] == "traces"


def test_f6_then_new_series_give_way(start):
    """But not those that canaries and objectives are judged by."""
    collector = start(OVERLOAD__SHED_NEW_SERIES_RATIO=0.001)
    count, said = rejected_points(collector.post("metrics", gauge("m", [1])))
    assert count == 1
    assert "new_series_shed" in said
    judged = gauge("http.server.request.duration", [1])
    assert rejected_points(collector.post("metrics", judged)) == (0, "")
    assert collector.settled_books()["stored"] == 1


@pytest.mark.slow
def test_f7_two_deaths_for_want_of_memory_lead_to_safe_mode(start, tmp_path):
    """It comes up, takes what is judged, refuses other new series, and is well again by itself."""
    (tmp_path / "wal").mkdir()
    dead = {"oom_kills": 0, "state": "starting", "died_of_memory": False}
    lives = [{**dead, "began_unix_s": time.time() - age_s} for age_s in (60, 30)]
    lives[0]["died_of_memory"] = True
    (tmp_path / "wal" / FILE).write_text(json.dumps(lives))
    collector = start(tmp_path, OVERLOAD__SAFE_MODE_S=3.0)
    assert collector.books()["is_safe_mode"]
    assert collector.metric("davylamp_ingest_safe_mode") == 1
    assert rejected_points(collector.post("metrics", gauge("m", [1])))[0] == 1
    assert rejected_points(collector.post("metrics", gauge("playback.starts", [1])))[0] == 0
    assert collector.post("traces", spans()).status_code == 200
    time_out_s = time.monotonic() + 10
    while collector.books()["is_safe_mode"]:
        assert time.monotonic() < time_out_s
        time.sleep(0.1)
    assert rejected_points(collector.post("metrics", gauge("m", [1])))[0] == 0
    assert collector.terminate() == 0
    assert json.loads((tmp_path / "wal" / FILE).read_text())[-1]["state"] == "ended"


@pytest.mark.slow
def test_f7_plain_kills_lead_to_nothing(start, tmp_path):
    """However many."""
    for _ in range(3):
        collector = start(tmp_path)
        assert not collector.books()["is_safe_mode"]
        collector.kill()


@contextlib.contextmanager
def slow_syncs(pid, folder, delay_us):
    """Every fdatasync takes ``delay_us`` longer while the block runs."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    tracer = subprocess.Popen(
        [
            *("strace", "-f", "-p", str(pid), "-o", str(folder / "strace.log")),
            *("-e", "trace=fdatasync", "-e", f"inject=fdatasync:delay_enter={delay_us}"),
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


@pytest.mark.slow
def test_f5_a_disk_that_stalls(start, tmp_path):
    """503 with a pause instead of a wait without end; sent again, it counts once."""
    collector = start(WAL__MAX_WAIT_S=0.3, WAL__METRICS_INTERVAL_S=0.1)
    request = gauge("stalled", range(4)).SerializeToString()
    with slow_syncs(collector.process.pid, tmp_path, 1_500_000):
        answer = collector.post("metrics", request)
        assert answer.status_code == 503
        assert 1 <= int(answer.headers["retry-after"]) <= 5
    while (answer := collector.post("metrics", request)).status_code == 503:
        pass
    assert answer.status_code == 200
    books = collector.settled_books()
    assert books["stored"] == 4
    assert books["signals"]["metrics"]["duplicate"] >= 4


def resident_kb(collector):
    status = Path(f"/proc/{collector.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1])


@pytest.mark.slow
def test_b25_empty_messages_cost_little(start):
    """4 MB that a parser would build into hundreds are refused for the price of counting them."""
    collector = start()
    assert collector.post("traces", spans()).status_code == 200
    before = resident_kb(collector)
    empty_spans = b"\x12\x00" * 2_000_000
    scope = b"\x12" + varint(len(empty_spans)) + empty_spans
    body = b"\x0a" + varint(len(scope)) + scope
    for _ in range(3):
        assert collector.post("traces", body).status_code == 413
    assert resident_kb(collector) - before < 64_000


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


@pytest.mark.parametrize("depth", [60, 20_000])
def test_b22_nesting_without_end(start_shared, depth):
    """Attribute values within values: refused or stored, never a crash."""
    value = b"\x0a\x01x"
    for _ in range(depth):
        value = (
            b"\x2a"
            + varint(len(value) + 1 + len(varint(len(value))))
            + b"\x0a"
            + varint(len(value))
            + value
        )
    attribute = b"\x0a\x01k\x12" + varint(len(value)) + value
    request = spans(1).SerializeToString()
    resource_field = b"\x0a" + varint(len(attribute)) + attribute
    group = b"\x0a" + varint(len(resource_field)) + resource_field
    body = request + b"\x0a" + varint(len(group)) + group
    answer = start_shared.post("traces", body)
    assert answer.status_code in {200, 400}
    assert start_shared.post("traces", spans(1)).status_code == 200


@pytest.fixture(scope="module")
def start_shared(collector):
    return collector


def raw(collector, request):
    """The status of an answer to bytes; 0 if the connection was closed without one."""
    host, port = collector.http_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(OSError):
            while chunk := connection.recv(65_536):
                answer += chunk
    found = re.match(rb"HTTP/1\.1 (\d+)", answer)
    return int(found[1]) if found else 0


def test_b26_a_body_beyond_its_length(collector):
    """What follows the body is no request: 400, and others are served."""
    body = spans(1).SerializeToString()
    head = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
    request = head + b"content-length: %d\r\n\r\n" % len(body) + body + b"beyond its length"
    assert raw(collector, request) in {200, 400}
    assert collector.post("traces", spans(1)).status_code == 200


def test_b26_headers_without_end(collector):
    """1 MB of them: refused, not gathered for ever."""
    head = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\n"
    many = b"".join(b"x-%d: %s\r\n" % (n, b"y" * 1_000) for n in range(4_000))
    before = resident_kb(collector)
    assert raw(collector, head + many + b"\r\n") in {0, 400, 431, 415}
    assert resident_kb(collector) - before < 64_000
    assert collector.post("traces", spans(1)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [b"\xff\xff\xff\xff\x0f" + bytes(10), b"\xff\x06\x00\x00sNaPpY" + bytes(10)],
    ids=["4 GiB in 10 bytes", "framed"],
)
def test_b24_snappy_that_claims_much(collector, body):
    """Refused by its first bytes; nothing is allocated for it."""
    headers = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}
    before = resident_kb(collector)
    for _ in range(5):
        answer = requests.post(f"{collector.api_url}/api/v1/write", body, headers=headers)
        assert answer.status_code in {400, 413}
    assert resident_kb(collector) - before < 64_000
