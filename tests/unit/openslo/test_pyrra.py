"""Pyrra's dialect, retyped from its published fixtures: objects in, its rules and queries out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.slo.openslo.errors import ConversionError, DefinitionError
from analysis.slo.openslo.promql_text import normalised
from analysis.slo.openslo.pyrra import queries
from analysis.slo.openslo.pyrra.checks import judge
from analysis.slo.openslo.pyrra.draft import Draft, IndicatorDraft
from analysis.slo.openslo.pyrra.objective import Matcher, le_for_prometheus_3
from analysis.slo.openslo.pyrra.read import read
from analysis.slo.openslo.pyrra.rules import (
    Options,
    burnrate_group,
    generic_group,
    increase_group,
)
from analysis.slo.openslo.pyrra.windows import windows

PLAIN = Options()
SAME_METRIC = "ratio errors metric should be different from ratio total metric"


def objective(indicator, **spec):
    content = {"target": '"99"', "window": "4w", "indicator": indicator, **spec}
    lines = "".join(f"  {key}: {value}\n" for key, value in content.items())
    text = (
        "apiVersion: pyrra.dev/v1alpha1\nkind: ServiceLevelObjective\n"
        "metadata: {name: errors, namespace: shop, labels: {pyrra.dev/team: a, other: b}}\n"
        f"spec:\n{lines}"
    )
    return read("file", text)[0]


RATIO = (
    '{ratio: {errors: {metric: \'http_requests_total{code=~"5..",job="a"}\'}, '
    "total: {metric: 'http_requests_total{job=\"a\"}'}}}"
)
LATENCY = (
    '{latency: {success: {metric: \'http_seconds_bucket{job="a",le="1"}\'}, '
    "total: {metric: 'http_seconds_count{job=\"a\"}'}}}"
)
NATIVE = "{latencyNative: {latency: 200ms, total: {metric: 'http_seconds{job=\"a\"}'}}}"
GAUGE = "{bool_gauge: {metric: up, grouping: [job]}}"


def test_burn_rates_and_alerts():
    """Seven windows, four pairs, labels handed on."""
    group = burnrate_group(objective(RATIO), PLAIN)
    first, alert = group.rules[0], group.rules[7]
    assert first.record == "http_requests:burnrate5m"
    assert first.labels == {"slo": "errors", "team": "a", "job": "a"}
    ratio = (
        'sum(rate(http_requests_total{code=~"5..",job="a"}[5m])) '
        '/ sum(rate(http_requests_total{job="a"}[5m]))'
    )
    assert normalised(first.expr) == normalised(ratio)
    series = '{job="a",slo="errors"}'
    burn = " and ".join(
        f"http_requests:burnrate{span}{series} > (14 * (1-0.99))" for span in ("5m", "1h")
    )
    assert normalised(alert.expr) == normalised(burn)
    assert (alert.alert, alert.for_text, alert.labels["exhaustion"]) == (
        "ErrorBudgetBurn",
        "2m0s",
        "2d",
    )
    assert burnrate_group(objective(LATENCY), PLAIN).rules[7].for_text == "2m"


def test_increases_and_absent_metrics():
    """The period's events by what tells errors apart; gone after detection plus waiting time."""
    record, absent = increase_group(objective(RATIO), PLAIN).rules
    assert record.record == "http_requests:increase4w"
    assert normalised(record.expr) == normalised(
        'sum by (code) (increase(http_requests_total{job="a"}[4w]))'
    )
    assert (absent.alert, absent.for_text) == ("SLOMetricAbsent", "10m")
    three_nines = replace(objective(RATIO), target=0.999)
    assert increase_group(three_nines, PLAIN).rules[1].for_text == "3m"


def test_speed_over_accuracy():
    """Five-minute sums, and the period's from these."""
    fast = replace(objective(LATENCY), performance_over_accuracy=True)
    rules = increase_group(fast, PLAIN).rules
    assert [one.record or one.alert for one in rules] == [
        "http_seconds:increase5m",
        "http_seconds:increase5m",
        "SLOMetricAbsent",
        "SLOMetricAbsent",
        "http_seconds:increase4w",
        "http_seconds:increase4w",
    ]
    total = 'sum(sum_over_time(http_seconds:increase5m{job="a",le=""}[4w:5m]))'
    assert normalised(rules[4].expr) == normalised(total)


