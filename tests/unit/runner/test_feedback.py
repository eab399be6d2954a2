"""What the analysis sends about itself: numbers, and nothing where there is none."""

from __future__ import annotations

import math

from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from analysis.runner.feedback import Feedback
from telemetry import semconv
from telemetry.clock import SystemClock
from telemetry.provider import assemble
from telemetry.settings import TelemetrySettings
from telemetry.tally import StatsCounter


def test_a_canary_without_evidence_has_no_number():
    """Of a rule that only answers once: minus infinity is no observation."""
    reader = InMemoryMetricReader()
    settings = TelemetrySettings(
        service="davylamp-analysis",
        namespace=None,
        version=None,
        instance_id="test",
        environment=None,
        region=None,
        zone=None,
        extra_resource=(),
        traces_url="",
        metrics_url="",
        export_interval_s=60.0,
        span_delay_s=1.0,
        export_timeout_s=1.0,
        temporality="cumulative",
        cardinality_limit=2000,
        disabled=False,
    )
    telemetry = assemble(
        settings, stats=StatsCounter(), clock=SystemClock(), processors=(), readers=(reader,)
    )
    feedback = Feedback(telemetry)
    feedback.open_canaries({"sequential": 1.5, "once": -math.inf})
    points = [
        (point.attributes[semconv.DEPLOYMENT_ID], point.value)
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "davylamp.canary.log_e_value"
        for point in metric.data.data_points
    ]
    assert points == [("sequential", 1.5)]
