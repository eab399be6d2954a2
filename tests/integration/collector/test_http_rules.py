"""OTLP/HTTP as the specification has it: statuses, bodies, encodings."""

from __future__ import annotations

import gzip
import json
import os
import re
import socket
import time
import zlib
from pathlib import Path

import pytest
import requests
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector.testing import metrics_request, resource, trace_request

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}


def span(**changes):
    ids = {"trace_id": os.urandom(16), "span_id": os.urandom(8)}
    return {**ids, "start": time.time_ns(), **changes}


def good_body(service="http", count=3):
    return trace_request(resource(service), [span() for _ in range(count)]).SerializeToString()


def json_body(service="http-json"):
    start = time.time_ns()
    return {
        "resourceSpans": [
            {
                "resource": {
                    "attributes": [{"key": "service.name", "value": {"stringValue": service}}]
                },
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "traceId": os.urandom(16).hex().upper(),
                                "spanId": os.urandom(8).hex(),
                                "name": "from json",
                                "kind": 2,
                                "startTimeUnixNano": str(start),
                                "endTimeUnixNano": start + 5_000_000,
                                "unknownField": {"is": "ignored"},
                            }
                        ]
                    }
                ],
            }
        ]
    }


def names(collector):
    return {one["service_name"] for one in collector.get("/api/v1/services")["services"]}


@pytest.mark.parametrize("signal", ["traces", "metrics"])
def test_an_empty_request_is_fine(collector, signal):
    """No bytes are an empty export: 200, nothing to say."""
    answer = collector.post(signal, b"")
    assert (
        answer.status_code,
        answer.content,
        answer.headers["content-type"],
    ) == (200, b"", "application/x-protobuf")


def test_success_says_nothing(collector, wait_for):
    """A full success leaves partial_success unset, and the spans can be found."""
    answer = collector.post("traces", good_body("quiet"))
    assert (answer.status_code, answer.content) == (200, b"")
    wait_for(lambda: "quiet" in names(collector))


def test_json_in_json_out(collector, wait_for):
    """OTLP/JSON with hex ids of any case and integers as text or number; unknown names ignored."""
    body = json_body("json-in")
    answer = collector.post("traces", json.dumps(body).encode(), JSON)
    assert (
        answer.status_code,
        answer.json(),
        answer.headers["content-type"],
    ) == (200, {}, "application/json")
    wait_for(lambda: "json-in" in names(collector))
    trace_id = body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"].lower()
    collector.settled_books()
    (stored,) = collector.get(f"/api/v1/traces/{trace_id}")["spans"]
    assert (stored["name"], stored["duration_ns"]) == ("from json", 5_000_000)


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("identity", bytes),
        ("GZIP", gzip.compress),
    ],
)
def test_content_encodings(collector, encoding, encode, wait_for):
    """gzip, deflate and identity are undone, in any case."""
    service = f"encoded-{encoding}"
    headers = {**PROTOBUF, "content-encoding": encoding}
    answer = collector.post("traces", encode(good_body(service)), headers)
    assert answer.status_code == 200, answer.content
    wait_for(lambda: service in names(collector))


GZIP = {**PROTOBUF, "content-encoding": "gzip"}
GZIPPED = gzip.compress(good_body())
BOMB = gzip.compress(bytes(200_000_000), 9)


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        pytest.param(400, b"\xff\xff\xff", PROTOBUF, id="not protobuf"),
        pytest.param(400, good_body()[:-3], PROTOBUF, id="cut short"),
        pytest.param(400, b"{}", PROTOBUF, id="json called protobuf"),
        pytest.param(400, good_body(), JSON, id="protobuf called json"),
        pytest.param(400, b'{"resourceSpans": 5}', JSON, id="json of another shape"),
        pytest.param(400, b'{"resourceSpans": [' * 20_000, JSON, id="deep json"),
        pytest.param(400, good_body(), GZIP, id="not gzip"),
        pytest.param(400, GZIPPED[:-9], GZIP, id="gzip cut short"),
        pytest.param(400, GZIPPED[:-6] + b"xxxxxx", GZIP, id="gzip checksum"),
        pytest.param(400, GZIPPED + GZIPPED, GZIP, id="gzip twice over"),
        pytest.param(413, BOMB, GZIP, id="gzip bomb"),
        pytest.param(413, bytes(20_000_000), PROTOBUF, id="too many bytes"),
        pytest.param(413, b"\x0a\x02\x12\x00" * 1_500_000, PROTOBUF, id="too many elements"),
        pytest.param(415, good_body(), {**PROTOBUF, "content-encoding": "br"}, id="brotli"),
        pytest.param(415, good_body(), {"content-type": "text/plain"}, id="text"),
        pytest.param(415, good_body(), {"content-type": ""}, id="no type"),
    ],
)
def test_what_is_refused_says_why_in_its_own_type(collector, status, body, headers):
    """A refusal is never a 5xx and carries a google.rpc.Status in the request's content type."""
    answer = collector.post("traces", body, headers)
    assert status == answer.status_code
    if headers["content-type"] == "application/x-protobuf":
        assert answer.headers["content-type"] == "application/x-protobuf"
        said = Status.FromString(answer.content)
        assert said.code > 0
        assert said.message
    else:
        assert answer.headers["content-type"] == "application/json"
        assert set(answer.json()) == {"code", "message"}
    assert requests.get(f"{collector.api_url}/readyz").status_code == 200


