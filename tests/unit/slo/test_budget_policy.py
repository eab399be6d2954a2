"""Steps of a policy: when they hold, that missing data changes nothing, what an override leaves."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from analysis.slo.budget_policy import (
    ExhaustedWithin,
    PolicyAction,
    PolicyBook,
    PolicyStep,
    RemainingAtMost,
    SpentAtLeast,
    Watched,
)
from analysis.slo.objectives import load_objectives, shipped_text
from analysis.slo.openslo.forecast import ExhaustionForecast
from analysis.slo.tracker import SloTracker

_, HOUR = load_objectives({"objectives.yaml": shipped_text()})
S = 1_000_000_000
DAY_S = 86_400


@dataclass
class View:
    """What a condition asks, as told."""

    remaining_ratio: float | None = 1.0
    spent: dict = field(default_factory=dict)
    exhausts: ExhaustionForecast | None = None

    def spent_ratio(self, within_s):
        return self.spent.get(within_s)

    def forecast(self, confidence):
        assert confidence == 0.9
        return self.exhausts


def step(condition, *actions):
    return PolicyStep(
        "p", "s", frozenset(), condition, "ticket", frozenset(actions or [PolicyAction.NOTIFY])
    )


@pytest.mark.parametrize(
    ("condition", "view", "holds"),
    [
        (RemainingAtMost(0.25), View(0.25), True),
        (RemainingAtMost(0.25), View(0.2501), False),
        (RemainingAtMost(0), View(-0.5), True),
        (RemainingAtMost(0), View(None), None),
        (SpentAtLeast(0.1, 3_600), View(spent={3_600: 0.1}), True),
        (SpentAtLeast(0.1, 3_600), View(spent={3_600: 0.099}), False),
        (SpentAtLeast(0.1, 3_600), View(spent={60: 1.0}), None),
        (ExhaustedWithin(3 * DAY_S), View(exhausts=ExhaustionForecast(DAY_S, 9, None)), True),
        (ExhaustedWithin(3 * DAY_S), View(exhausts=ExhaustionForecast(None, 9, None)), False),
        (ExhaustedWithin(3 * DAY_S), View(exhausts=ExhaustionForecast(4 * DAY_S, 9, 9)), False),
        (ExhaustedWithin(3 * DAY_S), View(), None),
    ],
)
def test_conditions(condition, view, holds):
    found = condition.ask(view)
    assert (None if found is None else found.holds) is holds


def test_the_interval_of_a_forecast_is_told():
    found = ExhaustedWithin(DAY_S).ask(View(exhausts=ExhaustionForecast(7_200, 3_600, None)))
    assert "lasts 2.0 h (90% sure: 1.0 h to for ever), the limit is 1.0 d" in found.text


def look(book, view, at_s, overridden_by=None):
    watched = [Watched("starts", "playback", view)]
    (state,) = book.take(watched, lambda *_: overridden_by, at_s * S)
    return state


def test_a_step_knows_since_when_and_missing_data_changes_nothing():
    freeze = step(RemainingAtMost(0), PolicyAction.FREEZE)
    book = PolicyBook([freeze])
    assert look(book, View(None), 1).holds is False
    assert look(book, View(0.5), 2).in_force == frozenset()
    assert look(book, View(0.0), 3).in_force == {PolicyAction.FREEZE}
    silent = look(book, View(None), 4)
    assert (silent.holds, silent.since_unix_nano) == (True, 3 * S)
    assert "stays as it was" in silent.text
    # The next process goes on from what was kept.
    later = PolicyBook([freeze], [json.loads(json.dumps(silent.to_json()))])
    assert look(later, View(-1.0), 9).since_unix_nano == 3 * S
    assert look(later, View(0.1), 10).since_unix_nano is None


def test_an_overridden_step_is_watched_and_does_nothing():
    book = PolicyBook([step(RemainingAtMost(0), PolicyAction.NOTIFY, PolicyAction.ROLL_BACK)])
    state = look(book, View(0.0), 1, "ada: a fix goes out")
    assert (state.holds, state.in_force) == (True, frozenset())
    assert state.to_json()["overridden_by"] == "ada: a fix goes out"
    assert look(book, View(0.0), 2).in_force == {PolicyAction.NOTIFY, PolicyAction.ROLL_BACK}


def test_a_step_is_about_its_objectives_only():
    one = PolicyStep(
        "p", "s", frozenset({"home"}), RemainingAtMost(0), "page", frozenset({PolicyAction.NOTIFY})
    )
    found = PolicyBook([one]).take([Watched("starts", "x", View(0))], lambda *_: None, 1)
    assert found == ()


def test_a_tracker_says_what_was_spent_by_the_exact_counts():
    tracker = SloTracker(HOUR, 5, 30.0)
    assert tracker.view().remaining_ratio is None
    start = 1_790_000_000
    for at in range(start, start + 3_600, 5):
        bad = 2 if at >= start + 3_000 else 0
        tracker.take(at, 98, bad)
    status = tracker.evaluate((start + 3_600) * S)
    view = tracker.view()
    total = 720 * 98 + 120 * 2
    assert status.budget.total == total
    assert view.spent_ratio(300) == pytest.approx(120 / (0.01 * total), rel=1e-12)
    assert view.remaining_ratio == pytest.approx(1 - 240 / (0.01 * total), rel=1e-12)
    found = view.forecast(0.9)
    assert found.exhausts_s == pytest.approx(
        view.remaining_ratio / (view.spent_ratio(100) / 100), rel=1e-9
    )
    # Nobody reports any more: nothing can be said.
    tracker.evaluate((start + 4_000) * S)
    assert tracker.view().spent_ratio(300) is None
