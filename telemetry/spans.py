"""Spans get their canary arm when they start, from the baggage of their parent's context."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from telemetry.context import labels_from_baggage
from telemetry.tally import StatsCounter


class CohortSpanProcessor(SpanProcessor):
    """Copies the allow-listed baggage entries to every span and counts the spans that end."""

    def __init__(self, stats: StatsCounter) -> None:
        self._stats = stats

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Label ``span``."""
        labels = labels_from_baggage(parent_context)
        if labels:
            span.set_attributes(labels)

    def on_end(self, span: ReadableSpan) -> None:
        """Count ``span`` when it will be exported."""
        if span.context is not None and span.context.trace_flags.sampled:
            self._stats.record_span_ended()
