"""Delivery to the collector: official exporters over an adapter that retries briefly and listens.

Two things the exporters of the SDK lack are added at the HTTP layer they accept as an argument
(a ``requests`` session). First, the retry schedule starts at 0.1 s and is bounded by the deadline
of the export, so that a collector that restarts in about 3 s costs a delay and no data; the
built-in schedule (1, 2, 4, ... s) leaves holes much longer than the outage. Second, the reply is
read: OTLP answers 200 with ``partial_success`` when it refused items, and the exporters call that
success.

An outage is told twice, when it begins and when it ends; the exporters' own line per lost export is
left out, ``telemetry.stats()`` has the counts.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import requests
from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.http import metric_exporter, trace_exporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricExportResult,
    MetricsData,
)
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from requests.adapters import HTTPAdapter

from telemetry import semconv
from telemetry.clock import Clock
from telemetry.errors import DeliveryGivenUpError
from telemetry.settings import TelemetrySettings
from telemetry.tally import StatsCounter

logger = logging.getLogger("telemetry")

#: The statuses OTLP/HTTP declares retryable.
RETRYABLE_STATUSES: Final = frozenset({429, 502, 503, 504})
RETRY_FIRST_S: Final = 0.1
RETRY_MAX_S: Final = 1.0
#: Equal jitter of the retry pauses, so that many instances do not return in step.
RETRY_JITTER_RATIO: Final = 0.3
#: Characters of a refusing collector's reply that are logged.
REPLY_SHOWN_CHARS: Final = 200


def retry_pauses_s(uniform: Callable[[float, float], float]) -> Iterator[float]:
    """Endless pauses: 0.1, 0.2, 0.4, 0.8, 1, 1, ... seconds, each times 1 +- 0.3."""
    pause_s = RETRY_FIRST_S
    while True:
        yield pause_s * uniform(1.0 - RETRY_JITTER_RATIO, 1.0 + RETRY_JITTER_RATIO)
        pause_s = min(pause_s * 2.0, RETRY_MAX_S)


def rejected_spans(reply: bytes) -> tuple[int, str]:
    """(rejected items, message) of an ExportTraceServiceResponse. Raises DecodeError."""
    partial = ExportTraceServiceResponse.FromString(reply).partial_success
    return partial.rejected_spans, partial.error_message


def rejected_points(reply: bytes) -> tuple[int, str]:
    """(rejected items, message) of an ExportMetricsServiceResponse. Raises DecodeError."""
    partial = ExportMetricsServiceResponse.FromString(reply).partial_success
    return partial.rejected_data_points, partial.error_message


class _OutageAlreadyTold(logging.Filter):
    """Leaves out an exporter's line about an export that this module gave up."""

    def filter(self, record: logging.LogRecord) -> bool:
        """False for lines that carry our own error."""
        arguments = record.args if isinstance(record.args, tuple) else ()
        return not any(isinstance(argument, DeliveryGivenUpError) for argument in arguments)


for _module in (metric_exporter, trace_exporter):
    logging.getLogger(_module.__name__).addFilter(_OutageAlreadyTold())


