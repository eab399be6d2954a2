"""The receiving half behind the receivers: log, writer and books, started and stopped as one."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np

from collector.config import CollectorConfig
from collector.limits.overload import Overload
from collector.pipeline.accounting import Accounting
from collector.pipeline.intake import Intake
from collector.pipeline.recent import digest
from collector.pipeline.writer import StoreWriter
from collector.samples.intake import DecodedBatches, SampleIntake
from collector.samples.sample_store import SampleStore
from collector.samples.series_book import SeriesBook
from collector.selfmetrics import SelfMetrics
from collector.store.engine import Store
from collector.wal import frames
from collector.wal.log import Wal
from telemetry.clock import Clock


class Pipeline:
    """Everything between a decoded request and the store."""

    def __init__(
        self,
        config: CollectorConfig,
        store: Store,
        metrics: SelfMetrics,
        clock: Clock,
        rng: np.random.Generator,
        *,
        is_safe_mode: bool = False,
    ) -> None:
        """Recovers the log and the series of samples. Raises WalInUse, StoreError or OSError."""
        self._config = config
        self._clock = clock
        book, decoded = SeriesBook(config.limits.max_sample_series), DecodedBatches()
        segments = SampleStore(store, book, decoded, config.limits.max_body_bytes)
        segments.load_series()
        self.accounts = Accounting()
        self._wal = Wal(config.wal, clock, metrics, session=secrets.token_hex(4))
        for segment in self._wal.recovered:
            self.accounts.recovered(segment.signal, segment.item_count, segment.size_bytes)
            metrics.found_segment(segment.signal, segment.item_count)
        self.overload = Overload(config.overload, clock, is_safe_mode=is_safe_mode)
        self.intake = Intake(config, self._wal, self.accounts, metrics, clock, self.overload)
        self._remember_recovered()
        self.samples = SampleIntake(
            config,
            self._wal,
            book,
            decoded,
            self.accounts,
            metrics,
            clock,
            overload=self.overload,
            recent=self.intake.recent,
        )
        self._writer = StoreWriter(
            segments, self._wal.next_segment, self.accounts, metrics, clock, rng
        )
        self._is_open = False

    def _remember_recovered(self) -> None:
        """Senders whose answer the crash cut off will send the same bodies again."""
        for segment in self._wal.recovered:
            data = segment.path.read_bytes()
            for frame in frames.read(data).frames:
                body = data[frame.start + frames.HEADER_BYTES : frame.end]
                self.intake.recent.add(digest(segment.signal, body), None)

    def start(self) -> None:
        """Begin to write and to store, first what the log held."""
        self._wal.start()
        self._writer.start()
        self._is_open = True

    def refuse(self) -> None:
        """From now on ``is_ready`` says no; requests under way are finished."""
        self._is_open = False

    def close(self, timeout_s: float) -> None:
        """Write what was taken, store as much of it as ``timeout_s`` allows."""
        self.refuse()
        self._wal.close()
        self._writer.finish(timeout_s)

    def is_ready(self) -> bool:
        """Whether a small request would be taken."""
        return self._is_open and self.accounts.pending_bytes < self._config.wal.max_backlog_bytes

    def lag_s(self) -> float:
        """Age of the oldest acknowledged item that is not yet stored; 0 when there is none."""
        first_s = self._wal.oldest_monotonic_s()
        current = self._writer.current()
        if current is not None:
            first_s = min(first_s, current.first_monotonic_s)
        return max(self._clock.monotonic_s() - first_s, 0.0)

    def accounting(self) -> Mapping[str, Any]:
        """The books by signal, in total, and what waits."""
        signals = self.accounts.as_json()
        totals: dict[str, int] = {}
        for account in signals.values():
            for name, value in account.items():
                number = sum(value.values()) if isinstance(value, dict) else value
                totals[name] = totals.get(name, 0) + number
        return {
            **totals,
            "signals": signals,
            "series": len(self.overload.series),
            "skew": self.overload.skew.as_json(),
            "is_safe_mode": self.overload.is_safe_mode,
            "shed": self.overload.shed.name.lower(),
            "wal_bytes": self.accounts.pending_bytes,
            "lag_s": round(self.lag_s(), 6),
        }
