"""Checked definitions become typed objects with exact numbers and resolved references."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction

import pytest

from analysis.slo.openslo.errors import DefinitionError
from analysis.slo.openslo.model import BudgetingMethod, IndicatorKind, build
from analysis.slo.openslo.time_windows import CalendarWindow, RollingWindow
from analysis.slo.openslo.validate import validate


def slos(text):
    return {one.name: one for one in build(validate({"f": text}))}


def test_an_inline_indicator(texts):
    """Numbers are what was written: the budget of 0.999 is one thousandth."""
    slo = slos(texts.slo)["checkout"]
    (objective,) = slo.objectives
    assert Fraction(1, 1000) == objective.budget_ratio
    assert (
        objective.indicator.kind,
        objective.indicator.is_counter,
    ) == (IndicatorKind.GOOD_TOTAL, True)
    assert objective.indicator.metric.spec == {"query": "good"}
    assert objective.indicator.total.spec == {"query": "total"}
    assert (BudgetingMethod.OCCURRENCES, RollingWindow(28 * 86_400)) == (slo.method, slo.window)


def test_references_are_resolved(texts):
    """Indicator, data source, policy, condition and target stand in the objective."""
    slo = slos(texts.all_kinds)["fast-enough"]
    (objective,), (policy,) = slo.objectives, slo.alert_policies
    metric = objective.indicator.metric
    assert (
        metric.type,
        metric.source_name,
        metric.connection,
    ) == ("Prometheus", "prom", {"url": "http://localhost:9090"})
    assert ("lte", 0.5, 300, Fraction(19, 20)) == (
        objective.op,
        objective.value,
        objective.slice_s,
        objective.slice_target_ratio,
    )
    assert (policy.name, policy.targets) == ("page-us", ("email",))
    assert (Fraction(72, 5), 3_600, 0) == (
        policy.condition.threshold,
        policy.condition.lookback_s,
        policy.condition.alert_after_s,
    )
    assert CalendarWindow(datetime(2026, 1, 1), "Europe/Warsaw", 1, "M") == slo.window


def test_percent_is_exact(texts):
    """99.95 percent is 1999/2000."""
    slo = slos(texts.slo.replace("target: 0.999", "targetPercent: 99.95"))["checkout"]
    assert Fraction(1999, 2000) == slo.objectives[0].target_ratio


@pytest.mark.parametrize(
    ("old", "new", "is_same"),
    [
        ("service: shop", "service: shop\n  description: other words", True),
        ("name: checkout", "name: renamed", True),
        ("0.999", "0.9990", True),
        ("0.999", "0.998", False),
        ("28d", "30d", False),
        ("28d", "4w", True),
        ("{query: good}", "{query: better}", False),
        ("Occurrences", "Occurrences\n  alertPolicies: []", True),
    ],
)
def test_a_generation_is_what_bears_on_the_numbers(texts, old, new, is_same):
    """New words keep the history, new numbers begin another."""
    (before,) = build(validate({"f": texts.slo}))
    (after,) = build(validate({"f": texts.slo.replace(old, new, 1)}))
    assert is_same is (before.generation == after.generation)


def test_what_is_wrong_has_no_meaning(texts):
    """All reasons travel with the error."""
    with pytest.raises(DefinitionError, match="budgetingMethod") as caught:
        build(validate({"f": texts.slo.replace("Occurrences", "Often")}))
    assert caught.value.findings[0].code == "one_of"
