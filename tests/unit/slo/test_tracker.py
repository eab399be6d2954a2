"""An objective over time: states, edges, gaps, coverage; whole numbers in, no NaN out."""

from __future__ import annotations

import json
import math
import re

import pytest

from analysis.runner.fleet import freeze_changes
from analysis.slo.burn_rate import burn_rate, evaluate, is_beyond_noise
from analysis.slo.errors import SloInputError
from analysis.slo.objectives import Guard, load_objectives, shipped_text
from analysis.slo.openslo.budgets import DataState
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
