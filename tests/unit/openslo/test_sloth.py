"""Sloth's dialect, retyped from its published examples: specs in, its rules out."""

from __future__ import annotations

import json

import pytest

from analysis.slo.openslo.document import read_documents
from analysis.slo.openslo.errors import ConversionError, DefinitionError
from analysis.slo.openslo.promql_text import normalised
from analysis.slo.openslo.sloth.catalogue import BUILT_IN, catalogue_for, read_catalogue, workbook
from analysis.slo.openslo.sloth.checks import first_problem
from analysis.slo.openslo.sloth.generate import Options, rule_groups
from analysis.slo.openslo.sloth.spec import AlertMeta, SlothSlo, read

BAD, TOTAL = 'sum(rate(bad_total{job="a"}[{{.window}}]))', "sum(rate(all_total[{{ .window }}]))"
OPTIONS = Options(version="test")
IDS = 'sloth_id="web-up", sloth_service="web", sloth_slo="up"'


def spec(**changes):
    slo = {
        "name": "up",
        "objective": 99.9,
        "sli": {"events": {"error_query": BAD, "total_query": TOTAL}},
        "alerting": {"name": "Up", "labels": {"a": "1"}, "page_alert": {"labels": {"a": 2}}},
        **changes,
    }
    return json.dumps(
        {"version": "prometheus/v1", "service": "web", "labels": {"tier": 1}, "slos": [slo]}
    )


def groups_of(text, options=OPTIONS):
    return {group.name: group for group in rule_groups(read("file", text), options)}


def expressions(groups):
    return {
        rule.record or f"{rule.alert} {rule.labels['sloth_severity']}": normalised(rule.expr)
        for group in groups.values()
        for rule in group.rules
    }


def test_groups_and_expressions():
    """Names, order and formulas."""
    groups = groups_of(spec())
    assert list(groups) == [
        "sloth-slo-sli-recordings-web-up",
        "sloth-slo-meta-recordings-web-up",
        "sloth-slo-alerts-web-up",
    ]
    found = expressions(groups)
    windows = ["5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"]
    assert [name for name in found if "sli_error" in name] == [
        f"slo:sli_error:ratio_rate{one}" for one in windows
    ]
    ratio = '(sum(rate(bad_total{job="a"}[5m]))) / (sum(rate(all_total[5m])))'
    assert found["slo:sli_error:ratio_rate5m"] == normalised(ratio)
    short = f"slo:sli_error:ratio_rate5m{{{IDS}}}[30d]"
    period = f"sum_over_time({short}) / ignoring (sloth_window) count_over_time({short})"
    assert found["slo:sli_error:ratio_rate30d"] == normalised(period)
    # Its doubles, dust included.
    assert found["slo:objective:ratio"] == normalised("vector(0.9990000000000001)")
    page = " or ".join(
        f"(max(slo:sli_error:ratio_rate{short}{{{IDS}}} > ({factor} * 0.0009999999999999432)) "
        f"without (sloth_window) and max(slo:sli_error:ratio_rate{long}{{{IDS}}} > "
        f"({factor} * 0.0009999999999999432)) without (sloth_window))"
        for short, long, factor in (("5m", "1h", "14.4"), ("30m", "6h", "6"))
    )
    assert found["Up page"] == normalised(page)


def test_labels_are_merged_and_written_as_text():
    """Later ones win; numbers of YAML are texts here."""
    groups = groups_of(spec(labels={"tier": "2"}))
    alert = groups["sloth-slo-alerts-web-up"].rules[0]
    assert alert.labels == {"a": "2", "sloth_severity": "page"}
    info = groups["sloth-slo-meta-recordings-web-up"].rules[-1].labels
    assert (info["tier"], info["sloth_objective"], info["sloth_mode"]) == (
        "2",
        "99.9",
        "cli-gen-prom",
    )


def test_what_the_command_line_leaves_out():
    """No alerts, no recordings, more labels, another period."""
    assert list(groups_of(spec(), Options("t", alerts=False))) == [
        "sloth-slo-sli-recordings-web-up",
        "sloth-slo-meta-recordings-web-up",
    ]
    assert list(groups_of(spec(), Options("t", recordings=False))) == ["sloth-slo-alerts-web-up"]
    other = groups_of(spec(), Options("t", extra_labels={"x": "y"}, default_period_s=28 * 86_400))
    assert "slo:sli_error:ratio_rate4w" in expressions(other)
    assert other["sloth-slo-sli-recordings-web-up"].rules[0].labels["x"] == "y"
    with pytest.raises(ConversionError, match="no alert windows for 6w, accepted: 30d, 4w"):
        groups_of(spec(), Options("t", default_period_s=42 * 86_400))


