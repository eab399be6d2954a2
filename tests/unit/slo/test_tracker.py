"""An objective over time: states, edges, gaps, coverage; whole numbers in, no NaN out."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from dataclasses import replace
from fractions import Fraction

import pytest

from analysis.runner.fleet import freeze_changes
from analysis.slo.burn_rate import burn_rate, evaluate, is_beyond_noise
from analysis.slo.errors import SloInputError
from analysis.slo.objectives import Guard, load_objectives, shipped_text
from analysis.slo.openslo.budgets import DataState
from analysis.slo.openslo.model import BudgetingMethod
from analysis.slo.openslo.time_windows import CalendarWindow
from analysis.slo.sliced_counts import SlicedCounts, WindowSum
from analysis.slo.tracker import SloState, SloTracker

MONTH, HOUR = load_objectives({"objectives.yaml": shipped_text()})
SLICE_S = 10
NS = 1_000_000_000


class Clocked:
    """A tracker fed minute by minute."""

    def __init__(self, firing=frozenset(), objective=MONTH):
        self.tracker = SloTracker(objective, SLICE_S, 120.0, firing)
        self.now_s = 1_800_000_000
        self.edges = []
        self.firing = firing
        self.status = None

    def minutes(self, count, good, bad):
        """Events per slice."""
        for _ in range(count * 60 // SLICE_S):
            self.slice(good, bad)

    def slice(self, good, bad):
        self.tracker.take(self.now_s, good, bad)
        self.now_s += SLICE_S
        self.look()

    def silence(self, minutes):
        for _ in range(minutes * 60 // SLICE_S):
            self.now_s += SLICE_S
            self.look()

    def look(self):
        self.status = self.tracker.evaluate(self.now_s * NS)
        for one in sorted(self.status.firing ^ self.firing):
            self.edges.append((one, one in self.status.firing))
        self.firing = self.status.firing
        # Strict JSON: no NaN, no infinity, whatever was fed.
        json.dumps(self.status.to_json(), allow_nan=False)


def test_nothing_ever_heard_is_no_data():
    fresh = Clocked()
    fresh.look()
    assert fresh.status.state is SloState.NO_DATA
    assert fresh.status.budget.error_ratio is None
    assert fresh.status.budget.remaining_ratio is None
    assert "No counts ever" in fresh.status.summary
    assert fresh.edges == []


def test_no_traffic_is_a_state():
    idle = Clocked()
    idle.minutes(90, 0, 0)
    assert idle.status.state is SloState.NO_DATA
    assert {burn.long_burn for burn in idle.status.burns} == {None}
    assert idle.status.budget.remaining_ratio is None
    assert idle.edges == []


def test_idle_minutes_do_not_change_the_budget():
    """Weighted by events: silence neither dilutes nor spends."""
    busy, resting = Clocked(), Clocked()
    busy.minutes(10, 990, 10)
    resting.minutes(10, 990, 10)
    resting.minutes(600, 0, 0)
    assert busy.status.budget.error_ratio == resting.status.budget.error_ratio == 0.01
    assert resting.status.budget.remaining_ratio == 0.0


def test_an_outage_fires_once_and_clears_once():
    fed = Clocked()
    fed.minutes(180, 100, 0)
    fed.minutes(50, 0, 100)
    assert fed.edges.count(("page", True)) == 1
    assert fed.status.state is SloState.BURNING
    assert "page: burning" in fed.status.summary
    fed.minutes(60 * 8, 100, 0)
    assert fed.status.state is SloState.OK
    assert sorted(fed.edges) == sorted(
        (severity, is_firing) for severity in ("page", "ticket") for is_firing in (True, False)
    )


def test_time_to_fire_is_the_formula():
    """``L f B / e``: 3600 s * 14.4 * 0.01 / 1 = 518.4 s after a healthy hour, in whole slices."""
    fed = Clocked()
    fed.minutes(120, 100, 0)
    began_s = fed.now_s
    while not fed.edges and fed.now_s < began_s + 3600:
        fed.slice(0, 100)
    assert fed.now_s - began_s == 520
    assert fed.edges == [("page", True)]


def test_silence_freezes_an_alert_and_says_so():
    fed = Clocked()
    fed.minutes(120, 100, 0)
    fed.minutes(15, 0, 100)
    fed.silence(10)
    assert fed.status.state is SloState.NO_DATA
    assert fed.edges == [("page", True)]
    assert fed.status.firing == {"page"}
    assert "The alert (page) stays as last seen." in fed.status.summary


def test_a_gap_does_not_end_an_alert_while_the_outage_goes_on():
    """The short window is nearly empty after the gap; what it holds is all bad."""
    fed = Clocked()
    fed.minutes(120, 100, 0)
    fed.minutes(15, 0, 100)
    fed.silence(10)
    fed.minutes(10, 0, 100)
    assert ("page", False) not in fed.edges
    fed.minutes(20, 100, 0)
    assert fed.edges.count(("page", False)) <= 1
    fed.minutes(60, 100, 0)
    assert fed.edges.count(("page", True)) == fed.edges.count(("page", False)) == 1


def test_a_gap_does_not_keep_an_alert_after_the_outage():
    fed = Clocked()
    fed.minutes(120, 100, 0)
    fed.minutes(10, 0, 100)
    fed.silence(10)
    fed.minutes(1, 100, 0)
    assert fed.edges == [("page", True), ("page", False)]


def test_an_alert_known_from_an_earlier_run_is_not_raised_again():
    fed = Clocked(frozenset({"page"}))
    fed.look()
    assert fed.status.firing == {"page"}
    fed.minutes(120, 100, 0)
    assert fed.edges == [("page", False)]


def test_history_shorter_than_the_window_says_its_coverage():
    fed = Clocked()
    fed.minutes(30, 99, 1)
    by_window = {burn.window.long_window_s: burn for burn in fed.status.burns}
    assert by_window[3600].long_covered_ratio == 0.5
    assert by_window[3600].short_covered_ratio == 1.0
    assert fed.status.budget.covered_ratio == pytest.approx(30 / (30 * 24 * 60))
    assert "of the window seen" in fed.status.summary
    assert by_window[3600].long_burn == pytest.approx(1.0)


def test_a_young_history_does_not_fire_on_its_first_bad_minute():
    """Measured burn is 100 in every window; unseen time counts as time without failures."""
    fed = Clocked()
    fed.minutes(8, 0, 100)
    assert fed.status.state is SloState.OK
    fed.minutes(1, 0, 100)
    assert ("page", True) in fed.edges


GUARD = MONTH.policy.guard
PAGE = MONTH.policy.windows[0]


def test_one_failure_at_ten_requests_an_hour_wakes_nobody():
    long, short = WindowSum(9, 1, 1.0), WindowSum(0, 1, 1.0)
    found = evaluate(PAGE, long, short, 0.001, GUARD)
    assert (found.firing, found.guarded) == (False, True)
    assert found.long_burn == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("good", "bad", "is_clear"),
    [
        (0, 2, False),  # two are fewer than the three asked for here, however improbable
        (0, 3, True),
        (297, 3, False),  # P(X >= 3 of 300 at 0.001) = 0.0036
        (50, 3, True),  # of 53: 2.3e-5
    ],
)
def test_guard(good, bad, is_clear):
    assert is_beyond_noise(WindowSum(good, bad, 1.0), 0.001, Guard(3, 0.0001)) is is_clear


def test_two_failures_are_enough_by_default():
    assert is_beyond_noise(WindowSum(3, 2, 1.0), 0.001, Guard())
    assert not is_beyond_noise(WindowSum(0, 1, 1.0), 0.0001, Guard())


def test_the_reason_for_silence_and_for_a_page_is_in_the_text():
    quiet = Clocked()
    quiet.minutes(61, 1, 0)
    quiet.slice(0, 1)
    assert quiet.edges == []
    loud = Clocked()
    loud.minutes(61, 1, 0)
    loud.minutes(30, 0, 1)
    assert ("page", True) in loud.edges
    assert re.search(r"\d+ of \d+ failed in 3600 s, .* with a chance of ", loud.status.summary)


def test_a_pair_held_back_says_why():
    idle = Clocked()
    idle.minutes(58, 0, 0)
    idle.slice(3, 0)
    idle.slice(0, 1)
    idle.minutes(2, 0, 0)
    assert idle.edges == []
    assert "page held back as possible noise: 1 of 4 failed in 3600 s" in idle.status.summary
    assert "2 failures and a chance of at most 0.0001" in idle.status.summary


def test_what_is_known_of_the_window_has_a_name():
    seen = Clocked(objective=HOUR)
    seen.look()
    assert (seen.status.data, seen.status.is_frozen) == (DataState.EMPTY, False)
    seen.minutes(30, 1, 0)
    assert seen.status.data is DataState.GAP
    seen.minutes(25, 1, 0)
    assert seen.status.data is DataState.COVERED
    seen.silence(3)
    assert (seen.status.data, seen.status.is_frozen) == (DataState.STALE, True)
    seen.minutes(60, 0, 0)
    assert (seen.status.data, seen.status.is_frozen) == (DataState.NO_TRAFFIC, False)


def test_a_collector_outage_pages_and_resolves_nothing_and_is_told_once():
    fed = Clocked(objective=HOUR)
    fed.minutes(55, 100, 0)
    fed.minutes(5, 0, 100)
    fired = list(fed.edges)
    assert ("page", True) in fired
    frozen, told = frozenset(), []
    for _ in range(60):
        fed.silence(1)
        changed = freeze_changes(frozen, [fed.status])
        told += [(fed.now_s, status.is_frozen) for status in changed]
        frozen = frozenset({HOUR.name}) if fed.status.is_frozen else frozenset()
    ((at_s, is_frozen),) = told
    assert is_frozen
    assert at_s - (fed.now_s - 3600) <= 120 + 60  # stale after 120 s, asked every minute
    assert fed.edges == fired
    assert "stays as last seen" in fed.status.summary
    fed.minutes(1, 100, 0)
    assert [status.is_frozen for status in freeze_changes(frozen, [fed.status])] == [False]


def test_guard_is_the_binomial_tail():
    """By the sum: P(X >= 3) of 53 trials at 0.001."""
    below = sum(math.comb(53, k) * 0.001**k * 0.999 ** (53 - k) for k in range(3))
    window = WindowSum(50, 3, 1.0)
    assert is_beyond_noise(window, 0.001, Guard(3, (1 - below) * 1.01))
    assert not is_beyond_noise(window, 0.001, Guard(3, (1 - below) * 0.99))


def test_burn_rate_without_events_is_none():
    assert burn_rate(WindowSum(0, 0, 1.0), 0.01) is None
    found = evaluate(PAGE, WindowSum(0, 0, 1.0), WindowSum(0, 0, 0.0), 0.01, GUARD)
    assert (found.long_burn, found.short_burn, found.firing) == (None, None, False)


@pytest.mark.parametrize(
    ("start", "good", "bad"), [(60, -1, 0), (60, 0, -1), (61, 1, 0), (0, 1, 0), (-60, 1, 0)]
)
def test_impossible_slices_are_refused_and_change_nothing(start, good, bad):
    counts = SlicedCounts(60, 600)
    counts.add(0, 5, 1)
    with pytest.raises(SloInputError, match=str(start)):
        counts.add(start, good, bad)
    assert counts.window(540, 60) == WindowSum(5, 1, 1 / 9)


def test_a_window_longer_than_memory_is_refused():
    counts = SlicedCounts(60, 600)
    counts.add(0, 1, 0)
    with pytest.raises(ValueError, match="longer than what is remembered"):
        counts.window(660, 60)
    with pytest.raises(ValueError, match="whole slices"):
        SlicedCounts(60, 90)


def by_hour(start):
    return replace(HOUR, calendar=CalendarWindow(start, "UTC", 1, "h"))


def test_a_new_period_begins_with_its_whole_budget_and_the_alerts_go_on():
    """The clock strikes in the middle of an outage."""
    fed = Clocked(objective=by_hour(dt.datetime(2027, 1, 1)))
    assert fed.now_s % 3600 == 0
    fed.minutes(50, 100, 0)
    fed.minutes(10, 50, 50)
    assert fed.status.budget.total == 0, "nothing of the new hour was counted yet"
    assert (fed.status.state, fed.status.data) == (SloState.BURNING, DataState.EMPTY)
    assert "No events in this period: nothing to judge; page: burning" in fed.status.summary
    fed.minutes(1, 50, 50)
    assert fed.status.budget.total == 600
    assert ("page", False) not in fed.edges
    assert fed.status.budget.remaining_ratio == pytest.approx(1 - 0.5 / 0.01)
    # The same 300 bad ones, of the 36,000 events that the hour will have.
    assert fed.status.budget.projected_remaining_ratio == pytest.approx(1 - 300 / 360)


def test_before_the_first_period_nothing_is_judged_and_alerts_run():
    fed = Clocked(objective=by_hour(dt.datetime(2028, 1, 1)))
    fed.minutes(10, 100, 0)
    assert fed.status.state is SloState.NO_DATA
    assert fed.status.summary == "The first period begins at 2028-01-01 00:00:00 UTC."
    assert fed.status.to_json()["period"] is None
    fed.minutes(10, 50, 50)
    assert ("page", True) in fed.edges


def by_minute(**terms):
    """The month's objective by slices of a minute; 95 % of the slice's events must be good."""
    policy = replace(MONTH.policy, windows=MONTH.policy.windows[:2])
    return replace(MONTH, policy=policy, slice_s=60, **terms)


MINUTES = by_minute(method=BudgetingMethod.TIMESLICES, slice_target_ratio=Fraction(95, 100))
SHARES = by_minute(method=BudgetingMethod.RATIO_TIMESLICES)


def test_a_slice_counts_when_it_is_over_and_not_without_events():
    fed = Clocked(objective=MINUTES)
    fed.minutes(8, 96, 4)
    fed.minutes(1, 0, 0)
    fed.minutes(1, 94, 6)
    fed.slice(0, 100)
    found = fed.status.budget
    assert (found.good, found.total, found.slices_without_events) == (8, 9, 30 * 1_440 - 9)
    assert found.remaining_ratio == pytest.approx(1 - 1 / 9 / 0.01)
    assert found.projected_remaining_ratio == pytest.approx(1 - 1 / (0.01 * 43_200))
    said = fed.status.to_json()
    assert said["budgeting_method"] == "Timeslices"
    assert said["slices"] == {
        "slice_s": 60,
        "slice_objective_ratio": 0.95,
        "without_events": 30 * 1_440 - 9,
    }
    assert "8 of 9 slices of 60 s good (88.89%, objective 99.00%)" in fed.status.summary
    assert "43191 slices without events are not counted" in fed.status.summary


def test_slices_burn_by_the_slice_and_not_by_the_event():
    """4 % of all events fail for hours, yet no slice is below its target."""
    calm, loud = Clocked(objective=MINUTES), Clocked(objective=MONTH)
    for fed in (calm, loud):
        fed.minutes(120, 100, 0)
        fed.minutes(240, 80, 20 if fed is loud else 4)
    assert calm.edges == []
    assert calm.status.budget.remaining_ratio == 1.0
    assert ("page", True) in loud.edges
    outage = Clocked(objective=MINUTES)
    outage.minutes(120, 100, 0)
    began_s = outage.now_s
    while not outage.edges and outage.now_s < began_s + 3600:
        outage.slice(90, 10)
    # More than 14.4 % of 60 slices: the ninth, told when it is over.
    assert outage.now_s - began_s == 9 * 60
    assert "9 of 60 slices failed in 3600 s" in outage.status.summary


def test_shares_of_slices_burn_and_events_are_the_evidence():
    fed = Clocked(objective=SHARES)
    fed.minutes(120, 100, 0)
    fed.minutes(60, 80, 20)
    page = fed.status.burns[0]
    assert fed.edges == [("page", True)]
    assert page.long_burn == pytest.approx(20.0)
    assert (page.long_bad, page.long_total) == (60 * 6 * 20, 60 * 6 * 100)
    assert fed.status.budget.good == pytest.approx(180 - 12)


def test_an_alert_of_slices_goes_on_at_the_turn_of_a_period():
    calendar = CalendarWindow(dt.datetime(2027, 1, 1), "UTC", 1, "d")
    fed = Clocked(objective=replace(MINUTES, calendar=calendar))
    fed.minutes(16 * 60 - 30, 100, 0)
    fed.minutes(30, 0, 100)
    assert fed.now_s % 86_400 == 0
    assert fed.status.firing == {"page"}
    fed.minutes(10, 0, 100)
    assert fed.status.budget.total == 10
    assert fed.edges == [("page", True)]
    assert fed.status.burns[0].long_total == 60


def test_policies_ask_a_calendar_about_the_budget_of_its_whole_period():
    """A failure in the first minute is not the day's budget; none is used up after its period."""
    calendar = CalendarWindow(dt.datetime(2027, 1, 1, 8), "UTC", 1, "d")
    fed = Clocked(objective=replace(HOUR, window_s=86_400, calendar=calendar))
    fed.slice(99, 1)
    fed.minutes(1, 100, 0)
    assert fed.status.budget.remaining_ratio == pytest.approx(1 - 1 / 7)
    view = fed.tracker.view()
    assert view.remaining_ratio == pytest.approx(1 - 1 / 8_640)
    assert view.spent_ratio(7_200) == pytest.approx(1 / 8_640)
    fed.minutes(60, 100, 0)
    found = fed.tracker.view().forecast(0.9)
    assert found is not None
    assert found.exhausts_s is None
    fed.minutes(20, 80, 20)
    found = fed.tracker.view().forecast(0.9)
    assert found is not None
    # 2,400 of 86,400 / 10 events allowed are spent, and 2,400 of the 40 minutes it goes by.
    assert found.exhausts_s == pytest.approx((8_640 - 2_401) / 2_400 * 40 * 60, rel=1e-6)


def test_policies_ask_about_slices_what_slices_spent():
    fed = Clocked(objective=MINUTES)
    fed.minutes(98, 100, 0)
    fed.minutes(2, 0, 100)
    assert fed.tracker.view().spent_ratio(60) == pytest.approx(1 / (100 * 0.01))
    assert fed.tracker.view().spent_ratio(3_600) == pytest.approx(2 / (100 * 0.01))
