"""A request's way to its acknowledgement: admitted, scanned, durable."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from collector.access.tokens import FREE, Binding
from collector.config import CollectorConfig
from collector.limits.overload import Overload
from collector.limits.series_book import Admission
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
#: Points cost several times as much a byte as spans.
INLINE_POINTS_BYTES: Final = 32_768


@dataclass(frozen=True, slots=True)
class Taken:
    """What the sender is told: durable, but for ``rejected_count`` items."""

    rejected_count: int
    message: str


def _undo_after(admission: Admission | None, work: asyncio.Future[Scanned]) -> None:
    if not work.cancelled():
        work.exception()  # seen, so that nobody complains
    if admission is not None:
        admission.undo()


@contextlib.contextmanager
def _undone_on_failure(admission: Admission | None) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if admission is not None:
            admission.undo()
        raise


class Intake:
    """Where both receivers deliver; lives on one event loop."""

    def __init__(
        self,
        config: CollectorConfig,
        wal: Wal,
        accounting: Accounting,
        metrics: SelfMetrics,
        clock: Clock,
        overload: Overload,
    ) -> None:
        self._limits = config.limits
        self._backlog_bytes = config.wal.max_backlog_bytes
        self._max_wait_s = config.wal.max_wait_s
        self._wal = wal
        self._accounting = accounting
        self._metrics = metrics
        self._clock = clock
        self.recent = RecentBodies(clock)
        self.overload = overload
        #: Requests whose points are being shown to the series right now; bounded by what may be
        #: in flight.
        self._being_scanned: dict[bytes, asyncio.Event] = {}

    async def take(self, signal: Signal, body: bytes, binding: Binding = FREE) -> Taken:
        """Returns once the accepted part of ``body`` is durable.

        Of senders bound to services only those services' items are accepted.

        Raises Malformed, TooLarge, BacklogFull or WalUnavailable; then nothing was taken.
        """
        admission = self.overload.before(signal)
        reserved_bytes = len(body) + HEADER_BYTES
        if not self._accounting.reserve(reserved_bytes, limit_bytes=self._backlog_bytes):
            raise BacklogFull("the store is behind and too many bytes wait for it")
        kept_bytes = 0
        try:
            # A body that is known is not shown to the series, which would know all of its points.
            as_sent = None if admission is None else await self._digest_as_sent(signal, body)
            is_known = as_sent is not None and as_sent in self.recent
            admission = None if is_known else admission
            scanned = await self._scan(signal, body, admission, as_sent, binding)
            key = as_sent if is_known and as_sent else digest(signal, scanned.body)
            is_new = scanned.item_count > 0 and key not in self.recent
            if is_new:
                kept_bytes = len(scanned.body) + HEADER_BYTES
        finally:
            self._accounting.release(reserved_bytes - kept_bytes)
        self.overload.after(scanned.item_count, scanned.newest_unix_nano)
        if is_new:
            keys = (key,) if as_sent is None else (key, as_sent)
            await self._written(signal, scanned, keys, kept_bytes, admission)
        elif scanned.item_count:
            await self._repeated(signal, scanned, key)
        else:
            self._acknowledged(signal, scanned)
        return Taken(scanned.rejected_count, scanned.message())

    async def _digest_as_sent(self, signal: Signal, body: bytes) -> bytes:
        """What identifies the request; waits while the same one is being scanned."""
        key = digest(signal, body)
        while key in self._being_scanned:
            await self._being_scanned[key].wait()
        return key

    async def _scan(
        self,
        signal: Signal,
        body: bytes,
        admission: Admission | None,
        as_sent: bytes | None,
        binding: Binding,
    ) -> Scanned:
        """What stands of the body.

        From its end to the append nothing is awaited: either the points that ``admission`` has
        taken are appended, or it is undone.
        """
        now_unix_nano = self._clock.wall_unix_nano()
        call = partial(
            scan,
            signal,
            body,
            self._limits,
            now_unix_nano=now_unix_nano,
            admission=admission,
            binding=binding,
        )
        if len(body) <= (INLINE_BYTES if admission is None else INLINE_POINTS_BYTES):
            with _undone_on_failure(admission):
                return call()
        scanned_event = asyncio.Event()
        if as_sent is not None:
            self._being_scanned[as_sent] = scanned_event
        work = asyncio.ensure_future(asyncio.to_thread(call))
        try:
            return await asyncio.shield(work)
        except BaseException:  # the body is bad, or the sender hung up before it was read
            work.add_done_callback(partial(_undo_after, admission))
            raise
        finally:
            if as_sent is not None:
                del self._being_scanned[as_sent]
            scanned_event.set()

    async def _written(
        self,
        signal: Signal,
        scanned: Scanned,
        keys: tuple[bytes, ...],
        kept_bytes: int,
        admission: Admission | None,
    ) -> None:
        """Wait for the disk.

        The books are kept by the log's thread, because a sender that hangs up ends this
        coroutine but not the write.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        for key in keys:
            self.recent.add(key, future)

        def settle(failure: WalUnavailable | None) -> None:
            if failure is None:
                future.set_result(None)
            else:
                for key in keys:
                    self.recent.forget(key)
                future.set_exception(failure)

        def done(failure: WalUnavailable | None) -> None:
            if failure is None:
                self._acknowledged(signal, scanned)
            else:
                self._accounting.release(kept_bytes)
                if admission is not None:
                    admission.undo()
            with contextlib.suppress(RuntimeError):  # the loop ended: nobody waits any more
                loop.call_soon_threadsafe(settle, failure)

        self._wal.append(signal, scanned.body, scanned.item_count, done)
        await self._durable(future)

    async def _repeated(self, signal: Signal, scanned: Scanned, key: bytes) -> None:
        """The same bytes again: safe as soon as the first ones are."""
        state = self.recent.state(key)
        if state is not None:
            await self._durable(state)
        self._accounting.repeated(signal, scanned.item_count, scanned.rejected)
        self._metrics.repeated(signal, scanned)

    async def _durable(self, state: asyncio.Future[None]) -> None:
        """Raises WalUnavailable, also when the disk takes too long.

        The write goes on then, and the sender comes again with the same bytes: counted once. The
        state is shielded, because another request may wait for it too.
        """
        try:
            async with asyncio.timeout(self._max_wait_s):
                await asyncio.shield(state)
        except TimeoutError:
            raise WalUnavailable(f"the disk did not answer within {self._max_wait_s:g} s") from None

    def _acknowledged(self, signal: Signal, scanned: Scanned) -> None:
        self._accounting.accepted(signal, scanned.item_count, scanned.rejected)
        self._metrics.accepted(signal, scanned)
