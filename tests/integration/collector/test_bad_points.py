"""Bad and odd data points one after the other: what is answered, what is stored, the books closed.

Row names (B7, B12, ...) are those of docs/reference/limits-and-faults.md.
"""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)

from collector.testing import CUMULATIVE, DELTA, SECOND_NS, fill, metrics_request, resource


def begun():
    return (time.time_ns() // SECOND_NS - 60) * SECOND_NS


def send(collector, request):
    """(rejected points, the sentence about them); nothing but 200 is an answer here."""
    answer = collector.post("metrics", request)
    assert answer.status_code == 200
    partial = ExportMetricsServiceResponse.FromString(answer.content).partial_success
    return partial.rejected_data_points, partial.error_message


def rejected(collector, reason):
    return collector.metric("davylamp_ingest_rejected_total", signal="metrics", reason=reason)


def blocks(collector, metric, t0, seconds=30):
    window = {"from": str(t0 / 1e9 - 1), "to": str(t0 / 1e9 + seconds), "step_s": "1"}
    collector.settled_books()
    groups = collector.get("/api/v1/blocks", metric=metric, **window)["groups"]
    return [block for group in groups for block in group["blocks"]]


def increase(collector, metric, t0):
    return sum(block.get("increase") or 0 for block in blocks(collector, metric, t0))


def sum_of(name, points, temporality=DELTA, service="bad-points"):
    return metrics_request(resource(service), name, "sum", points, temporality)


def test_b12_the_first_value_at_a_time_stays(collector):
    """Another value at the same time is rejected, by name and by number; counts are not doubled."""
    t0 = begun()
    before = rejected(collector, "duplicate_timestamp")
    point = {"time": t0 + SECOND_NS, "start": t0}
    assert send(collector, sum_of("bad.twice", [{**point, "value": 5}])) == (0, "")
    count, said = send(
        collector,
        sum_of(
            "bad.twice", [{**point, "value": 7}, {**point, "time": t0 + 2 * SECOND_NS, "value": 1}]
        ),
    )
    assert count == 1
    assert "duplicate_timestamp" in said
    assert rejected(collector, "duplicate_timestamp") == before + 1
    assert increase(collector, "bad.twice", t0) == 6


def test_b12_within_one_request(collector):
    """The first in the request stays."""
    t0 = begun()
    point = {"time": t0 + SECOND_NS, "start": t0}
    request = sum_of("bad.twice.inside", [{**point, "value": 5}, {**point, "value": 7}])
    assert send(collector, request)[0] == 1
    assert increase(collector, "bad.twice.inside", t0) == 5


def test_b11_the_same_request_again_is_no_duplicate_point(collector):
    """It is the same request: acknowledged whole, counted once."""
    t0 = begun()
    request = sum_of("bad.resent", [{"time": t0 + SECOND_NS, "start": t0, "value": 5}])
    duplicates = collector.metric("davylamp_ingest_duplicate_total", signal="metrics")
    for _ in range(3):
        assert send(collector, request) == (0, "")
    found = collector.metric("davylamp_ingest_duplicate_total", signal="metrics")
    assert found == duplicates + 2
    assert increase(collector, "bad.resent", t0) == 5


def test_b17_the_second_temporality_is_rejected(collector):
    """Delta and cumulative of one series would be added up to nonsense."""
    t0 = begun()
    first = sum_of("bad.kinds", [{"time": t0 + SECOND_NS, "start": t0, "value": 5}], DELTA)
    second = sum_of(
        "bad.kinds", [{"time": t0 + 2 * SECOND_NS, "start": t0, "value": 9}], CUMULATIVE
    )
    assert send(collector, first)[0] == 0
    count, said = send(collector, second)
    assert count == 1
    assert "temporality_conflict" in said
    assert increase(collector, "bad.kinds", t0) == 5


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
def test_b13_a_gauge_that_is_no_number_is_no_data(collector, value):
    """Stored, and null wherever numbers are asked for: never zero, never a number."""
    t0 = begun()
    name = f"bad.gauge.{value}"
    points = [
        {"time": t0, "value": 1.0},
        {"time": t0 + SECOND_NS, "value": value},
        {"time": t0 + 2 * SECOND_NS, "value": 3.0},
    ]
    assert send(collector, metrics_request(resource("bad-points"), name, "gauge", points))[0] == 0
    assert collector.settled_books()["quarantined"] == 0
    window = {"from": str(t0 / 1e9), "to": str(t0 / 1e9 + 3), "step_s": "1"}
    for agg in ("last", "sum"):
        (group,) = collector.get("/api/v1/series", metric=name, agg=agg, **window)["groups"]
        assert [found for _, found in group["points"]] == [1.0, None, 3.0]


def test_b15_a_counter_that_falls_was_reset(collector):
    """What it shows then was added since; nothing is ever negative."""
    t0 = begun()
    values = (10, 14, 3, 5)
    points = [
        {"time": t0 + number * SECOND_NS, "start": t0 - SECOND_NS, "value": value}
        for number, value in enumerate(values)
    ]
    assert send(collector, sum_of("bad.falls", points, CUMULATIVE))[0] == 0
    found = [block["increase"] for block in blocks(collector, "bad.falls", t0)]
    assert min(found) >= 0
    assert sum(found[-3:]) == 4 + 3 + 2


@pytest.mark.parametrize(
    ("start_of_second", "added"),
    [(1, 3), (0, 4 - 3)],
    ids=["a new start time is a reset", "no start time: by value"],
)
def test_b16_resets_by_start_time(collector, start_of_second, added):
    """A later start says that counting began anew, whatever the value."""
    t0 = begun()
    name = f"bad.start.{start_of_second}"
    starts = (t0 - SECOND_NS, t0 + SECOND_NS // 2) if start_of_second else (0, 0)
    values = (3, 3) if start_of_second else (3, 4)
    points = [
        {"time": t0 + number * SECOND_NS, "start": starts[number], "value": values[number]}
        for number in range(2)
    ]
    assert send(collector, sum_of(name, points, CUMULATIVE))[0] == 0
    assert blocks(collector, name, t0)[-1]["increase"] == added


def test_b16_a_start_after_the_time_is_rejected(collector):
    """Beyond the seconds a busy SDK may be late."""
    t0 = begun()
    point = {"time": t0, "start": t0 + 60 * SECOND_NS, "value": 1}
    count, said = send(collector, sum_of("bad.start.late", [point], CUMULATIVE))
    assert count == 1
    assert "start_after_time" in said


@pytest.mark.parametrize("temporality", [DELTA, CUMULATIVE], ids=["delta", "cumulative"])
def test_b10_the_order_of_arrival_does_not_matter(collector, temporality):
    """Twenty points in shuffled requests are the same blocks as in one sorted one."""
    t0 = begun()
    rng = np.random.default_rng(3)
    added = rng.integers(1, 9, 20)
    values = added if temporality == DELTA else np.cumsum(added)
    points = [
        {
            "time": t0 + (number + 1) * SECOND_NS,
            "start": t0 + number * SECOND_NS if temporality == DELTA else t0,
            "value": int(value),
        }
        for number, value in enumerate(values)
    ]
    name = f"bad.order.{temporality}"
    assert send(collector, sum_of(f"{name}.sorted", points, temporality))[0] == 0
    for number in rng.permutation(len(points)):
        assert send(collector, sum_of(f"{name}.shuffled", [points[number]], temporality))[0] == 0
    assert blocks(collector, f"{name}.shuffled", t0) == blocks(collector, f"{name}.sorted", t0)
    assert increase(collector, f"{name}.sorted", t0) == sum(added)


@pytest.mark.parametrize(
    ("offset_s", "reason"),
    [(120, None), (500, None), (700, "too_far_in_future"), (-90_000, "too_old")],
)
def test_b7_b8_b9_times(collector, offset_s, reason):
    """Up to ten minutes ahead is stored; beyond, and older than a day, is rejected with 200."""
    point = {"time": time.time_ns() + offset_s * SECOND_NS, "value": 1.0}
    request = metrics_request(resource("bad-points"), f"bad.time.{offset_s}", "gauge", [point])
    count, said = send(collector, request)
    assert count == (reason is not None)
    assert reason is None or reason in said


def test_b1_an_empty_request_makes_no_series(collector):
    """200, nothing said, nothing known."""
    before = collector.metric("davylamp_ingest_series")
    assert send(collector, b"") == (0, "")
    assert collector.metric("davylamp_ingest_series") == before


def test_b21_attributes_beyond_measure(collector):
    """Too many or too large: that point alone is rejected. Odd keys and doubled ones are stored."""
    t0 = begun()
    request = sum_of("bad.attributes", [], DELTA)
    points = request.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points
    for number, attributes in enumerate(
        (
            {f"k{n}": "v" for n in range(10_000)},
            {"big": "x" * 1_048_576},
            {"k" * 10_240: "v"},
            {"": "empty"},
            {"twice": "first"},
        )
    ):
        point = points.add()
        point.time_unix_nano = t0 + (number + 1) * SECOND_NS
        point.start_time_unix_nano = t0
        point.as_int = 1
        fill(point.attributes, attributes)
    fill(points[-1].attributes, {"twice": "second"})
    count, said = send(collector, request)
    assert count == 2
    assert "too_many_attributes" in said
    assert "item_too_large" in said
    assert increase(collector, "bad.attributes", t0) == 3
    assert collector.settled_books()["quarantined"] == 0


def test_b32_the_skew_of_a_senders_clock_is_shown(collector):
    """An hour behind, five minutes ahead, and right: told per service."""
    for service, offset_s in (("behind", -3_600), ("ahead", 300), ("right", 0)):
        point = {"time": time.time_ns() + offset_s * SECOND_NS, "value": 1.0}
        send(collector, metrics_request(resource(service), "bad.skew", "gauge", [point]))
    found = {one["service"]: one["behind_s"] for one in collector.books()["skew"]}
    assert found["behind"] == pytest.approx(3_600, abs=30)
    assert found["ahead"] == pytest.approx(-300, abs=30)
    assert found["right"] == pytest.approx(0, abs=30)
