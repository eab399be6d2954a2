"""Feeds closed segments to the store, one after the other, until each is stored or set aside."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from collector.model import Signal
from collector.pipeline.accounting import Accounting
from collector.pipeline.backoff import pauses_s
from collector.pipeline.isolate import Isolated, isolate
from collector.selfmetrics import SelfMetrics
from collector.store.engine import InsertResult
from collector.store.errors import PoisonedSegment, StoreUnavailable
from collector.wal.segments import Segment
from telemetry.clock import Clock

logger = logging.getLogger("collector.writer")


class SegmentStore(Protocol):
    """The one method of the store that is used here."""

    def insert_segment(self, path: Path, signal: Signal, token: str) -> InsertResult:
        """Store a segment exactly once per token."""
        ...


class StoreWriter:
    """One thread between the log and the store. A segment's file goes when its rows are safe."""

    def __init__(
        self,
        store: SegmentStore,
        next_segment: Callable[[], Segment | None],
        accounting: Accounting,
        metrics: SelfMetrics,
        clock: Clock,
        rng: np.random.Generator,
    ) -> None:
        self._store = store
        self._next_segment = next_segment
        self._accounting = accounting
        self._metrics = metrics
        self._clock = clock
        self._rng = rng
        self._is_stopping = threading.Event()
        self._current: Segment | None = None
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def start(self) -> None:
        """Begin to pull segments."""
        self._thread.start()

    def finish(self, timeout_s: float) -> bool:
        """After the log was closed: wait for the rest; False if some stays for the next start."""
        self._thread.join(timeout_s)
        self._is_stopping.set()
        # At most the statement that runs right now; what is left is safe in the log.
        self._thread.join()
        return self._accounting.pending_items() == 0

    def current(self) -> Segment | None:
        """The segment being stored."""
        return self._current

    def _run(self) -> None:
        while not self._is_stopping.is_set():
            segment = self._next_segment()
            if segment is None:
                return
            self._current = segment
            done = self._stored(segment)
            if done is None:
                return
            segment.path.unlink(missing_ok=True)
            signal, stored, quarantined = segment.signal, done.stored, done.quarantined
            self._accounting.settled(
                signal, stored=stored, quarantined=quarantined, size_bytes=segment.size_bytes
            )
            self._metrics.settled(signal, stored=stored, quarantined=quarantined)
            self._current = None

    def _stored(self, segment: Segment) -> Isolated | None:
        """Try until it worked; None when stopping in between."""
        for attempt, pause_s in enumerate(pauses_s(self._rng)):
            try:
                return self._attempt(segment)
            except (StoreUnavailable, OSError) as error:
                self._metrics.insert_failed("unavailable")
                if attempt == 0:
                    logger.warning("%s waits for the store: %s", segment.token, error)
            if self._is_stopping.wait(pause_s):
                return None
        raise AssertionError("the pauses never end")

    def _attempt(self, segment: Segment) -> Isolated:
        def insert(path: Path, token: str) -> None:
            self._insert(path, segment.signal, token, expected_rows=None)

        try:
            self._insert(
                segment.path, segment.signal, segment.token, expected_rows=segment.item_count
            )
        except PoisonedSegment as error:
            self._metrics.insert_failed("poisoned")
            logger.warning("%s holds bytes the store cannot decode: %s", segment.token, error)
            return isolate(segment, insert)
        return Isolated(stored=segment.item_count, quarantined=0)

    def _insert(self, path: Path, signal: Signal, token: str, *, expected_rows: int | None) -> None:
        started_s = self._clock.monotonic_s()
        result = self._store.insert_segment(path, signal, token)
        self._metrics.inserted(signal, self._clock.monotonic_s() - started_s)
        if expected_rows is not None and result.rows != expected_rows:
            self._metrics.miscounted(signal)
            logger.warning("%s: %d rows for %d items", token, result.rows, expected_rows)
