"""Remote-write over real sockets: what is answered, what is kept, what a kill leaves."""

from __future__ import annotations

import struct
import time

import pytest
import requests

from collector.samples.messages import RawRequest, Request2, Series
from collector.samples.snappy import compress_block

STALE = struct.unpack("<d", bytes.fromhex("020000000000f07f"))[0]
V1 = {
    "content-type": "application/x-protobuf",
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": "0.1.0",
}
V2 = {
    "content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": "2.0.0",
}
WRITTEN = "x-prometheus-remote-write-samples-written"


def now_ms():
    return time.time_ns() // 1_000_000


def series(labels, *samples):
    message = Series()
    for name, value in sorted(labels.items()):
        message.labels.add(name=name.encode(), value=value.encode())
    for time_ms, value in samples:
        message.samples.add(timestamp=time_ms, value=value)
    return message.SerializeToString()


def body(*encoded):
    request = RawRequest()
    request.timeseries.extend(encoded)
    return compress_block(request.SerializeToString())


def post(collector, content, headers=V1, path="/api/v1/write"):
    return requests.post(f"{collector.api_url}{path}", content, headers=headers)


def asked(collector, query, at_ms):
    answer = collector.get("/prometheus/api/v1/query", query=query, time=at_ms / 1000)
    return {
        tuple(sorted(one["metric"].items())): one["value"][1] for one in answer["data"]["result"]
    }


def test_what_is_written_can_be_asked_for(start, wait_for):
    """Both versions, both paths; labels as sent, values to the last bit."""
    one = start(WAL__SAMPLES_INTERVAL_S=0.1)
    at = now_ms()
    first = body(
        series({"__name__": "rw_a", "job": "x"}, (at, 1.1)),
        series({"__name__": "rw_a", "job": "y"}, (at - 1000, 5.0), (at, 6.0)),
    )
    reply = post(one, first)
    assert (reply.status_code, reply.headers[WRITTEN]) == (204, "3")
    second = Request2(symbols=[b"", b"__name__", b"rw_a", b"job", b"z"])
    message = second.timeseries.add(labels_refs=[1, 2, 3, 4])
    message.samples.add(timestamp=at, value=1e300)
    content = compress_block(second.SerializeToString())
    reply = post(one, content, V2, "/prometheus/api/v1/write")
    assert (reply.status_code, reply.headers[WRITTEN]) == (204, "1")
    wait_for(lambda: len(asked(one, "rw_a", at)) == 3)
    assert asked(one, 'rw_a{job!="y"}', at) == {
        (("__name__", "rw_a"), ("job", "x")): "1.1",
        (("__name__", "rw_a"), ("job", "z")): "1e+300",
    }
    assert asked(one, 'sum({job=~"x|y"})', at) == {(): "7.1"}
    names = one.get("/prometheus/api/v1/label/__name__/values")["data"]
    assert "rw_a" in names
    assert one.get("/prometheus/api/v1/label/job/values")["data"] == ["x", "y", "z"]
    assert one.settled_books()["signals"]["samples"]["stored"] == 4


def test_rejected_samples_are_named_and_the_rest_is_kept(start, wait_for):
    """400 with the reasons (the opposite of OTLP's partial success); the books close."""
    one = start(WAL__SAMPLES_INTERVAL_S=0.1)
    at = now_ms()
    good = series({"__name__": "rw_b", "job": "x"}, (at, 1.0))
    mixed = body(
        good,
        series({"__name__": "rw_b", "job": "old"}, (at - 2 * 86_400_000, 1.0)),
        series({"__name__": "rw_b", "job": "new"}, (at + 3_600_000, 1.0)),
        series({"job": "nameless"}, (at, 1.0)),
    )
    reply = post(one, mixed)
    assert (reply.status_code, reply.headers[WRITTEN]) == (400, "1")
    for reason in ("too_old", "too_far_in_future", "unnamed_metric"):
        assert reason in reply.text
    wait_for(lambda: asked(one, "rw_b", at))
    # The same sample again is known; another value at its time contradicts it.
    assert post(one, body(good)).status_code == 204
    other = body(series({"__name__": "rw_b", "job": "x"}, (at, 2.0)))
    reply = post(one, other)
    assert (reply.status_code, "duplicate_timestamp" in reply.text) == (400, True)
    account = one.settled_books()["signals"]["samples"]
    assert account["received"] == 6
    assert account["stored"] == 1
    assert account["duplicate"] == 1
    assert asked(one, "rw_b", at) == {(("__name__", "rw_b"), ("job", "x")): "1"}


def test_a_stale_marker_ends_its_series(start, wait_for):
    """Its NaN keeps its payload through log, store and query."""
    one = start(WAL__SAMPLES_INTERVAL_S=0.1)
    at = now_ms()
    labels = {"__name__": "rw_c"}
    assert post(one, body(series(labels, (at - 2000, 7.0), (at - 1000, STALE)))).ok
    wait_for(lambda: asked(one, "rw_c", at - 1500))
    assert asked(one, "rw_c", at) == {}


