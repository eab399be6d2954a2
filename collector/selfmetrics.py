"""Everything the collector says about itself on /metrics, declared in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from collector.config import LimitsConfig, WalConfig
from collector.limits.config import OverloadConfig
from collector.limits.overload import Overload
from collector.model import Signal
from collector.wire.scan import Scanned

#: 0.5 ms to 8 s, doubling: a sync of a fast disk up to a store that struggles.
_DURATION_BOUNDS_S: Final = tuple(0.0005 * 2**power for power in range(15))


class SelfMetrics:
    """The collector's own instruments; all thread-safe."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._declare_items()
        self._declare_log_and_store()
        self._declare_scrapes()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"davylamp_{name}", text, labels, registry=self._registry)

    def _durations(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(
            f"davylamp_{name}_duration_seconds",
            text,
            labels,
            buckets=_DURATION_BOUNDS_S,
            registry=self._registry,
        )

    def _declare_items(self) -> None:
        counter = self._counter
        self._received = counter(
            "ingest_received",
            "Spans, data points and samples of acknowledged requests, rejected ones included.",
            "signal",
        )
        self._rejected = counter(
            "ingest_rejected",
            "Items refused while the rest of their request was taken.",
            *("signal", "reason"),
        )
        self._repaired = counter(
            "ingest_repaired", "Items stored without a part that was invalid.", "signal", "reason"
        )
        self._duplicate = counter(
            "ingest_duplicate",
            "Items of bodies that had been taken before: sent again after a lost answer.",
            "signal",
        )
        self._recovered = counter(
            "ingest_recovered", "Items found in the write-ahead log at start.", "signal"
        )
        self._stored = counter("ingest_stored", "Items in the store.", "signal")
        self._quarantined = counter(
            "ingest_quarantined",
            "Acknowledged items the store could not decode; their bodies are kept in files.",
            "signal",
        )
        self._miscounted = counter(
            "store_miscounted",
            "Segments whose stored rows differ from the items acknowledged.",
            "signal",
        )
        self._requests = counter(
            "otlp_requests",
            "Export requests by how they were answered.",
            *("protocol", "signal", "outcome"),
        )

    def _declare_log_and_store(self) -> None:
        counter, durations = self._counter, self._durations
        self._appends = counter(
            "wal_appends",
            "Bodies appended to the write-ahead log, by whether they became durable.",
            "outcome",
        )
        self._unreadable = counter(
            "wal_unreadable_bytes",
            "Bytes at start that are no frame: torn (never acknowledged) or damaged (lost).",
            "kind",
        )
        self._insert_failures = counter(
            "store_insert_failures",
            "Inserts that failed, by whether the store or the bytes are to blame.",
            "kind",
        )
        self._sync_duration = durations("wal_sync", "Write and sync of one group of appends.")
        self._insert_duration = durations("store_insert", "Insert of one segment.", "signal")

    def _declare_scrapes(self) -> None:
        counter, durations = self._counter, self._durations
        self._scrapes = counter(
            "scrapes", "Scrapes by what came of them: ok or what went wrong.", "job", "outcome"
        )
        self._scrape_samples = counter(
            "scrape_samples",
            "Samples of scraped pages: taken, rejected, duplicate within a page, or lost because "
            "the log refused them until the next scrape.",
            *("job", "outcome"),
        )
        self._scrape_late = counter(
            "scrape_late", "Scrapes left out because the one before took too long.", "job"
        )
        self._scrape_duration = durations("scrape", "Fetch and reading of a page.", "job")

    def show_limits(self, limits: LimitsConfig, wal: WalConfig, overload: OverloadConfig) -> None:
        """Every limit beside the numbers it bounds."""
        gauge = Gauge(
            "davylamp_ingest_limit", "Configured limits.", ("limit",), registry=self._registry
        )
        for config in (limits, wal, overload):
            for field in fields(config):
                value = getattr(config, field.name)
                if isinstance(value, (int, float)):
                    gauge.labels(field.name).set(value)

    def show_state(
        self,
        *,
        pending_bytes: Callable[[], float],
        pending_items: Callable[[], float],
        in_flight_bytes: Callable[[], float],
        lag_s: Callable[[], float],
    ) -> None:
        """Gauges that are read when asked."""
        for name, text, read in (
            (
                "davylamp_wal_pending_bytes",
                "Bytes being written to the write-ahead log or waiting in it for the store.",
                pending_bytes,
            ),
            (
                "davylamp_ingest_pending_items",
                "Items acknowledged and not yet stored.",
                pending_items,
            ),
            (
                "davylamp_ingest_in_flight_bytes",
                "Bytes of requests being received and checked.",
                in_flight_bytes,
            ),
            (
                "davylamp_ingest_lag_seconds",
                "Age of the oldest acknowledged item that is not yet stored.",
                lag_s,
            ),
        ):
            Gauge(name, text, registry=self._registry).set_function(read)

    def show_overload(self, overload: Overload) -> None:
        """Gauges of the overload limits, read when asked."""
        for name, text, read in (
            (
                "davylamp_ingest_series",
                "Series known, of OTLP points.",
                lambda: float(len(overload.series)),
            ),
            (
                "davylamp_ingest_safe_mode",
                "1 after deaths for want of memory, else 0.",
                lambda: float(overload.is_safe_mode),
            ),
            (
                "davylamp_ingest_shed_level",
                "What gives way for want of memory: 0 nothing, 1 spans, 2 new series too.",
                lambda: float(overload.shed),
            ),
        ):
            Gauge(name, text, registry=self._registry).set_function(read)

    def scraped(self, job: str, outcome: str, duration_s: float) -> None:
        """One scrape ended."""
        self._scrapes.labels(job, outcome).inc()
        self._scrape_duration.labels(job).observe(duration_s)

    def scrape_samples(self, job: str, outcome: str, count: int) -> None:
        """What became of samples of a page."""
        self._scrape_samples.labels(job, outcome).inc(count)

    def scrape_late(self, job: str, count: int) -> None:
        """A loop fell behind its beat."""
        self._scrape_late.labels(job).inc(count)

    def accepted(self, signal: Signal, scanned: Scanned) -> None:
        """A request was acknowledged."""
        self._received.labels(signal).inc(scanned.item_count + scanned.rejected_count)
        for reason, count in scanned.rejected.items():
            self._rejected.labels(signal, reason).inc(count)
        for repair, count in scanned.repaired.items():
            self._repaired.labels(signal, repair).inc(count)

    def repeated(self, signal: Signal, scanned: Scanned) -> None:
        """A request was acknowledged that had been taken before."""
        self._received.labels(signal).inc(scanned.item_count + scanned.rejected_count)
        self._duplicate.labels(signal).inc(scanned.item_count)
        for reason, count in scanned.rejected.items():
            self._rejected.labels(signal, reason).inc(count)

    def found_segment(self, signal: Signal, item_count: int) -> None:
        """A segment of an earlier life waits for the store."""
        self._recovered.labels(signal).inc(item_count)

    def answered(self, protocol: str, signal: Signal | str, outcome: str) -> None:
        """A request was answered."""
        self._requests.labels(protocol, signal, outcome).inc()

    def synced(self, duration_s: float, entry_count: int) -> None:
        """One group of appends is durable."""
        self._sync_duration.observe(duration_s)
        self._appends.labels("durable").inc(entry_count)

    def failed(self, entry_count: int) -> None:
        """One group of appends is not."""
        self._appends.labels("failed").inc(entry_count)

    def recovered(self, *, torn_bytes: int, damaged_bytes: int) -> None:
        """What the log found at start."""
        self._unreadable.labels("torn").inc(torn_bytes)
        self._unreadable.labels("damaged").inc(damaged_bytes)

    def inserted(self, signal: Signal, duration_s: float) -> None:
        """The store took a segment."""
        self._insert_duration.labels(signal).observe(duration_s)

    def insert_failed(self, kind: str) -> None:
        """The store did not; ``kind`` is unavailable, poisoned or internal."""
        self._insert_failures.labels(kind).inc()

    def settled(self, signal: Signal, *, stored: int, quarantined: int) -> None:
        """A segment left the log."""
        self._stored.labels(signal).inc(stored)
        self._quarantined.labels(signal).inc(quarantined)

    def miscounted(self, signal: Signal) -> None:
        """The store counted other rows than the log has items."""
        self._miscounted.labels(signal).inc()
