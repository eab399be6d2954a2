"""The cardinality limit folds labels, never numbers."""

from __future__ import annotations

import logging

import pytest

from telemetry.delivery import warn_on_overflow
from telemetry.tally import StatsCounter
from telemetry.testing import capture


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_overflow_keeps_the_sum(temporality):
    """250 attribute sets under a limit of 100 become 100 points and one overflow point."""
    captured = capture(temporality=temporality, cardinality_limit=100)
    meter = captured.telemetry.meter("test")
    counter = meter.create_counter("c")
    histogram = meter.create_histogram("h")
    for i in range(250):
        counter.add(i, {"k": i})
        histogram.record(float(i), {"k": i})
    metrics = captured.metrics()
    points = metrics["c"].data.data_points
    assert len(points) == 101
    assert sum(range(250)) == sum(point.value for point in points)
    (overflow,) = [p for p in points if p.attributes.get("otel.metric.overflow")]
    assert dict(overflow.attributes) == {"otel.metric.overflow": True}
    assert sum(range(100, 250)) == overflow.value
    assert sum(point.count for point in metrics["h"].data.data_points) == 250
    captured.telemetry.shutdown()


def test_overflow_is_told_once_per_metric(caplog):
    """The first overflowing export warns; later ones only keep the name in the stats."""
    captured = capture(cardinality_limit=1)
    counter = captured.telemetry.meter("test").create_counter("c")
    counter.add(1, {"k": 1})
    counter.add(1, {"k": 2})
    points = captured.points("c")
    stats = StatsCounter()
    with caplog.at_level(logging.WARNING, logger="telemetry"):
        warn_on_overflow("c", points, stats)
        warn_on_overflow("c", points, stats)
    assert len(caplog.records) == 1
    assert stats.snapshot().overflowed_metrics == ("c",)
    captured.telemetry.shutdown()
