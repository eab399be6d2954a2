"""A runner that cannot work is refused at start, with the name of the setting."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.errors import StartError
from analysis.runner.config import check
from davylamp.config import analysis_config, load_settings

RUNNER = analysis_config(load_settings((), {})).runner


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
        check(replace(RUNNER, reading=replace(RUNNER.reading, **{name: value})))
