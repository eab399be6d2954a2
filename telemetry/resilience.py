"""Isolation between services made visible: how often an answer came from a fallback."""

from __future__ import annotations

from telemetry import semconv
from telemetry.context import labels_of_request
from telemetry.provider import Telemetry


class Fallbacks:
    """The ``resilience.fallback`` counter of one process."""

    def __init__(self, telemetry: Telemetry) -> None:
        metric = semconv.RESILIENCE_FALLBACK
        self._counter = telemetry.meter("telemetry.resilience").create_counter(
            metric.name, metric.unit, metric.description
        )

    def count(self, *, target: str, reason: str) -> None:
        """One answer served without ``target`` (a service name) because of ``reason``.

        ``reason`` is a short class such as ``timeout`` or ``circuit_open``, never a message.
        """
        self._counter.add(
            1,
            {
                semconv.RESILIENCE_FALLBACK_TARGET: target,
                semconv.RESILIENCE_FALLBACK_REASON: reason,
                **labels_of_request(),
            },
        )
