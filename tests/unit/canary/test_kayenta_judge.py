"""The Kayenta mode as a whole: config in, judge result out; pairing, windows, outcome."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.canary.kayenta.classify import Direction, Label
from analysis.canary.kayenta.errors import KayentaInputError
from analysis.canary.kayenta.judge import get_path, judge, metric_config
from analysis.canary.kayenta.metric_sets import MetricSet, MetricSetPair, pair, pair_all
from analysis.canary.kayenta.score import MetricResult, label_of_score, score
from analysis.canary.kayenta.standalone import Schedule, outcome, stage_order, stops_early

RNG = np.random.default_rng(5)
LEVEL = RNG.normal(100, 5, 60)


def config(name: str = "cpu", groups=("all",), **canary):
    return metric_config(
        {"name": name, "groups": list(groups), "analysisConfigurations": {"canary": canary}}
    )


def judged(*metrics, weights=None, **sides):
    pairs = [MetricSetPair(m.name, {}, *sides[m.name]) for m in metrics]
    return judge(
        metrics, weights or {}, pairs, pass_at=95, marginal_at=75, rng=np.random.default_rng(0)
    )


def test_a_good_metric_scores_100():
    result = judged(config(), cpu=(LEVEL, LEVEL[::-1] + 0.001))
    assert (result.score.value, result.label) == (100.0, "Pass")
    shown = result.to_json()
    assert shown["judgeName"] == "NetflixACAJudge-v1.0"
    assert shown["score"] == {
        "score": 100.0,
        "classification": "Pass",
        "classificationReason": "",
    }
    assert shown["results"][0]["controlMetadata"]["stats"]["count"] == 60
    assert shown["results"][0]["resultMetadata"]["ratio"] == pytest.approx(1, abs=0.01)


def test_a_critical_failure_is_zero_whatever_the_rest():
    metrics = config("a", critical=True), config("b"), config("c")
    result = judged(*metrics, a=(LEVEL, 2 * LEVEL), b=(LEVEL, LEVEL), c=(LEVEL, LEVEL))
    assert (result.score.value, result.label) == (0.0, "Fail")
    assert result.score.override == "Canary Failed: The metric a was classified as High (Critical)"
    assert result.score.groups[0].score == pytest.approx(200 / 3)


def test_critical_thresholds_spare_small_effects():
    spared = config("a", critical=True, effectSize={"criticalIncrease": 3})
    result = judged(spared, a=(LEVEL, 2 * LEVEL))
    assert result.metrics[0].classification.label is Label.HIGH
    assert not result.metrics[0].classification.is_critical
    assert result.score.override is None


def test_a_muted_metric_is_reported_and_not_scored():
    metrics = config("a", critical=True, muted=True), config("b")
    result = judged(*metrics, a=(LEVEL, 2 * LEVEL), b=(LEVEL, LEVEL))
    assert result.score.value == 100.0
    assert result.metrics[0].classification.label is Label.HIGH
    assert result.to_json()["results"][0]["muted"] is True


def test_half_without_data_is_zero():
    metrics = config("a"), config("b")
    result = judged(*metrics, a=(LEVEL, np.full(60, math.nan)), b=(LEVEL, LEVEL))
    assert result.score.value == 0.0
    assert result.metrics[0].classification.label is Label.NODATA
    assert "no data" in result.score.override


def test_what_cannot_be_computed_is_an_error_and_not_counted():
    """Zeros get no noise, one point has no spread: at the smallest shift everything ties."""
    metrics = config("a", critical=True), config("b")
    result = judged(*metrics, a=(np.array([5.0]), np.zeros(2)), b=(LEVEL, LEVEL))
    found = result.metrics[0].classification
    assert (found.label, found.is_critical) == (Label.ERROR, False)
    assert "resultMetadata" not in result.to_json()["results"][0]
    assert result.score.value == 100.0


def test_outliers_and_nan_are_taken_out_on_request():
    values = np.concatenate([LEVEL, [1e6], [math.nan]])
    plain = judged(config(), cpu=(LEVEL, values)).metrics[0].experiment
    assert (plain.count, plain.max) == (61, 1e6)
    cleaned = judged(config(outliers={"strategy": "remove"}), cpu=(LEVEL, values))
    assert (cleaned.metrics[0].experiment.count, cleaned.metrics[0].experiment.max < 200) == (
        60,
        True,
    )
    replaced = judged(config(nanStrategy="replace"), cpu=(LEVEL, values)).metrics[0].experiment
    assert (replaced.count, replaced.min) == (62, 0.0)


def test_groups_weigh_and_unweighted_ones_share_the_rest():
    metrics = [config(n, groups=(g,)) for n, g in (("a", "x"), ("b", "y"), ("c", "z"))]
    bad, good = (LEVEL, 2 * LEVEL), (LEVEL, LEVEL)
    result = judged(*metrics, weights={"x": 50.0, "absent": 20.0}, a=good, b=bad, c=good)
    assert {g.name: g.weight for g in result.score.groups} == {"x": 50.0, "y": 15.0, "z": 15.0}
    assert result.score.value == 65.0


@pytest.mark.parametrize(
    ("value", "label"), [(95, "Pass"), (94.99, "Marginal"), (75, "Marginal"), (74.99, "Fail")]
)
def test_labels_at_the_thresholds(value, label):
    assert label_of_score(value, 95, 75) == label


def test_the_summary_is_rounded_half_up():
    labels = [Label.PASS, Label.HIGH, Label.HIGH]
    results = [MetricResult(str(i), label, ("g",)) for i, label in enumerate(labels)]
    assert score(results, {}).value == 33.33
    assert score(results[1:] + results[:1] * 2, {}).value == 50.0


def test_a_pair_the_config_does_not_know_is_refused():
    with pytest.raises(KayentaInputError, match="metric config for memory"):
        judge(
            [config()],
            {},
            [MetricSetPair("memory", {}, LEVEL, LEVEL)],
            pass_at=95,
            marginal_at=75,
            rng=RNG,
        )


def test_configs_read_like_the_original():
    plain = config()
    assert plain.rule.direction is Direction.EITHER
    assert plain.rule.is_nan_removed
    assert plain.rule.allowed == (1.0, 1.0)
    assert config(effectSize={"measure": "cles"}).rule.allowed == (0.5, 0.5)
    assert config(effectSize={"allowedIncrease": 2}).rule.allowed == (1.0, 2.0)
    assert config(direction="Increase", nanStrategy="nonsense").rule.direction is Direction.INCREASE
    with pytest.raises(KayentaInputError, match="allowedIncrease"):
        config(effectSize={"allowedIncrease": "much"})


def test_paths_reach_into_lists():
    tree = {"a": {"b": 1}, "list": [{"c": "x"}, {"d": "y"}]}
    assert get_path(tree, []) is tree
    assert get_path(tree, ["a", "b"]) == 1
    assert get_path(tree, ["list", "c"]) == ["x"]
    assert get_path(tree, ["list", "z"]) is None
    assert get_path(tree, ["a", "b", "c"]) is None


# --- pairing ----------------------------------------------------------------------------------


def series(name="cpu", tags=None, values=(1.0, 2.0), expected=0):
    return MetricSet(name, tags or {}, np.array(values, dtype=float), expected)


def test_keys_sort_tags():
    assert series(tags={"b": "2", "a": "1"}).key == "cpu -> {a:1, b:2}"
    with pytest.raises(KayentaInputError):
        _ = series(name="").key


def test_short_sides_are_padded_with_nan():
    made = pair(series(values=(1.0,), expected=3), series(values=(1.0, 2.0, 3.0), expected=3))
    assert made.control[0] == 1.0
    assert np.isnan(made.control[1:]).all()
    assert len(made.experiment) == 3


def test_series_pair_by_tags_and_missing_ones_are_empty():
    control = [series(tags={"host": h}) for h in ("a", "b")]
    experiment = [series(tags={"host": h}) for h in ("b", "c")]
    made = pair_all(["cpu"], control, experiment)
    assert [(p.tags["host"], len(p.control), len(p.experiment)) for p in made] == [
        ("a", 2, 0),
        ("b", 2, 2),
        ("c", 0, 2),
    ]


def test_an_untagged_side_stands_for_all_tags_and_gives_nothing():
    made = pair_all(["cpu"], [series()], [series(tags={"host": h}) for h in ("a", "b")])
    assert [(p.tags["host"], len(p.control), len(p.experiment)) for p in made] == [
        ("a", 0, 2),
        ("b", 0, 2),
    ]


@pytest.mark.parametrize(
    ("control", "experiment", "words"),
    [
        ([], [series()], "No control metrics"),
        ([series()], [], "No experiment metrics"),
        ([series(name=None)], [series()], "Control metric set name was not set"),
        ([series()], [series(name="")], "Experiment metric set name was not set"),
        ([series(tags={"a": "1"})], [series(tags={"b": "1"})], "different tag keys"),
    ],
)
def test_what_cannot_be_paired_is_refused(control, experiment, words):
    with pytest.raises(KayentaInputError, match=words):
        pair_all(["cpu"], control, experiment)


def test_series_of_different_names_are_no_pair():
    with pytest.raises(KayentaInputError, match="does not match"):
        pair(series(), series(name="memory"))


# --- several judgements -----------------------------------------------------------------------


def schedule(**given) -> Schedule:
    empty = dict.fromkeys(("start_min", "end_min", "lifetime_min", "interval_min"))
    return Schedule(**{**empty, "begin_after_min": 0, "lookback_min": 0, **given})


def test_windows_grow_or_slide():
    plain = schedule(lifetime_min=15, interval_min=3)
    assert plain.judgements() == 5
    assert [plain.window(n, 3) for n in (1, 2)] == [(0, 3), (0, 6)]
    assert schedule(lifetime_min=9, begin_after_min=4).window(1, 3) == (4, 7)
    sliding = schedule(lifetime_min=9, lookback_min=5)
    assert [sliding.window(n, 5) for n in (1, 2)] == [(0, 5), (5, 10)]
    # With an end nothing has to be waited for, so no warm-up is added.
    assert schedule(start_min=-5, end_min=20, begin_after_min=4).window(1, 3) == (-5, -2)


def test_the_interval_is_at_most_the_lifetime():
    assert schedule(lifetime_min=10).interval() == 10
    assert schedule(lifetime_min=10, interval_min=60).interval() == 10
    assert schedule(start_min=5, end_min=20, lifetime_min=1).lifetime() == 15
    with pytest.raises(KayentaInputError, match="lifetime"):
        schedule().lifetime()


@pytest.mark.parametrize(
    ("score_now", "marginal", "passing", "did_pass", "words"),
    [
        (10.0, None, None, True, "No score thresholds"),
        (75.0, 75, None, False, "not above the marginal"),
        (76.0, 75, None, True, "No pass score threshold"),
        (90.0, 75, 95, False, "below the pass"),
        (95.0, 75, 95, True, "met or exceeded the pass"),
        (90.0, None, 95, False, "below the pass"),
    ],
)
def test_the_last_score_decides(*, score_now, marginal, passing, did_pass, words):
    told = outcome(score_now, marginal, passing)
    assert told.did_pass is did_pass
    assert words in told.message
    assert stops_early(score_now, marginal) is (marginal is not None and score_now <= marginal)


def test_marginal_by_label_fails_by_outcome():
    """The two parts of the original disagree at equality; both are kept."""
    assert label_of_score(75, 95, 75) == "Marginal"
    assert not outcome(75.0, 75, 95).did_pass


def test_stages_are_ordered_by_their_number():
    assert stage_order(["run #10", "run #9", "run #1"]) == [2, 1, 0]
