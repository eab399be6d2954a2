"""Everything the collector says about itself on /metrics, declared in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from collector.config import LimitsConfig, WalConfig
from collector.model import Signal
from collector.wire.scan import Scanned

#: 0.5 ms to 8 s, doubling: a sync of a fast disk up to a store that struggles.
_DURATION_BOUNDS_S: Final = tuple(0.0005 * 2**power for power in range(15))


class SelfMetrics:
    """The collector's own instruments; all thread-safe."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._received = Counter(
            "davylamp_ingest_received",
            "Spans and data points of acknowledged requests, rejected ones included.",
            ("signal",),
            registry=registry,
        )
        self._rejected = Counter(
            "davylamp_ingest_rejected",
            "Items refused while the rest of their request was taken.",
            ("signal", "reason"),
            registry=registry,
        )
        self._repaired = Counter(
            "davylamp_ingest_repaired",
            "Items stored without a part that was invalid.",
            ("signal", "reason"),
            registry=registry,
        )
        self._duplicate = Counter(
            "davylamp_ingest_duplicate",
            "Items of bodies that had been taken before: sent again after a lost answer.",
            ("signal",),
            registry=registry,
        )
        self._recovered = Counter(
            "davylamp_ingest_recovered",
            "Items found in the write-ahead log at start.",
            ("signal",),
            registry=registry,
        )
        self._stored = Counter(
            "davylamp_ingest_stored", "Items in the store.", ("signal",), registry=registry
        )
        self._quarantined = Counter(
            "davylamp_ingest_quarantined",
            "Acknowledged items the store could not decode; their bodies are kept in files.",
            ("signal",),
            registry=registry,
        )
        self._miscounted = Counter(
            "davylamp_store_miscounted",
            "Segments whose stored rows differ from the items acknowledged.",
            ("signal",),
            registry=registry,
        )
        self._requests = Counter(
            "davylamp_otlp_requests",
            "Export requests by how they were answered.",
            ("protocol", "signal", "outcome"),
            registry=registry,
        )
        self._sync_duration = Histogram(
            "davylamp_wal_sync_duration_seconds",
            "Write and sync of one group of appends.",
            buckets=_DURATION_BOUNDS_S,
            registry=registry,
        )
        self._synced = Counter(
            "davylamp_wal_appends",
            "Bodies appended to the write-ahead log, by whether they became durable.",
            ("outcome",),
            registry=registry,
        )
        self._lost = Counter(
            "davylamp_wal_unreadable_bytes",
            "Bytes at start that are no frame: torn (never acknowledged) or damaged (lost).",
            ("kind",),
            registry=registry,
        )
        self._insert_duration = Histogram(
            "davylamp_store_insert_duration_seconds",
            "Insert of one segment.",
            ("signal",),
            buckets=_DURATION_BOUNDS_S,
            registry=registry,
        )
        self._insert_failures = Counter(
            "davylamp_store_insert_failures",
            "Inserts that failed, by whether the store or the bytes are to blame.",
            ("kind",),
            registry=registry,
        )

    def show_limits(self, limits: LimitsConfig, wal: WalConfig) -> None:
        """Every limit beside the numbers it bounds."""
        gauge = Gauge(
            "davylamp_ingest_limit", "Configured limits.", ("limit",), registry=self._registry
        )
        for config in (limits, wal):
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
        self._synced.labels("durable").inc(entry_count)

    def failed(self, entry_count: int) -> None:
        """One group of appends is not."""
        self._synced.labels("failed").inc(entry_count)

    def recovered(self, *, torn_bytes: int, damaged_bytes: int) -> None:
        """What the log found at start."""
        self._lost.labels("torn").inc(torn_bytes)
        self._lost.labels("damaged").inc(damaged_bytes)

    def inserted(self, signal: Signal, duration_s: float) -> None:
        """The store took a segment."""
        self._insert_duration.labels(signal).observe(duration_s)

    def insert_failed(self, kind: str) -> None:
        """The store did not; ``kind`` is unavailable or poisoned."""
        self._insert_failures.labels(kind).inc()

    def settled(self, signal: Signal, *, stored: int, quarantined: int) -> None:
        """A segment left the log."""
        self._stored.labels(signal).inc(stored)
        self._quarantined.labels(signal).inc(quarantined)

    def miscounted(self, signal: Signal) -> None:
        """The store counted other rows than the log has items."""
        self._miscounted.labels(signal).inc()