class DeliveryAdapter(HTTPAdapter):
    """One signal's way out: bounded retries, and the last reply's partial success.

    The ``timeout`` the exporter passes is the deadline of the whole export, retries included.
    """

    def __init__(
        self, clock: Clock, read_reply: Callable[[bytes], tuple[int, str]], signal: str
    ) -> None:
        super().__init__()
        self._clock = clock
        self._read_reply = read_reply
        self._signal = signal
        self._closing = threading.Event()
        self._closes_at_s = float("inf")
        self._told_messages: set[str] = set()
        #: Since the last export that was taken; None while all is well.
        self._items_lost: int | None = None
        self._reason_lost = ""
        self.rejected_last = 0

    def close_within(self, timeout_s: float) -> None:
        """From now on no export may outlast ``timeout_s`` seconds."""
        self._closes_at_s = self._clock.monotonic_s() + timeout_s
        self._closing.set()

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Post until taken; raises DeliveryGivenUpError when refused or out of time.

        Not one of requests' own errors, because the exporter would start its slower retries on
        those and outlive the deadline of a shutdown.
        """
        self.rejected_last = 0
        ends_at_s = self._clock.monotonic_s() + float(timeout or 0.0)
        for pause_s in retry_pauses_s(secrets.SystemRandom().uniform):
            left_s = min(ends_at_s, self._closes_at_s) - self._clock.monotonic_s()
            answer: requests.Response | None = None
            error: requests.RequestException | None = None
            try:
                # At least one brief attempt, also when the time is already up.
                answer = super().send(request, stream, max(left_s, 0.05), verify, cert, proxies)
            except (requests.ConnectionError, requests.Timeout) as failed:
                error = failed
            # A redirect is no acknowledgement either, though the exporters take it for one.
            if answer is not None and 200 <= answer.status_code < 300:
                self._listen(answer)
                return answer
            left_s = min(ends_at_s, self._closes_at_s) - self._clock.monotonic_s()
            wait_s = max(pause_s, _retry_after_s(answer))
            refused = answer is not None and answer.status_code not in RETRYABLE_STATUSES
            if refused or wait_s >= left_s:
                self._reason_lost = _cause(error) if answer is None else _shown(answer)
                raise DeliveryGivenUpError(self._reason_lost) from error
            self._pause(wait_s)
        raise AssertionError("the pauses never end")

    def note_export(self, *, delivered: bool, items: int) -> None:
        """Tell the first loss after a success, and the first success after losses."""
        if not delivered:
            if self._items_lost is None:
                logger.warning(
                    "collector does not take %s, still trying: %s", self._signal, self._reason_lost
                )
            self._items_lost = (self._items_lost or 0) + items
        elif self._items_lost is not None:
            logger.warning(
                "collector takes %s again; %d items were lost meanwhile",
                self._signal,
                self._items_lost,
            )
            self._items_lost = None

    def _pause(self, pause_s: float) -> None:
        if self._closing.is_set():
            time.sleep(min(pause_s, RETRY_FIRST_S))
        else:
            self._closing.wait(pause_s)

    def _listen(self, answer: requests.Response) -> None:
        if answer.status_code != requests.codes.ok or not answer.content:
            return
        try:
            self.rejected_last, message = self._read_reply(answer.content)
        except DecodeError:
            self._tell_once("the collector's reply is not OTLP protobuf")
            return
        if self.rejected_last or message:
            self._tell_once(message or "no reason given")

    def _tell_once(self, message: str) -> None:
        # A collector repeats itself every second; a hundred distinct messages are enough.
        if message in self._told_messages or len(self._told_messages) >= 100:
            return
        self._told_messages.add(message)
        logger.warning(
            "collector on %s: %d items rejected: %s", self._signal, self.rejected_last, message
        )


class CountingSpanExporter(SpanExporter):
    """The official span exporter, with the fate of every span counted."""

    def __init__(self, settings: TelemetrySettings, stats: StatsCounter, clock: Clock) -> None:
        self.adapter = DeliveryAdapter(clock, rejected_spans, semconv.SIGNAL_TRACES)
        self._stats = stats
        self._inner = OTLPSpanExporter(
            settings.traces_url,
            timeout=settings.export_timeout_s,
            session=_session(self.adapter),
        )

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send ``spans`` and count them."""
        self.adapter.rejected_last = 0
        result = self._inner.export(spans)
        delivered = result is SpanExportResult.SUCCESS
        self._stats.record_export(
            semconv.SIGNAL_TRACES,
            submitted=len(spans),
            rejected=self.adapter.rejected_last,
            delivered=delivered,
        )
        self.adapter.note_export(delivered=delivered, items=len(spans))
        return result

    def shutdown(self) -> None:
        """Close the connection."""
        self._inner.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is buffered here."""
        return self._inner.force_flush(timeout_millis)


class CountingMetricExporter(MetricExporter):
    """The official metric exporter, with the fate of every point counted."""

    def __init__(
        self,
        settings: TelemetrySettings,
        stats: StatsCounter,
        clock: Clock,
        preferred_temporality: dict[type, AggregationTemporality],
    ) -> None:
        super().__init__(preferred_temporality=preferred_temporality)
        self.adapter = DeliveryAdapter(clock, rejected_points, semconv.SIGNAL_METRICS)
        self._stats = stats
        self._cardinality_limit = settings.cardinality_limit
        self._inner = OTLPMetricExporter(
            settings.metrics_url,
            timeout=settings.export_timeout_s,
            session=_session(self.adapter),
            preferred_temporality=preferred_temporality,
        )

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Send ``metrics_data`` and count its points."""
        self.adapter.rejected_last = 0
        result = self._inner.export(metrics_data, timeout_millis, **kwargs)
        delivered = result is MetricExportResult.SUCCESS
        points = self._count_points(metrics_data)
        self._stats.record_export(
            semconv.SIGNAL_METRICS,
            submitted=points,
            rejected=self.adapter.rejected_last,
            delivered=delivered,
        )
        self.adapter.note_export(delivered=delivered, items=points)
        return result

    def _count_points(self, metrics_data: MetricsData) -> int:
        total = 0
        for resource_metrics in metrics_data.resource_metrics:
            for scope_metrics in resource_metrics.scope_metrics:
                for metric in scope_metrics.metrics:
                    points = metric.data.data_points
                    total += len(points)
                    # Only a full stream can have overflowed, so the scan is rare.
                    if len(points) > self._cardinality_limit:
                        warn_on_overflow(metric.name, points, self._stats)
        return total

    def shutdown(self, timeout_millis: float = 30_000, **_kwargs: Any) -> None:
        """Close the connection."""
        self._inner.shutdown(timeout_millis)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing is buffered here."""
        return self._inner.force_flush(timeout_millis)


def warn_on_overflow(metric: str, points: Sequence[Any], stats: StatsCounter) -> None:
    """Say once per metric that new attribute sets now share the overflow point."""
    overflowed = any((point.attributes or {}).get(semconv.METRIC_OVERFLOW) for point in points)
    if overflowed and stats.record_overflow(metric):
        logger.warning(
            "metric %s has reached its limit of attribute sets; further ones are summed under %s",
            metric,
            semconv.METRIC_OVERFLOW,
        )


def _session(adapter: DeliveryAdapter) -> requests.Session:
    session = requests.Session()
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _cause(error: requests.RequestException | None) -> str:
    """What urllib3 says without what requests says around it."""
    inner = error.args[0] if error is not None and error.args else error
    return str(getattr(inner, "reason", inner))


def _shown(answer: requests.Response) -> str:
    """A refusing collector's status and what it says about it, when that is text."""
    said = answer.content[:REPLY_SHOWN_CHARS].decode(errors="replace")
    text = "".join(letter for letter in said if letter.isprintable()).strip()
    return f"status {answer.status_code} {text}".strip()


def _retry_after_s(answer: requests.Response | None) -> float:
    """The collector's wish in seconds; dates are not honoured because clocks differ."""
    if answer is None:
        return 0.0
    try:
        return max(float(answer.headers.get("Retry-After", "0")), 0.0)
    except ValueError:
        return 0.0
