"""Set-up: one call makes a process observable, one call ends it.

Threads start inside ``setup()`` only, so a program may import everything, fork, and then set up.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable, Iterable
from typing import Final

from opentelemetry import metrics, propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk import metrics as sdk_metrics
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import (
    DropAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from telemetry import semconv
from telemetry import settings as settings_module
from telemetry.clock import Clock, SystemClock
from telemetry.delivery import CountingMetricExporter, CountingSpanExporter, DeliveryAdapter
from telemetry.errors import NotSetUpError, SetupConflictError
from telemetry.meters import LabelledMeterProvider
from telemetry.resource import build as build_resource
from telemetry.settings import TelemetrySettings, Temporality
from telemetry.spans import CohortSpanProcessor
from telemetry.tally import StatsCounter, TelemetryStats

logger = logging.getLogger("telemetry")

SHUTDOWN_TIMEOUT_S: Final = 3.0
#: What travels between services: the trace and the canary arm.
PROPAGATOR: Final = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])

_SYNCHRONOUS: Final = (sdk_metrics.Counter, sdk_metrics.Histogram, sdk_metrics.ObservableCounter)
_INSTRUMENTS: Final = (
    sdk_metrics.Counter,
    sdk_metrics.UpDownCounter,
    sdk_metrics.Histogram,
    sdk_metrics.ObservableCounter,
    sdk_metrics.ObservableUpDownCounter,
    sdk_metrics.ObservableGauge,
)


class Telemetry:
    """The handle to one process's (or one test's) providers. Make it with ``setup()``."""

    def __init__(
        self,
        *,
        service: str,
        tracer_provider: TracerProvider,
        meter_provider: sdk_metrics.MeterProvider,
        stats: StatsCounter,
        clock: Clock,
        adapters: tuple[DeliveryAdapter, ...] = (),
    ) -> None:
        self.service = service
        self.tracer_provider = tracer_provider
        self.meter_provider = meter_provider
        #: Hand this one to instrumentations: its HTTP histograms know the canary arm.
        self.labelled_meter_provider: MeterProvider = LabelledMeterProvider(meter_provider)
        self.clock = clock
        self.counter = stats
        self._adapters = adapters
        self._ended = False

    @property
    def resource(self) -> Resource:
        """Who is speaking."""
        return self.tracer_provider.resource

    def tracer(self, scope: str) -> trace.Tracer:
        """A tracer for the instrumentation scope ``scope`` (a dotted module name)."""
        return self.tracer_provider.get_tracer(scope, schema_url=semconv.SCHEMA_URL)

    def meter(self, scope: str) -> Meter:
        """A meter for the instrumentation scope ``scope`` (a dotted module name)."""
        return self.labelled_meter_provider.get_meter(scope, schema_url=semconv.SCHEMA_URL)

    def stats(self) -> TelemetryStats:
        """What became of the telemetry so far."""
        return self.counter.snapshot()

    def force_flush(self) -> bool:
        """Export everything now; true when no export was given up meanwhile.

        Blocks for at most one export timeout per waiting span batch, so keep it out of requests.
        """
        before = self.stats()
        self.tracer_provider.force_flush()
        self.meter_provider.force_flush()
        after = self.stats()
        return (
            before.traces.failed_exports == after.traces.failed_exports
            and before.metrics.failed_exports == after.metrics.failed_exports
        )

    def flush_within(self, timeout_s: float = SHUTDOWN_TIMEOUT_S) -> None:
        """Export what is there, then return after at most ``timeout_s`` seconds.

        Unlike after ``shutdown()``, what comes later is still exported.
        """
        if not self._ended:
            self._side_by_side(
                (self.tracer_provider.force_flush, self.meter_provider.force_flush), timeout_s
            )

    def shutdown(self, timeout_s: float = SHUTDOWN_TIMEOUT_S) -> None:
        """Export what is left, then return after at most ``timeout_s`` seconds; idempotent.

        Both signals end side by side in threads of their own: an attempt already waiting for a
        collector that accepts and never answers cannot be interrupted, only left behind.
        """
        if self._ended:
            return
        self._ended = True
        for adapter in self._adapters:
            adapter.close_within(timeout_s)
        self._side_by_side((self.tracer_provider.shutdown, self.meter_provider.shutdown), timeout_s)

    def _side_by_side(self, works: Iterable[Callable[[], object]], timeout_s: float) -> None:
        """Run ``works`` in threads of their own; returns after at most ``timeout_s`` seconds."""
        ends_at_s = self.clock.monotonic_s() + timeout_s
        threads = [
            threading.Thread(target=work, name="TelemetryShutdown", daemon=True) for work in works
        ]
        for thread in threads:
            try:
                thread.start()
            except RuntimeError:
                # The interpreter is ending and starts no threads any more (Python >= 3.12).
                thread.run()
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(ends_at_s - self.clock.monotonic_s(), 0.0))


# The one process-wide state of this package: which Telemetry this process has, made by which pid.
_current: tuple[int, TelemetrySettings, Telemetry] | None = None
_ends_at_exit = False


def setup(
    service: str,
    *,
    namespace: str | None = None,
    version: str | None = None,
    instance_id: str | None = None,
    environment: str | None = None,
    region: str | None = None,
    zone: str | None = None,
    endpoint: str | None = None,
    export_interval_s: float | None = None,
    span_delay_s: float | None = None,
    export_timeout_s: float | None = None,
    temporality: Temporality | None = None,
    cardinality_limit: int = semconv.CARDINALITY_LIMIT,
    set_globals: bool = True,
    clock: Clock | None = None,
) -> Telemetry:
    """Make this process observable: traces and metrics over OTLP/HTTP.

    Everything but the service name is optional; arguments win over OTEL_* and DAVYLAMP_*
    variables, which win over the defaults in ``telemetry.settings``. Call it after forking.
    The same call again returns the same Telemetry. Raises SetupConflictError on a different
    second call, InvalidSettingError and SemconvConflictError.
    """
    global _current
    settings_module.choose_stable_http_conventions()
    inherited = _current if _current is not None and _current[0] == os.getpid() else None
    given = {
        "namespace": namespace,
        "version": version,
        # A second call that names no instance means the one already running.
        "instance_id": instance_id or (inherited[1].instance_id if inherited else None),
        "environment": environment,
        "region": region,
        "zone": zone,
    }
    wanted = settings_module.resolve(
        service,
        given=given,
        endpoint=endpoint,
        export_interval_s=export_interval_s,
        span_delay_s=span_delay_s,
        export_timeout_s=export_timeout_s,
        temporality=temporality,
        cardinality_limit=cardinality_limit,
    )
    if inherited is not None:
        if inherited[1] == wanted:
            return inherited[2]
        raise SetupConflictError(
            f"telemetry is already set up for {inherited[1].service!r} with other settings;"
            " call telemetry.shutdown() first"
        )
    made = build(wanted, clock=clock or SystemClock())
    if set_globals:
        install_globals(made)
    _current = (os.getpid(), wanted, made)
    _end_at_exit()
    return made


def build(settings: TelemetrySettings, *, clock: Clock) -> Telemetry:
    """Providers with exporters for ``settings``; nothing global. Starts two threads."""
    stats = StatsCounter()
    if settings.disabled:
        return assemble(settings, stats=stats, clock=clock, processors=(), readers=())
    spans = CountingSpanExporter(settings, stats, clock)
    points = CountingMetricExporter(
        settings, stats, clock, preferred_temporality(settings.temporality)
    )
    return assemble(
        settings,
        stats=stats,
        clock=clock,
        processors=(
            BatchSpanProcessor(
                spans,
                max_queue_size=settings_module.SPAN_QUEUE_MAX,
                schedule_delay_millis=settings.span_delay_s * 1000.0,
                max_export_batch_size=settings_module.SPAN_BATCH_MAX,
            ),
        ),
        readers=(
            PeriodicExportingMetricReader(
                points,
                export_interval_millis=settings.export_interval_s * 1000.0,
                export_timeout_millis=settings.export_timeout_s * 1000.0,
                cardinality_limits=cardinality_limits(settings.cardinality_limit),
            ),
        ),
        adapters=(spans.adapter, points.adapter),
    )


def assemble(
    settings: TelemetrySettings,
    *,
    stats: StatsCounter,
    clock: Clock,
    processors: Iterable[SpanProcessor],
    readers: Iterable[MetricReader],
    adapters: tuple[DeliveryAdapter, ...] = (),
) -> Telemetry:
    """Providers around the given processors and readers, with our views and labels."""
    resource = build_resource(settings)
    tracer_provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracer_provider.add_span_processor(CohortSpanProcessor(stats))
    for processor in processors:
        tracer_provider.add_span_processor(processor)
    meter_provider = sdk_metrics.MeterProvider(
        metric_readers=tuple(readers),
        resource=resource,
        shutdown_on_exit=False,
        views=views(),
    )
    made = Telemetry(
        service=settings.service,
        tracer_provider=tracer_provider,
        meter_provider=meter_provider,
        stats=stats,
        clock=clock,
        adapters=adapters,
    )
    if adapters:
        _observe_exports(made)
    return made


def views() -> tuple[View, ...]:
    """Start-up time as an exponential histogram: 4.4 % buckets over a factor of 1024.

    Contrib's two body size histograms are dropped: it keeps the response's content length on the
    middleware all requests share, so a concurrent request's size is recorded (0.66b2).
    """
    return (
        View(instrument_name="http.server.*.body.size", aggregation=DropAggregation()),
        View(
            instrument_name=semconv.PLAYBACK_STARTUP_DURATION.name,
            aggregation=ExponentialBucketHistogramAggregation(
                max_size=semconv.STARTUP_HISTOGRAM_MAX_SIZE,
                max_scale=semconv.STARTUP_HISTOGRAM_MAX_SCALE,
            ),
        ),
    )


def preferred_temporality(temporality: Temporality) -> dict[type, AggregationTemporality]:
    """Per instrument; up-down counters and gauges stay cumulative, a delta of them means little."""
    chosen: dict[type, AggregationTemporality] = dict.fromkeys(
        _INSTRUMENTS, AggregationTemporality.CUMULATIVE
    )
    if temporality == "delta":
        chosen |= dict.fromkeys(_SYNCHRONOUS, AggregationTemporality.DELTA)
    return chosen


def cardinality_limits(limit: int) -> dict[type, int]:
    """The same limit of attribute sets for every instrument; the SDK adds the overflow point."""
    return dict.fromkeys(_INSTRUMENTS, limit)


def install_globals(made: Telemetry) -> None:
    """Let ``opentelemetry.trace`` and ``opentelemetry.metrics`` find ``made``."""
    propagate.set_global_textmap(PROPAGATOR)
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        logger.warning(
            "OpenTelemetry's globals already belong to another provider; %s is reached"
            " through its own handle only",
            made.service,
        )
        return
    trace.set_tracer_provider(made.tracer_provider)
    metrics.set_meter_provider(made.labelled_meter_provider)


def current() -> Telemetry:
    """The Telemetry of this process. Raises NotSetUpError."""
    if _current is None or _current[0] != os.getpid():
        raise NotSetUpError("call telemetry.setup(service) first")
    return _current[2]


def stats() -> TelemetryStats:
    """What became of this process's telemetry. Raises NotSetUpError."""
    return current().stats()


def force_flush() -> bool:
    """See Telemetry.force_flush. Raises NotSetUpError."""
    return current().force_flush()


def shutdown(timeout_s: float = SHUTDOWN_TIMEOUT_S) -> None:
    """End this process's telemetry, if any; ``setup()`` may follow."""
    global _current
    if _current is not None and _current[0] == os.getpid():
        _current[2].shutdown(timeout_s)
    _current = None


def _end_at_exit() -> None:
    global _ends_at_exit
    if not _ends_at_exit:
        atexit.register(shutdown)
        _ends_at_exit = True


def _observe_exports(made: Telemetry) -> None:
    def observe(_options: CallbackOptions) -> Iterable[Observation]:
        for (signal, fate), items in made.counter.fates().items():
            yield Observation(
                items, {semconv.TELEMETRY_SIGNAL: signal, semconv.TELEMETRY_OUTCOME: fate}
            )

    metric = semconv.TELEMETRY_EXPORTED
    made.meter("telemetry").create_observable_counter(
        metric.name, [observe], metric.unit, metric.description
    )
