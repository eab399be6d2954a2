"""An objective's past read from a real collector: what was sent, slice by slice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.runner.objective_past import read_past
from analysis.slo.looking_back import Past, explained, what_if
from analysis.slo.objectives import load_objectives, shipped_text
from analysis.slo.openslo.time_windows import Period

SLICE_S = 5


@pytest.fixture
def hour():
    """The shipped objective over one hour."""
    found = {one.name: one for one in load_objectives({"objectives.yaml": shipped_text()})}
    return found["playback-starts-hour"]


async def test_what_was_sent_is_what_is_counted(stage, hour):
    """Good, bad and silence; whole slices; the outage pages under a strict target only."""
    start_s = stage.clock.wall_unix_nano() // 10**9
    stage.fleet.has_canary = False
    for second in range(60):
        stage.fleet.stable.failure_ratio = 0.5 if 20 <= second < 40 else 0.0
        await stage.second(look=False)
    sent = stage.fleet.sent["stable"]
    stage.is_cut = True
    for _ in range(20):
        await stage.second(look=False)
    end_s = stage.clock.wall_unix_nano() // 10**9
    past = await read_past(stage.client, hour, Period(start_s - 3_600, end_s), SLICE_S)
    total = int(past.good.sum() + past.bad.sum())
    # The first export of a cumulative counter is no increase.
    assert 0.9 * sent < total <= sent
    assert 0.3 < past.bad.sum() / total * 3 < 0.7
    assert past.reported.sum() in (12, 13)
    found = explained(hour, Past(past), end_s)
    assert found["slices_reported"] == past.reported.sum()
    assert found["data_state"] == "gap"
    asked = what_if(
        hour, Past(past), Period(end_s - 600, end_s), replace(hour, target_ratio=0.5), end_s
    )
    assert asked["what_if"]["alert_counts"] == {}
    assert asked["suggested_objective_ratio"] is None, "too little was seen"
