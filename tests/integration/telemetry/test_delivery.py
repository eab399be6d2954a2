"""Delivery to a real OTLP endpoint: what was acknowledged, refused, lost, and what survives."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time

import pytest

import telemetry
from telemetry import provider, settings
from telemetry.clock import SystemClock
from telemetry.errors import NotSetUpError, SetupConflictError
from telemetry.playback import Playback

CUMULATIVE, DELTA = 2, 1


def build(url, **changes):
    options = {
        "given": {"region": "north", "zone": "north-a", "version": "1.4.0"},
        "endpoint": url,
        "export_interval_s": 3600.0,
        "span_delay_s": 0.1,
        "export_timeout_s": None,
        "temporality": None,
        "cardinality_limit": 2000,
        "environ": {},
    } | changes
    return provider.build(settings.resolve("playback", **options), clock=SystemClock())


def told(caplog):
    """What the library logged; exporters left behind by other tests may still be talking."""
    return sorted(r.getMessage() for r in caplog.records if r.name == "telemetry")


def end_spans(made, count):
    for _ in range(count):
        made.tracer("test").start_span("work").end()


def test_everything_arrives_and_is_acknowledged(otlp):
    """Spans and metrics reach the endpoint with the resource; the books balance."""
    made = build(otlp.url)
    end_spans(made, 3)
    Playback(made).start(device_class="tv").first_frame(0.7)
    assert made.force_flush()

    stats = made.stats()
    assert (
        stats.spans_ended,
        stats.traces.acknowledged,
        stats.traces.rejected,
        stats.traces.dropped,
    ) == (3, 3, 0, 0)
    assert stats.metrics.submitted == stats.metrics.acknowledged > 0
    assert len(otlp.spans) == 3
    resource = otlp.metrics[0].resource_metrics[0].resource
    sent = {pair.key: pair.value.string_value for pair in resource.attributes}
    assert {
        "service.name": "playback",
        "service.version": "1.4.0",
        "cloud.region": "north",
        "cloud.availability_zone": "north-a",
    }.items() <= sent.items()
    assert not [key for key in sent if key.startswith(("process.", "host.", "os."))]
    made.shutdown()


def test_partial_success_is_counted_and_told_once(otlp, caplog):
    """A 200 that refuses items is not a success; the official exporters say it is."""
    otlp.reject_spans, otlp.reject_points = 2, 1
    made = build(otlp.url)
    with caplog.at_level(logging.WARNING, logger="telemetry"):
        for _ in range(2):
            end_spans(made, 5)
            made.force_flush()
    stats = made.stats()
    assert (
        stats.traces.submitted,
        stats.traces.acknowledged,
        stats.traces.rejected,
        stats.traces.dropped,
        stats.traces.partial_successes,
    ) == (10, 6, 4, 0, 2)
    assert (stats.metrics.rejected, stats.metrics.partial_successes) == (2, 2)
    assert told(caplog) == [
        "collector on metrics: 1 items rejected: unknown temporality",
        "collector on traces: 2 items rejected: too old",
    ]
    made.shutdown()


def test_the_library_reports_itself(otlp):
    """The fates are exported as a metric too."""
    otlp.reject_spans = 1
    made = build(otlp.url)
    end_spans(made, 3)
    made.force_flush()
    made.force_flush()
    last = otlp.metric("davylamp.telemetry.exported")[-1]
    fates = {
        tuple(pair.value.string_value for pair in point.attributes): point.as_int
        for point in last.sum.data_points
    }
    assert fates["traces", "acknowledged"] == 2
    assert fates["traces", "rejected"] == 1
    made.shutdown()


@pytest.mark.parametrize(
    ("temporality", "code", "second_value"), [("cumulative", CUMULATIVE, 5), ("delta", DELTA, 2)]
)
def test_temporality_is_one_switch(otlp, temporality, code, second_value):
    """Cumulative by default, deltas on request, for counters and histograms alike."""
    made = build(otlp.url, temporality=temporality)
    counter = made.meter("test").create_counter("c")
    histogram = made.meter("test").create_histogram("h")
    for amount in (3, 2):
        counter.add(amount)
        histogram.record(1.0)
        made.force_flush()
    first, second = otlp.metric("c")
    assert code == first.sum.aggregation_temporality
    assert (3, second_value) == (
        first.sum.data_points[0].as_int,
        second.sum.data_points[0].as_int,
    )
    assert code == otlp.metric("h")[0].histogram.aggregation_temporality
    made.shutdown()


def test_a_collector_that_is_away_for_three_seconds_costs_nothing(free_port, otlp_at, eventually):
    """Nothing listens, then the collector starts: every span and delta arrives once, soon after."""
    made = build(f"http://127.0.0.1:{free_port}", export_interval_s=0.3, temporality="delta")
    counter = made.meter("test").create_counter("c")
    emitted = 0
    ends_s = time.monotonic() + 3.0
    while time.monotonic() < ends_s:
        end_spans(made, 1)
        counter.add(1)
        emitted += 1
        time.sleep(0.05)
    assert made.stats().traces.acknowledged == 0
    endpoint = otlp_at(free_port)
    back_s = time.monotonic()
    eventually(lambda: len(endpoint.spans) == emitted, deadline_s=5.0)

    def received() -> int:
        return sum(m.sum.data_points[0].as_int for m in endpoint.metric("c"))

    eventually(lambda: received() == emitted, deadline_s=5.0)
    assert time.monotonic() - back_s < 4.0
    stats = made.stats()
    assert (stats.traces.dropped, stats.metrics.dropped) == (0, 0)
    made.shutdown()
    endpoint.close()


def test_retryable_statuses_are_retried(otlp):
    """503 and 429 are answered by another attempt within the same export."""
    otlp.statuses = [503, 429]
    made = build(otlp.url)
    end_spans(made, 2)
    assert made.force_flush()
    assert made.stats().traces.acknowledged == 2
    made.shutdown()


def test_a_refusal_is_dropped_at_once(otlp):
    """400 is not retried; the loss is counted and force_flush says so."""
    otlp.statuses = [400]
    made = build(otlp.url, span_delay_s=3600.0)
    end_spans(made, 2)
    assert not made.force_flush()
    assert (made.stats().traces.dropped, made.stats().traces.acknowledged) == (2, 0)
    made.shutdown()


def test_an_outage_is_told_when_it_begins_and_when_it_ends(otlp, caplog):
    """Four lost exports are one line, and the exporters' own line per loss is left out."""
    otlp.statuses = [400, 307, 404, 400]
    made = build(otlp.url, span_delay_s=3600.0)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            end_spans(made, 2)
            made.tracer_provider.force_flush()
    lines = [r.getMessage() for r in caplog.records if "traces" in r.getMessage()]
    assert lines == [
        "collector does not take traces, still trying: status 400",
        "collector takes traces again; 8 items were lost meanwhile",
    ]
    assert not [r for r in caplog.records if "batch code: 40" in r.getMessage()]
    assert made.stats().traces.acknowledged == 2
    made.shutdown()


