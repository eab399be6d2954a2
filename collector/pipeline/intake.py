"""A request's way to its acknowledgement: admitted, scanned, durable."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from functools import partial
from typing import Final

from collector.config import CollectorConfig
from collector.model import Signal
from collector.pipeline.accounting import Accounting
from collector.pipeline.errors import BacklogFull
from collector.pipeline.recent import RecentBodies, digest
from collector.selfmetrics import SelfMetrics
from collector.wal.errors import WalUnavailable
from collector.wal.frames import HEADER_BYTES
from collector.wal.log import Wal
from collector.wire.scan import Scanned, scan
from telemetry.clock import Clock

#: Bodies above this are scanned on a thread, so that small ones need not wait for big ones.
INLINE_BYTES: Final = 262_144


@dataclass(frozen=True, slots=True)
class Taken:
    """What the sender is told: durable, but for ``rejected_count`` items."""

    rejected_count: int
    message: str


class Intake:
    """Where both receivers deliver; lives on one event loop."""

    def __init__(
        self,
        config: CollectorConfig,
        wal: Wal,
        accounting: Accounting,
        metrics: SelfMetrics,
        clock: Clock,
    ) -> None:
        self._limits = config.limits
        self._backlog_bytes = config.wal.max_backlog_bytes
        self._wal = wal
        self._accounting = accounting
        self._metrics = metrics
        self._clock = clock
        self.recent = RecentBodies(clock)

    async def take(self, signal: Signal, body: bytes) -> Taken:
        """Returns once the accepted part of ``body`` is durable.

        Raises Malformed, TooLarge, BacklogFull or WalUnavailable; then nothing was taken.
        """
        reserved_bytes = len(body) + HEADER_BYTES
        if not self._accounting.reserve(reserved_bytes, limit_bytes=self._backlog_bytes):
            raise BacklogFull("the store is behind and too many bytes wait for it")
        kept_bytes = 0
        try:
            scanned = await self._scan(signal, body)
            key = digest(signal, scanned.body)
            is_new = scanned.item_count > 0 and key not in self.recent
            if is_new:
                kept_bytes = len(scanned.body) + HEADER_BYTES
        finally:
            self._accounting.release(reserved_bytes - kept_bytes)
        if is_new:
            await self._written(signal, scanned, key, kept_bytes)
        elif scanned.item_count:
            await self._repeated(signal, scanned, key)
        else:
            self._acknowledged(signal, scanned)
        return Taken(scanned.rejected_count, scanned.message())

    async def _scan(self, signal: Signal, body: bytes) -> Scanned:
        now_unix_nano = self._clock.wall_unix_nano()
        call = partial(scan, signal, body, self._limits, now_unix_nano=now_unix_nano)
        return call() if len(body) <= INLINE_BYTES else await asyncio.to_thread(call)

    async def _written(self, signal: Signal, scanned: Scanned, key: bytes, kept_bytes: int) -> None:
        """Wait for the disk.

        The books are kept by the log's thread, because a sender that hangs up ends this
        coroutine but not the write.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self.recent.add(key, future)

        def settle(failure: WalUnavailable | None) -> None:
            if failure is None:
                future.set_result(None)
            else:
                self.recent.forget(key)
                future.set_exception(failure)

        def done(failure: WalUnavailable | None) -> None:
            if failure is None:
                self._acknowledged(signal, scanned)
            else:
                self._accounting.release(kept_bytes)
            with contextlib.suppress(RuntimeError):  # the loop ended: nobody waits any more
                loop.call_soon_threadsafe(settle, failure)

        self._wal.append(signal, scanned.body, scanned.item_count, done)
        # Shielded: another request may wait for the same future.
        await asyncio.shield(future)

    async def _repeated(self, signal: Signal, scanned: Scanned, key: bytes) -> None:
        """The same bytes again: safe as soon as the first ones are."""
        state = self.recent.state(key)
        if state is not None:
            await asyncio.shield(state)
        self._accounting.repeated(signal, scanned.item_count, scanned.rejected)
        self._metrics.repeated(signal, scanned)

    def _acknowledged(self, signal: Signal, scanned: Scanned) -> None:
        self._accounting.accepted(signal, scanned.item_count, scanned.rejected)
        self._metrics.accepted(signal, scanned)
