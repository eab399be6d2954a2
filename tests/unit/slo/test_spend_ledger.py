"""Bad events booked to causes: once each, to the most particular, and the sum is the whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest

from analysis.slo.looking_back import Past
from analysis.slo.objectives import AlertPolicy, EventSource, Guard, Objective
from analysis.slo.openslo.model import BudgetingMethod
from analysis.slo.openslo.sliced_past import sliced_past
from analysis.slo.openslo.time_windows import Period
from analysis.slo.spend_ledger import Cause, CauseKind, booked, causes_of
from davylamp.slo_live_cli import spent

S = 1_000_000_000
START_S = 1_800_000_000
DAY = Period(START_S, START_S + 86_400)
OBJECTIVE = Objective(
    name="starts",
    service="playback",
    display_name="Starts",
    target_ratio=0.99,
    window_s=86_400,
    good=EventSource("starts", "outcome", frozenset({"ok"})),
    total=EventSource("starts", "outcome", frozenset({"ok", "bad"})),
    policy=AlertPolicy(Guard(), ()),
)


@dataclass(frozen=True)
class Line:
    at_s: int
    kind: str
    deployment_id: str | None = None
    about: dict | None = None
    service: str = "playback"
    title: str = "title"

    @property
    def unix_nano(self):
        return (START_S + self.at_s) * S


def page(at_s, *, fires, slo="starts", **labels):
    return Line(at_s, "slo_page", about={"labels": {"slo": slo, **labels}, "is_firing": fires})


def spans(lines):
    return [
        (str(one.kind), one.start_unix_s - START_S, one.end_unix_s - START_S)
        for one in causes_of(lines, OBJECTIVE, DAY)
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([Line(10, "canary_declared", "d"), Line(70, "verdict", "d")], [("canary", 10, 70)]),
        ([Line(10, "canary_declared", "d")], [("canary", 10, 86_400)]),
        ([Line(70, "verdict", "d")], []),
        (
            [Line(5, "decision", "d", {"action": "promotion"}), Line(9, "completed", "d"),
             Line(12, "confirmed", "d")],
            [("deploy", 9, 1_809)],
        ),
        (
            [Line(5, "decision", "d", {"action": "rollback"}), Line(9, "confirmed", "d")],
            [("rollback", 9, 1_809)],
        ),
        ([page(30, fires=True), page(90, fires=True), page(95, fires=False)],
         [("incident", 30, 95)]),
        ([page(30, fires=True, slo="other")], []),
        ([page(30, fires=True, policy="p/s")], []),
        (
            [Line(1, "anomaly", about={"series": "x", "is_anomalous": True}),
             Line(8, "anomaly", about={"series": "y", "is_anomalous": False}),
             Line(9, "anomaly", about={"series": "x", "is_anomalous": False})],
            [("incident", 1, 9)],
        ),
        (
            [Line(500, "cause", about={"cause": "chaos", "from_unix_s": START_S - 5,
                                       "to_unix_s": START_S + 5}, service="*")],
            [("chaos", -5, 5)],
        ),
        ([Line(10, "canary_declared", "d", service="search")], []),
        ([Line(-900, "canary_declared", "d"), Line(-100, "verdict", "d")], []),
    ],
)  # fmt: skip
def test_causes_of_the_timeline(lines, expected):
    assert spans(lines) == expected


def past(bad):
    bad = np.asarray(bad)
    return Past(sliced_past(START_S, 60, 100 - bad, bad))


def cause(kind, first_min, last_min, title="x"):
    return Cause(CauseKind(kind), title, START_S + first_min * 60, START_S + last_min * 60)


def test_every_bad_event_is_booked_once_and_the_sum_is_the_whole():
    rng = np.random.default_rng(5)
    whole = past(rng.integers(0, 40, 1_440))
    causes = [
        cause(kind, first, first + length)
        for kind in CauseKind
        for first, length in rng.integers(1, 700, (20, 2)).tolist()
    ]
    found = booked(OBJECTIVE, whole, DAY, causes)
    total = sum(one["bad"] for one in found["causes"]) + found["nothing_known"]["bad"]
    assert total == found["bad"] == int(whole.counts.bad.sum())
    assert found["budget_spent_ratio"] == pytest.approx(
        found["bad"] / (0.01 * found["total"]), rel=1e-12
    )


def test_the_most_particular_of_several_is_booked():
    bad = np.zeros(1_440, dtype=int)
    bad[10:20] = 50
    incident = cause("incident", 5, 30)
    found = booked(OBJECTIVE, past(bad), DAY, [incident, cause("canary", 0, 15)])
    assert [(one["kind"], one["bad"]) for one in found["causes"]] == [
        ("canary", 250),
        ("incident", 250),
    ]
    chaos = cause("chaos", 10, 20, "a region went away")
    found = booked(OBJECTIVE, past(bad), DAY, [incident, chaos])
    assert [(one["kind"], one["bad"]) for one in found["causes"]] == [
        ("chaos", 500),
        ("incident", 0),
    ]
    assert found["nothing_known"] == {"bad": 0, "budget_spent_ratio": 0.0}


def test_what_is_excluded_is_not_booked():
    bad = np.full(1_440, 2)
    excluded = Past(past(bad).counts, (Period(START_S, START_S + 43_200),))
    found = booked(OBJECTIVE, excluded, DAY, [])
    assert found["nothing_known"]["bad"] == found["bad"] == 1_440


def test_no_events_is_no_share():
    found = booked(OBJECTIVE, past([]), DAY, [])
    assert (found["bad"], found["budget_spent_ratio"]) == (0, None)


def test_lines_for_people():
    bad = np.zeros(1_440, dtype=int)
    bad[10:20], bad[100] = 50, 7
    found = booked(OBJECTIVE, past(bad), DAY, [cause("chaos", 10, 20, "a region went away")])
    lines = spent(found | {"is_timeline_cut": False})
    assert "507 bad of 144000, 35.2% of the budget" in lines[0]
    assert "34.7%        500 bad  chaos: a region went away" in lines[1]
    assert lines[2].split() == ["0.5%", "7", "bad", "nothing", "known"]
    assert "shorter period" in spent(found | {"is_timeline_cut": True})[-1]


def test_time_slices_are_booked_as_slices():
    """Ten minutes in which every other event fails: ten bad slices, or five in shares."""
    bad = np.where(np.arange(1_440) // 10 == 6, 5, 0)
    past = Past(sliced_past(START_S, 60, 10 - bad, bad))
    canary = Cause(CauseKind.CANARY, "c", START_S + 3_600, START_S + 3_900, "d")
    for terms, whole, part in (
        ({"method": BudgetingMethod.TIMESLICES, "slice_target_ratio": Fraction(9, 10)}, 10, 5),
        ({"method": BudgetingMethod.RATIO_TIMESLICES}, 5, 2.5),
    ):
        found = booked(replace(OBJECTIVE, slice_s=60, **terms), past, DAY, [canary])
        assert (found["total"], found["bad"]) == (1_440, whole)
        assert found["budget_spent_ratio"] == pytest.approx(whole / 14.4)
        assert found["causes"][0]["bad"] == part
        assert found["nothing_known"]["bad"] == whole - part
