"""Metrics that answer once, in the running judge: error control, resumption, invariance."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from analysis.blocks import Block, CountArm, HistogramArm
from analysis.canary.config import Mode, Statistic, default_config_text, load_canary_config
from analysis.canary.fixed_time import answer
from analysis.canary.judge import CanaryJudge
from analysis.canary.points import PointCollector
from bench.canary.streams import HEALTHY, RELEASES, START, Traffic, blocks_of_seconds

SHIPPED = load_canary_config(default_config_text())
SECOND = 1_000_000_000
SERVER, ERRORS = "http.server.request.duration", "http.server.errors"
SEED = st.integers(0, 2**32 - 1)
MODE = st.sampled_from([Mode.EXACT, Mode.KAYENTA])
RELEASE = st.sampled_from([HEALTHY, *RELEASES.values()])


def once(mode, horizon_s=30.0, point_s=2, **changes):
    metrics = tuple(replace(m, mode=mode, point_s=point_s) for m in SHIPPED.metrics)
    return replace(SHIPPED, metrics=metrics, horizon_s=horizon_s, min_bake_s=1.0, **changes)


def text(look) -> str:
    return json.dumps(look.to_json(), sort_keys=True, allow_nan=False)


@settings(max_examples=10, deadline=None)
@given(seed=SEED, mode=MODE, release=RELEASE, cut=st.integers(0, 33))
def test_a_judge_killed_at_any_look_goes_on_with_the_same_bytes(seed, mode, release, cut):
    rule = once(mode)
    judge, resumed = CanaryJudge(rule, START), None
    rng = np.random.default_rng(seed)
    for i, (now, blocks) in enumerate(blocks_of_seconds(Traffic(6, 9), release, 34, rng)):
        look = judge.look(blocks, now)
        if resumed is not None:
            assert text(resumed.look(blocks, now)) == text(look)
        if i == cut:
            state = json.loads(json.dumps(judge.to_state(), allow_nan=False))
            resumed = CanaryJudge.from_state(rule, state)
        assert look.final is (i >= 29)
    assert resumed is not None
    assert resumed.to_state() == judge.to_state()


@settings(max_examples=6, deadline=None)
@given(seed=SEED, mode=MODE, every=st.integers(2, 9), order=SEED)
def test_how_and_in_which_order_blocks_come_does_not_matter(seed, mode, every, order):
    rule, shuffle = once(mode), np.random.default_rng(order)
    eager, lazy = CanaryJudge(rule, START), CanaryJudge(rule, START)
    made = list(blocks_of_seconds(Traffic(6, 9), HEALTHY, 30, np.random.default_rng(seed)))
    waiting: dict[str, list[Block]] = {}
    for i, (now, blocks) in enumerate(made):
        for key, new in blocks.items():
            waiting.setdefault(key, []).extend(new)
        eager_look = eager.look(blocks, now)
        if (i + 1) % every and i + 1 < len(made):
            continue
        given_now = {
            key: [waiting[key][j] for j in shuffle.permutation(len(waiting[key]))]
            for key in sorted(waiting)
        }
        lazy_look, waiting = lazy.look(given_now, now), {}
    ours = {(m.name, m.split): m.to_json() for m in lazy_look.metrics}
    assert ours == {(m.name, m.split): m.to_json() for m in eager_look.metrics}
    assert lazy_look.inputs_digest == eager_look.inputs_digest


@settings(max_examples=6, deadline=None)
@given(seed=SEED, scale=st.sampled_from([1e-9, 1e-3, 60.0, 1e9]), release=RELEASE)
@pytest.mark.parametrize("statistic", [Statistic.MEAN, Statistic.P50, Statistic.P90])
def test_exact_mode_does_not_depend_on_the_unit(seed, scale, release, statistic):
    config = replace(SHIPPED.metric(SERVER), mode=Mode.EXACT, point_s=1, statistic=statistic)
    here, there = (PointCollector("m", config, 60.0) for _ in range(2))
    for _, blocks in blocks_of_seconds(Traffic(8, 12), release, 40, np.random.default_rng(seed)):
        for block in blocks.get(SERVER, ()):
            if block.baseline is None or block.canary is None:
                continue
            here.take(block)
            arms = (block.baseline, block.canary)
            moved = [HistogramArm(arm.bounds * scale, arm.counts) for arm in arms]
            there.take(replace(block, baseline=moved[0], canary=moved[1]))
    found = [
        answer("m", config, points.intervals, alpha=0.01, pass_alpha=0.01)
        for points in (here, there)
    ]
    assert found[0] == found[1]


def alarms(runs: int, seed: int, rates, bad_ratio, *, more=0.0, alpha=0.02, points=20):
    """HIGH and PASS of count metrics, with a failure ratio that drifts for both arms alike."""
    config = replace(
        SHIPPED.metric(ERRORS), mode=Mode.EXACT, point_s=1, fail_margin=0.0, pass_margin=0.02
    )
    high = passed = 0
    for child in np.random.SeedSequence(seed).spawn(runs):
        rng = np.random.default_rng(child)
        collector = PointCollector(f"m{child.spawn_key}", config, float(points))
        for second in range(points):
            share = bad_ratio * (1 + second / points)
            arms = []
            for rate, ratio in ((rates[0], share), (rates[1], share + more)):
                total = int(rng.poisson(rate))
                arms.append(CountArm(total - int(rng.binomial(total, ratio)), total))
            start = START + second * SECOND
            collector.take(Block(start, start + SECOND, *arms))
        found = answer(
            f"m{child.spawn_key}", config, collector.intervals, alpha=alpha, pass_alpha=alpha
        )
        high += found.classification == "high"
        passed += found.classification == "pass"
    return high, passed


@pytest.mark.parametrize(
    ("rates", "bad_ratio"),
    [((40, 40), 0.05), ((40, 40), 0.004), ((20, 200), 0.004), ((200, 20), 0.02), ((3, 3), 0.05)],
)
def test_exact_mode_keeps_its_level_for_shares(rates, bad_ratio):
    """Also when the canary has ten times the traffic and failures are rare, without any margin."""
    runs = 300
    high, _ = alarms(runs, 11, rates, bad_ratio)
    assert high <= binom.ppf(1 - 1e-4, runs, 0.02)


def test_exact_mode_keeps_its_level_for_tails_of_unequal_traffic():
    """The p99 of 20 durations and that of 200 are not distributed alike."""
    config = replace(
        SHIPPED.metric(SERVER),
        mode=Mode.EXACT,
        point_s=1,
        statistic=Statistic.P99,
        fail_margin=0.0,
    )
    edges, runs, high = np.exp2(np.arange(-40, 41) / 8), 100, 0
    for child in np.random.SeedSequence(8).spawn(runs):
        rng, key = np.random.default_rng(child), f"m{child.spawn_key}"
        collector = PointCollector(key, config, 15.0)
        for second in range(15):
            arms = []
            for rate in (20, 200):
                at = np.searchsorted(edges, rng.lognormal(0, 0.6, rng.poisson(rate)))
                arms.append(HistogramArm(edges, np.bincount(at, minlength=len(edges) + 1)))
            start = START + second * SECOND
            collector.take(Block(start, start + SECOND, *arms))
        found = answer(key, config, collector.intervals, alpha=0.02, pass_alpha=0.02)
        high += found.classification == "high"
    assert high <= binom.ppf(1 - 1e-4, runs, 0.02)


@pytest.mark.parametrize("rates", [(40, 40), (20, 200), (200, 20)])
def test_exact_mode_does_not_pass_what_is_at_the_pass_margin(rates):
    """The baseline's own share is estimated, which widens the error a little."""
    runs = 300
    _, passed = alarms(runs, 12, rates, 0.004, more=0.02)
    assert passed <= binom.ppf(1 - 1e-4, runs, 0.025)


@pytest.mark.parametrize("traffic", [Traffic(12, 12), Traffic(3, 25, drift_per_minute=0.5)])
def test_healthy_canaries_in_exact_mode_are_failed_at_most_as_often_as_stated(traffic):
    """The whole judge: four metrics and five splits share one alpha."""
    rule, runs, failed = once(Mode.EXACT, alpha=0.1, point_s=2, min_looks=1), 40, 0
    for child in np.random.SeedSequence(5).spawn(runs):
        judge = CanaryJudge(rule, START)
        waiting: dict[str, list[Block]] = {}
        rng = np.random.default_rng(child)
        for _, blocks in blocks_of_seconds(traffic, HEALTHY, 30, rng):
            for key, new in blocks.items():
                waiting.setdefault(key, []).extend(new)
        look = judge.look(waiting, START + 30 * SECOND, with_intervals=False)
        assert look.final
        failed += str(look.verdict.kind) == "fail"
    assert failed <= binom.ppf(1 - 1e-4, runs, 0.1)
