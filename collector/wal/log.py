"""The write-ahead log: what it says is written survives a crash.

One thread writes. While it waits for the disk, requests gather, and the next sync acknowledges
all of them. The store's writer pulls closed segments; a segment closes when it is old enough and
the writer has nothing else to do, or when it is full. So segments grow while the store is slow,
and idle processes sleep.
"""

from __future__ import annotations

import fcntl
import logging
import math
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from collector.config import WalConfig
from collector.model import Signal
from collector.wal import frames
from collector.wal.errors import WalInUse, WalUnavailable
from collector.wal.recovery import recover
from collector.wal.segments import OpenSegment, Segment, segment_name
from telemetry.clock import Clock

logger = logging.getLogger("collector.wal")

#: Called once, on the log's thread: None when the bytes are durable, else why they are not.
Done = Callable[[WalUnavailable | None], None]
_LOCK_FILE: Final = "lock"


class WalMetrics(Protocol):
    """What the log reports."""

    def synced(self, duration_s: float, entry_count: int) -> None:
        """One group of appends is durable."""
        ...

    def failed(self, entry_count: int) -> None:
        """One group of appends is not."""
        ...

    def recovered(self, *, torn_bytes: int, damaged_bytes: int) -> None:
        """What the start found."""
        ...


@dataclass(frozen=True, slots=True)
class _Entry:
    signal: Signal
    header: bytes
    body: bytes
    item_count: int
    done: Done


