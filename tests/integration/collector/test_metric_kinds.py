"""Each kind of metric in both temporalities, over both protocols, back over /blocks and /series."""

from __future__ import annotations

import time

import grpc
import pytest

from collector.testing import CUMULATIVE, DELTA, SECOND_NS, metrics_request, resource

EXPORT = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
#: What was observed from one point to the next: the counts of five buckets.
ADDED = ((4, 0, 1, 0, 0), (1, 2, 3, 4, 5), (0, 0, 0, 0, 7))


def send(collector, protocol, request):
    if protocol == "http":
        assert collector.post("metrics", request).status_code == 200
        return
    with grpc.insecure_channel(collector.grpc_address) as channel:
        assert channel.unary_unary(EXPORT)(request.SerializeToString(), timeout=10) == b""


def totals(temporality):
    """ADDED as the points carry it: as it is, or added up (a first point of zeros before)."""
    if temporality == DELTA:
        return ADDED
    sums = [(0,) * 5]
    for added in ADDED:
        sums.append(tuple(a + b for a, b in zip(sums[-1], added, strict=True)))
    return sums


def points(kind, temporality, t0):
    rows = totals(temporality)
    first_s = 1 if temporality == DELTA else 0
    for number, counts in enumerate(rows):
        time_ns = t0 + (first_s + number) * SECOND_NS
        start = time_ns - SECOND_NS if temporality == DELTA else t0 - SECOND_NS
        point = {"time": time_ns, "start": start, "attributes": {"outcome": "ok"}}
        if kind in {"sum", "gauge"}:
            yield {**point, "value": float(sum(counts))}
        elif kind == "histogram":
            bounds = [0.1, 0.2, 0.5, 1.0]
            yield {**point, "count": sum(counts), "sum": 1.5, "bounds": bounds, "counts": counts}
        else:
            layout = {"scale": 0, "offset": -2, "zero_count": 0, "counts": counts}
            yield {**point, "count": sum(counts), "sum": 1.5, **layout}


@pytest.mark.parametrize("temporality", [DELTA, CUMULATIVE], ids=["delta", "cumulative"])
@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("kind", ["sum", "histogram", "exponential_histogram"])
def test_counts_come_back_per_second(collector, kind, protocol, temporality):
    """What was added in each second is what /blocks says, bucket by bucket."""
    t0 = (time.time_ns() // SECOND_NS - 60) * SECOND_NS
    name = f"kinds.{kind}.{protocol}.{temporality}"
    send(
        collector,
        protocol,
        metrics_request(
            resource("kinds"), name, kind, list(points(kind, temporality, t0)), temporality
        ),
    )
    collector.settled_books()
    answer = collector.get(
        "/api/v1/blocks",
        metric=name,
        group_by="outcome",
        **{"from": str(t0 / 1e9), "to": str(t0 / 1e9 + 10), "step_s": "1"},
    )
    (group,) = answer["groups"]
    assert group["attributes"] == {"outcome": "ok"}
    by_second = {(one["start_unix_nano"] - t0) // SECOND_NS: one for one in group["blocks"]}
    for second, added in enumerate(ADDED, 1):
        if kind == "sum":
            assert by_second[second]["increase"] == sum(added)
        else:
            counts = [count for count in by_second[second]["counts"] if count]
            assert counts == [count for count in added if count]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_gauges_come_back_as_their_newest_value(collector, protocol):
    """/series with agg=last, a step without data is null."""
    t0 = (time.time_ns() // SECOND_NS - 60) * SECOND_NS
    name = f"kinds.gauge.{protocol}"
    values = list(points("gauge", DELTA, t0))
    send(collector, protocol, metrics_request(resource("kinds"), name, "gauge", values))
    collector.settled_books()
    answer = collector.get(
        "/api/v1/series",
        metric=name,
        agg="last",
        **{"from": str(t0 / 1e9), "to": str(t0 / 1e9 + 5), "step_s": "1"},
    )
    (group,) = answer["groups"]
    assert [value for _, value in group["points"]] == [None, 5.0, 15.0, 7.0, None]
