"""How an instance becomes observable. The only place that names the instrumentation library's
set-up; what is passed here is all that telemetry learns about an instance.
"""

from __future__ import annotations

from fastapi import FastAPI

import telemetry
from sample_services.config import SamplesConfig
from sample_services.instances import InstanceSpec
from telemetry.fastapi import instrument_app

NAMESPACE = "streaming"
#: Leaves room to stop within three seconds also when nobody takes the last export.
SHUTDOWN_TIMEOUT_S = 0.6


def observe(spec: InstanceSpec, instance_id: str, config: SamplesConfig) -> telemetry.Telemetry:
    """Start this process's exporters; call it after the fork, once."""
    return telemetry.setup(
        spec.service,
        namespace=NAMESPACE,
        version=spec.version,
        instance_id=instance_id,
        environment=config.environment,
        region=config.region,
        zone=f"{config.region}-{spec.zone}",
        endpoint=spec.otlp_endpoint,
        export_interval_s=config.export_interval_s,
        span_delay_s=min(1.0, config.export_interval_s),
        temporality=config.temporality,
    )


def observe_app(app: FastAPI, observed: telemetry.Telemetry, *, is_edge: bool) -> None:
    """Server spans and durations; the edge believes nobody's baggage."""
    instrument_app(app, observed, trust_inbound_baggage=not is_edge)


def close(observed: telemetry.Telemetry) -> None:
    """Send what is left."""
    observed.shutdown(SHUTDOWN_TIMEOUT_S)
