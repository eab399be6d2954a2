"""One leader by lease: taken, kept, lost, and of no effect once lost."""

from __future__ import annotations

import psycopg
import pytest

from analysis.decisions.leadership import FencedDatabase, Leadership
from analysis.decisions.ledger import Ledger
from analysis.decisions.records import Attempt
from analysis.decisions.states import DeliveryState
from analysis.errors import LedgerUnavailableError, NotLeaderError, StartError
from analysis.webhooks.events import Addressing
from telemetry.clock import FixedClock

LEASE_S = 15.0
ADDRESSING = Addressing("deployer", "http://127.0.0.1:9/x", "http://127.0.0.1:1", 900.0)


class Member:
    """One process of two: a ledger of its own, its part in the leadership, its clock."""

    def __init__(self, url, name, clock):
        self.clock = clock
        self.ledger = Ledger.open(url, clock, ADDRESSING)
        self.leadership = Leadership(self.ledger.database, clock, name, LEASE_S)
        self.fenced = self.ledger.on(FencedDatabase(self.ledger.database, self.leadership))


@pytest.fixture
def members(postgres_url):
    """Two on one database; their clocks are days apart."""
    made = [
        Member(postgres_url, "first", FixedClock()),
        Member(postgres_url, "second", FixedClock(1_700_300_000_000_000_000)),
    ]
    yield made
    for member in made:
        member.ledger.close()


@pytest.fixture
def end_lease(postgres_url):
    """The database's clock moves on past the lease's end."""

    def end():
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("UPDATE leaders SET until_unix_nano = 1")

    return end


def test_the_first_who_asks_leads_and_goes_on(members):
    """The other does not, however often it asks; nor does the wall clock matter."""
    first, second = members
    assert first.leadership.left_s() == 0.0
    assert first.leadership.campaign()
    assert not second.leadership.campaign()
    first.clock.advance(LEASE_S - 1)
    assert first.leadership.left_s() == pytest.approx(1.0)
    assert first.leadership.campaign()
    assert first.leadership.left_s() == pytest.approx(LEASE_S)
    assert not second.leadership.campaign()
    told = [one.title for one in first.ledger.events(0, 2**62) if one.kind == "leader"]
    assert told == ["first leads the ledger"]


def test_without_news_it_stops_by_its_own_clock(members):
    """The time counts from before it asked."""
    first, _ = members
    assert first.leadership.campaign()
    first.clock.advance(LEASE_S)
    assert first.leadership.left_s() <= 0


def test_the_next_leader_fences_the_last_one_off(members, helpers, end_lease):
    """What the last one holds ends, and nothing that it writes counts."""
    first, second = members
    assert first.leadership.campaign()
    decision = helpers.decide(first.fenced, first.clock, 1)
    now = first.clock.wall_unix_nano()
    (lease,) = first.fenced.outbox.lease_due(now, 60, 10).leases
    end_lease()
    assert second.leadership.campaign()
    accepted = first.fenced.outbox.delivered(lease, Attempt(now, 202, None, 0.1), lease.url)
    with pytest.raises(NotLeaderError):
        first.fenced.outbox.record([accepted])
    with pytest.raises(LedgerUnavailableError):
        helpers.decide(first.fenced, first.clock, 2)
    assert [one.deployment_id for one in first.ledger.decisions()] == ["playback-1"]
    (again,) = second.fenced.outbox.lease_due(now, 60, 10).leases
    assert (again.webhook_id, again.body) == (lease.webhook_id, lease.body)
    assert again.token != lease.token
    assert first.ledger.outbox.record([accepted]) == [False], "its token is over too"
    mine = second.fenced.outbox.delivered(again, Attempt(now, 202, None, 0.1), again.url)
    assert second.fenced.outbox.record([mine]) == [True]
    (row,) = first.ledger.outbox.deliveries(decision.decision_id)
    assert (row.state, len(row.attempts)) == (DeliveryState.DELIVERED, 1)


def test_one_that_was_overtaken_asks_again_like_anybody(members, end_lease):
    """Its old fence is worth nothing; a later term has a higher one."""
    first, second = members
    assert first.leadership.campaign()
    end_lease()
    assert second.leadership.campaign()
    assert not first.leadership.campaign()
    assert first.leadership.left_s() == 0.0
    second.leadership.resign()
    assert first.leadership.campaign()
    with second.ledger.database.read() as connection, pytest.raises(NotLeaderError):
        second.leadership.check(connection)


def test_a_lease_that_ran_out_is_taken_anew(members, end_lease):
    """Nobody else came, yet somebody might have: a new fence."""
    first, _ = members
    assert first.leadership.campaign()
    end_lease()
    assert first.leadership.campaign()
    with first.ledger.database.read() as connection:
        first.leadership.check(connection)
    told = [one.detail for one in first.ledger.events(0, 2**62) if one.kind == "leader"]
    assert told == ["fence 2", "fence 1"]


def test_resigning_without_leading_does_nothing(members):
    """Nor does it end somebody else's lease."""
    first, second = members
    assert first.leadership.campaign()
    second.leadership.resign()
    assert not second.leadership.campaign()


def test_anybody_may_declare_and_report(members, helpers):
    """The API of a process that does not lead works as the leader's."""
    first, second = members
    assert first.leadership.campaign()
    decision = helpers.decide(first.fenced, first.clock, 1)
    second.ledger.report_status(decision.decision_id, "completed", 2**62, "done")
    assert first.ledger.decision(decision.decision_id).completed_unix_nano is not None


def test_the_server_goes_away_and_comes_back(postgres, members, helpers):
    """Nothing that was confirmed is lost; meanwhile every call says why it cannot."""
    first, second = members
    kept = helpers.decide(first.ledger, first.clock, 1)
    postgres.kill()
    with pytest.raises(LedgerUnavailableError):
        second.ledger.decisions()
    with pytest.raises(LedgerUnavailableError):
        first.leadership.campaign()
    postgres.start()
    assert second.ledger.decision(kept.decision_id) == kept
    assert first.leadership.campaign()


def test_a_server_that_does_not_wait_for_its_disk_is_refused(postgres):
    """What it confirms may be lost."""
    postgres.kill()
    postgres.settings["fsync"] = "off"
    postgres.start()
    try:
        with pytest.raises(StartError, match="fsync = off"):
            Ledger.open(postgres.url("test_1"), FixedClock())
    finally:
        postgres.kill()
        del postgres.settings["fsync"]
        postgres.start()
