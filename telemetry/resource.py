"""Who is speaking: the resource on every span and metric of this process.

Built by hand rather than by the SDK's detectors, because those add host, process and command line,
and a command line would tell how an instance was started.
"""

from __future__ import annotations

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.version import __version__ as sdk_version

from telemetry import semconv
from telemetry.settings import TelemetrySettings


def build(settings: TelemetrySettings) -> Resource:
    """The resource of ``settings``; fields that were not given are absent, not empty."""
    named = {
        semconv.SERVICE_NAME: settings.service,
        semconv.SERVICE_NAMESPACE: settings.namespace,
        semconv.SERVICE_VERSION: settings.version,
        semconv.SERVICE_INSTANCE_ID: settings.instance_id,
        semconv.DEPLOYMENT_ENVIRONMENT_NAME: settings.environment,
        semconv.CLOUD_REGION: settings.region,
        semconv.CLOUD_AVAILABILITY_ZONE: settings.zone,
        semconv.TELEMETRY_SDK_LANGUAGE: "python",
        semconv.TELEMETRY_SDK_NAME: "opentelemetry",
        semconv.TELEMETRY_SDK_VERSION: sdk_version,
    }
    present = {key: value for key, value in named.items() if value is not None}
    return Resource(dict(settings.extra_resource) | present, semconv.SCHEMA_URL)
