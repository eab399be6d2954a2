"""Composites that run: one budget of several indicators, as the exact computation has it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from analysis.slo.composite_past import explained_together, report_row_together
from analysis.slo.composites import composite_statuses, composites_of
from analysis.slo.errors import SloFileError
from analysis.slo.looking_back import Past
from analysis.slo.objectives import load_objectives
from analysis.slo.openslo.budgets import BudgetTerms, DataRules, DataState, Missing
from analysis.slo.openslo.composite import Member, composite_budget
from analysis.slo.openslo.exact import exact
from analysis.slo.openslo.sliced_past import SlicedPast
from analysis.slo.openslo.time_windows import Period
from analysis.slo.tracker import SloState, SloTracker
from davylamp.slo_live_cli import explained as lines_of

SLICE_S = 60
START_S = 1_800_000_000 // 86_400 * 86_400
RULES = DataRules(Missing.IGNORED, Missing.IGNORED, Fraction(9, 10), 180)
HEAD = """
apiVersion: openslo/v1
kind: SLO
metadata: {name: shop, displayName: The shop}
spec:
  service: shop
  budgetingMethod: METHOD
  timeWindow: [{duration: 1d, WINDOW}]
  objectives:
"""
PART = """
    - displayName: NAME
      target: TARGET
      compositeWeight: WEIGHT
      SLICES
      indicator:
        metadata: {name: NAME}
        spec:
          ratioMetric:
            counter: true
            bad: {metricSource: {type: davylamp, spec: {metric: NAME, attribute: a, values: [x]}}}
            total:
              {metricSource: {type: davylamp, spec: {metric: NAME, attribute: a, values: [x, z]}}}
"""
CALENDAR = 'isRolling: false, calendar: {startTime: "2026-01-01 00:00:00", timeZone: UTC}'


def loaded(method="Occurrences", window="isRolling: true"):
    slices = "timeSliceWindow: 5m" if method != "Occurrences" else ""
    slices += "\n      timeSliceTarget: 0.9" if method == "Timeslices" else ""
    text = HEAD.replace("METHOD", method).replace("WINDOW", window)
    for name, target, weight in (("search", "0.99", "0.75"), ("pay", "0.995", "0.25")):
        part = PART.replace("NAME", name).replace("TARGET", target).replace("WEIGHT", weight)
        text += part.replace("SLICES", slices)
    return load_objectives({"shop.yaml": text})


def past_of(seed, size):
    rng = np.random.default_rng(seed)
    total = rng.poisson(30, size)
    bad = rng.binomial(total, np.where(np.arange(size) // 60 % 5 == 2, 0.05, 0.002))
    return SlicedPast(START_S, SLICE_S, total - bad, bad, np.ones(size, np.bool_))


def run(objectives, pasts):
    """Where every objective and the composite stand at the end."""
    end = pasts[0].end_unix_s
    found = []
    for objective, past in zip(objectives, pasts, strict=True):
        tracker = SloTracker(objective, SLICE_S, 300.0)
        for place, (good, bad) in enumerate(zip(past.good, past.bad, strict=True)):
            tracker.take(START_S + place * SLICE_S, int(good), int(bad))
        found.append(tracker.evaluate(end * 10**9))
    (together,) = composite_statuses(composites_of(objectives), found)
    return together


@pytest.mark.parametrize("method", ["Occurrences", "RatioTimeslices"])
@pytest.mark.parametrize("window", ["isRolling: true", CALENDAR])
def test_a_composite_is_the_exact_one(method, window):
    objectives = loaded(method, window)
    assert [one.name for one in objectives] == ["shop/search", "shop/pay"]
    pasts = [past_of(seed, 2_000) for seed in (1, 2)]
    status = run(objectives, pasts)
    end = pasts[0].end_unix_s
    members = [
        Member(
            past,
            BudgetTerms(one.method, exact(one.target_ratio), one.slice_s),
            one.part.weight,
        )
        for one, past in zip(objectives, pasts, strict=True)
    ]
    period = objectives[0].period(end)
    expected = composite_budget(members, RULES, period, end)
    budget = status.budget
    assert abs(budget.remaining_ratio - expected.remaining_ratio) < 1e-9
    if method != "Occurrences" or window is CALENDAR:
        assert abs(budget.projected_remaining_ratio - expected.projected_remaining_ratio) < 1e-9
    (composite,) = composites_of(objectives)
    looked = [Past(one) for one in pasts]
    found = explained_together(composite, looked, end)
    assert found["numbers"][0]["value"] == pytest.approx(budget.remaining_ratio, abs=1e-9)
    row = report_row_together(composite, looked, period, end)
    assert row["budget_remaining_ratio"] == pytest.approx(budget.remaining_ratio, abs=1e-9)
    assert row["total"] == budget.total
    lines = lines_of(found)
    assert lines[0] == "The shop: one budget of 2 objectives (covered)"
    assert any(line.startswith("The shop: pay: at least 99.500% good") for line in lines)


def test_what_a_member_used_is_said():
    good = np.full(1_440, 100)
    bad = np.zeros(1_440, np.int64)
    bad[-10:] = 72  # half of search's budget
    reported = np.ones(1_440, np.bool_)
    pasts = [
        SlicedPast(START_S, SLICE_S, good - bad, bad, reported),
        SlicedPast(START_S, SLICE_S, good, bad * 0, reported),
    ]
    status = run(loaded(), pasts)
    assert status.budget.remaining_ratio == pytest.approx(1 - 0.75 * 0.5)
    assert (status.state, status.objective.name) == (SloState.OK, "shop")
    said = status.to_json()
    assert [one["name"] for one in said["members"]] == ["shop/search", "shop/pay"]
    assert said["members"][0]["budget_used_ratio"] == pytest.approx(0.5)
    assert said["error_ratio"] is None, "events of two indicators have no share in common"
    assert "62% of the budget of 2 objectives left; used by shop/search 38%, shop/pay 0%" in (
        status.summary
    )


def test_a_member_without_data_leaves_no_number():
    objectives = loaded()
    busy = SloTracker(objectives[0], SLICE_S, 300.0)
    busy.take(START_S, 10, 0)
    now = (START_S + SLICE_S) * 10**9
    statuses = [busy.evaluate(now), SloTracker(objectives[1], SLICE_S, 300.0).evaluate(now)]
    (status,) = composite_statuses(composites_of(objectives), statuses)
    assert (status.state, status.data) == (SloState.NO_DATA, DataState.EMPTY)
    assert status.budget.remaining_ratio is None
    assert status.summary == "No numbers of shop/pay: nothing to judge."
    quiet = np.zeros(10, np.int64)
    past = SlicedPast(START_S, SLICE_S, quiet, quiet, np.zeros(10, np.bool_))
    (composite,) = composites_of(objectives)
    looked = [Past(past_of(1, 10)), Past(past)]
    found = explained_together(composite, looked, START_S + 600)
    assert found["numbers"][0]["inserted"] == "a member has none"
    row = report_row_together(composite, looked, Period(START_S, START_S + 600), START_S + 600)
    assert row["budget_remaining_ratio"] is row["sli_ratio"] is None


def test_a_composite_of_bad_slices_is_refused():
    with pytest.raises(SloFileError, match="got 'Timeslices', accepted: Occurrences or RatioTime"):
        loaded("Timeslices")
