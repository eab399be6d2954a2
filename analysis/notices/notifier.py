"""Tells endpoints, each by a task of its own, so that one that hangs delays nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import aiohttp
import orjson
from numpy.random import Generator

from analysis.config import NoticeConfig
from analysis.errors import LedgerUnavailableError, SecretError
from analysis.metrics import Metrics
from analysis.notices.desk import NoticeDesk
from analysis.notices.formats import CONTENT_TYPES, Format, Sender
from analysis.notices.routing_key import read_routing_key
from analysis.notices.store import NoticeRow, Subscription, Told
from analysis.webhooks import attempt as attempts
from analysis.webhooks import outcome, signing
from analysis.webhooks.attempt import Answer
from analysis.webhooks.outcome import OutcomeKind
from analysis.webhooks.schedule import notice_delay_s
from collector.access.secret_files import PLAIN, SecretFiles
from telemetry.clock import Clock

logger = logging.getLogger("davylamp.notices")

#: The timeline is looked at this often, and an endpoint without work asks for it.
POLL_S: Final = 1.0
LEDGER_PAUSE_S: Final = 2.0
TOTAL_TIMEOUT_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Post:
    """One endpoint and its client."""

    config: NoticeConfig
    session: aiohttp.ClientSession


class Notifier:
    """Tells what the subscriptions of the settings ask for. ``run()`` until cancelled."""

    def __init__(
        self,
        desk: NoticeDesk,
        configs: Sequence[NoticeConfig],
        analysis_url: str,
        clock: Clock,
        rng: Generator,
        metrics: Metrics,
        left_s: Callable[[], float] = lambda: math.inf,
        files: SecretFiles = PLAIN,
    ) -> None:
        """``left_s``: seconds for which this process may surely send."""
        self._files = files
        self._desk = desk
        self._configs = configs
        self._wanted = tuple(
            Subscription(
                Sender(config.endpoint_id, analysis_url), Format(config.format), config.kinds
            )
            for config in configs
        )
        self._clock = clock
        self._rng = rng
        self._metrics = metrics
        self._left_s = left_s

    async def run(self) -> None:
        """Until cancelled; what is under way then is told again by the next process."""
        async with contextlib.AsyncExitStack() as stack:
            posts = []
            for config in self._configs:
                session = attempts.new_session(attempts.rules_of(config))
                posts.append(Post(config, await stack.enter_async_context(session)))
            await asyncio.gather(
                _every(self._fan_out, self._metrics),
                *(_every(partial(self._tell, post), self._metrics) for post in posts),
            )

    async def _fan_out(self) -> bool:
        if not self._wanted:
            return False
        return await asyncio.to_thread(self._desk.fan_out, self._wanted) > 0

    async def _tell(self, post: Post) -> bool:
        """One attempt, if one is due; whether there may be another."""
        row = await asyncio.to_thread(self._desk.take, post.config.endpoint_id)
        if row is None or self._left_s() <= 0:
            return False
        now = self._clock.wall_unix_nano()
        answer = await send(post, row, now, self._left_s(), self._files)
        self._metrics.notices.labels(str(answer.outcome.kind), answer.outcome.reason).inc()
        await asyncio.to_thread(self._desk.record, row, self._told(row, answer, now))
        return True

    def _told(self, row: NoticeRow, answer: Answer, now: int) -> Told:
        due = None
        if answer.outcome.kind is OutcomeKind.RETRY:
            delay_s = notice_delay_s(row.attempts + 1, answer.retry_after_s, self._rng)
            ended = self._clock.wall_unix_nano()
            due = None if delay_s is None else ended + round(delay_s * 1e9)
        is_delivered = answer.outcome.kind is OutcomeKind.DELIVERED
        return Told(now, is_delivered, due, answer.status, answer.error)


async def send(
    post: Post, row: NoticeRow, now_unix_nano: int, most_s: float, files: SecretFiles = PLAIN
) -> Answer:
    """Tell once. Never raises for the world's doing."""
    form = Format(post.config.format)
    try:
        if form is Format.PAGERDUTY:
            headers: dict[str, str] = {}
            key = read_routing_key(post.config.secret_file, files)
            body = orjson.dumps(orjson.loads(row.body) | {"routing_key": key})
        else:
            keys = signing.read_secrets(post.config.secret_file, files)
            body = row.body
            headers = signing.headers(keys, row.webhook_id, now_unix_nano // 10**9, body)
    except SecretError as error:
        return Answer(outcome.NO_SECRET, None, str(error))
    headers["content-type"] = CONTENT_TYPES[form]
    total_s = min(TOTAL_TIMEOUT_S, most_s)
    return await attempts.post(
        post.session, post.config, body, headers, now_unix_nano=now_unix_nano, total_s=total_s
    )


async def _every(act: Callable[[], Awaitable[bool]], metrics: Metrics) -> None:
    """Again at once while there is work, else after a pause."""
    while True:
        try:
            pause_s = 0.0 if await act() else POLL_S
        except LedgerUnavailableError as error:
            metrics.ledger_failures.labels("notices").inc()
            logger.warning("notices wait: %s", error)
            pause_s = LEDGER_PAUSE_S
        await asyncio.sleep(pause_s)
