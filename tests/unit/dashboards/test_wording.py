"""Numbers in words."""

from __future__ import annotations

import pytest

from dashboards import wording


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0 s"),
        (0.00085, "850 µs"),
        (0.0423, "42.3 ms"),
        (0.99996, "1 s"),
        (1.234, "1.23 s"),
        (99.4, "99.4 s"),
        (200.0, "3 min 20 s"),
        (3600.0, "1 h"),
        (7500.0, "2 h 5 min"),
        (30 * 86_400.0, "30 d"),
        (-0.007, "−7 ms"),
        (None, "–"),
    ],
)
def test_durations(value, expected):
    """Three figures and the unit a person would choose; unknown is a dash."""
    assert wording.duration(value) == expected


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (1.0, "100.0 %"),
        (0.9999, "> 99.9 %"),
        (0.0, "0.0 %"),
        (0.0001, "< 0.1 %"),
        (0.994, "99.4 %"),
        (None, "–"),
    ],
)
def test_a_share_never_rounds_to_all_or_nothing(ratio, expected):
    """99.99 % is not 100 %."""
    assert wording.percent(ratio) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(47.94, "47.9"), (1234.0, "1,234"), (0.0123, "0.0123"), (0, "0"), (10, "10"), (100.0, "100")],
)
def test_three_figures(value, expected):
    """Trailing zeros of a whole number stay."""
    assert wording.figures3(value) == expected


def test_points_and_factors():
    """Differences have a sign, factors a cross."""
    assert wording.points(0.0863) == "+8.6 points"
    assert wording.points(-0.0004) == "−0.04 points"
    assert wording.points(0.0) == "0 points"
    assert wording.times(1.524) == "1.52×"


def test_times_are_utc():
    """Charts, stories and stale notes speak of the same clock."""
    assert wording.clock_time(1_790_000_000_000_000_000) == "14:13:20"
    assert wording.iso(1_790_000_000.25) == "2026-09-21T14:13:20.250"
    assert wording.ago(0, 90_000_000_000) == "90 s ago"
    assert wording.ago(0, 1_000_000_000) == "just now"
