"""Settings of one process: arguments first, then the environment, then the defaults here.

The only module of this package that reads the environment.
"""

from __future__ import annotations

import os
import re
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast
from urllib.parse import unquote

from telemetry import semconv
from telemetry.errors import InvalidSettingError, SemconvConflictError

Temporality = Literal["cumulative", "delta"]

SEMCONV_OPT_IN: Final = "OTEL_SEMCONV_STABILITY_OPT_IN"
DEFAULT_ENDPOINT: Final = "http://127.0.0.1:4318"
DEFAULT_EXPORT_INTERVAL_S: Final = 5.0
#: A second: a trace is worth most while the incident is on the screen.
DEFAULT_SPAN_DELAY_S: Final = 1.0
#: Longer than a collector restart (about 3 s) with room for the retries, shorter than patience.
DEFAULT_EXPORT_TIMEOUT_S: Final = 8.0
#: Spans waiting for export: about 30 s of a busy service, at most some 20 MB.
SPAN_QUEUE_MAX: Final = 8192
SPAN_BATCH_MAX: Final = 512

_VARIABLES: Final[Mapping[str, str]] = {
    "namespace": "DAVYLAMP_NAMESPACE",
    "version": "DAVYLAMP_VERSION",
    "instance_id": "DAVYLAMP_INSTANCE_ID",
    "environment": "DAVYLAMP_ENVIRONMENT",
    "region": "DAVYLAMP_REGION",
    "zone": "DAVYLAMP_ZONE",
}
_RESOURCE_KEYS: Final[Mapping[str, str]] = {
    "namespace": semconv.SERVICE_NAMESPACE,
    "version": semconv.SERVICE_VERSION,
    "instance_id": semconv.SERVICE_INSTANCE_ID,
    "environment": semconv.DEPLOYMENT_ENVIRONMENT_NAME,
    "region": semconv.CLOUD_REGION,
    "zone": semconv.CLOUD_AVAILABILITY_ZONE,
}


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """What ``setup()`` decided for this process."""

    service: str
    namespace: str | None
    version: str | None
    instance_id: str
    environment: str | None
    region: str | None
    zone: str | None
    #: From OTEL_RESOURCE_ATTRIBUTES; the named fields above win.
    extra_resource: tuple[tuple[str, str], ...]
    traces_url: str
    metrics_url: str
    export_interval_s: float
    span_delay_s: float
    #: Upper bound of one export including its retries.
    export_timeout_s: float
    temporality: Temporality
    #: Distinct attribute sets per metric, then the overflow point.
    cardinality_limit: int
    disabled: bool


