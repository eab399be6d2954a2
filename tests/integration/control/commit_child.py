"""Commits decisions one after another and says so after each, until it is killed.

Arguments: database URL, receiver URL, how many (0 = until killed).
"""

from __future__ import annotations

import itertools
import sys

from analysis.decisions.ledger import Ledger
from analysis.webhooks.events import Addressing
from bench.rollback.commit import commit_rollback
from telemetry.clock import SystemClock


def main(url: str, receiver_url: str, count: int) -> None:
    clock = SystemClock()
    addressing = Addressing("deployer", receiver_url, "http://127.0.0.1:1", 900.0)
    ledger = Ledger.open(url, clock, addressing)
    print("open", flush=True)
    for number in itertools.count() if count == 0 else range(count):
        name = f"d-{clock.wall_unix_nano()}-{number}"
        decision = commit_rollback(ledger, name, "demo", f"service-{number}")
        print("committed", decision.decision_id, flush=True)
    # The parent kills this process here: after the commit, before any delivery.
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
