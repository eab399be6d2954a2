"""What the analysis found, as telemetry: sent over OTLP like any service's."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from opentelemetry.metrics import CallbackOptions, Observation

from analysis.anomaly.watch import WatchedSeries
from analysis.slo.tracker import SloStatus
from telemetry import semconv
from telemetry.provider import Telemetry
from telemetry.semconv import MetricName


class Feedback:
    """The instruments of the analysis. Gauges show what is open now and forget what ended."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._meter = telemetry.meter("analysis.runner")
        verdicts, late = semconv.CANARY_VERDICTS, semconv.CANARY_LATE_EVENTS
        look = semconv.CANARY_LOOK_DURATION
        self._verdicts = self._meter.create_counter(
            verdicts.name, verdicts.unit, verdicts.description
        )
        self._late = self._meter.create_counter(late.name, late.unit, late.description)
        self._looks = self._meter.create_histogram(
            look.name,
            look.unit,
            look.description,
            explicit_bucket_boundaries_advisory=semconv.HTTP_DURATION_BUCKETS_S,
        )
        self._log_e_values: Mapping[str, float] = {}
        self._slos: Sequence[SloStatus] = ()
        self._series: Mapping[str, int] = {}
        self._gauge(semconv.CANARY_LOG_E_VALUE, self._observe_canaries)
        self._gauge(semconv.SLO_BUDGET_REMAINING, self._observe_budgets)
        self._gauge(semconv.SLO_BURN_RATE, self._observe_burns)
        self._gauge(semconv.ANOMALY_SERIES, self._observe_series)

    def looked(self, duration_s: float) -> None:
        """One look is done and stored."""
        self._looks.record(duration_s)

    def open_canaries(self, log_e_values: Mapping[str, float]) -> None:
        """Deployment id -> evidence, of the canaries open now."""
        self._log_e_values = dict(log_e_values)

    def late(self, events: int) -> None:
        """Events came after their step was judged."""
        self._late.add(events)

    def ended(self, verdict: str) -> None:
        """A canary ended."""
        self._verdicts.add(1, {semconv.CANARY_VERDICT: verdict})

    def fleet(self, slos: Sequence[SloStatus], series: Sequence[WatchedSeries]) -> None:
        """Objectives and watched series as they stand."""
        self._slos = tuple(slos)
        self._series = Counter(str(one.state) for one in series)

    # --- read by the exporter's thread ------------------------------------------------------

    def _gauge(self, metric: MetricName, read: Callable[[], Iterable[Observation]]) -> None:
        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            return read()

        self._meter.create_observable_gauge(metric.name, [observe], metric.unit, metric.description)

    def _observe_canaries(self) -> Iterable[Observation]:
        return [
            Observation(value, {semconv.DEPLOYMENT_ID: deployment_id})
            for deployment_id, value in self._log_e_values.items()
            if math.isfinite(value)  # a rule that only answers once keeps no evidence
        ]

    def _observe_budgets(self) -> Iterable[Observation]:
        return [
            Observation(slo.budget.remaining_ratio, {semconv.SLO_NAME: slo.objective.name})
            for slo in self._slos
            if slo.budget.remaining_ratio is not None
        ]

    def _observe_burns(self) -> Iterable[Observation]:
        return [
            Observation(
                burn.long_burn,
                {
                    semconv.SLO_NAME: slo.objective.name,
                    semconv.SLO_WINDOW: burn.window.long_window_s,
                },
            )
            for slo in self._slos
            for burn in slo.burns
            if burn.long_burn is not None
        ]

    def _observe_series(self) -> Iterable[Observation]:
        return [
            Observation(count, {semconv.ANOMALY_STATE: state})
            for state, count in self._series.items()
        ]
