"""A meter provider whose HTTP duration histograms know the request's canary arm.

The contrib instrumentation has no hook for per-request metric attributes, so it is handed this
thin provider instead of the SDK's. Only the two duration histograms are touched: an up-down counter
such as ``http.server.active_requests`` must see the same attributes at +1 and at -1, and the arm is
often decided in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.metrics import (
    CallbackT,
    Counter,
    Histogram,
    Meter,
    MeterProvider,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.util.types import Attributes

from telemetry import semconv
from telemetry.context import labels_from_baggage, labels_of_request

LabelSource = Callable[[Context | None], Mapping[str, str]]

#: Metric name -> where its labels come from.
LABEL_SOURCES: Final[Mapping[str, LabelSource]] = {
    semconv.HTTP_SERVER_REQUEST_DURATION.name: labels_of_request,
    semconv.HTTP_CLIENT_REQUEST_DURATION.name: labels_from_baggage,
}


class LabelledHistogram(Histogram):
    """Adds the current labels at ``record``; attributes given by the caller win."""

    def __init__(self, inner: Histogram, source: LabelSource) -> None:
        self._inner = inner
        self._source = source

    def record(
        self,
        amount: float,
        attributes: Attributes | None = None,
        context: Context | None = None,
    ) -> None:
        """Record ``amount`` in the unit of the metric."""
        labels = self._source(context)
        merged = {**labels, **(attributes or {})} if labels else attributes
        self._inner.record(amount, merged, context)


class LabelledMeterProvider(MeterProvider):
    """Delegates everything; only wraps the histograms named in LABEL_SOURCES."""

    def __init__(self, inner: MeterProvider) -> None:
        self._inner = inner

    def get_meter(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes | None = None,
    ) -> Meter:
        """A meter of the inner provider with labelled histograms."""
        inner = self._inner.get_meter(name, version, schema_url, attributes)
        return LabelledMeter(inner, name, version, schema_url)


class LabelledMeter(Meter):
    """See LabelledMeterProvider."""

    def __init__(
        self, inner: Meter, name: str, version: str | None, schema_url: str | None
    ) -> None:
        super().__init__(name, version, schema_url)
        self._inner = inner

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> Histogram:
        """A histogram, labelled when it is one of LABEL_SOURCES."""
        inner = self._inner.create_histogram(
            name,
            unit,
            description,
            explicit_bucket_boundaries_advisory=explicit_bucket_boundaries_advisory,
        )
        source = LABEL_SOURCES.get(name)
        return inner if source is None else LabelledHistogram(inner, source)

    def create_counter(self, name: str, unit: str = "", description: str = "") -> Counter:
        """The inner meter's counter."""
        return self._inner.create_counter(name, unit, description)

    def create_up_down_counter(
        self, name: str, unit: str = "", description: str = ""
    ) -> UpDownCounter:
        """The inner meter's up-down counter."""
        return self._inner.create_up_down_counter(name, unit, description)

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> Any:
        """The inner meter's gauge."""
        return self._inner.create_gauge(name, unit, description)

    def create_observable_counter(
        self,
        name: str,
        callbacks: Sequence[CallbackT] | None = None,
        unit: str = "",
        description: str = "",
    ) -> ObservableCounter:
        """The inner meter's observable counter."""
        return self._inner.create_observable_counter(name, callbacks, unit, description)

    def create_observable_gauge(
        self,
        name: str,
        callbacks: Sequence[CallbackT] | None = None,
        unit: str = "",
        description: str = "",
    ) -> ObservableGauge:
        """The inner meter's observable gauge."""
        return self._inner.create_observable_gauge(name, callbacks, unit, description)

    def create_observable_up_down_counter(
        self,
        name: str,
        callbacks: Sequence[CallbackT] | None = None,
        unit: str = "",
        description: str = "",
    ) -> ObservableUpDownCounter:
        """The inner meter's observable up-down counter."""
        return self._inner.create_observable_up_down_counter(name, callbacks, unit, description)
