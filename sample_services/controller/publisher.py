"""Publishing the routing table: long polls answered at each change, readers' progress known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from sample_services.routing import EMPTY_TABLE, RoutingTable
from telemetry.clock import Clock

#: A reader that has not asked for this long is gone; the longest poll takes ten seconds.
READER_LEASE_S = 15.0


class Publisher:
    """``build`` makes the table of a given version from the deployer's present knowledge."""

    def __init__(self, build: Callable[[int], RoutingTable], clock: Clock) -> None:
        self._build = build
        self._clock = clock
        # Milliseconds since 1970: versions keep growing over restarts of the deployer.
        self._first_version = clock.wall_unix_nano() // 1_000_000
        self._changed = asyncio.Event()
        self._readers: dict[str, tuple[int, float]] = {}
        self.closed = False
        self.table: RoutingTable = EMPTY_TABLE

    def publish(self) -> int:
        """Make a new version and wake every reader; returns the version."""
        version = max(self._first_version, self.table.version + 1)
        self.table = self._build(version)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        return version

    async def read(self, reader: str, after_version: int, wait_s: float) -> RoutingTable:
        """The table once its version is not ``after_version``, at latest after ``wait_s``."""
        if reader:
            self._readers[reader] = (after_version, self._clock.monotonic_s())
        if self.table.version == after_version and wait_s > 0.0:
            changed = self._changed
            try:
                await asyncio.wait_for(changed.wait(), wait_s)
            except TimeoutError:
                return self.table
        return self.table

    def keep_readers(self, running: Collection[str]) -> None:
        """Forget the readers whose processes are gone."""
        for reader in [name for name in self._readers if name not in running]:
            del self._readers[reader]

    async def wait_taken(self, version: int, timeout_s: float) -> bool:
        """Whether every living reader works with ``version`` or newer, within ``timeout_s``."""
        ends_s = self._clock.monotonic_s() + timeout_s
        while not self._taken(version):
            if self._clock.monotonic_s() >= ends_s:
                return False
            await asyncio.sleep(0.01)
        return True

    def _taken(self, version: int) -> bool:
        oldest_s = self._clock.monotonic_s() - READER_LEASE_S
        return all(
            taken >= version for taken, asked_s in self._readers.values() if asked_s >= oldest_s
        )

    def close(self) -> None:
        """Answer whoever waits, so that the process can end; nobody should begin to wait."""
        self.closed = True
        self._changed.set()
