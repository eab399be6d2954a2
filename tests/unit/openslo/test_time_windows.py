"""Windows end where the clocks of their zone say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from analysis.slo.openslo.time_windows import (
    CalendarWindow,
    Period,
    RollingWindow,
    TimeWindowError,
)

HOUR_S = 3_600


def unix_s(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def window(start, zone, value, unit):
    return CalendarWindow(datetime.fromisoformat(start), zone, value, unit)


def test_a_rolling_window_ends_now():
    """Always as long as it says."""
    assert Period(100, 700) == RollingWindow(600).period(700)


@pytest.mark.parametrize(
    ("zone", "value", "unit", "now", "hours"),
    [
        ("UTC", 1, "d", "2026-03-29 12:00:00", 24),
        ("Europe/Warsaw", 1, "d", "2026-03-29 12:00:00", 23),
        ("Europe/Warsaw", 1, "d", "2026-10-25 12:00:00", 25),
        ("America/New_York", 1, "d", "2026-03-08 12:00:00", 23),
        ("Australia/Lord_Howe", 1, "d", "2026-04-05 03:00:00", 24.5),
        ("Europe/Warsaw", 1, "w", "2026-03-27 12:00:00", 7 * 24 - 1),
        ("Europe/Warsaw", 1, "M", "2026-03-10 12:00:00", 31 * 24 - 1),
        ("UTC", 1, "M", "2024-02-10 00:00:00", 29 * 24),
        ("UTC", 1, "Q", "2026-02-10 00:00:00", 90 * 24),
        ("UTC", 1, "Y", "2028-02-10 00:00:00", 366 * 24),
        ("Europe/Warsaw", 12, "h", "2026-03-29 12:00:00", 12),
        ("Europe/Warsaw", 90, "m", "2026-03-29 12:00:00", 1.5),
    ],
)
def test_a_period_is_as_long_as_the_clocks_make_it(zone, value, unit, now, hours):
    """Changes of the clocks, leap years; hours and minutes pass evenly."""
    period = window("2021-01-01 00:00:00", zone, value, unit).period(unix_s(now))
    assert hours * HOUR_S == period.length_s
    assert period.start_unix_s <= unix_s(now) < period.end_unix_s


def test_months_from_the_31st_return_to_the_31st():
    """Each month is counted from the start, not from the month before."""
    months = window("2026-01-31 10:00:00", "UTC", 1, "M")
    starts = [months.boundary_unix_s(number) for number in range(5)]
    days = ["01-31", "02-28", "03-31", "04-30", "05-31"]
    assert [unix_s(f"2026-{day} 10:00:00") for day in days] == starts


def test_a_fiscal_year_begins_when_it_says():
    """Quarters of a year that begins in February."""
    quarter = window("2020-02-01 00:00:00", "UTC", 1, "Q").period(unix_s("2026-08-15 00:00:00"))
    assert (unix_s("2026-08-01 00:00:00"), unix_s("2026-11-01 00:00:00")) == (
        quarter.start_unix_s,
        quarter.end_unix_s,
    )


def test_a_skipped_start_is_the_moment_after():
    """02:30 did not exist that day; the period begins at 03:30 summer time."""
    skipped = window("2026-03-29 02:30:00", "Europe/Warsaw", 1, "d")
    assert unix_s("2026-03-29 01:30:00") == skipped.boundary_unix_s(0)
    assert unix_s("2026-03-30 00:30:00") == skipped.boundary_unix_s(1)


def test_a_time_shown_twice_is_the_earlier_one():
    """The night the clocks go back."""
    twice = window("2026-10-25 02:30:00", "Europe/Warsaw", 1, "d")
    assert unix_s("2026-10-25 00:30:00") == twice.boundary_unix_s(0)


@pytest.mark.parametrize("now", ["2020-12-31 23:59:59", "1970-01-01 00:00:00"])
def test_there_is_no_period_before_the_first(now):
    """Said, not guessed."""
    with pytest.raises(TimeWindowError, match="before the first"):
        window("2021-01-01 00:00:00", "UTC", 1, "M").period(unix_s(now))


@pytest.mark.parametrize("unit", ["d", "M"])
def test_the_end_of_the_calendar_is_an_error(unit):
    """Not an exception of the library below."""
    with pytest.raises(TimeWindowError, match="beyond the calendar"):
        window("2021-01-01 00:00:00", "UTC", 999_999_999, unit).period(unix_s("2026-01-01"))
