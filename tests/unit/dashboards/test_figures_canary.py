"""The charts of the canary report, from looks of the real judge."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from dashboards.answers.looks import Effect
from dashboards.figures.base import Message, Span
from dashboards.figures.evidence import ONLY_ONCE, evidence_chart, strongest
from dashboards.figures.forest import forest_chart
from dashboards.figures.interval import effect_words, interval_chart
from dashboards.figures.safety import safety_chart
from dashboards.metric_words import arm_words, metric_name, state_words
from dashboards.theme import DARK, LIGHT, Status

CULPRIT = "playback.start.failures{playback.device.class=tv-legacy}"


def span(looks):
    return Span(looks[0].unix_nano / 1e9 - 1, looks[-1].unix_nano / 1e9 + 5)


def named(chart, name):
    return next(line for line in chart.figure["data"] if line["name"] == name)


def test_the_bold_line_is_the_judges_evidence_and_ends_above_the_limit(failed_looks):
    """Natural logarithms of the look, and the rule's own limit as the line to cross."""
    chart = evidence_chart(failed_looks, span(failed_looks), (), LIGHT)
    whole = named(chart, "all together")
    last = failed_looks[-1]
    assert whole["y"][-1] == last.log_e_value
    limit = named(chart, "FAIL above 200-fold")
    assert limit["y"] == [pytest.approx(math.log(200))] * 2
    assert whole["y"][-1] >= limit["y"][0]
    assert "FAIL needs 200-fold" in chart.summary


def test_evidence_below_the_axis_is_drawn_at_its_edge_and_told_exactly(good_looks):
    """A good canary's evidence shrinks without end; the reader loses nothing."""
    chart = evidence_chart(good_looks, span(good_looks), (), LIGHT)
    whole = named(chart, "all together")
    assert min(whole["y"]) >= -math.log(10)
    assert whole["customdata"][-1].startswith("none")
    assert "none" in chart.summary


def test_the_strongest_split_is_among_the_lines(failed_looks):
    """All overall metrics, then the splits by their evidence."""
    keys = strongest(failed_looks)
    assert ("playback.start.failures", "playback.device.class=tv-legacy") in keys
    assert [split for _, split in keys[:4]] == [""] * 4
    assert len(keys) == 5


def test_claims_of_safety_are_lines_against_the_rules_threshold(good_looks):
    """One per claim of each critical metric; the sentence counts those above the line."""
    chart = safety_chart(good_looks, span(good_looks), (), LIGHT)
    names = [line["name"] for line in chart.figure["data"]]
    assert names[-1] == "shown safe above 100-fold"
    claims = sum(len(m.certificates) for m in good_looks[-1].metrics if m.critical and not m.split)
    assert len(names) == claims + 1
    threshold = good_looks[-1].certify_threshold_log_e
    shown = sum(
        (value or 0) >= threshold
        for m in good_looks[-1].metrics
        if m.critical and not m.split
        for value in m.certificates.values()
    )
    assert chart.summary == f"{shown} of {claims} claims of safety are shown."


def test_no_look_is_a_sentence(failed_looks):
    """In all four charts."""
    nowhere = Span(0, 1)
    for found in (
        evidence_chart([], nowhere, (), LIGHT),
        safety_chart([], nowhere, (), LIGHT),
        interval_chart([], "m", nowhere, (), LIGHT),
        forest_chart(None, LIGHT),
        interval_chart(failed_looks, "no.such.metric", nowhere, (), LIGHT),
    ):
        assert isinstance(found, Message)
        assert found.sentence.endswith(".")


def test_the_interval_of_shares_is_in_points(failed_looks):
    """100 times the look's numbers, the band between low and high, zero as the line to clear."""
    chart = interval_chart(failed_looks, CULPRIT, span(failed_looks), (), LIGHT)
    metric = next(m for m in failed_looks[-1].metrics if m.key == CULPRIT)
    low, high, middle = (line["y"][-1] for line in chart.figure["data"])
    assert low == pytest.approx(max(100 * metric.effect.low, -100))
    assert high == pytest.approx(min(100 * metric.effect.high, 100))
    assert middle == pytest.approx(100 * metric.effect.estimate)
    assert chart.figure["layout"]["shapes"][0]["y0"] == 0
    assert chart.summary.startswith("failed playback starts · tv-legacy: +")


def test_a_band_that_holds_no_difference_beside_a_failure_is_explained(failed_looks):
    """A reader must not take the wider, two-sided band for the test that decided."""
    last, shown = failed_looks[-1], span(failed_looks)

    def words(low):
        metrics = tuple(
            replace(m, effect=replace(m.effect, low=low, high=0.4)) if m.key == CULPRIT else m
            for m in last.metrics
        )
        looks = [*failed_looks[:-1], replace(last, metrics=metrics)]
        return interval_chart(looks, CULPRIT, shown, (), LIGHT).summary

    assert "already beyond doubt" in words(low=-0.01)
    assert "already beyond doubt" not in words(low=0.01)


