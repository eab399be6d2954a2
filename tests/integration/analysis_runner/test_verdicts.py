"""What each kind of release ends in, and that a restart changes nothing."""

from __future__ import annotations

import json

import pytest


async def _warm(stage, seconds: int = 20) -> None:
    for _ in range(seconds):
        await stage.second(look=False)
    await stage.declare()


async def test_a_good_canary_passes_and_is_promoted(stage):
    """PASS, one promotion, one delivery."""
    await _warm(stage)
    await stage.until_over(240)
    canary = stage.canary
    assert (str(canary.state), canary.verdict["kind"]) == ("passed", "pass")
    assert canary.decision.action == "promotion"
    (delivery,) = stage.ledger.outbox.deliveries(canary.decision.decision_id)
    assert delivery.state == "pending"


@pytest.mark.slow
async def test_when_both_arms_are_bad_nothing_is_rolled_back(stage):
    """A common cause is not the canary's fault."""
    await _warm(stage)
    for arm in stage.fleet.arms.values():
        arm.failure_ratio = arm.legacy_failure_ratio = 0.3
    await stage.until_over(60)
    verdict = stage.canary.verdict
    assert (verdict["kind"], verdict["reason"]) == ("inconclusive", "both_bad")
    assert stage.ledger.decisions() == []


async def test_a_new_process_goes_on_with_the_same_evidence(stage):
    """Its next look takes the very next step, and nothing it knew is lost."""
    await _warm(stage, 10)
    await stage.until_over(12)
    before, state = stage.last_look, stage.ledger.judge_state(stage.fleet.deployment_id)
    await stage.new_runner()
    stage.clock.advance(0.4)
    await stage.runner.look_at_canaries()
    stage.clock.step_wall(-0.4)
    after = stage.last_look
    resumed = stage.ledger.judge_state(stage.fleet.deployment_id)
    assert after["index"] == before["index"] + 1
    assert after["log_e_value"] == before["log_e_value"]
    assert json.dumps(resumed["books"]) == json.dumps(state["books"])
    for _ in range(5):
        await stage.second()
    assert stage.last_look["traffic"]["reading"]["late_events"] == 0
    events = stage.ledger.events(0, stage.clock.wall_unix_nano() + 10**9)
    assert "judged_anew" not in {event.kind for event in events}
