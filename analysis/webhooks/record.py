"""Results of requests go into the ledger together: one commit for all that wait for one.

Every result waits while the ledger cannot be used, up to a bound; then it is dropped, its lease
ends by itself, and the same command is sent once more.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Final

from analysis.decisions.outbox_desk import OutboxDesk, Result
from analysis.errors import LedgerUnavailableError
from analysis.metrics import Metrics

logger = logging.getLogger("davylamp.delivery")

#: Pauses between tries to record a result while the ledger is unavailable.
RECORD_PAUSES_S: Final = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 10.0)


@dataclass
class _Waiting:
    result: Result
    done: asyncio.Future[None]
    tries: int = 0


@dataclass
class Recorder:
    """Writes while ``run()`` runs. Bounded by the requests under way: each waits for its own."""

    desk: OutboxDesk
    metrics: Metrics
    _waiting: list[_Waiting] = field(default_factory=list)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def record(self, result: Result) -> None:
        """Until it is on disk, found stale, or given up."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(result, done))
        self._wake.set()
        await done

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                batch, self._waiting = self._waiting, []
                left = await self._write(batch)
                if left:
                    self._waiting = left + self._waiting
                    await asyncio.sleep(RECORD_PAUSES_S[min(one.tries for one in left) - 1])

    async def _write(self, batch: list[_Waiting]) -> list[_Waiting]:
        """Write the batch; returns what must be tried again."""
        try:
            valid = await asyncio.to_thread(self.desk.record, [one.result for one in batch])
        except LedgerUnavailableError as error:
            self.metrics.ledger_failures.labels("delivery").inc()
            return [one for one in batch if _goes_on(one, error)]
        except Exception as error:  # noqa: BLE001 - a defect of ours; told by whoever waits for it
            if len(batch) == 1:
                _end(batch[0], error)
                return []
            # One of them is at fault; the others are not to suffer for it.
            return [left for one in batch for left in await self._write([one])]
        for one, is_valid in zip(batch, valid, strict=True):
            if not is_valid:
                self.metrics.stale_leases.inc()
            _end(one, None)
        return []


def _goes_on(one: _Waiting, error: LedgerUnavailableError) -> bool:
    one.tries += 1
    if one.tries <= len(RECORD_PAUSES_S):
        return True
    logger.error("result of %s not recorded: %s", one.result.lease.webhook_id, error)
    _end(one, None)
    return False


def _end(one: _Waiting, error: Exception | None) -> None:
    if one.done.done():
        return  # whoever waited was cut off; the ledger knows what was written
    if error is None:
        one.done.set_result(None)
    else:
        one.done.set_exception(error)