def test_ending_does_not_wait_for_a_dead_collector(free_port):
    """shutdown() is bounded although both signals have something to say."""
    made = build(f"http://127.0.0.1:{free_port}")
    end_spans(made, 1)
    started_s = time.monotonic()
    made.shutdown(timeout_s=0.5)
    made.shutdown()
    assert time.monotonic() - started_s < 3.0
    assert made.stats().traces.dropped == 1


def test_ending_does_not_wait_for_a_collector_that_never_answers(eventually):
    """A listening socket that accepts and stays silent cannot hold the service."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        made = build(f"http://127.0.0.1:{silent.getsockname()[1]}", span_delay_s=0.01)
        end_spans(made, 1)
        started_s = time.monotonic()
        made.shutdown(timeout_s=0.5)
        assert time.monotonic() - started_s < 2.0
    # What was left behind ends with the connection, before it can speak in another test.
    eventually(lambda: "TelemetryShutdown" not in {t.name for t in threading.enumerate()})


def test_emitting_never_blocks_while_the_collector_is_away(free_port):
    """The service's own calls stay quick while exports fail in the background."""
    made = build(f"http://127.0.0.1:{free_port}", export_interval_s=0.1)
    counter = made.meter("test").create_counter("c")
    slowest_s = 0.0
    for _ in range(200):
        started_s = time.monotonic()
        end_spans(made, 1)
        counter.add(1)
        slowest_s = max(slowest_s, time.monotonic() - started_s)
        time.sleep(0.002)
    made.shutdown(timeout_s=0.1)
    assert slowest_s < 0.5


def test_setup_is_idempotent_and_conflicts_are_loud(otlp):
    """The same call returns the same handle; other settings need a shutdown in between."""
    arguments = {"endpoint": otlp.url, "export_interval_s": 60.0, "set_globals": False}
    with pytest.raises(NotSetUpError):
        telemetry.stats()
    first = telemetry.setup("playback", **arguments)
    assert first is telemetry.setup("playback", **arguments)
    assert first is telemetry.current()
    with pytest.raises(SetupConflictError):
        telemetry.setup("edge", **arguments)
    telemetry.shutdown()
    second = telemetry.setup("edge", **arguments)
    assert second.resource.attributes["service.name"] == "edge"
    telemetry.shutdown()


def test_a_forked_child_sets_up_its_own(otlp, eventually):
    """After a fork the child's setup() makes new providers with a new instance id."""
    arguments = {"endpoint": otlp.url, "export_interval_s": 60.0, "set_globals": False}
    parent = telemetry.setup("playback", **arguments)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            made = telemetry.setup("playback", **arguments)
            os.write(writer, str(made.resource.attributes["service.instance.id"]).encode())
            end_spans(made, 1)
            made.shutdown()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    child_instance = os.read(reader, 100).decode()
    os.close(reader)
    os.close(writer)
    assert parent.resource.attributes["service.instance.id"] != child_instance
    eventually(lambda: len(otlp.spans) == 1)
    telemetry.shutdown()
