"""The process that faults are done to: a real ledger and a real deliverer, fed by lines.

Arguments: folder of the secret, database URL, receiver URL, seconds a command lives, seconds of the
leader's lease on a shared database. A line ``<number> <service>`` on standard input commits a
canary's FAIL with its rollback; ``committed <number> <decision_id>`` or ``refused <number> <why>``
answers it once the transaction is on disk or without effect. Of several processes on one database
only the one that leads commits and delivers.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from prometheus_client import CollectorRegistry

from analysis.config import EndpointConfig
from analysis.decisions.ledger import Ledger
from analysis.duty import Duty, Term
from analysis.errors import AnalysisError, NotLeaderError
from analysis.metrics import Metrics
from analysis.webhooks.deliver import Deliverer
from analysis.webhooks.events import Addressing
from bench.rollback.commit import commit_rollback
from telemetry.clock import SystemClock

ENDPOINT_ID: Final = "deployer"
ENVIRONMENT: Final = "faults"


class Delivering(Term):
    """A term that judges nobody and tells nobody: the decisions come from outside."""

    def __init__(self, deliverer: Deliverer) -> None:
        self.deliverer = deliverer

    async def begin(self) -> set[asyncio.Task[None]]:
        """Deliver."""
        await self.deliverer.start()
        return {self.deliverer.loop_task}

    async def end(self) -> None:
        """As a term of the analysis process ends its deliverer."""
        await self.deliverer.stop()


@dataclass
class Leading:
    """The ledger that this process may decide in: a leader's writes are fenced."""

    ledger: Ledger | None = None

    def decide(self, number: str, service: str) -> str:
        """Declare a canary and conclude it; the id of the committed decision."""
        if self.ledger is None:
            raise NotLeaderError("this process has not led yet")
        name = f"d-{number}-{SystemClock().wall_unix_nano()}"
        return commit_rollback(self.ledger, name, ENVIRONMENT, service).decision_id


def serve_lines(leading: Leading, ended: threading.Event) -> None:
    """Answer each line; the end of the input ends the process."""
    for line in sys.stdin:
        number, service = line.split()
        try:
            print("committed", number, leading.decide(number, service), flush=True)
        except AnalysisError as error:
            print("refused", number, type(error).__name__, flush=True)
    ended.set()


async def run(folder: Path, database_url: str, url: str, lifetime_s: float, lease_s: float) -> None:
    """Deliver, while this process leads, until the input ends. Raises what a bug raises."""
    clock = SystemClock()
    endpoint = EndpointConfig(
        ENDPOINT_ID, url, folder / "secret", ("127.0.0.0/8",), plain_http=False
    )
    addressing = Addressing(ENDPOINT_ID, url, "http://127.0.0.1:9", lifetime_s)
    ledger = Ledger.open(database_url, clock, addressing)
    metrics = Metrics(CollectorRegistry())
    leading = Leading()

    def new_term(mine: Ledger, left_s: Callable[[], float]) -> Term:
        leading.ledger = mine
        rng = np.random.default_rng()
        return Delivering(Deliverer(mine, [endpoint], clock, rng, metrics, left_s=left_s))

    duty = Duty(ledger, new_term, clock, metrics, lease_s)
    on_duty = duty.start()
    print("ready", flush=True)
    ended = threading.Event()
    threading.Thread(target=serve_lines, args=(leading, ended), daemon=True).start()
    while not ended.is_set() and not on_duty.done():  # noqa: ASYNC110 - set by a thread that blocks
        await asyncio.sleep(0.05)
    await duty.stop()
    ledger.close()
    on_duty.result()


if __name__ == "__main__":
    _, told_folder, told_database, told_url, told_lifetime, told_lease = sys.argv
    asyncio.run(
        run(Path(told_folder), told_database, told_url, float(told_lifetime), float(told_lease))
    )
