"""What became of the telemetry: counters readable in the process that produced it.

The official exporters report success even when the collector answers that it rejected part of a
batch (OTLP "partial success"). These counters keep the three fates apart.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace

from telemetry import semconv


@dataclass(frozen=True, slots=True)
class SignalStats:
    """Spans or metric points since the process was set up."""

    #: Handed to the exporter; spans still queued are not in here yet.
    submitted: int = 0
    #: The collector said it took them.
    acknowledged: int = 0
    #: The collector answered, but refused these (partial success).
    rejected: int = 0
    #: Given up after all retries. For cumulative metrics the next export repairs this.
    dropped: int = 0
    #: Exports that ended in at least one rejection.
    partial_successes: int = 0
    #: Exports given up.
    failed_exports: int = 0


@dataclass(frozen=True, slots=True)
class TelemetryStats:
    """A snapshot."""

    traces: SignalStats
    metrics: SignalStats
    #: Sampled spans that ended, exported or not; minus ``traces.submitted`` = queued or lost to a
    #: full queue.
    spans_ended: int
    #: Inbound baggage values outside their alphabet, ignored.
    labels_ignored: int
    #: Names of metrics that have hit their cardinality limit.
    overflowed_metrics: tuple[str, ...]


class StatsCounter:
    """The mutable side; one lock, touched once per export and once per span end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._signals = {
            semconv.SIGNAL_TRACES: SignalStats(),
            semconv.SIGNAL_METRICS: SignalStats(),
        }
        self._spans_ended = 0
        self._labels_ignored = 0
        self._overflowed: set[str] = set()

    def record_export(self, signal: str, *, submitted: int, rejected: int, delivered: bool) -> None:
        """Count one finished export of ``submitted`` items."""
        with self._lock:
            before = self._signals[signal]
            # A collector may claim more than it was sent; the books must still balance.
            refused = min(rejected, submitted) if delivered else 0
            self._signals[signal] = replace(
                before,
                submitted=before.submitted + submitted,
                acknowledged=before.acknowledged + (submitted - refused if delivered else 0),
                rejected=before.rejected + refused,
                dropped=before.dropped + (0 if delivered else submitted),
                partial_successes=before.partial_successes + (1 if refused else 0),
                failed_exports=before.failed_exports + (0 if delivered else 1),
            )

    def record_span_ended(self) -> None:
        """Count one sampled span that ended."""
        with self._lock:
            self._spans_ended += 1

    def record_label_ignored(self) -> None:
        """Count one inbound label value outside its alphabet."""
        with self._lock:
            self._labels_ignored += 1

    def record_overflow(self, metric: str) -> bool:
        """Note that ``metric`` overflowed; true the first time."""
        with self._lock:
            first = metric not in self._overflowed
            self._overflowed.add(metric)
            return first

    def snapshot(self) -> TelemetryStats:
        """A consistent copy."""
        with self._lock:
            return TelemetryStats(
                traces=self._signals[semconv.SIGNAL_TRACES],
                metrics=self._signals[semconv.SIGNAL_METRICS],
                spans_ended=self._spans_ended,
                labels_ignored=self._labels_ignored,
                overflowed_metrics=tuple(sorted(self._overflowed)),
            )

    def fates(self) -> Mapping[tuple[str, str], int]:
        """(signal, fate) -> items, for the self-metric."""
        with self._lock:
            return {
                (signal, fate): getattr(counts, fate)
                for signal, counts in self._signals.items()
                for fate in ("acknowledged", "rejected", "dropped")
            }
