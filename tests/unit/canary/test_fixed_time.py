"""The one answer: every named result, and what each of the two methods makes of the same points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.canary.config import POINTS_MIN, Mode, Statistic
from analysis.canary.fixed_time import Answer, Classification, answer, points_of
from analysis.canary.kayenta.classify import Direction, Label, MetricRule, classify
from analysis.canary.points import Interval

ERRORS, SERVER = "http.server.errors", "http.server.request.duration"


@pytest.fixture
def judged(rule):
    def judge(name, mode, intervals, **changes):
        config = replace(rule.metric(name), mode=Mode(mode), **changes)
        return answer(name, config, intervals, alpha=0.005, pass_alpha=0.01)

    return judge


def shares(bad_a, bad_b, events=100):
    return [
        Interval(place, (events, events), (a, b), (a / events, b / events))
        for place, (a, b) in enumerate(zip(bad_a, bad_b, strict=True))
    ]


def durations(a, b):
    return [Interval(i, (50, 50), (0, 0), pair) for i, pair in enumerate(zip(a, b, strict=True))]


def lognormal(seed, n, factor=1.0):
    rng = np.random.default_rng(seed)
    a, b = rng.lognormal(0, 0.1, (2, n))
    return durations(a.tolist(), (factor * b).tolist())


@pytest.mark.parametrize("mode", ["exact", "kayenta"])
@pytest.mark.parametrize(
    ("intervals", "expected", "words"),
    [
        ([], "no_data", "the baseline has no points"),
        (durations([1.0] * 12, [None] * 12), "no_data", "the canary has no points"),
        (lognormal(1, POINTS_MIN - 1), "too_few_points", "9 points"),
        (durations([0.5] * 20, [0.5] * 20), "constant", "the same"),
        (lognormal(1, 40, 1.6), "high", "igh"),
        (lognormal(1, 40), "pass", "ass"),
    ],
)
def test_every_result_has_a_name_and_a_reason(judged, mode, intervals, expected, words):
    found = judged(SERVER, mode, intervals)
    assert found.classification == expected
    assert words in found.reason


def test_exact_says_undecided_where_nothing_is_shown(judged):
    rng = np.random.default_rng(5)
    a, b = rng.lognormal(0, 0.9, (2, 12))
    found = judged(SERVER, "exact", durations(a.tolist(), (1.1 * b).tolist()))
    assert found.classification is Classification.UNDECIDED
    assert "neither" in found.reason


def test_exact_does_not_pass_a_wider_spread(judged):
    rng = np.random.default_rng(5)
    a, b = rng.normal(1.0, 0.01, 60), rng.normal(1.0, 0.08, 60)
    found = judged(SERVER, "exact", durations(a.tolist(), b.tolist()))
    assert found.classification is Classification.UNDECIDED
    assert "spread wider" in found.reason
    narrower = judged(SERVER, "exact", durations(b.tolist(), a.tolist()))
    assert narrower.classification is Classification.PASS


def test_no_failure_at_all_is_an_answer(judged):
    """Against a baseline that had failed as often as PASS rules out, no failure is safe."""
    none = shares([0] * 30, [0] * 30)
    assert judged(ERRORS, "exact", none).classification is Classification.PASS
    assert judged(ERRORS, "kayenta", none).classification is Classification.PASS
    few = shares([0] * 30, [0] * 30, events=3)
    assert judged(ERRORS, "exact", few).classification is Classification.UNDECIDED


@pytest.mark.parametrize(("more", "expected"), [(0, "pass"), (4, "high")])
def test_margins_of_shares_are_absolute(judged, more, expected):
    """fail_margin 0.005, pass_margin 0.02; 100 events a point."""
    rng = np.random.default_rng(7)
    a, b = rng.binomial(100, 0.02, 60), rng.binomial(100, 0.02 + more / 100, 60)
    found = judged(ERRORS, "exact", shares(a.tolist(), b.tolist()))
    assert found.classification == expected


def test_tails_have_their_own_margin(judged):
    """30 % slower: beyond pass_margin of 25 %, within pass_margin_p90 of 50 %."""
    intervals = lognormal(3, 60, 1.3)
    harmless = {"fail_margin": 0.35}
    p50 = judged(SERVER, "exact", intervals, statistic=Statistic.P50, **harmless)
    p99 = judged(SERVER, "exact", intervals, statistic=Statistic.P99, **harmless)
    assert p50.classification is Classification.UNDECIDED
    assert p99.classification is Classification.PASS


@pytest.mark.parametrize("seed", range(5))
def test_kayenta_mode_is_kayentas_classification(judged, seed):
    intervals = lognormal(seed, 25, 1.15)
    found = judged(SERVER, "kayenta", intervals)
    rule = MetricRule(
        Direction.INCREASE,
        is_nan_removed=True,
        is_critical=False,
        is_data_required=False,
        measure="meanRatio",
        allowed=(1.0, 1.0),
        critical=(1.0, 1.0),
    )
    sides = (points_of(intervals, 0), points_of(intervals, 1))
    theirs = classify("m", *sides, rule, np.random.default_rng(0))
    expected = {Label.HIGH: "high", Label.PASS: "pass"}[theirs.label]
    assert found.classification == expected
    assert found.figures["shift_low"] == theirs.interval.low
    assert found.figures["mean_ratio"] == theirs.deviation


def test_the_answer_does_not_depend_on_when_it_is_asked(judged):
    """Draws follow from the metric and the interval: same points, same answer."""
    intervals = shares([1] * 30, [2] * 30)
    assert judged(ERRORS, "exact", intervals) == judged(ERRORS, "exact", intervals)
    noisy = shares([1] * 30, [4] * 30)
    assert judged(ERRORS, "kayenta", noisy) == judged(ERRORS, "kayenta", noisy)


def test_an_answer_comes_back_from_its_json(judged):
    found = judged(SERVER, "exact", lognormal(1, 40))
    assert Answer.of_json(found.to_json()) == found
