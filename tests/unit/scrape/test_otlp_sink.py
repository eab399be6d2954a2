"""Samples as OTLP points: exactly what a scan would leave, so that none is needed."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from collector.limits.overload import Overload
from collector.model import Signal
from collector.promql.labels import make_labels
from collector.promql.series import STALE_NAN
from collector.scrape.exposition import Exemplar
from collector.scrape.otlp_sink import OtlpSink
from collector.scrape.samples import Batch
from collector.wire.reasons import Reason
from collector.wire.scan import scan
from davylamp.config import collector_config, load_settings
from telemetry.clock import FixedClock

TARGET = {"job": "j", "instance": "h:1"}


@pytest.fixture
def config():
    return collector_config(load_settings(environ={}))


@pytest.fixture
def made(config):
    """``(batch) -> Scanned`` on a clock that stands still, and that clock's milliseconds."""
    clock = FixedClock()
    overload = Overload(config.overload, clock)
    sink = OtlpSink(SimpleNamespace(overload=overload), config.limits, clock)

    def run(*samples, exemplars=None):
        batch = Batch(exemplars=exemplars or {})
        for name, labels, offset_ms, value in samples:
            time_ms = clock.wall_unix_nano() // 1_000_000 + offset_ms
            batch.add(make_labels({"__name__": name, **TARGET, **labels}), time_ms, value)
        scanned = sink._scanned(batch, overload.before(Signal.METRICS))
        again = scan(
            Signal.METRICS, scanned.body, config.limits, now_unix_nano=clock.wall_unix_nano()
        )
        assert again.body == scanned.body
        assert again.item_count == scanned.item_count
        assert not again.rejected
        return scanned

    return run


def metrics(scanned):
    request = ExportMetricsServiceRequest.FromString(scanned.body)
    return {
        metric.name: metric
        for group in request.resource_metrics
        for scope in group.scope_metrics
        for metric in scope.metrics
    }


def test_counters_gauges_ends_and_exemplars(made):
    """Values, labels, flags; the target is the resource."""
    exemplar = Exemplar((("trace_id", "t"),), 0.5, None)
    scanned = made(
        ("a_total", {"x": "\u00e9"}, 0, 5.0),
        ("b", {}, -1_000, math.nan),
        ("b", {"x": "1"}, 0, STALE_NAN),
        ("c_bucket", {"le": "+Inf"}, 0, -0.0),
        exemplars={0: exemplar},
    )
    assert scanned.item_count == 4
    found = metrics(scanned)
    assert found["a_total"].sum.is_monotonic
    (point,) = found["a_total"].sum.data_points
    assert (point.as_double, point.attributes[0].value.string_value) == (5.0, "\u00e9")
    assert point.exemplars[0].as_double == 0.5
    assert point.exemplars[0].time_unix_nano == point.time_unix_nano
    first, ended = found["b"].gauge.data_points
    assert math.isnan(first.as_double)
    assert (ended.flags, ended.HasField("as_double")) == (1, False)
    request = ExportMetricsServiceRequest.FromString(scanned.body)
    (group,) = request.resource_metrics
    assert {one.key: one.value.string_value for one in group.resource.attributes} == {
        "service.name": "j",
        "service.instance.id": "h:1",
    }


def test_what_is_rejected_is_counted(made, config):
    """Times beyond belief, a time that was taken, a name beyond measure; an empty batch."""
    hour_ms = 3_600_000
    scanned = made(
        ("a", {}, 0, 1.0),
        ("a", {}, 0, 2.0),
        ("a", {}, hour_ms, 1.0),
        ("a", {}, -48 * hour_ms, 1.0),
        ("n" * (config.limits.max_name_bytes + 1), {}, 0, 1.0),
    )
    assert scanned.item_count == 1
    assert scanned.rejected == {
        Reason.DUPLICATE_TIMESTAMP: 1,
        Reason.TOO_FAR_IN_FUTURE: 1,
        Reason.TOO_OLD: 1,
        Reason.NAME_TOO_LONG: 1,
    }
    assert made().item_count == 0
