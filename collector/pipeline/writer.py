"""Feeds closed segments to the store, one after the other, until each is stored or set aside."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from collector.model import Signal
from collector.pipeline.accounting import Accounting
from collector.pipeline.backoff import pauses_s
from collector.pipeline.isolate import Isolated, isolate
from collector.selfmetrics import SelfMetrics
from collector.store.engine import InsertResult
from collector.store.errors import PoisonedSegment, StoreUnavailable, SuspectSegment
from collector.wal.segments import Segment
from telemetry.clock import Clock

logger = logging.getLogger("collector.writer")

#: Attempts (about 15 s) after which an error that nobody foresaw is blamed on the bytes: they are
#: set aside, kept in the quarantine folder, and the others get through.
SUSPECT_ATTEMPTS: Final = 8


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
            signal, stored, quarantined = segment.signal, done.stored, done.quarantined
            self._accounting.settled(
                signal, stored=stored, quarantined=quarantined, size_bytes=segment.size_bytes
            )
            self._metrics.settled(signal, stored=stored, quarantined=quarantined)
            self._current = None

    def _stored(self, segment: Segment) -> Isolated | None:
        """Try until it worked; None when stopping in between."""
        for attempt, pause_s in enumerate(pauses_s(self._rng), 1):
            try:
                return self._attempt(segment, is_last_patience=attempt >= SUSPECT_ATTEMPTS)
            except (StoreUnavailable, OSError) as error:
                self._metrics.insert_failed("unavailable")
                if attempt == 1:
                    logger.warning("%s waits for the store: %s", segment.token, error)
            except Exception:
                # A bug of ours must not end this thread: senders would be refused for ever.
                self._metrics.insert_failed("internal")
                logger.exception("%s could not be stored", segment.token)
            if self._is_stopping.wait(pause_s):
                return None
        raise AssertionError("the pauses never end")

    def _attempt(self, segment: Segment, *, is_last_patience: bool) -> Isolated:
        done = self._whole_or_isolated(segment, is_last_patience=is_last_patience)
        segment.path.unlink(missing_ok=True)
        return done

    def _whole_or_isolated(self, segment: Segment, *, is_last_patience: bool) -> Isolated:
        def insert(path: Path, token: str) -> None:
            try:
                self._insert(path, segment.signal, token)
            except blamed as error:
                raise PoisonedSegment(str(error), code=error.code) from error

        blamed = (PoisonedSegment, SuspectSegment) if is_last_patience else PoisonedSegment
        try:
            rows = self._insert(segment.path, segment.signal, segment.token)
        except blamed as error:
            self._metrics.insert_failed("poisoned")
            logger.warning("%s holds bytes the store does not take: %s", segment.token, error)
            return isolate(segment, insert)
        if rows != segment.item_count:
            self._metrics.miscounted(segment.signal)
            logger.warning("%s: %d rows, %d items", segment.token, rows, segment.item_count)
        return Isolated(stored=segment.item_count, quarantined=0)

    def _insert(self, path: Path, signal: Signal, token: str) -> int:
        """Rows the file held."""
        started_s = self._clock.monotonic_s()
        result = self._store.insert_segment(path, signal, token)
        self._metrics.inserted(signal, self._clock.monotonic_s() - started_s)
        return result.rows
