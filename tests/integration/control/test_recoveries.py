"""Whether a rollback helped is told once, by the objectives of its service."""

from __future__ import annotations

import pytest

from analysis.decisions.records import Attempt
from analysis.runner.recoveries import Recoveries
from analysis.slo.objectives import load_objectives, shipped_text
from analysis.slo.tracker import SloTracker
from telemetry.clock import FixedClock

_, HOUR = load_objectives({"objectives.yaml": shipped_text()})
S = 1_000_000_000


class Scene:
    """Counts of an hour that hurt until some seconds after the delivery."""

    def __init__(self, delivered_unix_nano):
        self.at_s = delivered_unix_nano // S // 5 * 5
        self.tracker = SloTracker(HOUR, 5, 30.0)

    def feed(self, first_s, last_s, bad):
        for at in range(self.at_s + first_s, self.at_s + last_s, 5):
            self.tracker.take(at, 100 - bad, bad)
        self.tracker.evaluate((self.at_s + last_s) * S)


@pytest.fixture
def delivered(open_ledger, helpers, database_url):
    clock = FixedClock()
    ledger = open_ledger(clock, url=database_url)
    helpers.decide(ledger, clock, 1)
    helpers.decide(ledger, clock, 2, "search")
    for lease in ledger.outbox.lease_due(clock.wall_unix_nano(), 60, 5).leases:
        now = clock.wall_unix_nano()
        accepted = Attempt(now, 202, None, 0.1)
        assert ledger.outbox.record([ledger.outbox.delivered(lease, accepted, lease.url)]) == [True]
    return ledger, clock


def told(ledger):
    kinds = ("recovered", "not_recovered")
    return [(one.kind, one.about["after_s"]) for one in ledger.events(0, 2**62, kinds=kinds)]


def test_it_is_told_once_also_by_the_next_process(delivered):
    ledger, clock = delivered
    scene, now = Scene(clock.wall_unix_nano()), clock.wall_unix_nano()
    scene.feed(-120, 20, 30)
    watch = Recoveries(ledger)
    watch.look([scene.tracker.view()], now + 20 * S)
    assert told(ledger) == []
    scene.feed(20, 60, 0)
    watch.look([scene.tracker.view()], now + 60 * S)
    assert told(ledger) == [("recovered", 35)]
    watch.look([scene.tracker.view()], now + 65 * S)
    Recoveries(ledger).look([scene.tracker.view()], now + 70 * S)
    assert len(told(ledger)) == 1
    (event,) = ledger.events(0, 2**62, kinds=("recovered",))
    assert (event.service, event.deployment_id) == ("playback", "playback-1")
    assert "is back 35 s after" in event.title


def test_what_does_not_come_back_is_told(delivered):
    ledger, clock = delivered
    scene, now = Scene(clock.wall_unix_nano()), clock.wall_unix_nano()
    scene.feed(-120, 605, 30)
    Recoveries(ledger).look([scene.tracker.view()], now + 605 * S)
    assert told(ledger) == [("not_recovered", None)]


def test_what_was_not_hurt_says_nothing(delivered):
    ledger, clock = delivered
    scene, now = Scene(clock.wall_unix_nano()), clock.wall_unix_nano()
    scene.feed(-120, 60, 0)
    Recoveries(ledger).look([scene.tracker.view()], now + 60 * S)
    assert told(ledger) == []
