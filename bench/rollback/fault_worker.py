"""The process that faults are done to: a real ledger and a real deliverer, fed by lines.

Arguments: folder, receiver URL, seconds a command lives. A line ``<number> <service>`` on standard
input commits a canary's FAIL with its rollback; ``committed <number> <decision_id>`` or
``refused <number> <why>`` answers it once the transaction is on disk or without effect.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry

from analysis.config import EndpointConfig
from analysis.decisions.ledger import Ledger
from analysis.errors import AnalysisError
from analysis.metrics import Metrics
from analysis.webhooks.deliver import Deliverer
from analysis.webhooks.events import Addressing
from bench.rollback.commit import commit_rollback
from telemetry.clock import SystemClock

ENDPOINT_ID = "deployer"
ENVIRONMENT = "faults"


def decide(ledger: Ledger, number: str, service: str) -> str:
    """Declare a canary and conclude it; the id of the committed decision."""
    name = f"d-{number}-{SystemClock().wall_unix_nano()}"
    return commit_rollback(ledger, name, ENVIRONMENT, service).decision_id


def serve_lines(ledger: Ledger, ended: threading.Event) -> None:
    """Answer each line; the end of the input ends the process."""
    for line in sys.stdin:
        number, service = line.split()
        try:
            print("committed", number, decide(ledger, number, service), flush=True)
        except AnalysisError as error:
            print("refused", number, type(error).__name__, flush=True)
    ended.set()


async def run(folder: Path, url: str, lifetime_s: float) -> None:
    """Deliver until the input ends."""
    clock = SystemClock()
    endpoint = EndpointConfig(
        ENDPOINT_ID, url, folder / "secret", ("127.0.0.0/8",), plain_http=False
    )
    addressing = Addressing(ENDPOINT_ID, url, "http://127.0.0.1:9", lifetime_s)
    ledger = Ledger.open(f"sqlite:///{folder / 'ledger.sqlite'}", clock, addressing)
    metrics = Metrics(CollectorRegistry())
    deliverer = Deliverer(ledger, [endpoint], clock, np.random.default_rng(), metrics)
    await deliverer.start()
    print("ready", flush=True)
    ended = threading.Event()
    threading.Thread(target=serve_lines, args=(ledger, ended), daemon=True).start()
    while not ended.is_set():  # noqa: ASYNC110 - set by a thread that blocks on the pipe
        await asyncio.sleep(0.05)
    await deliverer.stop()
    ledger.close()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
