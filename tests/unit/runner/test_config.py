"""A runner that cannot work is refused at start, with the name of the setting."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.errors import StartError
from analysis.reading.config import ReadingConfig
from analysis.runner.config import RunnerConfig, check

READING = ReadingConfig(
    request_timeout_s=3.0,
    max_answer_bytes=8_000_000,
    settle_min_s=0.3,
    settle_max_s=3.0,
    step_s=1,
    low_traffic_step_s=4,
    low_traffic_events_per_s=1.0,
    catch_up_max_steps=60,
    audit_tile_s=20,
    audit_age_s=30,
    prime_s=30,
)
RUNNER = RunnerConfig(
    look_interval_s=1.0,
    stale_after_s=5.0,
    confirm_interval_s=1.0,
    confirm_silent_s=5.0,
    fleet_step_s=5,
    fleet_backfill_s=300,
    fleet_stale_s=15.0,
    slo_history_interval_s=10.0,
    objectives_path="",
    alerting_path="",
    signals_path="",
    reading=READING,
)


def test_working_settings_are_accepted():
    """The ones all cases below differ from in one value."""
    check(RUNNER)


@pytest.mark.parametrize("value", [0, -1, float("nan")])
@pytest.mark.parametrize("name", ["look_interval_s", "stale_after_s", "fleet_step_s"])
def test_a_pace_is_above_zero(name, value):
    """Zero would be a loop without rest."""
    with pytest.raises(StartError, match=name):
        check(replace(RUNNER, **{name: value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_answer_bytes", 0),
        ("settle_min_s", -0.1),
        ("settle_min_s", 3.5),
        ("low_traffic_step_s", 0),
        ("audit_tile_s", 18),
        ("audit_age_s", 2),
    ],
)
def test_reading_settings_fit_each_other(name, value):
    """Each of these would read a step too early, twice, or never again."""
    with pytest.raises(StartError, match=name):
        check(replace(RUNNER, reading=replace(READING, **{name: value})))
