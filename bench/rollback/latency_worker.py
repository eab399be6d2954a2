"""The process that is timed: a real ledger with its guards, a real deliverer, a plan of decisions.

Reads one JSON line: folder, database URL, endpoints ``[[id, url], ..]``, and the plan, ``[[seconds
after the start, endpoint number, lane number], ..]``. Says ``ready``, then declares each canary at
its time and commits its FAIL with its rollback, several at once when they are due together, and
says ``done`` when the last one is committed. Ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry

from analysis.config import EndpointConfig
from analysis.decisions.guard_store import Guarding
from analysis.decisions.guards import GuardLimits
from analysis.decisions.kill_switch import KillSwitch
from analysis.decisions.ledger import Ledger
from analysis.metrics import Metrics
from analysis.webhooks.deliver import Deliverer
from analysis.webhooks.events import Addressing, Route
from bench.rollback.commit import commit_rollback
from telemetry.clock import SystemClock

ENVIRONMENT = "latency"
#: Ample, so that the guards are asked and hold nothing.
LIMITS = GuardLimits(1, 10**6, 10**6, 60.0, 10**6, 10**6, 60.0)
#: As the runner has: threads that commit.
COMMITTERS = 8


def conclude(ledger: Ledger, number: int, service: str) -> None:
    """A release of its own, which the guards have never seen."""
    decision = commit_rollback(ledger, f"d-{number}", ENVIRONMENT, service, f"sha256:{number:08x}")
    assert decision.mode == "act", decision.summary


async def run(told: dict[str, Any]) -> None:
    """Until the plan is committed and the input ends."""
    clock, folder = SystemClock(), Path(told["folder"])
    networks = ("127.0.0.0/8",)
    endpoints = [
        EndpointConfig(name, url, folder / "secret", networks, plain_http=False)
        for name, url in told["endpoints"]
    ]
    routes = tuple(
        Route((f"{ENVIRONMENT}/{one.endpoint_id}-*",), one.endpoint_id, one.url)
        for one in endpoints
    )
    addressing = Addressing("nobody", "http://127.0.0.1:9", "http://127.0.0.1:9", 900.0, routes)
    guarding = Guarding(LIMITS, KillSwitch(folder / "stop"))
    ledger = Ledger.open(told["database_url"], clock, addressing, guarding)
    metrics = Metrics(CollectorRegistry())
    deliverer = Deliverer(ledger, endpoints, clock, np.random.default_rng(), metrics)
    await deliverer.start()
    print("ready", flush=True)
    loop, started_s = asyncio.get_running_loop(), clock.monotonic_s()
    with ThreadPoolExecutor(COMMITTERS) as pool:
        committing = []
        for number, (at_s, endpoint, lane) in enumerate(told["plan"]):
            await asyncio.sleep(max(started_s + at_s - clock.monotonic_s(), 0.0))
            service = f"{endpoints[endpoint].endpoint_id}-{lane}"
            committing.append(loop.run_in_executor(pool, conclude, ledger, number, service))
        await asyncio.gather(*committing)
    print("done", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    await deliverer.stop()
    ledger.close()


if __name__ == "__main__":
    asyncio.run(run(json.loads(sys.stdin.readline())))