class Wal:
    """Owns its folder. ``append`` from any thread, ``next_segment`` from one."""

    def __init__(
        self, config: WalConfig, clock: Clock, metrics: WalMetrics, *, session: str
    ) -> None:
        """Raises WalInUse, or OSError if the folder cannot be used."""
        self._config = config
        self._interval_s = {
            Signal.TRACES: config.traces_interval_s,
            Signal.METRICS: config.metrics_interval_s,
            Signal.SAMPLES: config.samples_interval_s,
            Signal.LOGS: config.logs_interval_s,
        }
        self._clock = clock
        self._metrics = metrics
        self._session = session
        self._number = 0
        config.path.mkdir(parents=True, exist_ok=True)
        self._lock_descriptor = _locked(config.path / _LOCK_FILE)
        found = recover(config.path, now_monotonic_s=clock.monotonic_s())
        metrics.recovered(torn_bytes=found.torn_bytes, damaged_bytes=found.damaged_bytes)
        self.recovered = found.segments
        # Bounded by who appends: the bytes in it are reserved from ``max_backlog_bytes`` first.
        self._waiting: deque[_Entry] = deque()
        self._arrived = threading.Condition()
        self._is_closing = False
        # Guards the segments; held while syncing, so never taken by a request.
        self._segments = threading.Condition()
        self._open: dict[Signal, OpenSegment] = {}
        self._closed: deque[Segment] = deque(found.segments)
        self._has_ended = False
        self._thread = threading.Thread(target=self._run, name="wal", daemon=True)

    def start(self) -> None:
        """Begin to write what ``append`` takes."""
        self._thread.start()

    def append(self, signal: Signal, body: bytes, item_count: int, done: Done) -> None:
        """Write ``body`` soon; ``done`` says when it is durable. Never blocks on the disk."""
        entry = _Entry(signal, frames.header(body, item_count), body, item_count, done)
        with self._arrived:
            if not self._is_closing:
                self._waiting.append(entry)
                self._arrived.notify()
                return
        done(WalUnavailable("the collector is stopping"))

    def next_segment(self) -> Segment | None:
        """The oldest closed segment, closing those that are due; None after ``close``."""
        with self._segments:
            while not self._closed:
                if self._has_ended:
                    return None
                wait_s = self._until_due_s()
                if wait_s is not None and wait_s <= 0:
                    self._close_due()
                else:
                    self._segments.wait(wait_s)
            return self._closed.popleft()

    def oldest_monotonic_s(self) -> float:
        """When the oldest frame that waits for the writer came; infinity if none does.

        Reads without the lock, which is held while syncing: one value may be a moment old.
        """
        closed_s = [segment.first_monotonic_s for segment in self._closed.copy()]
        open_s = [segment.first_monotonic_s for segment in list(self._open.values())]
        return min(closed_s + open_s, default=math.inf)

    def close(self) -> None:
        """Write what was taken, refuse more, hand out the last segments. Idempotent."""
        with self._arrived:
            self._is_closing = True
            self._arrived.notify()
        if self._thread.ident is not None:
            self._thread.join()
        with self._segments:
            if not self._has_ended:
                for signal in list(self._open):
                    self._closed.append(self._open.pop(signal).close())
                self._has_ended = True
                os.close(self._lock_descriptor)
            self._segments.notify_all()

    def _due_s(self, segment: OpenSegment) -> float:
        return segment.first_monotonic_s + self._interval_s[segment.signal]

    def _until_due_s(self) -> float | None:
        if not self._open:
            return None
        return min(map(self._due_s, self._open.values())) - self._clock.monotonic_s()

    def _close_due(self) -> None:
        now_s = self._clock.monotonic_s()
        for segment in sorted(self._open.values(), key=self._due_s):
            if self._due_s(segment) <= now_s:
                self._closed.append(self._open.pop(segment.signal).close())

    def _run(self) -> None:
        while batch := self._next_batch():
            with self._segments:
                for signal in Signal:
                    entries = [entry for entry in batch if entry.signal is signal]
                    if entries:
                        self._commit(signal, entries)

    def _next_batch(self) -> list[_Entry]:
        """All that waits, up to the size of a segment; empty when closing."""
        with self._arrived:
            while not self._waiting and not self._is_closing:
                self._arrived.wait()
            batch: list[_Entry] = []
            size = 0
            while self._waiting and size < self._config.max_segment_bytes:
                batch.append(self._waiting.popleft())
                size += len(batch[-1].body)
            return batch

    def _commit(self, signal: Signal, entries: list[_Entry]) -> None:
        started_s = self._clock.monotonic_s()
        try:
            self._write(signal, entries)
        except Exception as error:
            if not isinstance(error, OSError | WalUnavailable):
                # A bug of ours must not end this thread: nobody would be answered any more.
                logger.exception("an append failed")
            self._metrics.failed(len(entries))
            failure = WalUnavailable(f"the write-ahead log cannot be written: {error}")
            for entry in entries:
                entry.done(failure)
            return
        self._metrics.synced(self._clock.monotonic_s() - started_s, len(entries))
        for entry in entries:
            entry.done(None)

    def _write(self, signal: Signal, entries: list[_Entry]) -> None:
        free = os.statvfs(self._config.path)
        if free.f_bavail * free.f_frsize < self._config.min_free_bytes:
            raise WalUnavailable(f"less than {self._config.min_free_bytes} bytes are free")
        segment = self._open.get(signal) or self._opened(signal)
        buffers = [part for entry in entries for part in (entry.header, entry.body)]
        try:
            segment.append(buffers, sum(entry.item_count for entry in entries))
        except OSError:
            self._abandon(segment)
            raise
        is_first = signal not in self._open
        self._open[signal] = segment
        if segment.size_bytes >= self._config.max_segment_bytes:
            self._closed.append(self._open.pop(signal).close())
        if is_first or signal not in self._open:
            self._segments.notify()

    def _opened(self, signal: Signal) -> OpenSegment:
        self._number += 1
        name = segment_name(signal, self._clock.wall_unix_nano(), self._session, self._number)
        return OpenSegment(self._config.path / name, signal, self._clock.monotonic_s())

    def _abandon(self, segment: OpenSegment) -> None:
        """After a failed write or sync nothing more goes to that file (its pages may be lost)."""
        try:
            segment.cut()
        except OSError as error:
            # The store's writer reads frame by frame if it must, and finds where it ends.
            logger.warning("cannot cut %s: %s", segment.path.name, error)
        closed = segment.close()
        self._open.pop(segment.signal, None)
        if closed.size_bytes:
            self._closed.append(closed)
            self._segments.notify()
        else:
            closed.path.unlink(missing_ok=True)


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise WalInUse(f"another process uses the write-ahead log {path.parent}") from error
    return descriptor
