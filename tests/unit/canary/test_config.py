"""The rule: the shipped one is sound, a wrong one is refused with the key that is wrong."""

from __future__ import annotations

import pytest

from analysis.canary.config import (
    Mode,
    Statistic,
    default_config_text,
    load_canary_config,
    parse_key,
    split_key,
)
from analysis.canary.errors import CanaryConfigError

SHIPPED = default_config_text()


def changed(old: str, new: str) -> str:
    assert old in SHIPPED
    return SHIPPED.replace(old, new, 1)


def test_the_shipped_rule_loads_and_names_itself():
    rule = load_canary_config(SHIPPED)
    assert [m.name for m in rule.metrics if m.required] == ["http.server.request.duration"]
    assert all(m.critical for m in rule.metrics)
    assert rule.digest() == load_canary_config(SHIPPED + "\n# a comment\n").digest()
    assert rule.digest() != load_canary_config(changed("alpha: 0.005", "alpha: 0.01")).digest()
    assert rule.metric("http.server.errors").kind == "count"
    with pytest.raises(KeyError):
        rule.metric("x")


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("alpha: 0.005", "alpha: 0.0", "alpha"),
        ("alpha: 0.005", "alpha: 1.0", "alpha"),
        ("alpha: 0.005", 'alpha: "small"', "alpha"),
        ("alpha: 0.005", "alpha: .nan", "file"),
        ("alpha: 0.005", "alpha: true", "alpha"),
        ("alpha: 0.005", "alpha:", "alpha"),
        ("alpha: 0.005", "alpha: 0.005\n  alphabet: 1", "alphabet"),
        ("alpha: 0.005", "alpha: 0.005\n  alpha: 0.005", "spec.alpha"),
        ("alpha: 0.005", "alpha: [", "file"),
        ("apiVersion: davylamp/v1", "apiVersion: davylamp/v2", "apiVersion"),
        ("kind: CanaryRule", "kind: SLO", "kind"),
        ("metadata:", "meta:", "meta"),
        ("pass_alpha: 0.01", "pass_alpha: 2", "pass_alpha"),
        ("horizon_s: 300.0", "horizon_s: 30", "min_bake_s"),
        ("warm_up_s: 0.0", "warm_up_s: 300", "warm_up_s"),
        ("min_looks: 3", "min_looks: 0", "min_looks"),
        ("min_looks: 3", "min_looks: 3.5", "min_looks"),
        ("silence_s: 8.0", "silence_s: 0", "silence_s"),
        ("group_min_count: 5", "group_min_count: 0", "group_min_count"),
        ("declared_canary_share_ratio: 0.0", "declared_canary_share_ratio: 1", "declared"),
        ("share_tolerance_ratio: 0.05", "share_tolerance_ratio: 0.9", "share_tolerance"),
        ('kind: "count"', 'kind: "gauge"', "metrics[playback.start.failures].kind"),
        ('source_kind: "histogram"', 'source_kind: "gauge"', "source_kind"),
        ('name: "playback.startup.duration"', 'name: "a{b}"', "name"),
        ('name: "playback.startup.duration"', 'name: "http.server.errors"', "metrics.name"),
        ('name: "playback.startup.duration"', "name: 7", "metrics.name"),
        ('bad_values: ["failure_technical"]', "bad_values: []", "bad_values"),
        ('bad_values: ["failure_technical"]', "bad_values: [1]", "bad_values"),
        ("weight: 0.6", "weight: 0", "weight"),
        ("weight: 0.6", "pass_margin: 0.001", "pass_margin"),
        ("weight: 0.6", "pass_margin: 1.5", "pass_margin"),
        ("splits_max: 5", "splits_max: 0", "splits_max"),
        ("slo_bad_ratio: 0.05", "slo_bad_ratio: 0", "slo_bad_ratio"),
        ("critical: true", "critical: 1", "critical"),
    ],
)
def test_a_wrong_rule_is_refused_by_name_and_place(old, new, where):
    text = changed(old, new)
    with pytest.raises(CanaryConfigError) as refused:
        load_canary_config(text)
    assert where in refused.value.where
    assert str(refused.value.accepted)
    problem = refused.value.problems[0]
    assert 1 <= problem.line <= len(text.splitlines()) + 1
    assert problem.column >= 1