@pytest.mark.parametrize(
    ("content", "headers", "status", "words"),
    [
        (b"\xff\xff\xff\xff\xff\xff", V1, 400, "not snappy"),
        (b"\xff\xff\xff\xff\x0f" + bytes(5), V1, 413, "declares"),
        (b"\xff\x06\x00\x00sNaPpYxx", V1, 400, "framed"),
        (compress_block(b"\x0a\x05abc"), V1, 400, "WriteRequest"),
        (b"", {**V1, "content-encoding": "gzip"}, 415, "snappy"),
        (b"", {**V1, "content-type": "application/json"}, 415, "x-protobuf"),
        (b"", {**V1, "content-type": V1["content-type"] + ";proto=x.Y"}, 415, "x.Y"),
        (compress_block(Request2(symbols=[b"a"]).SerializeToString()), V2, 400, "symbol"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_reasons(collector, content, headers, status, words):
    """400, 413 and 415 are never tried again; nothing was taken."""
    reply = post(collector, content, headers)
    assert (reply.status_code, words in reply.text) == (status, True), reply.text


def test_an_empty_request_is_fine(collector):
    """Prometheus' metadata requests have no series."""
    assert post(collector, compress_block(b"")).status_code == 204
    assert requests.get(f"{collector.api_url}/api/v1/write").status_code == 405


def test_killed_after_the_acknowledgement_nothing_is_lost_or_doubled(start, wait_for, tmp_path):
    """The log is replayed into numbers that mean the same series as before."""
    at = now_ms()
    one = start(WAL__SAMPLES_INTERVAL_S=0.1)
    before = [series({"__name__": "rw_d", "n": str(n)}, (at - 1000, float(n))) for n in range(50)]
    assert post(one, body(*before)).status_code == 204
    one.settled_books()
    one.kill()
    two = start(tmp_path, WAL__SAMPLES_INTERVAL_S=60.0)
    after = [series({"__name__": "rw_d", "n": str(n)}, (at, n + 0.5)) for n in range(25, 75)]
    content = body(*after)
    assert post(two, content).status_code == 204
    two.kill()
    three = start(tmp_path, WAL__SAMPLES_INTERVAL_S=0.1)
    assert post(three, content).status_code == 204, "sent again, its answer was lost"
    account = three.settled_books()["signals"]["samples"]
    assert (account["stored"], account["duplicate"]) == (50, 50)
    found = asked(three, "rw_d", at)
    assert {dict(labels)["n"]: float(value) for labels, value in found.items()} == {
        str(n): n + 0.5 if n >= 25 else float(n) for n in range(75)
    }
    assert asked(three, "sum(count_over_time(rw_d[5m]))", at) == {(): "100"}


def test_more_series_than_the_limit_are_rejected(start):
    """Known series go on; the refused ones are counted by reason."""
    one = start(LIMITS__MAX_SAMPLE_SERIES=2)
    at = now_ms()
    three = [series({"__name__": "rw_e", "n": str(n)}, (at, 1.0)) for n in range(3)]
    reply = post(one, body(*three))
    assert (reply.status_code, reply.headers[WRITTEN]) == (400, "2")
    assert "series_limit" in reply.text
    again = [series({"__name__": "rw_e", "n": str(n)}, (at + 1, 1.0)) for n in range(2)]
    assert post(one, body(*again)).status_code == 204


def test_after_a_restart_the_newest_samples_are_known(start, tmp_path):
    """Stored before it: the same again is taken in silence, another value refused by name.

    The long label has lengths of two bytes in its spelling, which the engine makes at the start.
    """
    at = now_ms()
    names = [{"__name__": "rw_f", "n": str(n), "long": "ö" * n} for n in (0, 1, 70, 2_000)]
    one = start(WAL__SAMPLES_INTERVAL_S=0.1)
    rows = [series(labels, (at, 1.5)) for labels in names]
    assert post(one, body(*rows)).status_code == 204
    one.settled_books()
    one.terminate()
    two = start(tmp_path, WAL__SAMPLES_INTERVAL_S=0.1)
    more = series({**names[0], "n": "new"}, (at, 1.0))
    reply = post(two, body(*rows, more))
    assert (reply.status_code, reply.headers[WRITTEN]) == (204, "5")
    other = post(two, body(*(series(labels, (at, 2.5)) for labels in names)))
    assert (other.status_code, other.headers[WRITTEN]) == (400, "0")
    assert "4 rejected as duplicate_timestamp" in other.text
    account = two.settled_books()["signals"]["samples"]
    assert (account["stored"], account["duplicate"]) == (1, 4)
    assert asked(two, "count(rw_f)", at) == {(): "5"}
