"""A canary's story, its words and what its report chooses to show."""

from __future__ import annotations

from dataclasses import replace

import pytest
from plotly.io.json import to_json_plotly

from dashboards.answers.analysis import Arm, Canary, Decision, Verdict
from dashboards.components.canary_report import gap_words, story_block, verdict_block
from dashboards.components.headline import canary_clause
from dashboards.components.words import canary_words
from dashboards.pages.canaries import canary_row
from dashboards.pages.canary import MAX_POINTS, chosen_metric, report_span, thinned
from dashboards.story import steps

SECOND_NS = 1_000_000_000
T0 = 1_790_000_000 * SECOND_NS
VERDICT = Verdict("fail", "regression", "Worse: a.", T0 + 20 * SECOND_NS, True, "m", "k=v")


def decision(**changes):
    base = Decision(
        decision_id="d",
        deployment_id="x",
        environment="demo",
        service="playback",
        action="rollback",
        sequence=1,
        state="confirmed",
        summary="",
        created_unix_nano=T0 + 20_100_000_000,
        expires_unix_nano=T0 + 600 * SECOND_NS,
        delivered_unix_nano=T0 + 20_300_000_000,
        acknowledged_unix_nano=T0 + 20_293_000_000,
        completed_unix_nano=T0 + 22 * SECOND_NS,
        confirmed_unix_nano=T0 + 28 * SECOND_NS,
        history=(),
    )
    return replace(base, **changes)


def canary(**changes):
    base = Canary(
        deployment_id="x",
        environment="demo",
        service="playback",
        baseline=Arm("1.9", "", ("a",)),
        canary=Arm("2.0", "", ("b",)),
        started_unix_nano=T0,
        expires_unix_nano=T0 + 900 * SECOND_NS,
        declared_unix_nano=T0,
        state="failed",
        reason="regression",
        summary="Worse: a.",
        looks=20,
        verdict=VERDICT,
        decision=decision(),
        last_look=None,
    )
    return replace(base, **changes)


def test_the_story_has_the_seconds_between_its_steps(failed_looks):
    """From the declaration to the confirmation; clocks that disagree show as negative."""
    told = steps(canary(), failed_looks)
    assert [s.name for s in told] == [
        "declared",
        "first request seen",
        "verdict: FAIL",
        "decided: rollback",
        "delivered",
        "acknowledged",
        "completed",
        "confirmed by telemetry",
    ]
    since = {s.name: s.since_s for s in told}
    assert since["decided: rollback"] == pytest.approx(0.1)
    assert since["acknowledged"] == pytest.approx(-0.007)
    assert since["confirmed by telemetry"] == pytest.approx(6.0)
    assert [gap_words(s) for s in (0.1, -0.007, 6.0)] == ["+100 ms", "−7 ms", "+6 s"]


def test_a_running_canary_shows_what_is_still_to_come():
    """Named, without a time."""
    told = steps(canary(state="observing", verdict=None, decision=None), ())
    assert [s.name for s in told if s.unix_nano is None] == [
        "first request seen",
        "verdict",
        "decided",
        "delivered",
        "acknowledged",
        "completed",
        "confirmed by telemetry",
    ]
    assert "not yet" in to_json_plotly(story_block(told))


def test_an_undecided_canary_promises_no_action():
    """Its story ends with the verdict."""
    verdict = replace(VERDICT, kind="inconclusive")
    told = steps(canary(state="inconclusive", verdict=verdict, decision=None), ())
    assert told[-1].name == "verdict: INCONCLUSIVE"


def test_a_hold_is_not_an_ending():
    """A verdict that is not final is no step of the story, and is shown as a hold."""
    hold = replace(VERDICT, kind="inconclusive", final=False)
    held = canary(state="observing", verdict=hold, decision=None)
    assert "verdict: INCONCLUSIVE" not in [s.name for s in steps(held, ())]
    assert "on hold: inconclusive" in to_json_plotly(verdict_block(held))


def test_every_verdict_has_its_own_word_shape_and_frame():
    """INCONCLUSIVE and INVALID look like neither PASS nor FAIL, without any colour."""
    states = ("passed", "failed", "inconclusive", "invalid", "observing", "declared", "warming")
    words = [canary_words(state) for state in states]
    assert len({word for word, _, _ in words}) == len(states)
    assert len({shape for _, _, shape in words}) == len(states)
    assert canary_words("brand_new")[0] == "BRAND_NEW"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"state": "observing"}, "canary playback 2.0 under observation"),
        ({}, "canary playback 2.0 rolled back at 14:13:42 UTC, confirmed by telemetry"),
        (
            {"decision": decision(state="requested")},
            "canary playback 2.0 is being rolled back",
        ),
        (
            {"decision": decision(state="expired")},
            "canary playback 2.0: rollback expired, look at it",
        ),
        (
            {"state": "passed", "decision": decision(action="promotion", state="completed")},
            "canary playback 2.0 promoted at 14:13:42 UTC",
        ),
        ({"state": "invalid", "decision": None}, "canary playback 2.0 ended invalid"),
    ],
)
def test_a_canary_in_a_clause(changes, expected):
    """What the fleet page says about it."""
    assert canary_clause(canary(**changes)) == expected


def test_a_row_of_the_list():
    """Seconds from start to verdict; a dash where there is nothing."""
    row = canary_row(canary())
    assert (row["status"], row["to_verdict_text"], row["action"]) == (
        "FAIL",
        "20 s",
        "rollback: confirmed",
    )
    row = canary_row(canary(state="observing", verdict=None, decision=None))
    assert (row["to_verdict_text"], row["action"]) == ("–", "–")


def test_the_report_opens_on_the_culprit_unless_the_reader_chose(failed_looks):
    """Then on the rule's first metric."""
    look = failed_looks[-1]
    found = canary(
        last_look=look,
        verdict=replace(
            VERDICT, culprit_metric=look.culprit_metric, culprit_split=look.culprit_split
        ),
    )
    assert chosen_metric(found, "") == f"{look.culprit_metric}{{{look.culprit_split}}}"
    assert chosen_metric(found, "http.server.errors") == "http.server.errors"
    assert chosen_metric(replace(found, verdict=None), "no such") == look.metrics[0].key
    assert chosen_metric(canary(verdict=None), "") == ""


def test_thinned_looks_keep_the_newest_and_the_deciding_one(failed_looks):
    """However many there were."""
    first, last = failed_looks[0], failed_looks[-1]
    many = [replace(first, index=i, final=False) for i in range(1000)]
    many[777] = replace(last, index=777)
    kept = thinned(many)
    assert len(kept) <= MAX_POINTS + 2
    assert [look.index for look in kept if look.final] == [777]
    assert kept[-1].index == 999
    assert thinned(many[:50]) == many[:50]


def test_the_time_axis_holds_the_whole_story():
    """From the start to a little after the confirmation, and never a sliver."""
    span = report_span(canary(), ())
    assert (span.from_unix_s, span.to_unix_s) == (1_790_000_000, 1_790_000_033)
    young = report_span(canary(verdict=None, decision=None), ())
    assert young.to_unix_s - young.from_unix_s == 30