@pytest.mark.parametrize(
    ("days", "factors"),
    [(30, (14.4, 6, 3, 1)), (28, (13.44, 5.6, 2.8, 28 / 30)), (7, (3.36, 1.4, 0.7, 7 / 30))],
)
def test_factors(days, factors):
    """Share of the budget times period over window."""
    windows = workbook(days * 86_400)
    assert [windows.factor(pair) for pair in windows.pairs] == pytest.approx(factors, rel=1e-12)
    if days in (28, 30):
        assert catalogue_for(days * 86_400, BUILT_IN) == windows


def test_windows_of_ones_own():
    """A document of kind AlertWindows; a wrong one is refused with its place."""
    pair = {"errorBudgetPercent": 8, "shortWindow": "5m", "longWindow": "1h"}
    severity = {"quick": pair, "slow": pair}
    content = {
        "apiVersion": "sloth.slok.dev/v1",
        "kind": "AlertWindows",
        "spec": {"sloPeriod": "7d", "page": severity, "ticket": severity},
    }
    windows = read_catalogue(read_documents(json.dumps(content))[0])
    assert windows.factor(windows.page_quick) == 13.44
    content["spec"]["sloPeriod"] = "soon"
    with pytest.raises(ConversionError, match=r"spec\.sloPeriod"):
        read_catalogue(read_documents(json.dumps(content))[0])


def test_plugins_run_by_priority():
    """Before the default steps their work is replaced, after them it stays."""
    label = {"id": "sloth.dev/contrib/info_labels/v1"}
    chain = [
        {**label, "priority": -1, "config": {"labels": {"early": "x"}}},
        {**label, "priority": 5, "config": {"labels": {"late": "2"}}},
        {**label, "config": {"labels": {"late": "1"}}},
        {"id": "sloth.dev/contrib/rule_intervals/v1", "config": {"interval": {"default": "1m"}}},
    ]
    groups = groups_of(spec(plugins={"chain": chain}))
    info = groups["sloth-slo-meta-recordings-web-up"].rules[-1].labels
    assert ("early" in info, info["late"]) == (False, "2")
    assert {group.interval for group in groups.values()} == {"1m"}
    with pytest.raises(ConversionError, match="unknown plugin 'nobody/v1'"):
        groups_of(spec(plugins={"chain": [{"id": "nobody/v1"}]}))


def slo(**changes):
    content = {
        "slo_id": "web-up",
        "name": "up",
        "service": "web",
        "objective_percent": 99.9,
        "period_s": 2_592_000,
        "events": (BAD, TOTAL),
        **changes,
    }
    return SlothSlo(**content)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, None),
        ({"name": ""}, "invalid SLO name: required"),
        ({"period_s": None}, "time window is required"),
        ({"objective_percent": 100.1}, "objective must >0 and <=100"),
        (
            {"labels": {"__name__": "x"}},
            'the label key "__name__" is not allowed',
        ),
        (
            {"labels": {"a": "\udcc3("}},
            'the label value "\\xc3(" is not valid',
        ),
        ({"events": None}, "invalid SLI: at least one SLI type is required"),
        ({"raw": BAD}, "invalid SLI: only one SLI type is allowed"),
        ({"events": (BAD, BAD)}, "invalid SLI: both error and total queries can't be the same"),
        (
            {"events": (BAD, "up")},
            "sli total query template: template must contain",
        ),
        ({"page": AlertMeta()}, "invalid alert: page alert: alert name is required"),
        ({"override_plugins": True}, "override plugins is set but no plugins are defined"),
    ],
)
def test_refusals(changes, problem):
    """The first reason, in Sloth's words."""
    found = first_problem(slo(**changes))
    assert found == problem if problem is None else problem in found


def test_a_wrong_file_is_refused_with_its_places():
    """Line, property, what was given."""
    with pytest.raises(DefinitionError) as caught:
        read("slos.yml", "version: prometheus/v1\nservice: 7\nslos: [{objective: high}]\n")
    shown = [str(one) for one in caught.value.findings]
    assert shown[0].startswith("slos.yml:2:10: ")
    assert "slos[0].objective" in shown[1]
