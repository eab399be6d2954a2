"""When a silence holds, and what is none."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from analysis.alerts.labels import read_condition
from analysis.alerts.silences import Silence, SilenceState, silenced_by
from analysis.errors import BadRequestError
from analysis.slo.openslo.corrections import Recurring

S = 1_000_000_000
#: Monday, 5 January 2026, 00:00 UTC.
MONDAY_S = 1_767_571_200
PAGE = {"alertname": "SloBurnRate", "slo": "starts", "severity": "page"}
SILENCE = Silence(
    silence_id="sil_1",
    matchers=(read_condition("severity=page"), read_condition('slo=~"st.*"')),
    starts_unix_nano=MONDAY_S * S,
    ends_unix_nano=(MONDAY_S + 3_600) * S,
    author="ada",
    comment="the database moves",
    updated_unix_nano=MONDAY_S * S,
)
NIGHTLY = replace(
    SILENCE,
    silence_id="sil_2",
    ends_unix_nano=(MONDAY_S + 60 * 86_400) * S,
    recurring=Recurring(dt.datetime(2026, 1, 5, 2), "Europe/Berlin", 1_800, "FREQ=DAILY"),
)


@pytest.mark.parametrize(
    ("after_s", "state"),
    [(-1, "pending"), (0, "active"), (3_599, "active"), (3_600, "expired")],
)
def test_states(after_s, state):
    now = (MONDAY_S + after_s) * S
    assert SILENCE.state(now) is SilenceState(state)
    assert SILENCE.holds(PAGE, now) is (state == "active")


def test_every_matcher_must_hold():
    now = MONDAY_S * S
    assert not SILENCE.holds({**PAGE, "severity": "ticket"}, now)
    assert not SILENCE.holds({**PAGE, "slo": "home"}, now)


@pytest.mark.parametrize(
    ("hour_utc", "day", "holds"),
    # Berlin is an hour ahead in winter, two from 29 March: the rule goes with its clocks.
    [(1.2, 1, True), (1.6, 1, False), (0.9, 1, False), (1.2, 40, True)],
)
def test_a_rule_holds_in_its_spans(hour_utc, day, holds):
    now = round((MONDAY_S + day * 86_400 + hour_utc * 3_600) * S)
    assert NIGHTLY.holds(PAGE, now) is holds
    assert NIGHTLY.state(now) is (SilenceState.ACTIVE if holds else SilenceState.PENDING)


def test_a_rule_moves_with_the_clocks():
    summer = dt.datetime(2026, 3, 30, 0, 15, tzinfo=dt.UTC)
    longer = replace(NIGHTLY, ends_unix_nano=(MONDAY_S + 300 * 86_400) * S)
    assert longer.holds(PAGE, round(summer.timestamp()) * S)


def test_ids_in_order():
    now = round((MONDAY_S + 1.2 * 3_600) * S)
    wide = replace(SILENCE, ends_unix_nano=(MONDAY_S + 86_400) * S)
    assert silenced_by([NIGHTLY, wide], PAGE, now) == ("sil_1", "sil_2")
    assert silenced_by([], PAGE, now) == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"matchers": ()}, "0 matchers"),
        ({"matchers": (read_condition("severity!=page"),)}, "silence everything"),
        ({"matchers": (read_condition("severity=~.*"),)}, "silence everything"),
        ({"ends_unix_nano": MONDAY_S * S}, "before it starts"),
        ({"author": " "}, "createdBy"),
        ({"comment": "x" * 2_001}, "comment"),
        ({"comment": "a\0b"}, "comment"),
    ],
)
def test_what_is_no_silence(change, words):
    with pytest.raises(BadRequestError, match=words):
        replace(SILENCE, **change)