def test_the_place_is_that_of_the_value():
    text = changed("weight: 0.6", "weight: -1")
    with pytest.raises(CanaryConfigError, match=r"line \d+, column 7: .*got -1") as refused:
        load_canary_config(text)
    assert "weight: -1" in text.splitlines()[refused.value.problems[0].line - 1]


def test_every_problem_is_told_in_the_order_of_the_file():
    text = changed("alpha: 0.005", "alpha: 7").replace("weight: 0.6", "weight: heavy")
    with pytest.raises(CanaryConfigError, match=r"alpha.*\(and 1 more\)") as refused:
        load_canary_config(text)
    found = [problem.where for problem in refused.value.problems]
    assert found == ["alpha", "metrics[playback.start.failures].weight"]


HEAD = "apiVersion: davylamp/v1\nkind: CanaryRule\nspec:\n"


def test_what_a_rule_does_not_say_is_as_shipped():
    shipped = load_canary_config(SHIPPED)
    rule = load_canary_config(
        f"{HEAD}  horizon_s: 900\n  metrics:\n    - name: http.server.errors\n      weight: 3\n"
    )
    assert (rule.horizon_s, rule.alpha) == (900.0, shipped.alpha)
    (errors,) = rule.metrics
    assert errors.weight == 3.0
    assert errors.bad_values == ("5*",)


def test_a_metric_of_ones_own_needs_a_kind_and_has_the_values_of_its_kind():
    rule = load_canary_config(
        f"{HEAD}  metrics: [{{name: rpc.server.duration, kind: histogram, critical: true}}]\n"
    )
    (metric,) = rule.metrics
    assert (metric.source_metric, metric.label) == ("rpc.server.duration",) * 2
    assert (metric.fail_margin, metric.unit) == (0.0905, "s")
    with pytest.raises(CanaryConfigError, match="kind: got nothing, accepted: count or histogram"):
        load_canary_config(f"{HEAD}  metrics: [{{name: x}}]\n")


@pytest.mark.parametrize("metrics", ["", "  metrics: []\n", "  metrics: x\n"])
def test_a_rule_without_metrics_is_refused(metrics):
    with pytest.raises(CanaryConfigError, match="at least one"):
        load_canary_config(f"{HEAD}  alpha: 0.01\n{metrics}")


@pytest.mark.parametrize("text", ["", "x", "- 1", "a: 1\n---\nb: 1\n", SHIPPED + "---\nx: 1\n"])
def test_what_is_no_rule_is_refused(text):
    with pytest.raises(CanaryConfigError):
        load_canary_config(text)


def test_a_rule_may_be_json():
    rule = '{"apiVersion": "davylamp/v1", "kind": "CanaryRule", "spec": {"metrics": [{"name": '
    assert load_canary_config(rule + '"http.server.errors"}]}}').metrics[0].kind == "count"


def test_outcomes_follow_globs():
    rule = load_canary_config(SHIPPED)
    errors, failures = rule.metric("http.server.errors"), rule.metrics[0]
    assert [errors.outcome(v) for v in ("200", "404", "500", "503", "")] == [
        "good",
        "good",
        "bad",
        "bad",
        "good",
    ]
    outcomes = ("success", "failure_technical", "failure_business", "abandoned")
    assert [failures.outcome(v) for v in outcomes] == ["good", "bad", None, None]


def test_keys_name_metric_and_split():
    key = split_key("a.b", "device.class", "tv")
    assert key == "a.b{device.class=tv}"
    assert parse_key(key) == ("a.b", "device.class=tv")
    assert parse_key("a.b") == ("a.b", "")
    for wrong in ("a{b=c", "a{b}"):
        with pytest.raises(CanaryConfigError):
            parse_key(wrong)


# --- modes ----------------------------------------------------------------------------------

