"""The running budgets against the exact ones of ``openslo.budgets``, whatever the stream."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.slo.correction_book import excluded_spans
from analysis.slo.objectives import AlertPolicy, EventSource, Guard, Objective
from analysis.slo.openslo.budgets import BudgetTerms, DataRules, Missing, budget
from analysis.slo.openslo.exact import exact
from analysis.slo.openslo.model import BudgetingMethod
from analysis.slo.openslo.sliced_past import SlicedPast, touched
from analysis.slo.openslo.time_windows import CalendarWindow, Period
from analysis.slo.tracker import SloTracker

SLICE_S = 300
DAY_S = 86_400
RULES = DataRules(Missing.IGNORED, Missing.IGNORED, Fraction(9, 10), 600)
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC")
#: Days around which clocks change in one zone or another.
STARTS = (dt.datetime(2026, 10, 23), dt.datetime(2026, 3, 27), dt.datetime(2026, 11, 29))
SOURCE = EventSource("m", "a", frozenset({"x"}))


def objective(target, calendar=None, window_s=DAY_S, **terms):
    return Objective(
        "o", "s", "", target, window_s, SOURCE, SOURCE, AlertPolicy(Guard(), ()), calendar, **terms
    )


def unix_s(local, zone):
    return int(local.replace(tzinfo=ZoneInfo(zone)).timestamp())


def stream(kind, seed, size):
    """Good, bad and reported of ``size`` slices: what services and their exporters do."""
    rng = np.random.default_rng(seed)
    hour = np.arange(size) * SLICE_S / 3_600
    rate = np.full(size, 300.0)
    reported = np.ones(size, np.bool_)
    if kind == "day and night":
        rate = 300.0 * (1.05 + np.sin(hour * 2 * np.pi / 24))
    elif kind == "gaps":
        reported = np.convolve(rng.random(size) < 0.02, np.ones(8), "same") < 1
    elif kind == "resets":  # a process goes away: nothing is known of the slice, and less follows
        reported[rng.random(size) < 0.05] = False
        rate = 300.0 * (0.2 + 0.8 * (np.arange(size) % 37) / 37)
    elif kind == "zero traffic":
        rate = np.where(np.arange(size) // 24 % 3 == 0, 20.0, 0.0)
    total = rng.poisson(rate) * reported
    share = np.where(np.arange(size) // 50 % 4 == 1, 0.2, 0.004)
    bad = rng.binomial(total, share)
    return total - bad, bad, reported


KINDS = ("day and night", "gaps", "resets", "zero traffic")


@dataclass
class Running:
    """A tracker and the past it was fed, as the exact computation takes it."""

    tracker: SloTracker
    past: SlicedPast

    @classmethod
    def of(cls, one, start_s, counts):
        return cls(SloTracker(one, SLICE_S, 1e12), SlicedPast(start_s, SLICE_S, *counts))

    def looks(self, every):
        """Feeds everything, and gives the end of every so-manieth slice that was reported."""
        past = self.past
        for place in np.flatnonzero(past.reported).tolist():
            start = past.start_unix_s + place * SLICE_S
            self.tracker.take(start, int(past.good[place]), int(past.bad[place]))
            if place % every == 0:
                yield start + SLICE_S

    def exact_budget(self, terms, period, now, spans):
        marks = touched(self.past.over(period), spans)
        return budget(self.past, terms, RULES, period, now, marks)


def terms_of(one):
    return BudgetTerms(
        one.method,
        exact(one.target_ratio),
        one.slice_s,
        one.slice_target_ratio,
    )


def same(found, expected):
    if expected is None:
        return found is None
    return abs(found - expected) <= 1e-9 * max(1, abs(expected))


def check(one, running, every, spans=()):
    """Every number at every look; how many looks had numbers."""
    with_numbers = 0
    for now in running.looks(every):
        found = running.tracker.evaluate(now * 10**9, spans).budget
        period = one.period(now)
        expected = running.exact_budget(terms_of(one), period, now, spans)
        assert found.period == period
        assert found.total == expected.counted
        assert same(found.total - found.good, expected.bad)
        assert same(found.remaining_ratio, expected.remaining_ratio)
        assert same(found.covered_ratio, expected.covered_ratio)
        if one.calendar is not None or one.slice_s is not None:
            assert same(found.projected_remaining_ratio, expected.projected_remaining_ratio)
        with_numbers += expected.counted > 0
    return with_numbers


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unit", ["d", "w", "M"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe"])
def test_calendar_budgets_are_exact_across_a_change_of_clocks(kind, unit, zone):
    """So far and projected, over the days around the end of summer time and into the next month."""
    start = STARTS[0]
    calendar = CalendarWindow(dt.datetime(2026, 1, 1), zone, 1, unit)
    one = objective(0.999, calendar, 31 * DAY_S)
    running = Running.of(one, unix_s(start, zone), stream(kind, 7, 11 * 288))
    assert check(one, running, 41) > 20


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**32 - 1),
    zone=st.sampled_from(ZONES),
    start=st.sampled_from(STARTS),
    period=st.sampled_from([(1, "d"), (5, "h"), (1, "w"), (1, "M"), (90, "m")]),
    began=st.integers(0, 4 * 86_400 // 60),
    spans=st.lists(
        st.tuples(st.integers(-DAY_S, 6 * DAY_S), st.integers(1, 20_000)), min_size=0, max_size=4
    ),
)
def test_any_calendar_with_time_excluded(kind, seed, zone, start, period, began, spans):
    """Starts at any minute, so in the middle of slices too; exclusions of time to come count."""
    first = dt.datetime(2026, 2, 1) + dt.timedelta(minutes=began)
    calendar = CalendarWindow(first, zone, *period)
    one = objective(0.99, calendar, 31 * DAY_S)
    base = unix_s(start, "UTC")
    made = [Period(base + at, base + at + length) for at, length in spans]
    joined = excluded_spans([_Said(span) for span in made], "o", Period(0, 2**40))
    check(one, Running.of(one, base, stream(kind, seed, 4 * 288)), 67, joined)


class _Said:
    """A correction that is about everything, once."""

    def __init__(self, span):
        self.correction = self
        self.when = self
        self._span = span

    def is_about(self, _objective):
        return True

    def spans(self, _period):
        yield self._span


METHODS = (
    {"method": BudgetingMethod.TIMESLICES, "slice_target_ratio": Fraction(97, 100)},
    {"method": BudgetingMethod.RATIO_TIMESLICES},
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("terms", METHODS)
def test_rolling_slices_are_exact(kind, terms):
    """Slices of 15 minutes by the clock; the window ends with the last one that is over."""
    one = objective(0.95, slice_s=900, **terms)
    base = unix_s(STARTS[0], "UTC") + 2 * SLICE_S
    assert check(one, Running.of(one, base, stream(kind, 3, 8 * 288)), 31) > 20


@st.composite
def sliced_cases(draw):
    """An objective by slices of 5 minutes to an hour, its running counts, and exclusions."""
    began = dt.timedelta(minutes=draw(st.integers(0, 4 * 1_440)))
    period = draw(st.sampled_from([None, (1, "d"), (5, "h"), (1, "w"), (1, "M"), (90, "m")]))
    calendar = None
    if period is not None:
        first = dt.datetime(2026, 2, 1) + began
        calendar = CalendarWindow(first, draw(st.sampled_from(ZONES)), *period)
    slice_s = draw(st.sampled_from([1, 2, 3, 12])) * SLICE_S
    window_s = DAY_S if period is None else 31 * DAY_S
    terms = draw(st.sampled_from(METHODS))
    one = objective(0.99, calendar, window_s, slice_s=slice_s, **terms)
    base = unix_s(draw(st.sampled_from(STARTS)), "UTC") + draw(st.integers(0, 3)) * SLICE_S
    counts = stream(draw(st.sampled_from(KINDS)), draw(st.integers(0, 2**32 - 1)), 4 * 288)
    length = st.integers(1, 20_000)
    made = draw(st.lists(st.tuples(st.integers(-DAY_S, 6 * DAY_S), length), max_size=6))
    said = [_Said(Period(base + at, base + at + length_s)) for at, length_s in made]
    return one, Running.of(one, base, counts), excluded_spans(said, "o", Period(0, 2**40))


@settings(max_examples=60, deadline=None)
@given(sliced_cases())
def test_any_slices_with_time_excluded(case):
    """Slices cut by exclusions, and by the end of a period that is no whole number of them."""
    one, running, spans = case
    check(one, running, 67, spans)


@pytest.mark.parametrize("terms", METHODS)
def test_slices_of_very_many_events_are_exact(terms):
    """Products of counts and denominators that leave 64 bits; a budget of a month at one look."""
    if "slice_target_ratio" in terms:
        terms = terms | {"slice_target_ratio": Fraction(970_000_001, 10**9)}
    calendar = CalendarWindow(dt.datetime(2026, 1, 1), "UTC", 1, "M")
    one = objective(0.95, calendar, 31 * DAY_S, slice_s=900, **terms)
    good, bad, reported = stream("gaps", 5, 3 * 288)
    base = unix_s(STARTS[0], "UTC")
    assert check(one, Running.of(one, base, (good * 2**28, bad * 2**28, reported)), 144) > 3
