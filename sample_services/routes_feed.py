"""Keeps a process's copy of the routing table fresh by long polling the deployer."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import aiohttp

from sample_services.errors import NoInstanceError
from sample_services.routing import EMPTY_TABLE, RoutingTable, table_from_json

logger = logging.getLogger("samples.routes")

#: The deployer answers at the next change, or after this long with "nothing new".
LONG_POLL_S = 10.0
#: Pause after a failed poll: the deployer restarts in about half a second.
RETRY_PAUSE_S = 0.2
#: Failures in a row before it is worth a line: more than one restart of the deployer takes.
TELL_AFTER_FAILURES = 10
READY_TIMEOUT_S = 15.0


class RoutesFeed:
    """``table`` is the newest known table; a lost deployer leaves the last one in force."""

    def __init__(self, controller_url: str, reader: str) -> None:
        self._url = f"{controller_url}/v1/routes"
        self._reader = reader
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self.table: RoutingTable = EMPTY_TABLE

    async def start(self, needs: tuple[str, ...]) -> None:
        """Follow the table; returns when every service in ``needs`` is routable.

        Raises NoInstanceError after READY_TIMEOUT_S.
        """
        self._task = asyncio.create_task(self._follow())

        def complete() -> bool:
            return {endpoint.service for endpoint in self.table.endpoints}.issuperset(needs)

        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(complete), READY_TIMEOUT_S)
            except TimeoutError:
                raise NoInstanceError(f"no instances of all of {needs} yet") from None

    async def stop(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _follow(self) -> None:
        # Not observed on purpose: these waits are no user's requests.
        timeout = aiohttp.ClientTimeout(total=LONG_POLL_S + 5.0)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            failures = 0
            while True:
                try:
                    await self._poll(session)
                    failures = 0
                except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
                    failures += 1
                    if failures == TELL_AFTER_FAILURES:
                        logger.warning("routes not read: %s", type(error).__name__)
                    await asyncio.sleep(RETRY_PAUSE_S)

    async def _poll(self, session: aiohttp.ClientSession) -> None:
        params = {
            "after_version": str(self.table.version),
            "wait_s": str(LONG_POLL_S),
            "reader": self._reader,
        }
        async with session.get(self._url, params=params) as reply:
            reply.raise_for_status()
            table = table_from_json(await reply.json())
        if table.version != self.table.version:
            async with self._changed:
                self.table = table
                self._changed.notify_all()
