"""A remote-write request's way to its acknowledgement: decoded, checked, durable.

What was decoded is kept until the store's writer has used it, so that nothing is decoded twice
unless the process died in between.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from collector.config import CollectorConfig
from collector.limits.overload import Overload
from collector.model import Signal
from collector.pipeline.accounting import Accounting
from collector.pipeline.errors import BacklogFull
from collector.pipeline.recent import RecentBodies, digest
from collector.samples.bounds import Bounds
from collector.samples.checks import check
from collector.samples.decode import Batch, decode, encoded_again
from collector.samples.runs import Runs
from collector.samples.series_book import SeriesBook
from collector.samples.snappy import compress_block
from collector.selfmetrics import SelfMetrics
from collector.wal.errors import WalUnavailable
from collector.wal.frames import HEADER_BYTES
from collector.wal.log import Wal
from collector.wire.reasons import EXPLAINED, Reason
from collector.wire.scan import Scanned
from telemetry.clock import Clock


@dataclass(frozen=True, slots=True)
class TakenSamples:
    """What the sender is told: ``written`` samples are durable, or were before."""

    written: int
    rejected: Mapping[Reason, int]

    def message(self) -> str:
        """Why some were not taken; empty if all were."""
        return "; ".join(
            f"{count} rejected as {reason}: {EXPLAINED[reason]}"
            for reason, count in sorted(self.rejected.items())
        )


class DecodedBatches:
    """Batches in the log whose rows are not stored yet, by the digest of their body."""

    def __init__(self) -> None:
        self._batches: dict[bytes, Batch] = {}

    def keep(self, key: bytes, batch: Batch) -> None:
        """Until the writer is done with it; bounded by the bytes that may wait for the store."""
        self._batches[key] = batch

    def get(self, key: bytes) -> Batch | None:
        """None after a start: then the body is decoded again."""
        return self._batches.get(key)

    def forget(self, key: bytes) -> None:
        """Stored, or never acknowledged."""
        self._batches.pop(key, None)


class SampleIntake:
    """Where remote-write delivers; lives on one event loop."""

    def __init__(
        self,
        config: CollectorConfig,
        wal: Wal,
        book: SeriesBook,
        decoded: DecodedBatches,
        accounting: Accounting,
        metrics: SelfMetrics,
        clock: Clock,
        *,
        overload: Overload,
        recent: RecentBodies,
    ) -> None:
        self._limits = config.limits
        self._wal_config = config.wal
        self._wal = wal
        self._book = book
        self._decoded = decoded
        self._accounting = accounting
        self._metrics = metrics
        self._clock = clock
        self._overload = overload
        self._recent = recent
        self._runs = Runs()

    async def take(
        self, compressed: bytes | None, plain: bytes, rejected: Mapping[Reason, int]
    ) -> TakenSamples:
        """Returns once what is taken of a WriteRequest is durable.

        ``compressed`` is the body as it came, if it is the very request; ``rejected`` was refused
        before. Raises Malformed, TooLarge, BacklogFull or WalUnavailable: then nothing was taken.
        """
        self._overload.before(Signal.SAMPLES)
        self._book.is_closed_to_new = self._overload.is_closed_to_new_series()
        limits = self._limits
        bounds = Bounds.at(self._clock.wall_unix_nano() // 1_000_000, limits)
        batch = decode(
            plain, self._book, runs=self._runs, bounds=bounds, max_samples=limits.max_samples
        )
        checked = check(batch, self._book, bounds, max_out_of_order_s=limits.max_out_of_order_s)
        batch = checked.batch.where(slice(None), rejected)
        self._overload.after(len(batch) + checked.duplicate_count, {})
        if checked.duplicate_count:
            self._repeated(checked.duplicate_count, {})
        is_whole = not batch.rejected and not checked.duplicate_count
        if len(batch):
            if compressed is None or not is_whole:
                compressed = compress_block(plain if is_whole else encoded_again(batch, self._book))
            await self._written(compressed, batch)
        else:
            self._acknowledged(batch)
        return TakenSamples(len(batch) + checked.duplicate_count, batch.rejected)

    async def _written(self, body: bytes, batch: Batch) -> None:
        size_bytes = len(body) + HEADER_BYTES
        limit_bytes = self._wal_config.max_backlog_bytes
        key = digest(Signal.SAMPLES, body)
        if key in self._recent:
            await self._again(key, batch)
            return
        if not self._accounting.reserve(size_bytes, limit_bytes=limit_bytes):
            raise BacklogFull("the store is behind and too many bytes wait for it")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._recent.add(key, future)
        self._decoded.keep(key, batch)

        def settle(failure: WalUnavailable | None) -> None:
            if failure is None:
                future.set_result(None)
            else:
                self._recent.forget(key)
                future.set_exception(failure)

        def done(failure: WalUnavailable | None) -> None:
            if failure is None:
                self._book.acknowledged(batch.ids, batch.times_ms, batch.values)
                self._acknowledged(batch)
            else:
                self._decoded.forget(key)
                self._accounting.release(size_bytes)
            with contextlib.suppress(RuntimeError):  # the loop ended: nobody waits any more
                loop.call_soon_threadsafe(settle, failure)

        self._wal.append(Signal.SAMPLES, body, len(batch), done)
        await self._durable(future)

    async def _again(self, key: bytes, batch: Batch) -> None:
        """The same bytes are being written, or were a moment ago."""
        state = self._recent.state(key)
        if state is not None:
            await self._durable(state)
        self._repeated(len(batch), batch.rejected)

    async def _durable(self, state: asyncio.Future[None]) -> None:
        """Shielded: the write goes on when the sender hangs up, and another may wait for it."""
        max_wait_s = self._wal_config.max_wait_s
        try:
            async with asyncio.timeout(max_wait_s):
                await asyncio.shield(state)
        except TimeoutError:
            raise WalUnavailable(f"the disk did not answer within {max_wait_s:g} s") from None

    def _acknowledged(self, batch: Batch) -> None:
        self._accounting.accepted(Signal.SAMPLES, len(batch), batch.rejected)
        self._metrics.accepted(Signal.SAMPLES, Scanned(b"", len(batch), batch.rejected, {}))

    def _repeated(self, count: int, rejected: Mapping[Reason, int]) -> None:
        self._accounting.repeated(Signal.SAMPLES, count, rejected)
        self._metrics.repeated(Signal.SAMPLES, Scanned(b"", count, rejected, {}))
