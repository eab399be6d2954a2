"""A command is retried fast, then every minute, and never at or after its end."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.webhooks.schedule import delay_before, next_due, parse_retry_after

NOW = 1_735_689_600_000_000_000  # Wed, 01 Jan 2025 00:00:00 GMT
MINUTE_NS = 60_000_000_000


class Middle:
    """A generator without jitter: always the middle of the interval."""

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


def test_the_delays_of_a_command():
    """0, 1, 2, 5, 10, 20, 30 s, then every 60 s."""
    delays = [delay_before(attempts, Middle()) for attempts in range(10)]
    assert delays == pytest.approx([0, 1, 2, 5, 10, 20, 30, 60, 60, 60])


def test_twenty_attempts_fit_into_fifteen_minutes():
    """With instant refusals the last attempt starts 848 s after the decision (vectors' table)."""
    due, starts = NOW, []
    while due < NOW + 15 * MINUTE_NS:
        starts.append(round((due - NOW) / 1e9))
        due = next_due(len(starts), due, NOW + 15 * MINUTE_NS, None, Middle())
    assert starts[:8] == [0, 1, 3, 8, 18, 38, 68, 128]
    assert (len(starts), starts[-1]) == (20, 848)
    assert due == NOW + 15 * MINUTE_NS


@pytest.mark.parametrize(
    ("attempts", "retry_after_s", "expected_s"),
    [
        (1, None, 1),
        (1, 0, 1),
        (1, 0.5, 1),
        (4, 30, 30),
        (7, 30, 60),
        (7, 120, 120),
        (1, 1e9, 900),
    ],
)
def test_retry_after_only_lengthens_and_never_beyond_the_end(attempts, retry_after_s, expected_s):
    """The hint counts between the base delay and the command's end."""
    due = next_due(attempts, NOW, NOW + 900 * 10**9, retry_after_s, Middle())
    assert due - NOW == pytest.approx(expected_s * 1e9)


@pytest.mark.parametrize(
    ("value", "expected_s"),
    [
        (None, None),
        ("0", 0),
        ("120", 120),
        ("86400", 3600),
        ("9" * 400, 3600),
        ("Wed, 01 Jan 2025 00:02:00 GMT", 120),
        ("Wednesday, 01-Jan-25 00:02:00 GMT", 120),
        ("Wed Jan  1 00:02:00 2025", 120),
        ("Tue, 31 Dec 2024 23:00:00 GMT", 0),
        ("Thu, 01 Jan 2026 00:00:00 GMT", 3600),
        ("-1", None),
        ("1.5", None),
        ("1e9", None),
        ("nan", None),
        ("", None),
        (" 5", None),
        ("120, 60", None),
        ("١٢٠", None),
        ("Foo, 99 Bar 2025 00:00:00 GMT", None),
        ("Wed, 01 Jan 99999 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_strictly(value, expected_s):
    """Whole seconds or an HTTP date; everything else is as if it were not there."""
    assert parse_retry_after(value, NOW) == expected_s


def test_jitter_stays_within_a_fifth():
    """Over many draws the delay is within 20 % of its base and uses most of that range."""
    rng = np.random.default_rng(1)
    drawn = [delay_before(4, rng) for _ in range(2000)]
    assert 8.0 <= min(drawn) < 8.1
    assert 11.9 < max(drawn) <= 12.0
