"""Bytes that are broken are refused by name; bytes that are merely odd are stored."""

from __future__ import annotations

import os

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.query.metrics import MetricQuery, blocks
from collector.store.engine import Signal
from collector.store.errors import PoisonedSegment, StoreUnavailable
from collector.store.points import SeriesCache
from collector.store.reader import Window

SECOND_NS = 1_000_000_000


def good(otlp, t0, service="odd"):
    return otlp.trace_request(
        otlp.resource(service),
        [{"trace_id": os.urandom(16), "span_id": os.urandom(8), "start": t0} for _ in range(5)],
    )


@pytest.mark.parametrize(
    "broken",
    [
        lambda body: body[:-7],
        lambda body: b"\xff" * 40,
        lambda body: body + b"\x0a\xff\xff\xff\xff\x7f",
    ],
    ids=["truncated", "garbage", "endless field"],
)
def test_undecodable_bytes_poison_the_segment(store, otlp, t0, tmp_path, broken):
    """Truncation and garbage raise PoisonedSegment and store nothing."""
    path = tmp_path / "poison"
    path.write_bytes(broken(otlp.framed(good(otlp, t0, "poison").SerializeToString())))
    with pytest.raises(PoisonedSegment):
        store.insert_segment(path, Signal.TRACES, f"poison-{t0}")
    counted = store.query("SELECT count() AS n FROM spans WHERE service_name = 'poison'")
    assert counted["n"].to_pylist() == [0]


def test_an_empty_segment_holds_nothing(store, tmp_path):
    """A file of zero bytes is stored as zero rows; so is a request without spans."""
    path = tmp_path / "empty"
    path.write_bytes(b"")
    assert store.insert_segment(path, Signal.TRACES, "empty").rows == 0


@pytest.mark.parametrize(
    ("message", "signal"),
    [
        (ExportTraceServiceRequest(), Signal.TRACES),
        (ExportMetricsServiceRequest(), Signal.METRICS),
    ],
)
def test_requests_without_content_hold_nothing(store, otlp, tmp_path, message, signal):
    """An empty export is legal OTLP."""
    path = tmp_path / "nothing"
    path.write_bytes(otlp.framed(message.SerializeToString()))
    assert store.insert_segment(path, signal, f"nothing-{signal}").rows == 0


def test_a_missing_file_is_retryable(store, tmp_path):
    """What the disk does is not the data's fault."""
    with pytest.raises(StoreUnavailable):
        store.insert_segment(tmp_path / "gone", Signal.TRACES, "gone")


def test_spans_with_odd_fields_are_stored(store, insert, otlp, t0):
    """Ids of any length, ends before starts, unknown enums, missing values, broken clocks."""
    request = good(otlp, t0, "odd-fields")
    spans = request.resource_spans[0].scope_spans[0].spans
    spans[0].trace_id = b"short"
    spans[0].span_id = b"x" * 30
    spans[1].trace_id = b""
    spans[1].end_time_unix_nano = spans[1].start_time_unix_nano - 5
    spans[2].kind = 77
    spans[2].status.code = 9
    spans[2].attributes.add().key = "no value"
    nested = spans[2].attributes.add()
    nested.key = "nested"
    nested.value.kvlist_value.values.add().key = "k"
    raw = spans[2].attributes.add()
    raw.key = "raw"
    raw.value.bytes_value = b"\x00\xff"
    spans[3].start_time_unix_nano = 2**64 - 1
    spans[4].start_time_unix_nano = 0
    for _ in range(2):
        twin = spans[4].attributes.add()
        twin.key = "twice"
        twin.value.string_value = "same key"
    request.resource_spans.add()
    request.resource_spans[0].scope_spans.add()
    assert insert(request) == 5


def test_segments_of_broken_clocks_do_not_explode_partitions(store, insert, otlp, t0):
    """Spans spread over all of time still fit into one insert."""
    request = good(otlp, t0, "clockless")
    spans = request.resource_spans[0].scope_spans[0].spans
    for index in range(300):
        span = spans.add()
        span.CopyFrom(spans[0])
        span.start_time_unix_nano = index * 2**55
    assert insert(request) == 305


def counter_of(store, metric, t0, width_s=10):
    query = MetricQuery(
        metric=metric,
        window=Window(t0, t0 + width_s * SECOND_NS),
        step_ns=width_s * SECOND_NS,
        matches=(),
        group_by=(),
        look_back_ns=300 * SECOND_NS,
        max_series=100,
    )
    return blocks(store, SeriesCache(), query)


def test_histograms_whose_layout_does_not_fit_keep_their_total(store, insert, otlp, t0):
    """Counts without bounds, or too few of them, become one bucket."""
    point = {"time": t0 + SECOND_NS, "start": t0, "count": 9, "sum": 1.0}
    assert (
        insert(
            otlp.metrics_request(
                otlp.resource("o"),
                "misfit",
                "histogram",
                [
                    {**point, "bounds": [], "counts": []},
                    {**point, "bounds": [1.0, 2.0], "counts": [9], "attributes": {"a": "b"}},
                ],
            )
        )
        == 2
    )
    (group,) = counter_of(store, "misfit", t0)["groups"]
    assert group["bounds"] == []
    assert group["blocks"][0]["counts"] == [18]


def test_attribute_order_does_not_make_a_new_series(store, insert, otlp, t0):
    """The same attributes in another order are the same series."""
    for second, keys in ((1, ("a", "b")), (2, ("b", "a"))):
        point = {
            "time": t0 + second * SECOND_NS,
            "start": t0,
            "value": second * 10,
            "attributes": dict.fromkeys(keys, "v"),
        }
        insert(otlp.metrics_request(otlp.resource("order"), "ordered", "sum", [point]))
    found = store.query(
        "SELECT uniqExact(series_id) AS n FROM series WHERE metric_name = 'ordered'"
    )
    assert found["n"].to_pylist() == [1]
    (group,) = counter_of(store, "ordered", t0)["groups"]
    assert group["blocks"][0]["increase"] == 20.0


def test_every_point_counts_in_the_block_of_its_own_time(store, insert, otlp, t0):
    """The point before the window is only the anchor of the first difference inside."""
    points = [
        {"time": t0 + second * SECOND_NS, "start": t0 - 3600 * SECOND_NS, "value": value}
        for second, value in ((-5, 100), (-1, 150), (1, 170), (3, 10), (4, 30))
    ]
    insert(otlp.metrics_request(otlp.resource("anchor"), "anchored", "sum", points))
    (group,) = counter_of(store, "anchored", t0)["groups"]
    (block,) = group["blocks"]
    assert block["increase"] == 20 + 10 + 20
    assert (block["point_count"], block["reset_count"]) == (3, 1)