def test_the_interval_of_a_duration_is_a_factor_around_one(good_looks):
    """On a logarithmic axis that holds 1."""
    key = "playback.startup.duration"
    chart = interval_chart(good_looks, key, span(good_looks), (), LIGHT)
    axis = chart.figure["layout"]["yaxis"]
    assert axis["type"] == "log"
    assert axis["range"][0] == -axis["range"][1]
    assert chart.figure["layout"]["shapes"][0]["y0"] == 1.0


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_the_forest_has_a_row_per_effect_in_the_colour_of_its_state(failed_looks, colours):
    """Shares left, durations right, worse ones by shape too."""
    look = failed_looks[-1]
    chart = forest_chart(look, colours)
    rows = [m for m in look.metrics if m.effect.estimate is not None]
    assert len(chart.figure["data"]) == len(rows)
    culprit = next(t for t in chart.figure["data"] if "tv-legacy" in t["hovertemplate"])
    assert culprit["marker"]["symbol"] == "square"
    assert culprit["marker"]["color"] == colours.bad
    ratios = [t for t in chart.figure["data"] if t["xaxis"] == "x2"]
    assert len(ratios) == sum(m.effect.is_ratio for m in rows)
    assert "tv-legacy" in chart.summary


def test_an_unbounded_interval_reaches_the_edge_and_is_called_so(failed_looks):
    """None is not zero."""
    look = failed_looks[-1]
    ratio = next(m for m in look.metrics if m.effect.is_ratio)
    open_ = replace(ratio, effect=replace(ratio.effect, high=None))
    chart = forest_chart(replace(look, metrics=(open_,)), LIGHT)
    (row,) = chart.figure["data"]
    assert row["x"][0] + row["error_x"]["array"][0] == pytest.approx(5.0)
    assert "unbounded" in effect_words(open_.effect)


def test_effects_in_words():
    """The estimate, then the interval in brackets."""
    share = Effect(0.091, 0.052, 0.134, "1", "")
    assert effect_words(share) == "+9.1 points (+5.2 to +13.4)"
    assert effect_words(Effect(1.52, 1.31, 1.77, "ratio", "")) == "1.52× (1.31× to 1.77×)"
    assert effect_words(Effect(None, None, None, "1", "")) == "not known yet"
    assert effect_words(replace(share, low=None)) == "+9.1 points"


def test_metrics_and_states_in_words(failed_looks):
    """Known names are translated, new ones shown as they are; nothing is dropped."""
    assert metric_name("http.server.errors") == "server errors (5xx)"
    assert metric_name("queue.depth", "zone=b") == "queue.depth · b"
    assert state_words("worse") == ("worse", Status.BAD)
    assert state_words("brand_new") == ("brand new", Status.UNKNOWN)
    culprit = next(m for m in failed_looks[-1].metrics if m.key == CULPRIT)
    bad, total = culprit.canary["bad"], culprit.canary["total"]
    assert arm_words(culprit, culprit.canary).startswith(f"{bad:.0f} of {total:.0f} (")
    assert arm_words(culprit, {}) == "nothing yet"


def test_figures_are_plain_data(failed_looks):
    """The JSON of a figure is the figure: no infinities, no arrays."""
    for chart in (
        evidence_chart(failed_looks, span(failed_looks), (), LIGHT),
        safety_chart(failed_looks, span(failed_looks), (), LIGHT),
        interval_chart(failed_looks, CULPRIT, span(failed_looks), (), LIGHT),
        forest_chart(failed_looks[-1], LIGHT),
    ):
        assert json.loads(json.dumps(chart.figure, allow_nan=False)) == chart.figure


@pytest.mark.parametrize("mode", ["exact", "kayenta"])
def test_what_is_judged_once_is_told_and_not_drawn_as_evidence(judged_once, mode):
    """A point without a bar for its effect; words instead of a chart where nothing is kept."""
    looks = judged_once(mode)
    last = looks[-1]
    assert {m.one_answer.mode for m in last.metrics} == {mode}
    assert last.log_e_value is None
    assert evidence_chart(looks, span(looks), (), LIGHT) is ONLY_ONCE
    assert safety_chart(looks, span(looks), (), LIGHT) is ONLY_ONCE
    forest = forest_chart(last, LIGHT)
    assert {bar for t in forest.figure["data"] for bar in t["error_x"]["array"]} == {0.0}
    json.dumps(forest.figure, allow_nan=False)
    told = interval_chart(looks, "http.server.request.duration", span(looks), (), LIGHT)
    assert isinstance(told, Message)
    assert f"judged once ({mode})" in told.sentence
    duration = next(m for m in last.metrics if m.name == "playback.startup.duration")
    assert arm_words(duration, duration.canary).startswith("p50 ")
    assert state_words(looks[9].metrics[0].state)[0] == "waiting for its one answer"


def test_a_rule_of_both_draws_what_is_judged_at_every_look(judged_once):
    """The others are in the table."""
    looks = judged_once("exact", "playback.startup.duration")
    assert ("playback.startup.duration", "") not in strongest(looks)
    chart = evidence_chart(looks, span(looks), (), LIGHT)
    assert "all together" in {t["name"] for t in chart.figure["data"]}
    assert safety_chart(looks, span(looks), (), LIGHT).figure["data"]
