"""Definitions are read strictly: what is wrong, and where, is in the error."""

from __future__ import annotations

import copy

import pytest
import yaml

from analysis.slo.errors import SloFileError
from analysis.slo.objectives import duration_s, load_objectives, load_policies, shipped_text

POLICIES = load_policies(shipped_text("alerting.yaml"))
OBJECTIVE = next(yaml.safe_load_all(shipped_text("objectives.yaml")))
POLICY = yaml.safe_load(shipped_text("alerting.yaml"))[0]
RATIO = "spec.indicator.spec.ratioMetric"


def changed(document, path, value):
    """A copy with the value at a dotted path replaced; ``...`` removes it."""
    made = copy.deepcopy(document)
    *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
    at = made
    for part in parents:
        at = at[part]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return made


def test_shipped_objectives():
    month, hour = load_objectives(shipped_text("objectives.yaml"), POLICIES)
    assert (month.target_ratio, month.window_s, month.budget_ratio) == (0.99, 30 * 86_400, 0.01)
    assert (hour.window_s, hour.policy.name) == (3600, "demo-1h")
    assert month.outcome("success") == "good"
    assert month.outcome("failure_technical") == "bad"
    assert month.outcome("abandoned") is None


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("surprise", 1, "document 0.surprise"),
        ("spec.surprise", 1, "document 0.spec.surprise"),
        ("kind", "SLI", "document 0.kind"),
        ("apiVersion", "openslo/v2alpha", "document 0.apiVersion"),
        ("apiVersion", ..., "document 0.apiVersion"),
        ("metadata", None, "document 0.metadata"),
        ("metadata.name", "Not A Label", "metadata.name"),
        ("metadata.displayName", 7, "metadata.displayName"),
        ("spec.service", "", "document 0.spec.service"),
        ("spec.service", ..., "document 0.spec.service"),
        ("spec.budgetingMethod", "Timeslices", "document 0.spec.budgetingMethod"),
        ("spec.timeWindow", [], "document 0.spec.timeWindow"),
        ("spec.timeWindow.0.isRolling", "true", "document 0.spec.timeWindow[0].isRolling"),
        ("spec.timeWindow.0.duration", "1M", "document 0.spec.timeWindow[0].duration"),
        ("spec.timeWindow.0.calendar", {}, "document 0.spec.timeWindow[0].calendar"),
        ("spec.objectives.0.target", "0.99", "document 0.spec.objectives[0].target"),
        ("spec.objectives.0.target", True, "document 0.spec.objectives[0].target"),
        ("spec.objectives.0.target", 1, "document 0.spec.objectives[0].target"),
        ("spec.objectives.0.target", 0, "document 0.spec.objectives[0].target"),
        ("spec.objectives.0.target", float("nan"), "document 0.spec.objectives[0].target"),
        ("spec.objectives.0.target", 1 - 1e-13, "document 0.spec.objectives[0].target"),
        ("spec.objectives.0.targetPercent", 99, "document 0.spec.objectives[0].targetPercent"),
        ("spec.alertPolicies", ["nobody"], "document 0.spec.alertPolicies[0]"),
        ("spec.alertPolicies", [[]], "document 0.spec.alertPolicies[0]"),
        ("spec.alertPolicies", ["demo-1h"], "document 0.spec.alertPolicies[0]"),
        (f"{RATIO}.counter", False, f"document 0.{RATIO}.counter"),
        (f"{RATIO}.bad", {}, f"document 0.{RATIO}.bad"),
        (
            f"{RATIO}.good.metricSource.spec.values",
            ["success", "other"],
            f"document 0.{RATIO}.good",
        ),
        (
            f"{RATIO}.total.metricSource.spec.values",
            [1],
            f"document 0.{RATIO}.total.metricSource.spec.values",
        ),
        (
            f"{RATIO}.total.metricSource.type",
            "prometheus",
            f"document 0.{RATIO}.total.metricSource.type",
        ),
    ],
)
def test_a_wrong_objective_names_its_place(path, value, where):
    with pytest.raises(SloFileError) as raised:
        load_objectives(yaml.safe_dump(changed(OBJECTIVE, path, value)), POLICIES)
    assert raised.value.where == where
    assert str(raised.value).startswith(f"{where}: got ")


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("surprise", 1, "policies[0].surprise"),
        ("period", 30, "policies[0].period"),
        ("period", ..., "policies[0].period"),
        ("guard.min_failures", 2.5, "policies[0].guard.min_failures"),
        ("guard.min_failures", True, "policies[0].guard.min_failures"),
        ("guard.min_failures", 0, "policies[0].guard.min_failures"),
        ("guard.p_value", 0, "policies[0].guard.p_value"),
        ("guard.p_value", 1, "policies[0].guard.p_value"),
        ("windows", [], "policies[0].windows"),
        ("windows.1.severity", "shout", "policies[0].windows[1].severity"),
        ("windows.1.short_window", "6h", "policies[0].windows[1].short_window"),
        ("windows.1.factor", 6.1, "policies[0].windows[1].factor"),
        ("windows.1.factor", ..., "policies[0].windows[1].factor"),
        ("windows.1.budget_share_ratio", 1.5, "policies[0].windows[1].budget_share_ratio"),
    ],
)
def test_a_wrong_policy_names_its_place(path, value, where):
    with pytest.raises(SloFileError) as raised:
        load_policies(yaml.safe_dump([changed(POLICY, path, value)]))
    assert raised.value.where == where


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a\n---\n- b",
        "{",
        "just words",
        "day: 2026-13-45",
        "[" * 1000,
        "{name: one, name: two}",
        "- {<<: 3}",
        "? [a]\n: b",
        "\x00",
    ],
)
def test_what_is_no_definition_is_a_typed_error(text):
    for load in (load_policies, lambda text: load_objectives(text, POLICIES)):
        with pytest.raises(SloFileError):
            load(text)


def test_a_name_given_twice_is_refused():
    twice = yaml.safe_dump_all([OBJECTIVE, OBJECTIVE])
    with pytest.raises(SloFileError, match=r"metadata\.name"):
        load_objectives(twice, POLICIES)
    with pytest.raises(SloFileError, match=r"policies\.name"):
        load_policies(yaml.safe_dump([POLICY, POLICY]))


def test_a_key_given_twice_is_refused():
    """YAML's last one would win in silence: an objective of 0.5 where 0.99 is read."""
    text = yaml.safe_dump(OBJECTIVE).replace("target: 0.99", "target: 0.99\n    target: 0.5")
    with pytest.raises(SloFileError, match=r"target.*is given 2 times"):
        load_objectives(text, POLICIES)


def test_a_factor_no_outage_reaches_is_refused():
    """At a target of 90 % burn 14.4 would need 144 % errors."""
    with pytest.raises(SloFileError, match=r"factor 14\.4.*less than 10"):
        load_objectives(
            yaml.safe_dump(changed(OBJECTIVE, "spec.objectives.0.target", 0.9)), POLICIES
        )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("1h", 3600), ("30d", 2_592_000), ("4w", 2_419_200)],
)
def test_durations(text, seconds):
    assert duration_s("x", text) == seconds


@pytest.mark.parametrize(
    "text", ["0s", "05m", "1.5h", "-1d", "1M", "1Q", "1Y", "h", " 1h", 60, None]
)
def test_other_durations_are_refused(text):
    with pytest.raises(SloFileError, match="whole number"):
        duration_s("x", text)
