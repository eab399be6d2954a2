"""An objective under another target, window or alert policy."""

from __future__ import annotations

import pytest

from analysis.slo.errors import SloFileError
from analysis.slo.looking_back import Past, what_if
from analysis.slo.objectives import (
    AlertPolicy,
    BurnWindow,
    EventSource,
    Guard,
    Objective,
    load_objectives,
    shipped_text,
)
from analysis.slo.openslo.sliced_past import sliced_past
from analysis.slo.openslo.time_windows import Period
from analysis.slo.other_terms import OtherTerms, both, read_alerts, read_duration, under

MONTH, _ = load_objectives({"objectives.yaml": shipped_text()})
DAY_S = 86_400


def test_alerts_keep_their_share_of_the_budget_over_another_window():
    week = under(MONTH, OtherTerms(window_s=7 * DAY_S))
    assert week.window_s == 7 * DAY_S
    for one, other in zip(MONTH.policy.windows, week.policy.windows, strict=True):
        share = one.factor * one.long_window_s / MONTH.window_s
        assert other.factor * other.long_window_s / week.window_s == pytest.approx(share)


def test_other_alerts_and_another_target():
    alerts = read_alerts("page@14.4/1h, ticket@1/3d")
    changed = under(MONTH, OtherTerms(0.999, None, alerts))
    assert changed.policy.windows == (
        BurnWindow("page", 14.4, 3_600, 300),
        BurnWindow("ticket", 1.0, 3 * DAY_S, 6 * 3_600),
    )
    assert (changed.target_ratio, changed.window_s) == (0.999, MONTH.window_s)
    assert len(both(MONTH, changed).policy.windows) == len(MONTH.policy.windows) + 2
    assert under(MONTH, OtherTerms()) == MONTH


def test_an_alert_that_can_never_fire_is_refused():
    with pytest.raises(SloFileError, match="total outage"):
        under(MONTH, OtherTerms(0.9, None, read_alerts("page@14.4/1h")))


@pytest.mark.parametrize(
    "text", ["", "page", "page@x/1h", "scream@1/1h", "page@1/1y", "page@1/0m", "page@1/1h,,"]
)
def test_what_is_no_alert(text):
    with pytest.raises(SloFileError):
        read_alerts(text)


@pytest.mark.parametrize(("text", "seconds"), [("1m", 60), ("6h", 21_600), ("4w", 28 * DAY_S)])
def test_durations(text, seconds):
    assert read_duration("window", text) == seconds


@pytest.mark.parametrize("text", ["", "0m", "7", "1y", "367d", "-1d"])
def test_what_is_no_duration(text):
    with pytest.raises(SloFileError, match="window"):
        read_duration("window", text)


def test_the_pages_another_policy_would_have_sent():
    """Ten minutes of 5 % failures: no page as it is, one by a policy that looks back less."""
    source = EventSource("starts", "outcome", frozenset({"ok"}))
    known = Objective(
        "starts", "playback", "Starts", 0.99, DAY_S, source,
        EventSource("starts", "outcome", frozenset({"ok", "bad"})),
        AlertPolicy(Guard(), (BurnWindow("page", 14.4, 3_600, 300),)),
    )  # fmt: skip
    start = 1_800_000_000
    bad = [5 if 600 <= minute < 610 else 0 for minute in range(1_440)]
    past = Past(sliced_past(start, 60, [100 - one for one in bad], bad))
    quick = under(known, OtherTerms(alerts=read_alerts("page@3/12m")))
    found = what_if(known, past, Period(start, start + DAY_S), quick, start + DAY_S)
    assert found["as_it_is"]["alert_counts"] == {}
    assert found["what_if"]["alert_counts"] == {"page": 1}