def test_a_bomb_costs_no_memory(collector):
    """1 GB of zeros in 1 MB is refused without inflating it."""

    def resident_kb():
        status = Path(f"/proc/{collector.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    bomb = gzip.compress(bytes(1_000_000_000), 9)
    before = resident_kb()
    for _ in range(3):
        answer = collector.post("traces", bomb, GZIP)
        assert answer.status_code == 413
    assert resident_kb() - before < 64_000


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/traces", 405),
        ("PUT", "/v1/metrics", 405),
        ("POST", "/v1/profiles", 404),
        ("POST", "/", 404),
    ],
)
def test_other_paths_and_methods(collector, method, path, status):
    """Never a redirect: exporters take 3xx for success."""
    answer = requests.request(
        method, collector.http_url + path, data=b"", headers=PROTOBUF, allow_redirects=False
    )
    assert status == answer.status_code


def test_a_bad_span_does_not_take_its_neighbours(collector, wait_for):
    """Partial success: counted per reason, told to the sender, the rest stored."""
    spans = [
        span(),
        span(trace_id=bytes(16)),
        span(trace_id=b"short"),
        span(span_id=bytes(8)),
        span(start=0),
        span(start=time.time_ns() + 3_600_000_000_000),
        span(),
    ]
    before = collector.settled_books()["signals"]["traces"]["rejected"]
    answer = collector.post("traces", trace_request(resource("partial"), spans))
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, partial.rejected_spans) == (200, 5)
    assert "3 rejected as invalid_id" in partial.error_message
    after = collector.settled_books()["signals"]["traces"]["rejected"]
    gained = {reason: count - before.get(reason, 0) for reason, count in after.items()}
    assert {reason: count for reason, count in gained.items() if count} == {
        "invalid_id": 3,
        "timestamp_zero": 1,
        "too_far_in_future": 1,
    }
    found = collector.get("/api/v1/traces", service="partial", limit="50")["traces"]
    assert {spans[0]["trace_id"].hex(), spans[6]["trace_id"].hex()} == {
        one["trace_id"] for one in found
    }
    assert collector.metric("davylamp_ingest_rejected_total", reason="invalid_id") >= 3


def test_partial_success_of_metrics_in_json(collector):
    """The JSON answer has rejectedDataPoints as text, in lowerCamelCase."""
    body = {
        "resourceMetrics": [
            {
                "scopeMetrics": [
                    {
                        "metrics": [
                            {
                                "name": "no.temporality",
                                "sum": {
                                    "dataPoints": [
                                        {"timeUnixNano": str(time.time_ns()), "asInt": "5"}
                                    ]
                                },
                            }
                        ]
                    }
                ]
            }
        ]
    }
    answer = collector.post("metrics", json.dumps(body).encode(), JSON)
    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedDataPoints"] == "1"
    assert "unspecified_temporality" in partial["errorMessage"]


def test_a_point_without_time_is_rejected_alone(collector):
    """Metrics answer with rejected_data_points."""
    now = time.time_ns()
    points = [{"time": now, "value": 1}, {"time": 0, "value": 2}]
    request = metrics_request(resource("points"), "some.counter", "sum", points)
    answer = collector.post("metrics", request)
    partial = ExportMetricsServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, partial.rejected_data_points) == (200, 1)


def test_the_same_body_again_counts_once(collector):
    """A retry after a lost answer is acknowledged and not stored twice."""
    before = collector.settled_books()["signals"]["traces"]
    body = good_body("again", count=5)
    assert [collector.post("traces", body).status_code for _ in range(3)] == [200, 200, 200]
    after = collector.settled_books()["signals"]["traces"]
    assert after["stored"] - before["stored"] == 5
    assert after["duplicate"] - before["duplicate"] == 10
    assert after["received"] - before["received"] == 15


def test_a_body_in_pieces_without_length(collector, wait_for):
    """Chunked transfer is taken like any other."""
    body = good_body("chunked")
    answer = requests.post(
        f"{collector.http_url}/v1/traces",
        data=(body[start : start + 50] for start in range(0, len(body), 50)),
        headers=PROTOBUF,
    )
    assert answer.status_code == 200
    wait_for(lambda: "chunked" in names(collector))


def test_a_sender_that_hangs_up_hurts_nobody(collector):
    """Half a body and a closed connection: the next request is served, nothing is pending."""
    host, port = collector.http_url.removeprefix("http://").split(":")
    for _ in range(5):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
                b"Content-Length: 1000\r\n\r\n" + bytes(100)
            )
    assert collector.post("traces", good_body()).status_code == 200
    assert collector.settled_books()["wal_bytes"] == 0


def test_a_slow_body_is_given_up(start):
    """One byte and then silence: 408 after the limit."""
    one = start(LIMITS__BODY_TIMEOUT_S=0.3)
    host, port = one.http_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
            b"Content-Length: 1000\r\n\r\nx"
        )
        assert connection.recv(1000)[:13] == b"HTTP/1.1 408 "


def test_a_parent_of_the_wrong_length_is_left_out(collector):
    """The span is stored without it, and the sender is warned."""
    trace_id = os.urandom(16)
    request = trace_request(resource("orphan"), [span(trace_id=trace_id, parent=b"abc")])
    answer = collector.post("traces", request)
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, partial.rejected_spans) == (200, 0)
    assert "parent_span_id" in partial.error_message
    collector.settled_books()
    (stored,) = collector.get(f"/api/v1/traces/{trace_id.hex()}")["spans"]
    assert not stored["parent_span_id"]
