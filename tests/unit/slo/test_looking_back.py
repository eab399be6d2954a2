"""What an objective's past says: exact numbers with their formulas, alerts as they run."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from analysis.slo.looking_back import (
    Past,
    explained,
    report_row,
    slices_that_fit,
    suggested,
    what_if,
)
from analysis.slo.objectives import (
    AlertPolicy,
    BurnWindow,
    EventSource,
    Guard,
    Objective,
)
from analysis.slo.openslo.model import BudgetingMethod
from analysis.slo.openslo.sliced_past import CountsError, SlicedPast, sliced_past
from analysis.slo.openslo.time_windows import CalendarWindow, Period
from analysis.slo.tracker import SloTracker

HOUR_S = 3_600
SLICE_S = 60
START_S = 1_800_000_000 // 3_600 * 3_600
PAGE = BurnWindow("page", 14.4, HOUR_S, 300)
TICKET = BurnWindow("ticket", 3.0, 6 * HOUR_S, 1_800)
OBJECTIVE = Objective(
    name="starts",
    service="playback",
    display_name="Starts",
    target_ratio=0.999,
    window_s=24 * HOUR_S,
    good=EventSource("starts", "outcome", frozenset({"ok"})),
    total=EventSource("starts", "outcome", frozenset({"ok", "bad"})),
    policy=AlertPolicy(Guard(), (PAGE, TICKET)),
)


def day(bad_per_slice=0, outage=(), excluded=()):
    """30 hours of 100 events a minute; ``outage`` = (first minute, minutes, bad of 100)."""
    size = 30 * 60
    bad = np.full(size, bad_per_slice)
    if outage:
        first, minutes, count = outage
        bad[first : first + minutes] = count
    return Past(sliced_past(START_S, SLICE_S, 100 - bad, bad), tuple(excluded))


END_S = START_S + 30 * HOUR_S
DAY = Period(END_S - 24 * HOUR_S, END_S)


def test_every_number_is_what_its_formula_gives():
    found = explained(OBJECTIVE, day(outage=(10 * 60, 30, 50)), END_S)
    numbers = {one["name"]: one["value"] for one in found["numbers"]}
    bad, total = 30 * 50, 24 * 60 * 100
    assert numbers["total"] == total
    assert numbers["error_ratio"] == bad / total
    assert numbers["bad_allowed"] == float(Fraction(1, 1000) * total)
    assert numbers["budget_remaining_ratio"] == float(1 - Fraction(bad, 1) / Fraction(total, 1000))
    assert found["covered_ratio"] == 1.0
    assert {alert["severity"]: alert["fires"] for alert in found["alerts"]} == {
        "page": False,
        "ticket": False,
    }
    assert all(one["inserted"] for one in found["numbers"])


def test_an_alert_that_fires_says_why_and_agrees_with_the_running_one():
    past = day(outage=(30 * 60 - 20, 20, 50))
    found = explained(OBJECTIVE, past, END_S)
    assert [alert["fires"] for alert in found["alerts"]] == [True, True]
    assert "beyond noise" in found["alerts"][0]["why"]
    tracker = SloTracker(OBJECTIVE, SLICE_S, 300)
    for place, (good, bad) in enumerate(zip(past.counts.good, past.counts.bad, strict=True)):
        tracker.take(START_S + place * SLICE_S, int(good), int(bad))
    status = tracker.evaluate(END_S * 10**9)
    assert status.firing == {"page", "ticket"}
    assert [burn.long_burn for burn in status.burns] == [
        alert["long"]["burn_rate"] for alert in found["alerts"]
    ]
    remaining = next(n for n in found["numbers"] if n["name"] == "budget_remaining_ratio")
    assert remaining["value"] == pytest.approx(status.budget.remaining_ratio, abs=1e-12)


def test_without_events_nothing_is_zero():
    nobody = np.zeros(30 * 60, np.int64)
    past = Past(SlicedPast(START_S, SLICE_S, nobody, nobody, nobody.astype(np.bool_)))
    found = explained(OBJECTIVE, past, END_S)
    numbers = {one["name"]: one["value"] for one in found["numbers"]}
    assert numbers["error_ratio"] is numbers["budget_remaining_ratio"] is None
    assert found["data_state"] != "covered"
    assert all(alert["why"] == "no events in the long window" for alert in found["alerts"])
    assert suggested(OBJECTIVE, past, DAY, END_S) is None


def test_another_target_would_have_paged_or_not():
    past = day(outage=(20 * 60, 30, 10))
    strict = what_if(OBJECTIVE, past, DAY, replace(OBJECTIVE, target_ratio=0.9999), END_S)
    assert strict["as_it_is"]["alert_counts"] == {"page": 1, "ticket": 1}
    assert strict["what_if"]["alert_counts"] == {"page": 1, "ticket": 1}
    assert (
        strict["what_if"]["budget_remaining_ratio"] < strict["as_it_is"]["budget_remaining_ratio"]
    )
    lax = what_if(OBJECTIVE, past, DAY, replace(OBJECTIVE, target_ratio=0.9), END_S)
    assert lax["what_if"]["alert_counts"] == {}
    (alert,) = [a for a in strict["what_if"]["alerts"] if a["severity"] == "page"]
    began_s = alert["from_unix_nano"] // 10**9 - START_S
    assert 20 * HOUR_S < began_s <= 20 * HOUR_S + 300


def test_a_target_is_suggested_that_would_have_held():
    past = day(bad_per_slice=1)  # 99 % good, all day
    target = suggested(OBJECTIVE, past, DAY, END_S)
    assert target == 0.98
    row = report_row(replace(OBJECTIVE, target_ratio=target), past, DAY, END_S)
    assert row["budget_remaining_ratio"] == 0.5
    assert row["alert_counts"].get("page", 0) == 0


def test_alerts_of_one_severity_that_overlap_are_one():
    both = AlertPolicy(Guard(), (PAGE, BurnWindow("page", 6.0, 6 * HOUR_S, 1_800)))
    past = day(outage=(20 * 60, 60, 60))
    row = report_row(replace(OBJECTIVE, policy=both), past, DAY, END_S)
    assert row["alert_counts"] == {"page": 1}


@pytest.mark.parametrize(
    ("length_s", "expected"), [(HOUR_S, 5), (30 * 86_400, 300), (400 * 86_400, None)]
)
def test_the_finest_slices_that_fit(length_s, expected):
    assert slices_that_fit(length_s, (PAGE, TICKET), (5, 60, 300, 3_600), 10_000) == expected


def test_an_excluded_outage_costs_nothing_and_pages_nobody():
    """The same as if those slices had never been; what is left counts as covered."""
    span = Period(START_S + 20 * HOUR_S - 7, START_S + 20 * HOUR_S + 1_800)
    past = day(outage=(20 * 60, 30, 60), excluded=[span])
    row = report_row(OBJECTIVE, past, DAY, END_S)
    assert (row["alert_counts"], row["bad"], row["budget_remaining_ratio"]) == ({}, 0, 1.0)
    # The slice that the span only touches is out as well.
    assert (row["excluded_s"], row["total"]) == (31 * 60, (24 * 60 - 31) * 100)
    assert (row["covered_ratio"], row["data_state"]) == (1.0, "covered")
    found = explained(OBJECTIVE, past, END_S)
    assert [one["to_unix_nano"] for one in found["excluded"]] == [span.end_unix_s * 10**9]


def by_day(start):
    """Days of UTC, from ``start`` on."""
    return replace(OBJECTIVE, calendar=CalendarWindow(start, "UTC", 1, "d"))


def test_a_calendar_is_explained_so_far_and_projected_as_the_running_one():
    one = by_day(dt.datetime(2027, 1, 1))
    past = day(outage=(28 * 60, 30, 1))
    found = explained(one, past, END_S)
    numbers = {number["name"]: number for number in found["numbers"]}
    period = one.period(END_S)
    assert found["to_unix_nano"] == period.end_unix_s * 10**9 > END_S * 10**9
    assert found["slices"] == found["slices_reported"] == (END_S - period.start_unix_s) // SLICE_S
    assert numbers["expected_total"]["value"] == 24 * 60 * 100
    left = numbers["budget_projected_remaining_ratio"]
    assert (left["value"], left["inserted"]) == (float(1 - Fraction(30, 144)), "1 - 30 / 144")
    assert found["covered_ratio"] == 1.0
    tracker = SloTracker(one, SLICE_S, 300)
    for place, (good, bad) in enumerate(zip(past.counts.good, past.counts.bad, strict=True)):
        tracker.take(START_S + place * SLICE_S, int(good), int(bad))
    status = tracker.evaluate(END_S * 10**9)
    said = status.to_json()
    assert said["budget_projected_remaining_ratio"] == pytest.approx(left["value"], abs=1e-12)
    assert said["budget_remaining_ratio"] == pytest.approx(
        numbers["budget_remaining_ratio"]["value"], abs=1e-12
    )
    assert said["period"] == {
        "kind": "calendar",
        "time_zone": "UTC",
        "from_unix_nano": found["from_unix_nano"],
        "to_unix_nano": found["to_unix_nano"],
    }
    assert "so far, 79% of the budget projected to the period's end" in status.summary


def test_before_the_first_period_there_is_nothing_to_explain():
    with pytest.raises(CountsError, match="the first period has not begun"):
        explained(by_day(dt.datetime(2028, 1, 1)), day(), END_S)


TERMS = (
    {"method": BudgetingMethod.TIMESLICES, "slice_target_ratio": Fraction(95, 100)},
    {"method": BudgetingMethod.RATIO_TIMESLICES},
)


@pytest.mark.parametrize("terms", TERMS)
def test_slices_are_explained_as_they_run(terms):
    """Budget and burn rates of the running objective, and the moment it began to page."""
    policy = AlertPolicy(Guard(), (BurnWindow("page", 5.0, HOUR_S, 300),))
    one = replace(OBJECTIVE, target_ratio=0.98, policy=policy, slice_s=300, **terms)
    past = day(outage=(29 * 60, 40, 20))
    tracker = SloTracker(one, SLICE_S, 300)
    began = None
    for place, (good, bad) in enumerate(zip(past.counts.good, past.counts.bad, strict=True)):
        tracker.take(START_S + place * SLICE_S, int(good), int(bad))
        status = tracker.evaluate((START_S + (place + 1) * SLICE_S) * 10**9)
        if status.firing and began is None:
            began = START_S + (place + 1) * SLICE_S
    found = explained(one, past, END_S)
    numbers = {number["name"]: number["value"] for number in found["numbers"]}
    assert numbers["slices"] == status.budget.total == 24 * 12
    assert numbers["error_ratio"] == pytest.approx(status.budget.error_ratio, abs=1e-12)
    assert numbers["budget_projected_remaining_ratio"] == pytest.approx(
        status.budget.projected_remaining_ratio, abs=1e-9
    )
    (alert,), (burn,) = found["alerts"], status.burns
    for part, rate in (("long", burn.long_burn), ("short", burn.short_burn)):
        assert alert[part]["burn_rate"] == pytest.approx(rate, abs=1e-5)
    outcome = what_if(one, past, DAY, replace(one, target_ratio=0.8), END_S)
    (told,) = outcome["as_it_is"]["alerts"]
    assert began is not None
    assert told["from_unix_nano"] == began * 10**9
    assert outcome["as_it_is"]["total"] == 24 * 12
    assert outcome["what_if"]["alert_counts"] == {}
    row = report_row(one, past, DAY, END_S)
    assert row["budget_remaining_ratio"] == pytest.approx(status.budget.remaining_ratio, abs=1e-9)


def test_counts_too_coarse_for_a_slice_say_so():
    one = replace(OBJECTIVE, slice_s=90, method=BudgetingMethod.RATIO_TIMESLICES)
    with pytest.raises(CountsError, match="60 s"):
        explained(one, day(), END_S)
    assert slices_that_fit(HOUR_S, (), (60, 120), 100, 300) == 60
    assert slices_that_fit(HOUR_S, (), (120,), 100, 300) is None
