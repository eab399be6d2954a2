"""A restart gives no budget back: what was counted before the fine past is read back coarsely."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.reading.answers import SeriesAnswer
from analysis.reading.client import CollectorClient
from analysis.reading.errors import ReadingError
from analysis.runner.older_past import OlderPast, coarse_step_s
from analysis.slo.objectives import load_objectives, shipped_text
from analysis.slo.tracker import SloTracker


async def test_a_restarted_fleet_has_the_budget_it_had(stage):
    """Failures longer ago than ``fleet_backfill_s``, read back in slices of minutes."""
    stage.fleet.has_canary = False
    behaviour = stage.fleet.stable
    fleet = stage.runner.fleet
    await fleet.start()
    behaviour.failure_ratio = behaviour.legacy_failure_ratio = 0.5
    for _ in range(15):
        await stage.second(look=False)
    await fleet.tick()
    stage.clock.advance(700.0)
    stage.fleet.now_unix_nano = stage.clock.wall_unix_nano()
    behaviour.failure_ratio = behaviour.legacy_failure_ratio = 0.0
    for second in range(15):
        await stage.second(look=False)
        if second % 5 == 4:
            await fleet.tick()
    before = {one["name"]: one for one in stage.ledger.statuses("slo")}
    restarted = (await stage.new_runner()).fleet
    await restarted.start()
    await restarted.tick()
    after = {one["name"]: one for one in stage.ledger.statuses("slo")}
    assert before.keys() == after.keys()
    for name, one in before.items():
        assert one["total"] - one["good"] > 20
        for number in ("good", "total", "budget_remaining_ratio"):
            assert after[name][number] == one[number]


def test_the_coarse_step_divides_every_time_slice():
    month, hour = load_objectives({"objectives.yaml": shipped_text()})
    assert coarse_step_s([month, hour], 5) == 300
    assert coarse_step_s([month, hour], 7) == 294
    assert coarse_step_s([replace(month, slice_s=120), hour], 5) == 120
    assert coarse_step_s([replace(month, slice_s=120), replace(hour, slice_s=180)], 5) == 60
    assert coarse_step_s([month], 400) == 400


class Overwhelmed(CollectorClient):
    """Refuses what reaches further back than a moment, and everything while it is down."""

    def __init__(self, fails_before_unix_nano):
        self.fails_before_unix_nano = fails_before_unix_nano
        self.is_down = False
        self.asked = []

    async def increase(self, metric, *, from_unix_nano, to_unix_nano, step_ns, **_):
        self.asked.append((to_unix_nano - from_unix_nano) // step_ns)
        if self.is_down or from_unix_nano < self.fails_before_unix_nano:
            raise ReadingError("took too long")
        start = from_unix_nano
        points = dict.fromkeys(range(start, to_unix_nano, step_ns), 1)
        answered = (({"playback.outcome": "success"}, points),)
        return SeriesAnswer(answered, start, to_unix_nano, step_ns)


async def test_a_day_that_cannot_be_read_is_left_out_and_said():
    """Ever fewer slices are asked; nothing is left out while nothing at all is answered."""
    month, _ = load_objectives({"objectives.yaml": shipped_text()})
    tracker = SloTracker(month, 60, 1e12)
    until_s = 1_790_000_100 // 300 * 300
    client = Overwhelmed((until_s - 15 * 86_400) * 10**9)
    client.is_down = True
    older = OlderPast(client, [tracker], 300, until_s * 10**9)
    for _ in range(20):
        with pytest.raises(ReadingError):
            await older.read()
    client.is_down = False
    await older.read()
    assert client.asked[:4] == [2_000, 1_000, 500, 250]
    budget = tracker.evaluate(until_s * 10**9).budget
    left_out = -(-15 * 288 // 125) * 125  # whole questions
    assert budget.total == 30 * 288 - left_out
    assert budget.covered_ratio == pytest.approx(budget.total / (30 * 288))
