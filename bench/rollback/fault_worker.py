"""The process that faults are done to: a real ledger and a real deliverer, fed by lines.

A line ``<number> <service>`` commits a canary's FAIL with its rollback; ``committed <number>
<decision_id>`` or ``refused <number> <why>`` answers it once the transaction is on disk or without
effect. Of several processes on one database only the one that leads commits and delivers.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, TextIO

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


@dataclass(frozen=True, slots=True)
class Orders:
    """What every process under test is told at its start; ``lease_s``: of a leader."""

    folder: Path
    database_url: str
    url: str
    lifetime_s: float
    lease_s: float


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


def serve_lines(asks: TextIO, answers: TextIO, leading: Leading, ended: threading.Event) -> None:
    """Answer each line; the end of the input ends the process."""
    for line in asks:
        number, service = line.split()
        try:
            print("committed", number, leading.decide(number, service), file=answers, flush=True)
        except AnalysisError as error:
            print("refused", number, type(error).__name__, file=answers, flush=True)
    ended.set()


async def run(orders: Orders, asks: TextIO, answers: TextIO) -> None:
    """Deliver, while this process leads, until the input ends. Raises what a bug raises."""
    clock = SystemClock()
    endpoint = EndpointConfig(
        ENDPOINT_ID, orders.url, orders.folder / "secret", ("127.0.0.0/8",), plain_http=False
    )
    addressing = Addressing(ENDPOINT_ID, orders.url, "http://127.0.0.1:9", orders.lifetime_s)
    ledger = Ledger.open(orders.database_url, clock, addressing)
    metrics = Metrics(CollectorRegistry())
    leading = Leading()

    def new_term(mine: Ledger, left_s: Callable[[], float]) -> Term:
        leading.ledger = mine
        rng = np.random.default_rng()
        return Delivering(Deliverer(mine, [endpoint], clock, rng, metrics, left_s=left_s))

    duty = Duty(ledger, new_term, clock, metrics, orders.lease_s)
    on_duty = duty.start()
    print("ready", file=answers, flush=True)
    ended = threading.Event()
    arguments = asks, answers, leading, ended
    threading.Thread(target=serve_lines, args=arguments, daemon=True).start()
    while not ended.is_set() and not on_duty.done():  # noqa: ASYNC110 - set by a thread that blocks
        await asyncio.sleep(0.05)
    await duty.stop()
    ledger.close()
    on_duty.result()


def live(orders: Orders, asks: Connection, answers: Connection) -> None:
    """A process's whole life, forked from one that has imported everything and opened nothing."""
    with (orders.folder / "stderr").open("a") as stderr:
        os.dup2(stderr.fileno(), 2)
    with os.fdopen(os.dup(asks.fileno())) as reading, os.fdopen(os.dup(answers.fileno()), "w") as w:
        asyncio.run(run(orders, reading, w))
