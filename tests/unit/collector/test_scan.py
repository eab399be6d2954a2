"""What the scan rejects item by item, and what it refuses whole."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.model import Signal
from collector.testing import DELTA, metrics_request, resource, trace_request
from collector.wire.errors import Malformed, TooLarge
from collector.wire.reasons import EXPLAINED, Reason
from collector.wire.scan import scan

HOUR_NS = 3_600_000_000_000


@pytest.fixture
def look(limits, now):
    """Scan a message; returns (items kept, {reason: count})."""

    def run(message, **changes):
        is_traces = isinstance(message, ExportTraceServiceRequest)
        scanned = scan(
            Signal.TRACES if is_traces else Signal.METRICS,
            message.SerializeToString(),
            replace(limits, **changes),
            now_unix_nano=now,
        )
        return scanned.item_count, {str(reason): n for reason, n in scanned.rejected.items()}

    return run


def spans(now, *changes):
    good = {"trace_id": os.urandom(16), "span_id": os.urandom(8), "start": now}
    return trace_request(resource("scan"), [{**good, **change} for change in changes])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"trace_id": bytes(16)}, "invalid_id"),
        ({"trace_id": b""}, "invalid_id"),
        ({"trace_id": b"x" * 15}, "invalid_id"),
        ({"trace_id": b"x" * 17}, "invalid_id"),
        ({"span_id": bytes(8)}, "invalid_id"),
        ({"span_id": b"x" * 7}, "invalid_id"),
        ({"start": 0}, "timestamp_zero"),
        ({"start": 86_400 * 10**9}, "timestamp_zero"),
        ({"attributes": dict.fromkeys(map(str, range(300)), 1)}, "too_many_attributes"),
        ({"name": "x" * 300_000}, "item_too_large"),
    ],
)
def test_a_bad_span_is_rejected_alone(look, now, change, reason):
    """Its neighbours stand."""
    assert look(spans(now, {}, change, {})) == (2, {reason: 1})


@pytest.mark.parametrize(
    ("offset_ns", "reason"),
    [
        (9 * 60 * 10**9, None),
        (11 * 60 * 10**9, "too_far_in_future"),
        (-23 * HOUR_NS, None),
        (-25 * HOUR_NS, "too_old"),
    ],
)
def test_times_are_believed_within_limits(look, now, offset_ns, reason):
    """Ten minutes ahead, a day behind; for spans by their start, for points by their time."""
    expected = (1, {}) if reason is None else (0, {reason: 1})
    assert look(spans(now, {"start": now + offset_ns})) == expected
    point = {"time": now + offset_ns, "value": 1}
    assert look(metrics_request(resource("scan"), "m", "sum", [point])) == expected


EXPLICIT = {"count": 3, "sum": 1.0, "bounds": [1.0, 2.0], "counts": [1, 1, 1]}
EXPONENTIAL = {"count": 3, "sum": 1.0, "scale": 0, "offset": 0, "counts": [1, 2]}


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("sum", {"value": 1}, None),
        ("sum", {"value": -1}, "malformed_point"),
        ("sum", {"value": 1, "time": 0}, "timestamp_zero"),
        ("gauge", {"value": -1}, None),
        ("gauge", {"value": float("nan")}, None),
        ("histogram", EXPLICIT, None),
        ("histogram", {**EXPLICIT, "bounds": [], "counts": []}, None),
        ("histogram", {**EXPLICIT, "bounds": [], "counts": [3]}, None),
        ("histogram", {**EXPLICIT, "counts": []}, "malformed_point"),
        ("histogram", {**EXPLICIT, "counts": [1, 2]}, "malformed_point"),
        ("histogram", {**EXPLICIT, "count": 4}, "malformed_point"),
        ("histogram", {**EXPLICIT, "bounds": [2.0, 1.0]}, "malformed_point"),
        ("histogram", {**EXPLICIT, "bounds": [1.0, 1.0]}, "malformed_point"),
        ("histogram", {**EXPLICIT, "bounds": [float("nan"), 1.0]}, "malformed_point"),
        ("histogram", {**EXPLICIT, "bounds": [1.0, float("nan")]}, "malformed_point"),
        ("exponential_histogram", EXPONENTIAL, None),
        ("exponential_histogram", {**EXPONENTIAL, "count": 4}, "malformed_point"),
        ("exponential_histogram", {**EXPONENTIAL, "scale": 40}, "malformed_point"),
        ("exponential_histogram", {**EXPONENTIAL, "counts": [0] * 5_000}, "too_many_buckets"),
    ],
)
def test_points(look, now, kind, change, reason):
    """A point that contradicts itself is rejected, its neighbours stand."""
    good = {"time": now, "start": now - 1, "value": 1.0, **EXPLICIT, **EXPONENTIAL}
    if kind == "histogram":
        good |= EXPLICIT
    points = [good, {**good, **change}]
    expected = (2, {}) if reason is None else (1, {reason: 1})
    assert look(metrics_request(resource("scan"), "m", kind, points, DELTA)) == expected


def test_start_after_time_is_rejected(look, now):
    """A point cannot end before it began; what a busy SDK mixes up in a moment is kept."""
    points = [{"time": now, "start": now + 1_000_000_000, "value": 1}]
    assert look(metrics_request(resource("scan"), "m", "sum", points)) == (1, {})
    points = [{"time": now, "start": now + 11_000_000_000, "value": 1}]
    assert look(metrics_request(resource("scan"), "m", "sum", points)) == (
        0,
        {"start_after_time": 1},
    )


def set_temporality(metric, number):
    metric.sum.aggregation_temporality = number


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda metric: metric.ClearField("name"), "unnamed_metric"),
        (lambda metric: setattr(metric, "name", "n" * 2_000), "name_too_long"),
        (lambda metric: setattr(metric, "unit", "n" * 2_000), "name_too_long"),
        (lambda metric: set_temporality(metric, 0), "unspecified_temporality"),
        (lambda metric: set_temporality(metric, 7), "unspecified_temporality"),
        (lambda metric: metric.summary.data_points.add(time_unix_nano=1), "timestamp_zero"),
        (lambda metric: metric.sum.data_points[0].ClearField("as_int"), "no_value"),
    ],
    ids=["no name", "name", "unit", "no temporality", "odd temporality", "summary", "no value"],
)
def test_metrics_as_a_whole(look, now, change, reason):
    """Every point of the metric is rejected for it, other metrics stand."""
    request = metrics_request(resource("scan"), "m", "sum", [{"time": now, "value": 1}])
    good = metrics_request(resource("scan"), "good", "sum", [{"time": now, "value": 1}])
    change(request.resource_metrics[0].scope_metrics[0].metrics[0])
    request.MergeFrom(good)
    assert look(request) == (1, {reason: 1})


def test_a_point_without_value_may_say_so(look, now):
    """The flag "no recorded value" ends a series; it is stored."""
    request = metrics_request(resource("scan"), "m", "gauge", [{"time": now, "value": 1}])
    point = request.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0]
    point.ClearField("as_int")
    point.flags = 1
    assert look(request) == (1, {})


@pytest.mark.parametrize("at", ["resource", "scope"])
def test_too_large_a_resource_takes_its_items_along(look, now, at):
    """Not the items of other resources."""
    request = spans(now, {}, {})
    group = request.resource_spans[0]
    head = group.resource if at == "resource" else group.scope_spans[0].scope
    for number in range(300):
        head.attributes.add().key = str(number)
    request.MergeFrom(spans(now, {}))
    assert look(request) == (1, {"resource_too_large": 2})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_spans": 2}, "more than 2 items"),
        ({"max_elements": 10}, "more than 10 elements"),
        ({"max_body_bytes": 20}, "the limit is 20"),
    ],
)
def test_too_much_is_refused_whole(look, now, changes, words):
    """The message names the limit."""
    attributes = {"attributes": {"a": 1, "b": 2}}
    with pytest.raises(TooLarge, match=words):
        look(spans(now, attributes, attributes, attributes), **changes)


@pytest.mark.parametrize("where", ["array", "events", "links", "resource", "buckets"])
def test_elements_are_counted_wherever_they_hide(look, now, where):
    """A hundred of anything do not fit into a limit of 90."""
    request = spans(now, {})
    group = request.resource_spans[0]
    span = group.scope_spans[0].spans[0]
    if where == "array":
        values = span.attributes.add(key="list").value.array_value.values
        for _ in range(100):
            values.add()
    elif where == "events":
        for _ in range(50):
            span.events.add().attributes.add()
    elif where == "links":
        for _ in range(100):
            span.links.add()
    elif where == "resource":
        for _ in range(100):
            group.resource.attributes.add()
    else:
        counts = {"count": 0, "sum": 0.0, "bounds": range(60), "counts": [0] * 61}
        point = {"time": now, "start": now, **counts}
        request = metrics_request(resource("scan"), "m", "histogram", [point])
    assert look(request)[0] == 1
    with pytest.raises(TooLarge):
        look(request, max_elements=90)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\x0a\x05abc", id="cut short"),
        pytest.param(b"\x0a\x04\x0a\x00\x0a\x00", id="two resources"),
        pytest.param(b"\x0a\x04\x12\x02\x12\xff", id="a span that is none"),
    ],
)
def test_not_otlp_is_refused_whole(limits, now, body):
    """Nothing of it is stored."""
    with pytest.raises(Malformed):
        scan(Signal.TRACES, body, limits, now_unix_nano=now)


def test_text_that_is_not_utf_8_is_refused(limits, now):
    """As the official parsers do; the engine would store it."""
    body = spans(now, {"name": "replace me"}).SerializeToString()
    with pytest.raises(Malformed):
        scan(Signal.TRACES, body.replace(b"replace", b"\xff\xfeplac"), limits, now_unix_nano=now)


def test_a_metric_with_two_kinds_is_refused(limits, now):
    """Concatenated, the oneof comes twice; parsers differ on which one counts."""
    body = b"".join(
        metrics_request(resource("scan"), "m", kind, [{"time": now, "value": 1}])
        .resource_metrics[0]
        .scope_metrics[0]
        .metrics[0]
        .SerializeToString()
        for kind in ("gauge", "sum")
    )
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.add()
    whole = request.SerializeToString()
    assert whole == b"\x0a\x04\x12\x02\x12\x00"
    # The lengths around the metric, written by hand.
    size = len(body)
    assert size < 100
    whole = bytes([0x0A, size + 4, 0x12, size + 2, 0x12, size]) + body
    with pytest.raises(Malformed, match="data twice"):
        scan(Signal.METRICS, whole, limits, now_unix_nano=now)


def test_every_reason_is_explained():
    """The sender reads a sentence, not a label."""
    assert set(EXPLAINED) == set(Reason)
