"""From outbox to receiver: takes due rows, sends them, records what came of it.

The loop wakes when a command is committed, when a row is due, and when a request ends; so the
first byte follows its decision within milliseconds. At most one request per lane is under way, and
every endpoint has its own limit and breaker, so that one that hangs delays nobody else's commands.
What the process forgets by dying the ledger knows: the next one sends the same bytes under the
same id.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import aiohttp
from numpy.random import Generator

from analysis.config import EndpointConfig
from analysis.decisions.ledger import Ledger
from analysis.decisions.outbox import Busy
from analysis.decisions.outbox_desk import Result
from analysis.decisions.records import Attempt, Lease
from analysis.errors import LedgerUnavailableError
from analysis.metrics import Metrics
from analysis.webhooks import attempt as attempts
from analysis.webhooks.attempt import Answer
from analysis.webhooks.breaker import MAX_PER_ENDPOINT, Breaker, EndpointHealth
from analysis.webhooks.outcome import NO_ENDPOINT, OutcomeKind
from analysis.webhooks.record import Recorder
from analysis.webhooks.schedule import next_due
from collector.access.secret_files import PLAIN, SecretFiles
from telemetry.clock import Clock

logger = logging.getLogger("davylamp.delivery")

#: Longer than a request may take, so that its result can still be recorded.
LEASE_S: Final = 60.0
#: Requests under way at once, each on another lane; of one endpoint breaker.MAX_PER_ENDPOINT.
MAX_UNDER_WAY: Final = 256
#: The ledger is asked at least this often, should a wake-up be lost.
MAX_PAUSE_S: Final = 5.0
#: Pause when rows are due that cannot be taken now (their lane is busy).
BUSY_PAUSE_S: Final = 0.25
LEDGER_PAUSE_S: Final = 1.0
#: Requests under way may finish this long after stop().
STOP_GRACE_S: Final = 1.5


@dataclass
class _Post:
    """An endpoint with what belongs to it while the process runs."""

    endpoint: EndpointConfig
    breaker: Breaker = field(default_factory=Breaker)
    session: aiohttp.ClientSession | None = None

    def health(self, now_s: float) -> EndpointHealth:
        endpoint, breaker = self.endpoint, self.breaker
        return EndpointHealth(
            endpoint.endpoint_id, endpoint.url, breaker.state(now_s), breaker.under_way
        )


class Deliverer:
    """Sends the commands of one ledger to its endpoints."""

    def __init__(
        self,
        ledger: Ledger,
        endpoints: Sequence[EndpointConfig],
        clock: Clock,
        rng: Generator,
        metrics: Metrics,
        *,
        left_s: Callable[[], float] = lambda: math.inf,
        files: SecretFiles = PLAIN,
    ) -> None:
        """``left_s``: seconds for which this process may surely send."""
        self._files = files
        self._left_s = left_s
        self._ledger = ledger
        self._outbox = ledger.outbox
        self._recorder = Recorder(ledger.outbox, metrics)
        self._posts = {endpoint.endpoint_id: _Post(endpoint) for endpoint in endpoints}
        self._clock = clock
        self._rng = rng
        self._metrics = metrics
        self._wake = asyncio.Event()
        self._is_stopping = False
        # Leases that nobody uses: of a term before this one, or of a commit whose answer was lost.
        self._is_in_doubt = True
        self._under_way: dict[str, asyncio.Task[None]] = {}  # by lane
        self._loop_task: asyncio.Task[None] | None = None
        self._recorder_task: asyncio.Task[None] | None = None
        self._end_listening: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Begin; rows left by a former process are due at once."""
        loop = asyncio.get_running_loop()
        for post in self._posts.values():
            post.session = attempts.new_session(attempts.rules_of(post.endpoint))

        def wake() -> None:
            loop.call_soon_threadsafe(self._wake.set)

        self._end_listening = self._ledger.on_command(wake)
        self._recorder_task = asyncio.create_task(self._recorder.run(), name="recorder")
        self._loop_task = asyncio.create_task(self._run(), name="delivery")

    async def stop(self) -> None:
        """End; a request that does not finish in time is repeated by the next process."""
        self._end_listening()
        self._is_stopping = True
        self._wake.set()
        if self._loop_task is not None:
            # Not cancelled: a lease taken on another thread would belong to nobody.
            await asyncio.wait({self._loop_task})
        tasks = list(self._under_way.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=STOP_GRACE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._recorder_task is not None:
            self._recorder_task.cancel()
        for post in self._posts.values():
            if post.session is not None:
                await post.session.close()

    @property
    def loop_task(self) -> asyncio.Task[None]:
        """The loop itself; it ends only by stop() or by a bug."""
        assert self._loop_task is not None, "start() comes first"
        return self._loop_task

    def is_alive(self) -> bool:
        """Whether commands are being delivered."""
        return self._loop_task is not None and not self._loop_task.done()

    def endpoints(self) -> list[EndpointHealth]:
        """How every endpoint fares, as this process has seen it since its start."""
        now_s = self._clock.monotonic_s()
        return [post.health(now_s) for post in self._posts.values()]

    async def _run(self) -> None:
        is_failing = False
        while not self._is_stopping:
            self._wake.clear()
            try:
                await self._take()
                pause_s = await self._pause_s()
                is_failing = False
            except LedgerUnavailableError as error:
                self._is_in_doubt = True
                self._metrics.ledger_failures.labels("delivery").inc()
                if not is_failing:
                    logger.error("deliveries wait: %s", error)  # noqa: TRY400 - the world's doing
                is_failing, pause_s = True, LEDGER_PAUSE_S
            if not self._is_stopping:
                await _wait(self._wake, pause_s)

    async def _take(self) -> None:
        """Bury what is over, then begin everything that is due and can go now."""
        now = self._clock.wall_unix_nano()
        free = MAX_UNDER_WAY - len(self._under_way)
        taken = await asyncio.to_thread(
            self._outbox.lease_due, now, LEASE_S, free, self._busy(), is_in_doubt=self._is_in_doubt
        )
        self._is_in_doubt = False
        self._metrics.expired.inc(taken.expired)
        for lease in taken.leases:
            task = asyncio.create_task(self._deliver(lease), name=f"deliver {lease.webhook_id}")
            self._under_way[lease.lane] = task
            task.add_done_callback(partial(self._finished, lease.lane))

    def _busy(self) -> Busy:
        """What cannot be taken now: lanes under way, endpoints without room."""
        now_s = self._clock.monotonic_s()
        rooms = {name: post.breaker.room(now_s) for name, post in self._posts.items()}
        limited = {name: room for name, room in rooms.items() if room < MAX_PER_ENDPOINT}
        return Busy(tuple(self._under_way), limited)

    async def _pause_s(self) -> float:
        now_s = self._clock.monotonic_s()
        waits_s = [post.breaker.wait_s(now_s) for post in self._posts.values()]
        most_s = min([wait_s for wait_s in waits_s if wait_s is not None], default=MAX_PAUSE_S)
        most_s = min(most_s, MAX_PAUSE_S)
        due = await asyncio.to_thread(self._outbox.next_due_unix_nano, self._busy())
        if due is None:
            return most_s
        until_s = (due - self._clock.wall_unix_nano()) / 1e9
        return min(until_s, most_s) if until_s > 0 else BUSY_PAUSE_S

    def _finished(self, lane: str, task: asyncio.Task[None]) -> None:
        del self._under_way[lane]
        self._wake.set()
        if not task.cancelled() and task.exception() is not None:
            logger.error("a delivery failed on our side", exc_info=task.exception())

    async def _deliver(self, lease: Lease) -> None:
        if self._left_s() <= 0:
            return  # the next term, here or elsewhere, ends this lease and sends it
        now = self._clock.wall_unix_nano()
        if now >= lease.expires_unix_nano:
            await self._recorder.record(self._outbox.unsent(lease))
            return
        stopped = self._outbox.stopped(lease.lane.partition("/")[2])
        if stopped is not None:
            reason = f"the kill switch is thrown: {stopped}"
            await self._recorder.record(self._outbox.dead(lease, None, lease.url, reason))
            return
        if lease.attempts_before == 0:
            self._metrics.first_attempt.observe((now - lease.created_unix_nano) / 1e9)
        started_s = self._clock.monotonic_s()
        answer = await self._send(lease, now, started_s)
        duration_s = self._clock.monotonic_s() - started_s
        self._metrics.attempt_duration.observe(duration_s)
        self._metrics.attempts.labels(str(answer.outcome.kind), answer.outcome.reason).inc()
        attempt = Attempt(now, answer.status, answer.error, round(duration_s, 6))
        await self._recorder.record(self._consequence(lease, attempt, answer))

    async def _send(self, lease: Lease, now_unix_nano: int, started_s: float) -> Answer:
        """One request, of which the endpoint's breaker knows."""
        post = self._posts.get(lease.endpoint_id)
        if post is None:
            return Answer(
                NO_ENDPOINT, None, f"endpoint {lease.endpoint_id!r} is not in the settings"
            )
        assert post.session is not None, "start() comes first"
        post.breaker.begin(started_s)
        is_well: bool | None = None
        try:
            answer = await attempts.send(
                post.session, post.endpoint, lease, now_unix_nano, self._left_s(), self._files
            )
            is_well = answer.outcome.is_well
        finally:
            if is_well is None:
                post.breaker.drop()
            else:
                post.breaker.end(self._clock.monotonic_s(), is_well=is_well)
        return answer

    def _consequence(self, lease: Lease, attempt: Attempt, answer: Answer) -> Result:
        """What to write into the ledger."""
        post = self._posts.get(lease.endpoint_id)
        url = lease.url if post is None else post.endpoint.url
        if answer.outcome.kind is OutcomeKind.DELIVERED:
            return self._outbox.delivered(lease, attempt, url)
        if answer.outcome.kind is OutcomeKind.DEAD:
            reason = f"{answer.status} {answer.outcome.reason}: {answer.error}"
            return self._outbox.dead(lease, attempt, url, reason)
        due = next_due(
            lease.attempts_before + 1,
            self._clock.wall_unix_nano(),
            lease.expires_unix_nano,
            answer.retry_after_s,
            self._rng,
        )
        return self._outbox.failed(lease, attempt, url, due)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    """Until the event or the timeout, whichever comes first."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