ERRORS = "    - name: http.server.errors\n"


def own(metric: str, spec: str = "") -> str:
    """A rule with one metric; its lines start at line 6."""
    return f"apiVersion: davylamp/v1\nkind: CanaryRule\nspec:\n{spec}  metrics:\n{ERRORS}{metric}"


def test_a_metric_is_sequential_unless_it_says_otherwise():
    rule = load_canary_config(SHIPPED)
    assert {m.mode for m in rule.metrics} == {Mode.SEQUENTIAL}
    exact = load_canary_config(own("      mode: exact\n      point_s: 20\n")).metrics[0]
    assert (exact.mode, exact.point_s, exact.statistic) == (Mode.EXACT, 20, Statistic.SHARE)


def test_the_digest_says_the_mode_and_what_it_reads():
    sequential = own("      mode: sequential\n")
    texts = [
        own(f"      mode: {mode}\n      point_s: {point_s}\n")
        for mode in ("exact", "kayenta")
        for point_s in (5, 10)
    ]
    digests = {load_canary_config(text).digest() for text in [sequential, *texts]}
    assert len(digests) == 5
    # What a sequential metric does not read does not make it another rule.
    same = [own(""), own("      point_s: 5\n")]
    assert {load_canary_config(text).digest() for text in [sequential, *same]} == {
        load_canary_config(sequential).digest()
    }


def test_rules_from_before_there_were_modes_keep_their_digest():
    known = "e97744b95b6d399cd1bdc9b69a5402a163c11261d8bae21f00316d4e14f2e502"
    assert load_canary_config(SHIPPED).digest() == known


@pytest.mark.parametrize(
    ("line", "key", "accepted"),
    [
        ("mode: bayesian", "mode", "sequential or exact or kayenta"),
        ("mode: 3", "mode", "sequential or exact or kayenta"),
        ("point_s: 2.5", "point_s", "a whole number"),
        ("point_s: 0", "point_s", "a number in [1, 3600]"),
        ("statistic: p95", "statistic", "share or mean or p50 or p90 or p99"),
        ("statistic: p50", "statistic", "share for a count"),
    ],
)
def test_a_wrong_mode_is_refused_with_its_line(line, key, accepted):
    with pytest.raises(CanaryConfigError) as refused:
        load_canary_config(own(f"      weight: 1\n      {line}\n"))
    problem = refused.value.problems[0]
    assert problem.where == f"metrics[http.server.errors].{key}"
    assert problem.accepted == accepted
    assert (problem.line, problem.column) == (7, 7)


@pytest.mark.parametrize(
    ("horizon_s", "point_s"), [(300, 25), (300, 3600), (3600, 1), (10_000_000, 3600)]
)
def test_a_mode_that_answers_once_needs_points_enough_and_not_too_many(horizon_s, point_s):
    """Counted without the 30 s that instances may take to report, and the interval that is open."""
    spec = f"  horizon_s: {horizon_s}\n"
    text = f"      point_s: {point_s}\n"
    load_canary_config(own(text, spec))
    with pytest.raises(CanaryConfigError, match=r"at least 10 points .* at most 1000") as refused:
        load_canary_config(own(f"{text}      mode: exact\n", spec))
    assert refused.value.problems[0].line == 7


@pytest.mark.parametrize(("horizon_s", "point_s"), [(300, 24), (1000, 1)])
def test_the_edges_of_that_are_good(horizon_s, point_s):
    text = f"      point_s: {point_s}\n      mode: kayenta\n"
    load_canary_config(own(text, f"  horizon_s: {horizon_s}\n"))
    with pytest.raises(CanaryConfigError, match="point_s"):
        load_canary_config(own(text, f"  horizon_s: {horizon_s}\n  warm_up_s: {horizon_s - 40}\n"))


def test_durations_have_no_share():
    text = own("").replace("http.server.errors", "http.server.request.duration")
    with pytest.raises(CanaryConfigError, match="mean or p50 or p90 or p99 for a histogram"):
        load_canary_config(f"{text}      statistic: share\n")
