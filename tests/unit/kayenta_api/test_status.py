"""An execution's way, as callers read it."""

from __future__ import annotations

import pytest

from analysis.kayenta_api import status as told

ASKED = told.Asked("app", None, "m", None, "s")


def new():
    return told.begun("e1", ASKED, {"name": "c"}, "c1", {"scopes": {}}, 1_000)


def result(count):
    stats = {"stats": {"count": count}}
    return {"results": [{"name": "m", "controlMetadata": stats}], "score": {"score": 90.0}}


def test_only_a_judged_one_has_a_result():
    """Every other end is complete too, and says why."""
    started = told.running(new(), 2_000)
    good = told.succeeded(started, result(60), "p1", 3_600, 3_000)
    bad = told.failed(started, "no such metric", 3_000)
    ended = told.canceled(started, 3_000)
    assert [one["complete"] for one in (new(), started, good, bad, ended)] == [
        False,
        False,
        True,
        True,
        True,
    ]
    assert good["result"]["judgeResult"]["score"]["score"] == 90.0
    assert (good["result"]["canaryDuration"], good["result"]["warnings"]) == ("PT1H", [])
    assert "result" not in bad
    assert "result" not in ended
    assert bad["exception"]["details"]["errors"] == ["no such metric"]
    assert bad["stageStatus"]["fetchMetrics"] == "terminal"
    assert (good["buildTimeMillis"], good["startTimeMillis"], good["endTimeMillis"]) == (
        1_000,
        2_000,
        3_000,
    )


def test_few_points_are_warned_of():
    """Kayenta's own limit of fifty."""
    found = told.succeeded(told.running(new(), 2), result(49), "p1", 60, 3)
    assert found["result"]["warnings"] == ["fewer than 50 data points of the control: m"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "PT0S"), (59, "PT59S"), (60, "PT1M"), (3_661, "PT1H1M1S"), (90_000, "PT25H")],
)
def test_durations_are_written_as_java_does(seconds, text):
    """Orca parses it."""
    assert told.iso_duration(seconds) == text
