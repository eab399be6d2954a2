"""Periods of a calendar follow each other without gap or overlap, in any zone."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from analysis.slo.openslo.time_windows import CalendarWindow

ZONES = ("UTC", "Europe/Warsaw", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")

windows = st.builds(
    CalendarWindow,
    st.datetimes(datetime(1990, 1, 1), datetime(2030, 12, 31)).map(
        lambda moment: moment.replace(microsecond=0)
    ),
    st.sampled_from(ZONES),
    st.integers(1, 40),
    st.sampled_from("mhdwMQY"),
)


@given(windows, st.integers(0, 200_000_000))
def test_every_moment_is_in_exactly_one_period(window, after_s):
    """The period of a moment contains it, and the next begins where it ends."""
    now = window.boundary_unix_s(0) + after_s
    period = window.period(now)
    assert period.start_unix_s <= now < period.end_unix_s
    after = window.period(period.end_unix_s)
    assert period.end_unix_s == after.start_unix_s
    assert period == window.period(period.start_unix_s)
    assert period == window.period(period.end_unix_s - 1)


@given(windows, st.integers(0, 150))
def test_boundaries_go_forward(window, number):
    """No period is empty."""
    assert window.boundary_unix_s(number) < window.boundary_unix_s(number + 1)
