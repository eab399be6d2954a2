"""The Site Reliability Workbook's numbers, chapter 5, to the exact column."""

from __future__ import annotations

from fractions import Fraction

import pytest

from analysis.slo.openslo import burn_math as math

DAY_S = 86_400
MONTH_S = 30 * DAY_S
BUDGET = Fraction(1, 1_000)


@pytest.mark.parametrize(
    ("share", "period_days", "window_h", "factor"),
    [
        (Fraction(2, 100), 30, 1, Fraction("14.4")),
        (Fraction(5, 100), 30, 6, Fraction(6)),
        (Fraction(10, 100), 30, 24, Fraction(3)),
        (Fraction(10, 100), 30, 72, Fraction(1)),
        (Fraction(2, 100), 28, 1, Fraction("13.44")),
        (Fraction(5, 100), 28, 6, Fraction("5.6")),
        (Fraction(10, 100), 28, 72, Fraction(28, 30)),
        (Fraction(10, 100), 7, 1, Fraction("16.8")),
        (Fraction(1, 100), 90, 1, Fraction("21.6")),
    ],
)
def test_factors(share, period_days, window_h, factor):
    """Share of the budget, period, window -> factor, and back."""
    period_s, window_s = period_days * DAY_S, window_h * 3_600
    assert math.factor(share, period_s, window_s) == factor
    assert math.budget_used(factor, window_s, period_s) == share


def test_the_numbers_of_each_approach():
    """Detection, reset and what is spent until then."""
    assert math.detection_s(600, Fraction(1), BUDGET, Fraction(1)) == Fraction("0.6")
    assert float(math.budget_used(Fraction(1), 600, MONTH_S)) == pytest.approx(0.000231481481)
    assert math.detection_s(36 * 3_600, Fraction(1), BUDGET, Fraction(1)) == Fraction("129.6")
    assert math.detection_s(3_600, Fraction(36), BUDGET, Fraction(1)) / 60 == Fraction("2.16")
    assert math.reset_s(3_600, Fraction(36), BUDGET, Fraction(1)) / 60 == Fraction("57.84")
    assert math.detection_s(3_600, Fraction(36), BUDGET, Fraction("0.036")) is None
    assert float(math.exhaustion_s(Fraction(35), MONTH_S) / 3_600) == pytest.approx(20.571428571)
    assert math.detection_s(3_600, Fraction("14.4"), BUDGET, Fraction("0.15")) / 60 == Fraction(
        "5.76"
    )
    assert math.detection_s(300, Fraction("14.4"), BUDGET, Fraction("0.15")) / 60 == Fraction(
        "0.48"
    )
    assert math.reset_s(300, Fraction("14.4"), BUDGET, Fraction("0.15")) / 60 == Fraction("4.52")


def test_what_is_out_of_reach():
    """At 90 % a total outage burns 10 times as fast, at most."""
    assert not math.is_reachable(Fraction("14.4"), Fraction(1, 10))
    assert math.is_reachable(Fraction("14.4"), Fraction(7, 100) - Fraction(1, 1_000))
    assert float(math.target_above(Fraction("14.4"))) == pytest.approx(0.9305555)
    assert math.burn_max(Fraction(6, 100)) == Fraction(100, 6)


def test_low_traffic():
    """Ten requests an hour: a failure burns at 100 (the printed 1,000 is an erratum)."""
    assert math.burn_of(Fraction(1, 10), BUDGET) == 100
    assert math.failures_allowed(BUDGET, 7_200) == Fraction("7.2")
    assert float(math.one_failure_is_above_until(Fraction("14.4"), BUDGET)) == pytest.approx(
        69.44, abs=0.01
    )


def test_exhaustion():
    """43.2 minutes for a total outage at three nines; nothing left is now."""
    assert math.exhaustion_s(Fraction(1_000), MONTH_S) / 60 == Fraction("43.2")
    assert math.exhaustion_s(Fraction(0), MONTH_S) is None
    assert math.exhaustion_s(Fraction(1), MONTH_S, Fraction(-1)) == 0


@pytest.mark.parametrize(("long_s", "slice_s", "short_s"), [(3_600, 60, 300), (3_600, 300, 600)])
def test_short_windows(long_s, slice_s, short_s):
    """A twelfth, never less than two slices."""
    assert math.short_window_s(long_s, slice_s) == short_s


def test_how_long_a_window_stays_above():
    """Long trouble: its length, plus the window, less what it takes to get in and out."""
    above = math.held_s(600, 300, Fraction("14.4"), BUDGET, Fraction(1))
    assert above == 600 + 300 - 2 * Fraction("4.32")
    assert math.held_s(4, 300, Fraction("14.4"), BUDGET, Fraction(1)) == 0
