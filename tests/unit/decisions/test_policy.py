"""Only evidence moves a release, and only as far as the mode allows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.canary.evidence import Reason, Verdict, VerdictKind
from analysis.decisions.policy import MODES, decide
from analysis.decisions.records import Arm, CanaryRecord, Declaration
from analysis.decisions.states import Action, CanaryState

CANARY = CanaryRecord(
    declaration=Declaration(
        "d-1", "demo", "playback", Arm("1", "sha256:a", ()), Arm("2", "sha256:b", ()), 1, 2
    ),
    declared_unix_nano=1,
    state=CanaryState.OBSERVING,
    reason="observing",
    summary="",
    looks=10,
    verdict=None,
    config_text="",
    rule_digest="",
    decision=None,
)


def verdict(kind: VerdictKind, *, final: bool = True) -> Verdict:
    return Verdict(kind, Reason.REGRESSION, "Because.", 5, final, "start_failures", "device=tv")


@pytest.mark.parametrize(
    ("kind", "mode", "action"),
    [
        ("fail", "act", "rollback"),
        ("fail", "advise", "rollback"),
        ("fail", "observe", None),
        ("pass", "act", "promotion"),
        ("pass", "advise", "promotion"),
        ("pass", "observe", None),
        ("inconclusive", "act", None),
        ("inconclusive", "advise", None),
        ("inconclusive", "observe", None),
        ("invalid", "act", None),
        ("invalid", "advise", None),
        ("invalid", "observe", None),
    ],
)
def test_the_action_follows_from_verdict_and_mode(kind, mode, action):
    """FAIL rolls back, PASS promotes, the others do nothing; nothing is decided in observe."""
    ruling = decide(CANARY, verdict(VerdictKind(kind)), mode)
    assert (None if ruling.draft is None else str(ruling.draft.action)) == action
    assert ruling.draft is None or ruling.draft.mode == mode
    assert ruling.reason


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", VerdictKind)
def test_a_hold_decides_nothing(kind, mode):
    """A verdict that is not final never leads to a decision."""
    assert decide(CANARY, verdict(kind, final=False), mode).draft is None


def test_the_draft_carries_the_verdicts_reason():
    """Verdict, sentence and culprit go into the decision unchanged."""
    draft = decide(CANARY, verdict(VerdictKind.FAIL), "act").draft
    assert draft is not None
    assert draft.action is Action.ROLLBACK
    assert (draft.verdict, draft.summary) == ("fail", "Because.")
    assert (draft.culprit_metric, draft.culprit_split) == ("start_failures", "device=tv")


def test_a_canary_is_decided_about_once(decision):
    """With a decision made, a second verdict changes nothing."""
    decided = replace(CANARY, decision=decision)
    ruling = decide(decided, verdict(VerdictKind.PASS), "act")
    assert ruling.draft is None
    assert decision.decision_id in ruling.reason


@pytest.mark.parametrize(("mode", "action"), [("act", "rollback"), ("observe", None)])
def test_a_budget_policy_takes_back_what_is_undecided(mode, action):
    """A person's rule; the verdict stays what it is, and the mode says how far we go."""
    undecided = replace(verdict(VerdictKind.INCONCLUSIVE), reason=Reason.BUDGET_POLICY)
    ruling = decide(CANARY, undecided, mode)
    assert (None if ruling.draft is None else str(ruling.draft.action)) == action
    assert ruling.draft is None or ruling.draft.verdict == "inconclusive"
