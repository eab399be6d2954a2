"""Missing evidence and common causes, from traffic to what policy would command: nothing."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.canary.config import default_config_text, load_canary_config
from bench.rollback.safety import (
    BAD,
    HEALTHY,
    SCENARIOS,
    TRAFFIC,
    Scenario,
    common_cause,
    looks_of,
    outcome,
)

RULE = load_canary_config(default_config_text())


def test_the_bad_canary_would_be_rolled_back_if_its_evidence_were_there():
    """Else the scenarios below would show nothing."""
    assert outcome(looks_of(RULE, Scenario("whole"), BAD, 1))[1]
    for scenario in SCENARIOS:
        if scenario.bad is not BAD:
            found = outcome(looks_of(RULE, Scenario("whole", traffic=TRAFFIC), scenario.bad, 1))
            assert found[1], scenario.name


@pytest.mark.parametrize("scenario", SCENARIOS[:3], ids=lambda one: one.name)
def test_silence_decides_nothing(scenario):
    assert outcome(looks_of(RULE, scenario, BAD, 2))[:2] == (False, False)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
@pytest.mark.parametrize("is_bad", [False, True])
def test_missing_evidence_decides_nothing(scenario, is_bad):
    release = scenario.bad if is_bad else HEALTHY
    assert outcome(looks_of(RULE, scenario, release, 3))[:2] == (False, False)


@pytest.mark.slow
def test_common_causes_roll_nothing_back():
    rng = np.random.default_rng(4)
    for number in range(20):
        name, traffic = common_cause(rng)
        looks = looks_of(RULE, Scenario(name, traffic=traffic), HEALTHY, number)
        assert not outcome(looks)[1], (name, traffic)
