"""Commits decisions one after another and says so after each, until it is killed.

Arguments: database URL, receiver URL, how many (0 = until killed).
"""

from __future__ import annotations

import itertools
import sys

from analysis.decisions.ledger import Ledger
from analysis.decisions.records import Arm, DecisionDraft, Declaration
from analysis.decisions.states import Action
from analysis.webhooks.events import Addressing
from telemetry.clock import SystemClock


def main(url: str, receiver_url: str, count: int) -> None:
    clock = SystemClock()
    addressing = Addressing("deployer", receiver_url, "http://127.0.0.1:1", 900.0)
    ledger = Ledger.open(url, clock, addressing)
    print("open", flush=True)
    for number in itertools.count() if count == 0 else range(count):
        now = clock.wall_unix_nano()
        deployment_id = f"d-{now}-{number}"
        service = f"service-{number}"
        arms = Arm("1", "sha256:a", ("b",)), Arm("2", "sha256:b", ("c",))
        ledger.declare(Declaration(deployment_id, "demo", service, *arms, now, now + 10**12))
        ledger.start_judging(deployment_id, "rule", "f" * 64)
        look = {
            "index": 0,
            "unix_nano": now,
            "verdict": "fail",
            "final": True,
            "reason": "regression",
            "summary": "Worse.",
            "culprit_metric": None,
            "culprit_split": None,
        }
        draft = DecisionDraft(Action.ROLLBACK, "act", "fail", "Worse.", None, None)
        decision = ledger.conclude(deployment_id, look, {"looks": 1}, "failed", draft)
        assert decision is not None
        print("committed", decision.decision_id, flush=True)
    # The parent kills this process here: after the commit, before any delivery.
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
