"""Studies side by side say of every run what the judge's own metric says of its blocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.blocks import Block, CountArm, HistogramArm
from analysis.canary.config import default_config_text, load_canary_config
from analysis.canary.count_metric import CountMetric
from analysis.canary.histogram_metric import HistogramMetric
from analysis.canary.studies import DurationStudy, ShareStudy

RULE = load_canary_config(default_config_text())
BLOCK_S, BLOCKS, RUNS = 10, 25, 3
EDGES = 2.0 ** (np.arange(-40, 17) / 8)
STEP = BLOCK_S * 10**9


def lognormal_counts(rng, median_s, n):
    values = rng.lognormal(np.log(median_s), 0.6, n)
    at = np.searchsorted(EDGES, values)
    return np.bincount(at, minlength=len(EDGES) + 1)


@pytest.mark.parametrize("margin", [0.0, 2**0.125 - 1, 0.1])
@pytest.mark.parametrize("slower", [1.0, 1.3])
def test_durations(margin, slower):
    rng = np.random.default_rng(5)
    config = replace(RULE.metric("playback.startup.duration"), fail_margin=margin)
    history = np.stack([lognormal_counts(rng, 0.1, 500) for _ in range(RUNS)])
    keep = 0.5 ** (BLOCK_S / RULE.history_half_life_s)
    study = DurationStudy(EDGES, margin, history.astype(float), keep)
    metrics = [HistogramMetric("d", config, RULE, split="", weight=1.0) for _ in range(RUNS)]
    for metric, counts in zip(metrics, history, strict=True):
        metric.learn([Block(-STEP, 0, HistogramArm(EDGES, counts), None)])
    for i in range(BLOCKS):
        a = np.stack([lognormal_counts(rng, 0.1, rng.poisson(40) + 5) for _ in range(RUNS)])
        b = np.stack([lognormal_counts(rng, 0.1 * slower, 33) for _ in range(RUNS)])
        study.step(a.astype(float), b.astype(float))
        for run, metric in enumerate(metrics):
            arms = HistogramArm(EDGES, a[run]), HistogramArm(EDGES, b[run])
            metric.take([Block(i * STEP, (i + 1) * STEP, *arms)])
    found = [metric.log_e for metric in metrics]
    assert study.log_es == pytest.approx(found, abs=1e-8)
    assert max(found) != 0


@pytest.mark.parametrize("margin", [0.0, 0.005])
def test_shares(margin):
    rng = np.random.default_rng(6)
    rule = replace(RULE, horizon_s=float(BLOCK_S * BLOCKS * 2), history_half_life_s=1e12)
    config = replace(rule.metric("playback.start.failures"), fail_margin=margin)
    goal = -np.log(rule.alpha)
    study = ShareStudy(
        RUNS, margin, config.expected_bad_ratio, goal_log_e=goal, horizon_s=rule.horizon_s
    )
    metrics = [CountMetric("f", config, rule, split="", weight=1.0) for _ in range(RUNS)]
    for i in range(BLOCKS):
        n = rng.poisson(40, (2, RUNS)) + 5
        bad = rng.binomial(n, np.array([[0.02], [0.06]]))
        study.step(bad[0], n[0], bad[1], n[1], elapsed_s=float(i * BLOCK_S))
        for run, metric in enumerate(metrics):
            arms = [CountArm(int(n[k, run] - bad[k, run]), int(n[k, run])) for k in (0, 1)]
            metric.take([Block(i * STEP, (i + 1) * STEP, *arms)])
    found = [metric.log_e for metric in metrics]
    assert study.log_es == pytest.approx(found, abs=1e-8)
    assert max(found) > 0


def test_bursts_are_counted_as_one_and_said():
    rng = np.random.default_rng(7)
    metric = CountMetric("f", RULE.metric("playback.start.failures"), RULE, split="", weight=1.0)
    for i in range(40):
        bad = 5 * rng.binomial(20, [0.05, 0.15])
        arms = [CountArm(100 - int(k), 100) for k in bad]
        metric.take([Block(i * STEP, (i + 1) * STEP, *arms)])
    look = metric.look(with_intervals=False)
    assert 3 < look.dispersion_ratio < 7
    assert "bursts" in metric.describe()
    assert look.to_json()["dispersion_ratio"] == look.dispersion_ratio
