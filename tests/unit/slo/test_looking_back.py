"""What an objective's past says: exact numbers with their formulas, alerts as they run."""

from __future__ import annotations

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
from analysis.slo.openslo.sliced_past import SlicedPast, sliced_past
from analysis.slo.openslo.time_windows import Period
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
    strict = what_if(OBJECTIVE, past, DAY, 0.9999, END_S)
    assert strict["as_it_is"]["alert_counts"] == {"page": 1, "ticket": 1}
    assert strict["what_if"]["alert_counts"] == {"page": 1, "ticket": 1}
    assert (
        strict["what_if"]["budget_remaining_ratio"] < strict["as_it_is"]["budget_remaining_ratio"]
    )
    lax = what_if(OBJECTIVE, past, DAY, 0.9, END_S)
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
