"""False alarms of the whole judge on healthy canaries, by seeded simulation.

Small numbers of runs: enough to see an error rate that is badly wrong, every time the tests run.
``bench.canary.aa`` measures it properly.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from analysis.canary.config import default_config_text, load_canary_config
from analysis.canary.judge import CanaryJudge
from bench.canary.streams import HEALTHY, START, Release, Traffic, blocks_of_seconds

SHIPPED = load_canary_config(default_config_text())


def failures(traffic: Traffic, runs: int, seconds: int, seed: int, release=HEALTHY, alpha=0.05):
    """FAILs of ``runs`` canaries watched to the end with nothing certified on the way."""
    rule = replace(SHIPPED, alpha=alpha, horizon_s=float(seconds), min_bake_s=float(seconds))
    failed = 0
    for child in np.random.SeedSequence(seed).spawn(runs):
        judge = CanaryJudge(rule, START)
        for now, blocks in blocks_of_seconds(
            traffic, release, seconds, np.random.default_rng(child)
        ):
            look = judge.look(blocks, now, with_intervals=False)
            if look.final:
                failed += str(look.verdict.kind) == "fail"
                break
    return failed


def at_most(runs: int, alpha: float) -> int:
    """A correct judge exceeds this with a chance under one in 10,000."""
    return int(binom.ppf(1 - 1e-4, runs, alpha))


NULLS = {
    "steady": Traffic(12, 12),
    "low traffic": Traffic(0.8, 0.8),
    "unequal arms": Traffic(20, 2),
    "ramp and drift": Traffic(
        12, 12, share_ramp=True, drift_per_minute=0.3, failure_drift_per_minute=0.5
    ),
    "ramp and recovery": Traffic(
        12, 12, share_ramp=True, drift_per_minute=-0.3, failure_drift_per_minute=-0.5
    ),
    "many failures": Traffic(12, 12, failure_ratio=0.04),
}


@pytest.mark.parametrize("name", NULLS)
def test_healthy_canaries_are_not_failed(name):
    """A first look; the next test looks longer."""
    runs = 6
    assert failures(NULLS[name], runs, 100, 42) <= at_most(runs, 0.05)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", NULLS)
def test_healthy_canaries_are_not_failed_over_many_runs(name):
    runs = 60
    assert failures(NULLS[name], runs, 200, 43) <= at_most(runs, 0.05)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "release",
    [
        Release("within", start_factor=1.08, server_factor=1.08),
        Release("within", device_failure_ratio=0.004),
        Release("within", error_ratio=0.004),
    ],
    ids=["8 % slower", "0.4 points more failures", "0.4 points more errors"],
)
def test_a_canary_within_the_margins_is_not_failed(release):
    runs = 40
    assert failures(Traffic(24, 24), runs, 200, 44, release) <= at_most(runs, 0.05)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_canary_beyond_a_pass_margin_is_hardly_ever_certified():
    """30 % slower at both quantiles, FAIL taken away: the certificate alone has to hold."""
    rule = replace(SHIPPED, alpha=1e-300, suspect_log_e=1e9, min_bake_s=1.0)
    passed, runs = 0, 60
    release = Release("slow", start_factor=1.55, server_factor=1.55)
    for child in np.random.SeedSequence(45).spawn(runs):
        judge = CanaryJudge(rule, START)
        rng = np.random.default_rng(child)
        for now, blocks in blocks_of_seconds(Traffic(12, 12), release, 120, rng):
            look = judge.look(blocks, now, with_intervals=False)
            passed += look.final and str(look.verdict.kind) == "pass"
            if look.final:
                break
    assert passed <= at_most(runs, SHIPPED.pass_alpha)
