"""Odd spans: stored, shown, and not where they would spoil a statistic.

Row names (B4, B5, ...) are those of docs/reference/limits-and-faults.md.
"""

from __future__ import annotations

import os
import time

from collector.testing import SECOND_NS, fill, resource, trace_request

DAY_NS = 86_400 * SECOND_NS


def span(duration_ns, **more):
    start = time.time_ns() - 2 * SECOND_NS
    ids = {"trace_id": os.urandom(16), "span_id": os.urandom(8)}
    return {**ids, "start": start, "duration_ns": duration_ns, **more}


def window():
    return {"from": str(time.time() - 60), "to": str(time.time() + 10)}


def test_b4_b5_durations_that_cannot_be(collector):
    """Counted as requests, flagged, out of every latency; the good ones' quantiles stay."""
    good = [span(10_000_000) for _ in range(20)]
    odd = [span(-SECOND_NS), span(2 * DAY_NS)]
    assert collector.post("traces", trace_request(resource("good"), good)).content == b""
    mixed = [span(10_000_000) for _ in range(20)] + odd
    assert collector.post("traces", trace_request(resource("mixed"), mixed)).content == b""
    collector.settled_books()
    found = {
        one["service_name"]: one
        for one in collector.get("/api/v1/services", **window())["services"]
    }
    for level in ("p50_s", "p95_s", "p99_s"):
        assert found["mixed"][level] == found["good"][level]
    groups = collector.get("/api/v1/red", service="mixed", **window())["groups"]
    assert sum(point["request_count"] for one in groups for point in one["points"]) == 22
    heat = collector.get("/api/v1/heatmap", service="mixed", **window())
    assert sum(map(sum, heat["counts"])) == 20
    for one, flag, duration_ns in zip(
        odd, ("negative_duration", "long_duration"), (0, 2 * DAY_NS), strict=True
    ):
        (stored,) = collector.get(f"/api/v1/traces/{one['trace_id'].hex()}")["spans"]
        assert stored["attributes"]["davylamp.flag"] == flag
        assert stored["duration_ns"] == duration_ns


def test_b4_only_odd_durations_are_no_data(collector):
    """No quantile rather than zero."""
    odd = trace_request(resource("only-odd"), [span(-1), span(-2)])
    assert collector.post("traces", odd).content == b""
    collector.settled_books()
    groups = collector.get("/api/v1/red", service="only-odd", **window())["groups"]
    points = [point for one in groups for point in one["points"]]
    assert {point["p99_s"] for point in points} == {None}
    assert collector.get("/api/v1/heatmap", service="only-odd", **window())["counts"] == []


def test_b21_odd_attributes_of_a_span(collector):
    """Empty and doubled keys are stored; too much is rejected alone."""
    one = span(1_000_000)
    request = trace_request(resource("odd-attributes"), [one, span(1), span(1)])
    spans = request.resource_spans[0].scope_spans[0].spans
    fill(spans[0].attributes, {"": "empty", "twice": "first"})
    fill(spans[0].attributes, {"twice": "second"})
    fill(spans[1].attributes, {f"k{n}": n for n in range(10_000)})
    fill(spans[2].attributes, {"big": "x" * 1_048_576})
    assert collector.post("traces", request).status_code == 200
    books = collector.settled_books()
    rejected = books["signals"]["traces"]["rejected"]
    assert (rejected["too_many_attributes"], rejected["item_too_large"]) == (1, 1)
    assert books["quarantined"] == 0
    (stored,) = collector.get(f"/api/v1/traces/{one['trace_id'].hex()}")["spans"]
    assert stored["attributes"][""] == "empty"
    assert stored["attributes"]["twice"] in {"first", "second"}


def test_b29_hostile_text_comes_back_as_text(collector):
    """HTML, NUL and bidi controls in names and values; never a quarantine, never a 5xx."""
    hostile = "<script>alert(1)</script>\x00\u202egnp.exe"
    one = span(1_000_000, name=hostile, attributes={hostile: hostile})
    assert collector.post("traces", trace_request(resource(hostile), [one])).content == b""
    assert collector.settled_books()["quarantined"] == 0
    (stored,) = collector.get(f"/api/v1/traces/{one['trace_id'].hex()}")["spans"]
    assert stored["name"] == hostile
    assert stored["attributes"][hostile] == hostile
    services = collector.get("/api/v1/services", **window())["services"]
    assert hostile in {found["service_name"] for found in services}
