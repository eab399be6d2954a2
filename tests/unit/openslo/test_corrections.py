"""Corrections: recurring in local time, with author and reason, and never beyond undoing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from analysis.slo.openslo.corrections import (
    Correction,
    CorrectionError,
    Once,
    Recurring,
    Withdrawal,
    excluded,
)
from analysis.slo.openslo.sliced_past import sliced_past
from analysis.slo.openslo.time_windows import Period

ONCE = Correction("1", "ann", "upstream outage", "upstream", 100, Once(120, 180))


def at(*parts):
    return int(datetime(*parts, tzinfo=UTC).timestamp())


def starts(rule, begin, zone="Europe/Warsaw", period=None):
    when = Recurring(begin, zone, 3_600, rule)
    whole = period or Period(at(2026, 3, 1), at(2026, 4, 15))
    return [datetime.fromtimestamp(one.start_unix_s, UTC) for one in when.spans(whole)]


def test_a_weekly_window_moves_with_the_clocks():
    """Two in the morning in Warsaw is 01:00 UTC in winter and 00:00 in summer."""
    found = starts("FREQ=WEEKLY;BYDAY=WE", datetime(2025, 1, 1, 2, 0))
    assert [one.hour for one in found] == [1, 1, 1, 1, 0, 0]
    assert found[0] == datetime(2026, 3, 4, 1, tzinfo=UTC)


def test_the_last_working_day_of_a_month():
    """Rules of RFC 5545."""
    found = starts("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", datetime(2026, 1, 1, 12, 0))
    assert [one.day for one in found] == [31]


def test_a_span_that_began_before_the_period_counts():
    """What touches it does."""
    rule, begin = "FREQ=DAILY;COUNT=1", datetime(2026, 3, 1, 0, 30)
    assert starts(rule, begin, "UTC", Period(at(2026, 3, 1, 1), at(2026, 3, 2)))
    assert not starts(rule, begin, "UTC", Period(at(2026, 3, 1, 2), at(2026, 3, 2)))


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=HOURLY",
        "FREQ=DAILY;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYMONTHDAY=30;BYMONTH=2",
        "FREQ=DAILY;COUNT=2;UNTIL=20260101",
        "INTERVAL=2",
        "FREQ=DAILY;FREQ=DAILY",
        "FREQ=DAILY\nDTSTART:20200101T000000Z",
        "FREQ=MONTHLY;BYSETPOS=2",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;" * 100,
        "",
    ],
)
def test_rules_that_are_refused(rule):
    """Finer than a day, never true, or none; each says what is accepted."""
    with pytest.raises(CorrectionError):
        Recurring(datetime(2026, 1, 1), "UTC", 60, rule)


@pytest.mark.parametrize(
    "change",
    [{"author": " "}, {"reason": ""}, {"reason": "x" * 2_001}],
)
def test_somebody_says_why(change):
    """No correction without a name and a reason."""
    with pytest.raises(CorrectionError):
        replace(ONCE, **change)


def test_withdrawn_is_not_deleted():
    """Before and after the withdrawal, and before it was made."""
    past, period = sliced_past(0, 60, [1] * 5, [0] * 5), Period(0, 300)
    gone = replace(ONCE, withdrawn=Withdrawal("bob", "it was us", 500))
    assert excluded(past, period, [gone], 499).tolist() == [False, False, True, False, False]
    assert not excluded(past, period, [gone], 500).any()
    assert not excluded(past, period, [ONCE], 99).any()
