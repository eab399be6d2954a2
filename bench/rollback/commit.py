"""A canary declared, failed, its rollback committed: by what is timed and by what is killed."""

from __future__ import annotations

from analysis.decisions.ledger import Ledger
from analysis.decisions.records import Arm, Decision, DecisionDraft, Declaration
from analysis.decisions.states import Action
from telemetry.clock import SystemClock

LIFETIME_NS = 10**12


def commit_rollback(
    ledger: Ledger, name: str, environment: str, service: str, digest: str = "sha256:b"
) -> Decision:
    """Its FAIL and its rollback are one transaction; ``digest`` is the canary's."""
    clock = SystemClock()
    now = clock.wall_unix_nano()
    arms = Arm("1", "sha256:a", ("b",)), Arm("2", digest, ("c",))
    ledger.declare(Declaration(name, environment, service, *arms, now, now + LIFETIME_NS))
    ledger.start_judging(name, "rule", "f" * 64)
    look = {
        "index": 0,
        "unix_nano": clock.wall_unix_nano(),
        "verdict": "fail",
        "final": True,
        "reason": "regression",
        "summary": "Worse.",
        "culprit_metric": None,
        "culprit_split": None,
    }
    draft = DecisionDraft(Action.ROLLBACK, "act", "fail", "Worse.", None, None)
    decision = ledger.conclude(name, look, {"looks": 1}, "failed", draft)
    assert decision is not None
    return decision
