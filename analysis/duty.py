"""When this process judges, decides and delivers: always on a file of its own, else while it leads.

On a shared ledger one process leads by lease (``analysis/decisions/leadership.py``), the others
serve the API and stand by. A term begins from what is stored and ends before its lease does:
requests under way are cut off in time, and whatever the last leader writes later has no effect.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from analysis.decisions.leadership import FencedDatabase, Leadership
from analysis.decisions.ledger import Ledger
from analysis.errors import LedgerUnavailableError
from analysis.metrics import Metrics
from analysis.runner.runner import Runner
from analysis.webhooks.breaker import EndpointHealth
from analysis.webhooks.deliver import Deliverer
from telemetry.clock import Clock

logger = logging.getLogger("davylamp.analysis")

#: Parts of a lease: between its renewals; and a term ends this long before its lease, so that what
#: it has under way can end too.
RENEW_RATIO: Final = 0.2
MARGIN_RATIO: Final = 0.2
#: What the runner has begun may finish this long; then it is cut off, the ledger knows the rest.
RUNNER_STOP_S: Final = 1.5
RUNNER_CUT_OFF_S: Final = 0.3

#: Makes what a term needs; the second argument: seconds it may surely still send.
NewTerm = Callable[[Ledger, Callable[[], float]], "Term"]


def holder_name() -> str:
    """One that no other process has, now or later."""
    return f"{socket.gethostname()[:64]}-{os.getpid()}-{os.urandom(4).hex()}"


@dataclass
class Term:
    """One stretch of judging and delivering."""

    deliverer: Deliverer
    runner: Runner
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _looking: asyncio.Task[None] | None = None

    async def begin(self) -> set[asyncio.Task[None]]:
        """Start; returns the loops, which end only by end() or by a bug."""
        self._looking = asyncio.create_task(self.runner.run(self._stop), name="runner")
        await self.deliverer.start()
        return {self.deliverer.loop_task, self._looking}

    async def end(self) -> None:
        """Let both finish, briefly; the ledger knows what was done."""
        self._stop.set()
        await asyncio.gather(self._end_looking(), self.deliverer.stop())

    async def _end_looking(self) -> None:
        if self._looking is None:
            return
        _, late = await asyncio.wait({self._looking}, timeout=RUNNER_STOP_S)
        if late:
            self._looking.cancel()
            await asyncio.wait({self._looking}, timeout=RUNNER_CUT_OFF_S)


class Duty:
    """One process's part in the work. ``run()`` until ``stop()``."""

    def __init__(
        self,
        ledger: Ledger,
        new_term: NewTerm,
        clock: Clock,
        metrics: Metrics,
        lease_s: float,
    ) -> None:
        """``lease_s``: of the leader of a shared ledger."""
        self._renew_s = RENEW_RATIO * lease_s
        self._margin_s = MARGIN_RATIO * lease_s
        self._ledger = ledger
        self._new_term = new_term
        self._metrics = metrics
        self._leadership = Leadership(ledger.database, clock, holder_name(), lease_s)
        self._term: Term | None = None
        self._stopping = asyncio.Event()
        # Of its own: the lease must not wait behind other work for a thread.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="leadership")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> asyncio.Task[None]:
        """Begin; the task ends by stop(), or by a bug in one of a term's loops."""
        self._task = asyncio.create_task(self._run(), name="duty")
        return self._task

    async def stop(self) -> None:
        """End the term, and let somebody else lead at once."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.wait({self._task})
        self._pool.shutdown(wait=False)

    def endpoints(self) -> Sequence[EndpointHealth]:
        """How receivers fare; nothing while another process delivers."""
        return [] if self._term is None else self._term.deliverer.endpoints()

    def is_alive(self) -> bool:
        """Whether it does its part: deliver, or stand by."""
        if self._task is None or self._task.done():
            return False
        return self._term is None or self._term.deliverer.is_alive()

    async def _run(self) -> None:
        if not self._ledger.database.is_shared:
            await self._serve_term(self._ledger, None)
            return
        fenced = self._ledger.on(FencedDatabase(self._ledger.database, self._leadership))
        while not self._stopping.is_set():
            if not await self._campaign():
                await self._pause(self._renew_s)
                continue
            logger.info("this process leads the ledger")
            await self._serve_term(fenced, asyncio.create_task(self._renew(), name="renewal"))
            if not self._stopping.is_set():
                logger.warning("another process may lead the ledger now; standing by")
        await self._resign()

    async def _serve_term(self, ledger: Ledger, renewing: asyncio.Task[None] | None) -> None:
        """One term, until stop(), the end of the lease, or a bug, which is raised."""
        left_s = (lambda: math.inf) if renewing is None else self._left_s
        self._term = self._new_term(ledger, left_s)
        stopping = asyncio.create_task(self._stopping.wait(), name="stopping")
        ends: set[asyncio.Task[object]] = {stopping} if renewing is None else {stopping, renewing}
        try:
            loops = await self._term.begin()
            self._metrics.leads.set(1)
            await asyncio.wait({*ends, *loops}, return_when=asyncio.FIRST_COMPLETED)
            broken = [loop for loop in loops if loop.done()]
        finally:
            self._metrics.leads.set(0)
            for task in ends:
                task.cancel()
            await self._term.end()
            self._term = None
        for loop in broken:
            raise RuntimeError(f"{loop.get_name()} has ended") from loop.exception()

    def _left_s(self) -> float:
        return self._leadership.left_s() - self._margin_s

    async def _renew(self) -> None:
        """Until the lease is lost or may be: then the term must end."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(self._renew_s, max(self._left_s(), 0.0)))
            asking = loop.run_in_executor(self._pool, self._ask)
            # An answer that comes late is one that came too late.
            done, _ = await asyncio.wait({asking}, timeout=max(self._left_s(), 0.0))
            if (done and asking.result() is False) or self._left_s() <= 0:
                return

    async def _campaign(self) -> bool:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._ask) or False

    def _ask(self) -> bool | None:
        """Whether we lead; None = no answer."""
        try:
            return self._leadership.campaign()
        except LedgerUnavailableError as error:
            self._metrics.ledger_failures.labels("leadership").inc()
            logger.warning("the lease of the ledger cannot be asked for: %s", error)
            return None

    async def _resign(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._leadership.resign)
        except LedgerUnavailableError:
            logger.warning("the lease ends by itself: the ledger cannot be used now")

    async def _pause(self, seconds_s: float) -> None:
        await asyncio.wait(
            {asyncio.create_task(self._stopping.wait(), name="stopping")}, timeout=seconds_s
        )
