"""Simulated canaries: names that stay, rows that repeat, peers on the same streams."""

from __future__ import annotations

import numpy as np
import pytest

from bench.canary.modes import FAILURE_MODES, MODES
from bench.canary.scenarios import SCENARIOS, blocks
from bench.canary.simulate import alarm_minutes, expected_of

NAMES = {
    "null",
    "null-drift+40%",
    "null-daily",
    "null-ramp-drift+40%",
    "null-shared-load",
    "null-instances-5%",
    "null-canary-of-5-metrics",
    "+5%",
    "+10%",
    "+20%",
    "+50%",
    "tail-2%x5",
    "tail-0.5%x10",
    "failures-0.5-1%",
    "failures-0.2-0.4%",
    "shape-delay-20ms",
    "shape-lock",
    "shape-one-endpoint-x2",
    "shape-one-instance-x1.5",
    "shape-cold-start-3min",
}


def minutes(name, modes, seed=1, runs=20, alpha=0.01):
    return alarm_minutes(
        SCENARIOS[name], modes, "exponential-3", alpha, np.random.SeedSequence(seed), runs
    )


def test_names_stay():
    assert set(SCENARIOS) >= NAMES
    assert {"sequential", "sequential-margin-9%", "kayenta", "cdf-band"} <= set(MODES)
    assert {"sequential", "lindon-malek", "kayenta"} <= set(FAILURE_MODES)


def test_a_seed_is_a_row():
    modes = ["sequential", "cdf-band"]
    first = minutes("+50%", modes)
    assert np.array_equal(first, minutes("+50%", modes))
    assert not np.array_equal(first, minutes("+50%", modes, seed=2))
    assert np.all(first[0] <= first[1])


def test_a_mode_sees_the_same_stream_whoever_else_is_asked():
    both = minutes("failures-0.5-2%", ["sequential", "lindon-malek"])
    assert np.array_equal(both[1], minutes("failures-0.5-2%", ["lindon-malek"])[0])


def test_rates_are_what_the_scenario_says():
    total = np.zeros(2)
    for block in blocks(SCENARIOS["failures-2-3%"], np.random.default_rng(1), 50):
        total += [block.canary.n.sum(), block.canary.bad.sum()]
    assert total[0] / 50 == pytest.approx(60 * 200, rel=0.01)
    assert total[1] / total[0] == pytest.approx(0.03, rel=0.03)


@pytest.mark.parametrize(
    ("scenario", "mode", "expected"),
    [
        ("+5%", "sequential", "alarm"),
        ("+5%", "sequential-margin-10%", "quiet"),
        ("+10%", "sequential-margin-9%", ""),
        ("shape-cold-start-3min", "sequential", "alarm"),
        ("shape-cold-start-3min", "sequential-warm-up-3min", "quiet"),
    ],
)
def test_labels(scenario, mode, expected):
    assert expected_of(SCENARIOS[scenario], mode) == expected


def test_a_warm_up_forgives_what_heals():
    modes = ["sequential", "sequential-warm-up-3min"]
    found = minutes("shape-cold-start-3min", modes, runs=6)
    assert np.isfinite(found[0]).all()
    assert np.isinf(found[1]).all()
