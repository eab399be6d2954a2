"""Nothing is stored for longer than the collector looks back, and the counters go on."""

from __future__ import annotations

import pytest

SILENT_S = 400


@pytest.mark.slow
async def test_what_failed_while_nobody_heard_is_in_the_budget(stage):
    """Half of all fails until it is over; what was counted in the silence comes with its end."""
    stage.fleet.has_canary = False
    behaviour = stage.fleet.stable
    behaviour.plays_per_s = 8.0
    behaviour.failure_ratio = behaviour.legacy_failure_ratio = 0.5
    fleet = stage.runner.fleet
    await fleet.start()

    async def seconds(count, *, tick_every):
        for number in range(count):
            await stage.second(look=False)
            if number % tick_every == tick_every - 1:
                await fleet.tick()

    def status():
        found = {one["name"]: one for one in stage.ledger.statuses("slo")}
        return found["playback-starts-hour"]

    await seconds(30, tick_every=5)
    before = stage.fleet.sent["stable"]
    stage.is_cut = True
    await seconds(SILENT_S, tick_every=50)
    assert status()["state"] == "no_data"
    silent = stage.fleet.sent["stable"] - before
    stage.is_cut = False
    behaviour.failure_ratio = behaviour.legacy_failure_ratio = 0.0
    await seconds(20, tick_every=5)
    budget = status()
    assert silent < budget["total"] <= stage.fleet.sent["stable"]
    failed = budget["total"] - budget["good"]
    assert 0.45 * silent < failed < 0.55 * (before + silent)
    # Its slices were not seen all the same.
    assert budget["covered_ratio"] * 3_600 <= 60
