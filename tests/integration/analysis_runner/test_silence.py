"""Silence is never a verdict about the canary's quality, and an outage is no silence."""

from __future__ import annotations

import pytest


async def _warm(stage, seconds: int = 20) -> None:
    for _ in range(seconds):
        await stage.second(look=False)
    await stage.declare()


async def test_a_silent_canary_is_inconclusive_and_nothing_is_decided(stage):
    """Its instances stop reporting: held as canary_silent, no promotion, no rollback."""
    await _warm(stage)
    await stage.until_over(20)
    stage.fleet.arms["canary"].is_heard = False
    stage.fleet.arms["canary"].plays_per_s = 0.0
    for _ in range(20):
        await stage.second()
    verdict = stage.canary.verdict
    assert (verdict["kind"], verdict["reason"]) == ("inconclusive", "canary_silent")
    assert stage.ledger.decisions() == []


async def test_a_killed_collector_is_no_verdict_and_it_goes_on_afterwards(stage):
    """While it cannot be read the canary is held; then every event is taken after all."""
    await _warm(stage)
    await stage.until_over(15)
    await stage.collector.kill()
    stage.is_cut = True
    for _ in range(8):
        await stage.second()
        look = stage.last_look
        assert (look["reason"], look["final"]) == ("no_data", False)
        assert "collector_unreachable" in look["summary"]
    await stage.collector.start()
    stage.is_cut = False
    await stage.until_over(15)
    reading = stage.last_look["traffic"]["reading"]
    assert stage.clock.wall_unix_nano() - reading["taken_until_unix_nano"] < 4_000_000_000
    assert reading["late_events"] == 0
    assert stage.ledger.decisions() == []


@pytest.mark.slow
async def test_an_outage_longer_than_one_question_reaches_ends_too(stage):
    """Seventy seconds in which nothing was stored; the next report is read at once."""
    await _warm(stage)
    await stage.until_over(10)
    stage.is_cut = True
    for second in range(70):
        await stage.second(look=second % 10 == 0)
    assert "stale" in stage.last_look["summary"]
    stage.is_cut = False
    await stage.until_over(8)
    reading = stage.last_look["traffic"]["reading"]
    assert stage.clock.wall_unix_nano() - reading["taken_until_unix_nano"] < 4_000_000_000


async def test_an_expired_canary_ends_inconclusive(stage):
    """Its time is over before anything was proven: no decision."""
    await _warm(stage)
    await stage.until_over(5)
    stage.clock.advance(901.0)
    await stage.runner.look_at_canaries()
    assert str(stage.canary.state) == "inconclusive"
    assert stage.canary.verdict["reason"] == "undecided_at_horizon"
    assert stage.ledger.decisions() == []