def resolve(
    service: str,
    *,
    given: Mapping[str, str | None],
    endpoint: str | None,
    export_interval_s: float | None,
    span_delay_s: float | None,
    export_timeout_s: float | None,
    temporality: str | None,
    cardinality_limit: int,
    environ: Mapping[str, str] | None = None,
) -> TelemetrySettings:
    """Merge arguments, environment and defaults.

    ``given`` holds the resource arguments (namespace, version, instance_id, environment, region,
    zone); ``None`` means "not given". Raises InvalidSettingError.
    """
    env = os.environ if environ is None else environ
    if not service.strip():
        raise InvalidSettingError("service must be a name such as 'playback', not empty")
    extra = _parse_resource_attributes(env.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    chosen = {
        field: given.get(field) or env.get(_VARIABLES[field]) or extra.pop(key, None)
        for field, key in _RESOURCE_KEYS.items()
    }
    extra.pop(semconv.SERVICE_NAME, None)
    for key in _RESOURCE_KEYS.values():
        extra.pop(key, None)
    base = (endpoint or env.get("OTEL_EXPORTER_OTLP_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
    if not re.match(r"https?://", base):
        raise InvalidSettingError(
            f"endpoint must be an OTLP/HTTP base URL such as {DEFAULT_ENDPOINT}, not {base!r}"
        )
    traces_url = None if endpoint else env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    metrics_url = None if endpoint else env.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
    return TelemetrySettings(
        service=service,
        namespace=chosen["namespace"],
        version=chosen["version"],
        # Random, because two processes sharing an id would look like one that resets all the time.
        instance_id=chosen["instance_id"] or str(uuid.uuid4()),
        environment=chosen["environment"],
        region=chosen["region"],
        zone=chosen["zone"],
        extra_resource=tuple(sorted(extra.items())),
        traces_url=traces_url or f"{base}/v1/traces",
        metrics_url=metrics_url or f"{base}/v1/metrics",
        export_interval_s=_seconds(
            "OTEL_METRIC_EXPORT_INTERVAL", export_interval_s, DEFAULT_EXPORT_INTERVAL_S, env
        ),
        span_delay_s=_seconds("OTEL_BSP_SCHEDULE_DELAY", span_delay_s, DEFAULT_SPAN_DELAY_S, env),
        export_timeout_s=_seconds(None, export_timeout_s, DEFAULT_EXPORT_TIMEOUT_S, env),
        temporality=_temporality(temporality, env),
        cardinality_limit=_positive("cardinality_limit", cardinality_limit),
        disabled=env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true",
    )


def choose_stable_http_conventions() -> None:
    """Make the contrib instrumentation emit seconds, not the old milliseconds.

    Contrib decides once per process, so this must come before its first use. Raises
    SemconvConflictError when that already happened or the environment asks for both.
    """
    chosen = [
        part.strip() for part in os.environ.get(SEMCONV_OPT_IN, "").split(",") if part.strip()
    ]
    if "http/dup" in chosen:
        raise SemconvConflictError(
            f"{SEMCONV_OPT_IN} contains http/dup, which emits every request twice under two names;"
            " remove it or write http"
        )
    if "http" not in chosen:
        os.environ[SEMCONV_OPT_IN] = ",".join([*chosen, "http"])
    decided = sys.modules.get("opentelemetry.instrumentation._semconv")
    if decided is None:
        return
    stability = decided._OpenTelemetrySemanticConventionStability  # noqa: SLF001 - no public reader
    modes = stability._OTEL_SEMCONV_STABILITY_SIGNAL_MAPPING  # noqa: SLF001
    http_mode = modes.get(decided._OpenTelemetryStabilitySignalType.HTTP)  # noqa: SLF001
    if stability._initialized and http_mode is not decided._StabilityMode.HTTP:  # noqa: SLF001
        raise SemconvConflictError(
            "an OpenTelemetry instrumentation was used before telemetry and chose the old HTTP"
            f" conventions; call telemetry.setup() first or set {SEMCONV_OPT_IN}=http"
        )


def _parse_resource_attributes(text: str) -> dict[str, str]:
    """``key=value,key=value`` with percent-encoding, as OTEL_RESOURCE_ATTRIBUTES is specified."""
    parsed = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        key, separator, value = pair.partition("=")
        if not separator:
            raise InvalidSettingError(
                f"OTEL_RESOURCE_ATTRIBUTES must be key=value pairs, not {pair!r}"
            )
        parsed[key.strip()] = unquote(value.strip())
    return parsed


def _seconds(
    variable: str | None, given_s: float | None, default_s: float, env: Mapping[str, str]
) -> float:
    """The argument, else the variable (milliseconds, as OpenTelemetry's are), else the default."""
    value_s = given_s
    if value_s is None and variable is not None and env.get(variable):
        try:
            value_s = float(env[variable]) / 1000.0
        except ValueError:
            raise InvalidSettingError(
                f"{variable} must be milliseconds, not {env[variable]!r}"
            ) from None
    if value_s is None:
        value_s = default_s
    if not 0.0 < value_s < float("inf"):
        raise InvalidSettingError(f"{variable or 'a duration'} must be positive, not {value_s!r} s")
    return value_s


def _temporality(given: str | None, env: Mapping[str, str]) -> Temporality:
    variable = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
    value = (given or env.get(variable) or "cumulative").strip().lower()
    if value not in {"cumulative", "delta"}:
        raise InvalidSettingError(f"temporality must be cumulative or delta, not {value!r}")
    return cast("Temporality", value)


def _positive(name: str, value: int) -> int:
    if value < 1:
        raise InvalidSettingError(f"{name} must be at least 1, not {value}")
    return value
