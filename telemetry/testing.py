"""A pytest plugin: the fixture ``telemetry_capture`` records what code under test emits.

Its providers are its own: nothing global is set, no thread starts, tests may run in parallel.
Loaded by pytest at every start, so the OpenTelemetry SDK is imported inside the fixture only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Metric, MetricsData
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from telemetry.provider import Telemetry


class TelemetryCapture:
    """A Telemetry to hand to the code under test, and what came out of it."""

    def __init__(
        self, telemetry: Telemetry, exporter: InMemorySpanExporter, reader: InMemoryMetricReader
    ) -> None:
        self.telemetry = telemetry
        self._exporter = exporter
        self._reader = reader

    def spans(self, name: str | None = None) -> Sequence[ReadableSpan]:
        """Ended spans in order of ending, all or those called ``name``."""
        return [
            span
            for span in self._exporter.get_finished_spans()
            if name is None or span.name == name
        ]

    def metrics(self) -> Mapping[str, Metric]:
        """Metrics by name as of now. With delta temporality every call starts a new interval."""
        return metrics_by_name(self._reader.get_metrics_data())

    def points(self, metric: str, match: Mapping[str, object] | None = None) -> Sequence[Any]:
        """Points of ``metric`` whose attributes contain ``match``; empty when there are none."""
        found = self.metrics().get(metric)
        return [] if found is None else matching_points(found, match or {})

    def total(self, metric: str, match: Mapping[str, object] | None = None) -> float:
        """Sum over the matching points: values of a counter, counts of a histogram."""
        return sum(
            float(point.count if hasattr(point, "count") else point.value)
            for point in self.points(metric, match)
        )


def metrics_by_name(data: MetricsData | None) -> Mapping[str, Metric]:
    """Flatten the SDK's resource/scope/metric nesting; scopes must not repeat a name."""
    if data is None:
        return {}
    found: dict[str, Metric] = {}
    for resource_metrics in data.resource_metrics:
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                assert metric.name not in found, f"{metric.name} comes from two scopes"
                found[metric.name] = metric
    return found


def matching_points(metric: Metric, match: Mapping[str, object]) -> Sequence[Any]:
    """Points whose attributes contain every pair of ``match``."""
    return [
        point
        for point in metric.data.data_points
        if all((point.attributes or {}).get(key) == value for key, value in match.items())
    ]


def capture(
    service: str = "under-test", *, temporality: str = "cumulative", cardinality_limit: int = 2000
) -> TelemetryCapture:
    """A TelemetryCapture; call ``.telemetry.shutdown()`` when done with it."""
    # Inside, so that pytest starts without the SDK.
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (  # noqa: PLC0415
        InMemorySpanExporter,
    )

    from telemetry import provider, settings  # noqa: PLC0415
    from telemetry.clock import SystemClock  # noqa: PLC0415
    from telemetry.tally import StatsCounter  # noqa: PLC0415

    chosen = settings.resolve(
        service,
        given={},
        endpoint=None,
        export_interval_s=None,
        span_delay_s=None,
        export_timeout_s=None,
        temporality=temporality,
        cardinality_limit=cardinality_limit,
        environ={},
    )
    exporter = InMemorySpanExporter()
    reader = InMemoryMetricReader(
        preferred_temporality=provider.preferred_temporality(chosen.temporality),
        cardinality_limits=provider.cardinality_limits(cardinality_limit),
    )
    telemetry = provider.assemble(
        chosen,
        stats=StatsCounter(),
        clock=SystemClock(),
        processors=(SimpleSpanProcessor(exporter),),
        readers=(reader,),
    )
    return TelemetryCapture(telemetry, exporter, reader)


@pytest.fixture
def telemetry_capture() -> Iterator[TelemetryCapture]:
    """An isolated TelemetryCapture with cumulative temporality."""
    captured = capture()
    yield captured
    captured.telemetry.shutdown()
