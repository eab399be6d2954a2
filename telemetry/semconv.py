"""Every name we emit, in one place: attributes, metrics, units, buckets.

OpenTelemetry's own names are copied from semantic conventions 1.44 (``SCHEMA_URL``); names under
``davylamp.``, ``playback.`` and ``resilience.`` are ours because upstream has none for video
playback or canaries. Units are UCUM; annotations in braces count things.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"

# Resource: who is speaking. One value per process, never per request.
SERVICE_NAME: Final = "service.name"
SERVICE_NAMESPACE: Final = "service.namespace"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
DEPLOYMENT_ENVIRONMENT_NAME: Final = "deployment.environment.name"
CLOUD_REGION: Final = "cloud.region"
CLOUD_AVAILABILITY_ZONE: Final = "cloud.availability_zone"
TELEMETRY_SDK_LANGUAGE: Final = "telemetry.sdk.language"
TELEMETRY_SDK_NAME: Final = "telemetry.sdk.name"
TELEMETRY_SDK_VERSION: Final = "telemetry.sdk.version"

# Canary: which arm of which deployment a request belongs to. Absent = not part of a canary.
CANARY_COHORT: Final = "davylamp.canary.cohort"
DEPLOYMENT_ID: Final = "deployment.id"
COHORT_BASELINE: Final = "baseline"
COHORT_CANARY: Final = "canary"
COHORTS: Final = frozenset({COHORT_BASELINE, COHORT_CANARY})
#: The only baggage entries that ever become span or metric attributes.
BAGGAGE_KEYS: Final = (CANARY_COHORT, DEPLOYMENT_ID)

# HTTP, stable since 1.23.
HTTP_REQUEST_METHOD: Final = "http.request.method"
HTTP_RESPONSE_STATUS_CODE: Final = "http.response.status_code"
HTTP_ROUTE: Final = "http.route"
NETWORK_PROTOCOL_VERSION: Final = "network.protocol.version"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
URL_FULL: Final = "url.full"
URL_SCHEME: Final = "url.scheme"
URL_TEMPLATE: Final = "url.template"
ERROR_TYPE: Final = "error.type"
#: Methods the conventions know; any other becomes ``_OTHER``, so a client cannot invent labels.
HTTP_KNOWN_METHODS: Final = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)
HTTP_METHOD_OTHER: Final = "_OTHER"
#: Seconds; the advice of the HTTP conventions for both duration histograms.
HTTP_DURATION_BUCKETS_S: Final = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.075,
    0.1,
    0.25,
    0.5,
    0.75,
    1.0,
    2.5,
    5.0,
    7.5,
    10.0,
)

# Playback, after the terms of CTA-2066 and CMCD.
PLAYBACK_DEVICE_CLASS: Final = "playback.device.class"
PLAYBACK_OUTCOME: Final = "playback.outcome"
PLAYBACK_CDN_SITE: Final = "playback.cdn.site"
PLAYBACK_ISP: Final = "playback.isp"
DEVICE_CLASSES: Final = frozenset({"tv", "tv-legacy", "computer", "phone", "tablet"})
OUTCOME_SUCCESS: Final = "success"
OUTCOME_FAILURE_TECHNICAL: Final = "failure_technical"
OUTCOME_FAILURE_BUSINESS: Final = "failure_business"
OUTCOME_ABANDONED: Final = "abandoned"
OUTCOMES: Final = frozenset(
    {OUTCOME_SUCCESS, OUTCOME_FAILURE_TECHNICAL, OUTCOME_FAILURE_BUSINESS, OUTCOME_ABANDONED}
)
#: Exponential histogram of start-up time: base 2^(1/16), so a bucket is 4.4 % wide, and 160 of
#: them span a factor of 1024 before the SDK has to halve the resolution.
STARTUP_HISTOGRAM_MAX_SCALE: Final = 4
STARTUP_HISTOGRAM_MAX_SIZE: Final = 160

# Isolation between services.
RESILIENCE_FALLBACK_TARGET: Final = "resilience.fallback.target"
RESILIENCE_FALLBACK_REASON: Final = "resilience.fallback.reason"

# The library about itself.
TELEMETRY_SIGNAL: Final = "davylamp.telemetry.signal"
TELEMETRY_OUTCOME: Final = "davylamp.telemetry.outcome"
SIGNAL_TRACES: Final = "traces"
SIGNAL_METRICS: Final = "metrics"
#: The specification's mark on the point that holds everything beyond the cardinality limit.
METRIC_OVERFLOW: Final = "otel.metric.overflow"
#: Distinct attribute sets per metric before overflow; the specification's default.
CARDINALITY_LIMIT: Final = 2000

# What the analysis says back, like any service: its findings are telemetry too.
CANARY_VERDICT: Final = "davylamp.canary.verdict"
SLO_NAME: Final = "davylamp.slo.name"
SLO_WINDOW: Final = "davylamp.slo.window_s"
ANOMALY_STATE: Final = "davylamp.anomaly.state"

InstrumentKind = Literal[
    "counter", "histogram", "exponential_histogram", "observable_counter", "observable_gauge"
]


@dataclass(frozen=True, slots=True)
class MetricName:
    """One metric: its name, what it counts and in which unit."""

    name: str
    kind: InstrumentKind
    unit: str
    description: str


HTTP_SERVER_REQUEST_DURATION: Final = MetricName(
    "http.server.request.duration", "histogram", "s", "Duration of HTTP server requests."
)
HTTP_CLIENT_REQUEST_DURATION: Final = MetricName(
    "http.client.request.duration", "histogram", "s", "Duration of HTTP client requests."
)
PLAYBACK_START_ATTEMPTS: Final = MetricName(
    "playback.start.attempts", "counter", "{attempt}", "Viewers who pressed play."
)
PLAYBACK_STARTS: Final = MetricName(
    "playback.starts", "counter", "{start}", "Ended start attempts by outcome."
)
PLAYBACK_STARTUP_DURATION: Final = MetricName(
    "playback.startup.duration",
    "exponential_histogram",
    "s",
    "From pressing play to the first frame; successful starts only.",
)
RESILIENCE_FALLBACK: Final = MetricName(
    "resilience.fallback", "counter", "{fallback}", "Answers served from a fallback."
)
TELEMETRY_EXPORTED: Final = MetricName(
    "davylamp.telemetry.exported",
    "observable_counter",
    "{item}",
    "Spans or metric points by what became of them at the collector.",
)
CANARY_LOG_E_VALUE: Final = MetricName(
    "davylamp.canary.log_e_value",
    "observable_gauge",
    "1",
    "Natural log of the evidence that an open canary is worse; FAIL is at log(1 / alpha).",
)
CANARY_VERDICTS: Final = MetricName(
    "davylamp.canary.verdicts", "counter", "{verdict}", "Canaries ended, by verdict."
)
CANARY_LOOK_DURATION: Final = MetricName(
    "davylamp.canary.look.duration", "histogram", "s", "Reading, judging and storing one look."
)
CANARY_LATE_EVENTS: Final = MetricName(
    "davylamp.canary.late_events",
    "counter",
    "{event}",
    "Events that arrived after their step was judged, and so count for nothing.",
)
SLO_BUDGET_REMAINING: Final = MetricName(
    "davylamp.slo.budget.remaining_ratio",
    "observable_gauge",
    "1",
    "Share of the error budget that is left; negative when overspent.",
)
SLO_BURN_RATE: Final = MetricName(
    "davylamp.slo.burn_rate", "observable_gauge", "1", "How fast the error budget burns."
)
ANOMALY_SERIES: Final = MetricName(
    "davylamp.anomaly.series", "observable_gauge", "{series}", "Watched series by state."
)

METRICS: Final[Mapping[str, MetricName]] = {
    metric.name: metric
    for metric in (
        HTTP_SERVER_REQUEST_DURATION,
        HTTP_CLIENT_REQUEST_DURATION,
        PLAYBACK_START_ATTEMPTS,
        PLAYBACK_STARTS,
        PLAYBACK_STARTUP_DURATION,
        RESILIENCE_FALLBACK,
        TELEMETRY_EXPORTED,
        CANARY_LOG_E_VALUE,
        CANARY_VERDICTS,
        CANARY_LOOK_DURATION,
        CANARY_LATE_EVENTS,
        SLO_BUDGET_REMAINING,
        SLO_BURN_RATE,
        ANOMALY_SERIES,
    )
}
