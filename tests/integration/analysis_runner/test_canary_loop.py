"""From OTLP bodies in the store to a decision in the ledger, second by second."""

from __future__ import annotations


async def test_a_bad_canary_is_failed_and_its_rollback_is_in_the_outbox(stage):
    """Legacy televisions fail on the canary: FAIL, one decision, one delivery, a culprit."""
    for _ in range(20):
        await stage.second(look=False)
    await stage.declare()
    stage.fleet.arms["canary"].legacy_failure_ratio = 0.3
    await stage.until_over(90)
    canary = stage.canary
    assert (str(canary.state), canary.verdict["kind"]) == ("failed", "fail")
    assert canary.verdict["culprit_metric"] == "playback.start.failures"
    assert canary.decision.action == "rollback"
    assert canary.decision.evidence_sha256
    (delivery,) = stage.ledger.outbox.deliveries(canary.decision.decision_id)
    assert delivery.state == "pending"
    look = stage.last_look
    assert look["final"]
    assert look["log_e_value"] > look["threshold_log_e"]