def test_generic_figures():
    """Not by groups; native histograms have no rates."""
    records = [one.record for one in generic_group(objective(RATIO), PLAIN).rules]
    assert records[:3] == ["pyrra_objective", "pyrra_window", "pyrra_availability"]
    assert len(generic_group(objective(NATIVE), PLAIN).rules) == 3
    with pytest.raises(ConversionError, match="no grouping"):
        generic_group(objective(GAUGE), PLAIN)


def test_queries():
    """What its pages ask."""
    ratio, gauge = objective(RATIO), objective(GAUGE)
    assert normalised(queries.budget_query(ratio)) == normalised(
        '((1 - 0.99) - (sum(http_requests:increase4w{code=~"5..",job="a",slo="errors"} '
        'or vector(0)) / sum(http_requests:increase4w{job="a",slo="errors"}))) / (1 - 0.99)'
    )
    assert normalised(queries.errors_query(gauge, 604_800)) == normalised(
        'sum by (job) (up:count1w{slo="errors"}) - sum by (job) (up:sum1w{slo="errors"})'
    )
    group = Matcher("job", "=", "b")
    assert queries.burnrate_query(gauge, 300, [group]) == (
        'sum(up:burnrate5m{job="b",slo="errors"})'
    )
    with pytest.raises(ConversionError):
        queries.burnrate_query(gauge, 300, [Matcher("job", "=~", "b")])
    assert queries.duration_range(ratio, 300, 0.95) == ""
    assert "histogram_quantile(0.9," in queries.duration_range(objective(NATIVE), 300, 0.9)


def test_windows_scale_with_the_period():
    """Rounded to minutes; at a week the fastest pair waits no time at all."""
    spans = [(one.for_s, one.long_s, one.short_s) for one in windows(28 * 86_400)]
    assert spans == [
        (120, 3_600, 300),
        (900, 21_600, 1_800),
        (3_600, 86_400, 7_200),
        (10_800, 345_600, 21_600),
    ]
    assert windows(14 * 86_400)[0].short_s == 180
    assert windows(6 * 86_400)[0].for_s == 0


@pytest.mark.parametrize(
    ("value", "op", "expected"),
    [("1", "=~", r"1(\.0)?"), ("0.5", "=", "0.5"), ("", "=", ""), ("+Inf", "=", "+Inf")],
)
def test_buckets_of_prometheus_3(value, op, expected):
    """Only whole numbers have two spellings."""
    found = le_for_prometheus_3(Matcher("le", "=", value))
    assert (found.op, found.value) == (op, expected)


@pytest.mark.parametrize(
    ("changes", "error", "warnings"),
    [
        ({}, None, []),
        ({"name": ""}, "name must be set", []),
        ({"namespace": "", "target": ""}, "target must be set", ["namespace must be set"]),
        ({"target": "-1"}, "target must be between 0 and 100", []),
        ({"target": "0.95"}, None, ["target is from 0-100 (95), not 0-1 (0.95)"]),
        ({"window": "2t"}, 'unknown unit "t" in duration "2t"', []),
        ({"window": "1h1d"}, 'not a valid duration string: "1h1d"', []),
        ({"errors": "sum(a)"}, "ratio errors metric must be a vector selector", []),
        (
            {"errors": "b"},
            None,
            ["ratio errors metric should be different from ratio total metric"],
        ),
    ],
)
def test_judgements(changes, error, warnings):
    """The first error, and the warnings before it."""
    texts = {"errors": changes.pop("errors", "a"), "total": "b"}
    usual = {"name": "x", "namespace": "y", "target": "99", "window": "4w"}
    draft = Draft(indicators={"ratio": IndicatorDraft(texts)}, **{**usual, **changes})
    assert judge(draft) == (error, warnings)


def test_a_refused_object_says_where():
    """File, line and reason."""
    with pytest.raises(DefinitionError, match="ratio total metric must be set"):
        objective("{ratio: {errors: {metric: a}}}")
