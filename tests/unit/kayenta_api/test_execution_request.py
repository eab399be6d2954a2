"""Execution requests: the shapes Orca and Argo send, and what each refused one is told."""

from __future__ import annotations

import pytest

from analysis.kayenta_api.errors import KayentaApiError
from analysis.kayenta_api.execution_request import read

SIDE = {
    "scope": "playback-v1",
    "location": "eu",
    "start": "2026-11-25T12:00:00Z",
    "end": "2026-11-25T13:00:00+00:00",
    "step": 60,
}


def request(thresholds=None, **control):
    return {
        "scopes": {"default": {"controlScope": {**SIDE, **control}, "experimentScope": SIDE}},
        "thresholds": thresholds or {"pass": 95, "marginal": "75"},
    }


def test_both_sides_and_the_thresholds_are_read():
    """Numbers as texts too: Orca sends what an expression gave."""
    found = read(request())
    pair = found.scopes["default"]
    assert (found.pass_at, found.marginal_at) == (95.0, 75.0)
    assert (pair.control.end_ms - pair.control.start_ms, pair.control.step_s) == (3_600_000, 60)
    assert pair.control.expected_points == 60
    assert pair.experiment.scope == "playback-v1"


def test_what_a_side_may_leave_out():
    """Scope, location and step, as Argo's provider may."""
    found = read(request(scope=None, location=None, step=60, extendedScopeParams={"n": 1}))
    control = found.scopes["default"].control
    assert (control.scope, control.location, control.extended) == (None, None, {"n": "1"})


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ([], "a JSON object with scopes and thresholds"),
        ({"thresholds": {}}, "at least one scope pair"),
        ({"scopes": {"default": {}}, "thresholds": []}, "thresholds: an object"),
        ({"scopes": {"d": {}}, "thresholds": {}}, "scopes.d.controlScope: an object"),
        (request(start="yesterday"), "'yesterday' is no moment such as"),
        (request(start="2026-11-25T12:00:00"), "is no moment such as"),
        (request(end=SIDE["start"]), "end is not after start"),
        (request(step=0), "step: seconds"),
        (request(step="60"), "step: seconds"),
        (request(step=True), "step: seconds"),
        (request(start="2020-01-01T00:00:00Z", step=1), "more than 11000 steps"),
        (request(scope=3), "controlScope.scope: a text"),
        (request(extendedScopeParams=[1]), "extendedScopeParams: an object"),
        (request({"pass": 101, "marginal": 1}), "thresholds.pass: a number from 0 to 100"),
        (request({"pass": 90}), "thresholds.marginal"),
        (request({"pass": True, "marginal": 1}), "thresholds.pass"),
        (request({"pass": "much", "marginal": 1}), "thresholds.pass"),
    ],
)
def test_what_is_wrong_is_said(raw, words):
    """Where, and what would be taken."""
    with pytest.raises(KayentaApiError, match=words):
        read(raw)
