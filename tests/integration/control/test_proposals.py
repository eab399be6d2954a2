"""Changes that loosen the guards, made by two people or not at all; on both engines."""

from __future__ import annotations

import orjson
import pytest
from sqlalchemy import select

from analysis.decisions import audit
from analysis.decisions.correction_store import Exclusion
from analysis.decisions.guard_store import Guarding, Release
from analysis.decisions.guards import GuardLimits
from analysis.decisions.kill_switch import KillSwitch
from analysis.decisions.ledger import Ledger
from analysis.decisions.override_store import Suspension
from analysis.decisions.tables import proposals as rows
from analysis.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    LedgerFullError,
    UnknownRecordError,
)
from analysis.notices.desk import NoticeDesk
from analysis.notices.formats import Format, Sender
from analysis.notices.store import Subscription, Told
from analysis.proposals import desk
from analysis.proposals.changes import Changes, exclusion, read_exclusion, suspension
from analysis.proposals.desk import ProposalDesk
from analysis.proposals.policy import (
    KEPT_S,
    Change,
    ChangeKind,
    Person,
    ProposalState,
    TwoPersons,
)
from analysis.slo.openslo.corrections import Once
from telemetry.clock import FixedClock

LIMITS = GuardLimits(1, 1, 3, 86_400.0, 1, 2, 600.0)
ADA, BOB = Person("ada", "ada"), Person("bob", "bob")
OWNER_AS_BOB = Person("owner", "bob")
RELEASE = Release("demo", "playback", "sha256:bbbb")
CLEAR = Change(ChangeKind.CLEAR_BAR, "demo", "playback", "sha256:bbbb")
GOOD = Change(ChangeKind.KNOWN_GOOD, "demo", "playback", "sha256:bbbb")
UNLOCK = Change(ChangeKind.RELEASE_LOCK, "demo", "*", "")
LIFETIME_S = 900.0


class Desks:
    """A ledger on a fixed clock, and its proposals."""

    def __init__(self, url, folder):
        self.clock = FixedClock()
        guarding = Guarding(LIMITS, KillSwitch(folder / "stop"))
        self.ledger = Ledger.open(url, self.clock, None, guarding)
        changes, two = Changes(self.ledger.outbox), TwoPersons(True, LIFETIME_S)
        self.proposals = ProposalDesk(self.ledger.database, self.clock, changes, two)

    def barred(self):
        return [one["digest"] for one in self.ledger.guards.state()["barred"]]

    def audited(self):
        with self.ledger.database.read() as connection:
            found = list(audit.rows(connection))
            assert audit.verify(found, audit.head(connection)) is None
        return [(row.actor, row.action, row.detail) for row in found]


@pytest.fixture
def desks(database_url, tmp_path):
    made = Desks(database_url, tmp_path)
    made.ledger.guards.bar(RELEASE, "ada", "has a hole")
    yield made
    made.ledger.close()


def test_two_people_end_a_bar_and_both_are_in_the_audit_log(desks):
    proposal = desks.proposals.propose(CLEAR, ADA, "false alarm")
    assert desks.barred() == ["sha256:bbbb"], "a proposal changes nothing"
    assert proposal.expires_unix_nano - proposal.created_unix_nano == round(LIFETIME_S * 1e9)
    approved = desks.proposals.approve(proposal.proposal_id, BOB, "seen it too")
    assert (approved.approved_by, desks.barred()) == (BOB, [])
    made, agreed, cleared = desks.audited()[-3:]
    assert made[:2] == ("ada", "proposal")
    assert agreed[:2] == ("bob", "proposal_approved")
    assert cleared[:2] == ("bob", "guard_cleared")
    name = proposal.proposal_id
    assert cleared[2] == (
        f"sha256:bbbb is barred no more, says ada and bob: {name}: false alarm / seen it too"
    )


def test_the_same_token_is_the_same_person(desks):
    proposal = desks.proposals.propose(CLEAR, Person("owner", "ada"), "false alarm")
    before = desks.audited()
    with pytest.raises(ForbiddenError, match="another person approves it"):
        desks.proposals.approve(proposal.proposal_id, OWNER_AS_BOB, "I am somebody else")
    assert (desks.barred(), desks.audited()) == (["sha256:bbbb"], before)
    desks.proposals.approve(proposal.proposal_id, BOB, "I am")
    assert "says owner:ada and bob" in desks.audited()[-1][2]


def test_it_is_approved_once(desks):
    name = desks.proposals.propose(CLEAR, ADA, "x").proposal_id
    desks.proposals.approve(name, BOB, "y")
    desks.ledger.guards.bar(RELEASE, "ada", "again")
    with pytest.raises(ConflictError, match="is approved already"):
        desks.proposals.approve(name, BOB, "y")
    assert desks.barred() == ["sha256:bbbb"]


def test_it_ends_with_its_time(desks):
    name = desks.proposals.propose(CLEAR, ADA, "x").proposal_id
    desks.clock.advance(LIFETIME_S)
    with pytest.raises(ConflictError, match="has expired"):
        desks.proposals.approve(name, BOB, "late")
    with pytest.raises(ConflictError, match="is expired already"):
        desks.proposals.withdraw(name, ADA, "late")
    assert desks.barred() == ["sha256:bbbb"]
    assert desks.proposals.propose(CLEAR, ADA, "x").proposal_id != name


def test_another_bar_of_the_same_release_is_not_what_was_proposed(desks):
    """Cleared and barred again: the same digest, other reasons."""
    name = desks.proposals.propose(CLEAR, ADA, "x").proposal_id
    desks.ledger.guards.bar(RELEASE, "eve", "another hole")
    with pytest.raises(ConflictError, match="has changed since it was proposed"):
        desks.proposals.approve(name, BOB, "y")
    desks.ledger.guards.clear(RELEASE, "ada", "elsewhere")
    with pytest.raises(ConflictError, match="is not barred"):
        desks.proposals.approve(name, BOB, "y")


def test_a_lock_set_again_is_another_lock(desks):
    desks.ledger.guards.lock("demo", "ada", "freeze")
    name = desks.proposals.propose(UNLOCK, ADA, "over").proposal_id
    desks.ledger.guards.release_lock("demo", "ada", "elsewhere")
    desks.clock.advance(1.0)
    desks.ledger.guards.lock("demo", "ada", "freeze")
    with pytest.raises(ConflictError, match="has changed"):
        desks.proposals.approve(name, BOB, "over")
    name = desks.proposals.propose(UNLOCK, ADA, "over").proposal_id
    desks.proposals.approve(name, BOB, "over")
    assert desks.ledger.guards.state()["locks"] == []


def test_a_release_barred_meanwhile_does_not_become_good(desks):
    desks.ledger.guards.clear(RELEASE, "ada", "x")
    name = desks.proposals.propose(GOOD, ADA, "hotfix").proposal_id
    desks.ledger.guards.bar(RELEASE, "eve", "has a hole")
    with pytest.raises(ConflictError, match="has changed"):
        desks.proposals.approve(name, BOB, "hotfix")
    assert desks.ledger.guards.state()["known_good"] == []
    name = desks.proposals.propose(GOOD, ADA, "all the same").proposal_id
    desks.proposals.approve(name, BOB, "yes")
    (good,) = desks.ledger.guards.state()["known_good"]
    assert good["reason"].startswith("ada and bob: prp_")
    with pytest.raises(ConflictError, match="known to be good already"):
        desks.proposals.propose(GOOD, ADA, "again")


def test_what_cannot_be_changed_is_not_proposed(desks):
    with pytest.raises(UnknownRecordError, match="not locked"):
        desks.proposals.propose(UNLOCK, ADA, "typo")
    with pytest.raises(UnknownRecordError, match="no delivery"):
        desks.proposals.propose(Change(ChangeKind.REPLAY_COMMAND, "*", "*", "msg_x"), ADA, "x")
    with pytest.raises(UnknownRecordError, match="no proposal"):
        desks.proposals.approve("prp_x", BOB, "x")
    assert desks.proposals.listed(None, 10) == []


def test_the_same_again_is_the_same_and_of_another_is_an_approval_to_give(desks):
    proposal = desks.proposals.propose(CLEAR, ADA, "x")
    assert desks.proposals.propose(CLEAR, ADA, "retried") == proposal
    with pytest.raises(ConflictError, match=f"approve {proposal.proposal_id}"):
        desks.proposals.propose(CLEAR, BOB, "me too")
    assert desks.proposals.open_count() == 1


def test_one_person_takes_a_proposal_back(desks):
    name = desks.proposals.propose(CLEAR, ADA, "x").proposal_id
    desks.proposals.withdraw(name, ADA, "wrong one")
    with pytest.raises(ConflictError, match="is withdrawn already"):
        desks.proposals.approve(name, BOB, "y")
    assert desks.audited()[-1][:2] == ("ada", "proposal_withdrawn")
    assert desks.proposals.propose(CLEAR, ADA, "x").proposal_id != name


def test_they_are_limited_in_number(desks, monkeypatch):
    monkeypatch.setattr(desk, "MAX_OPEN", 6)
    monkeypatch.setattr(desk, "MAX_OPEN_PER_PERSON", 3)

    def lock_and_ask(number, by):
        desks.ledger.guards.lock(f"e{number}", "ada", "freeze")
        return desks.proposals.propose(
            Change(ChangeKind.RELEASE_LOCK, f"e{number}", "*", ""), by, "over"
        )

    people = [Person(f"p{i}", f"p{i}") for i in range(2)]
    for number in range(6):
        lock_and_ask(number, people[number // 3])
        if number == 2:
            with pytest.raises(LedgerFullError, match="proposals of 'p0' wait"):
                lock_and_ask("x", people[0])
    with pytest.raises(LedgerFullError, match="at most 6"):
        desks.proposals.propose(CLEAR, ADA, "x")
    assert desks.proposals.open_count() == 6
    desks.clock.advance(LIFETIME_S)
    assert desks.proposals.open_count() == 0
    desks.proposals.propose(CLEAR, ADA, "x")


def test_lists_by_state(desks):
    desks.ledger.guards.lock("demo", "ada", "freeze")
    withdrawn = desks.proposals.propose(CLEAR, ADA, "x").proposal_id
    desks.proposals.withdraw(withdrawn, ADA, "x")
    approved = desks.proposals.propose(UNLOCK, ADA, "x").proposal_id
    desks.proposals.approve(approved, BOB, "x")
    expired = desks.proposals.propose(CLEAR, ADA, "x").proposal_id
    desks.clock.advance(LIFETIME_S)
    waiting = desks.proposals.propose(CLEAR, ADA, "x").proposal_id
    now = desks.clock.wall_unix_nano()
    for state, name in (
        (ProposalState.WITHDRAWN, withdrawn),
        (ProposalState.APPROVED, approved),
        (ProposalState.EXPIRED, expired),
        (ProposalState.OPEN, waiting),
    ):
        (found,) = desks.proposals.listed(state, 10)
        assert (found.proposal_id, found.state(now)) == (name, state)
    assert len(desks.proposals.listed(None, 10)) == 4
    desks.clock.advance(KEPT_S + 1)
    desks.proposals.propose(CLEAR, ADA, "x")
    with desks.ledger.database.read() as connection:
        assert len(connection.execute(select(rows)).all()) == 1, "the rest is forgotten"


def test_a_policy_is_suspended_and_time_excluded_by_two(desks):
    now = desks.clock.wall_unix_nano()
    asked = suspension(Suspension("playback/spent", "*", now + 3_600 * 10**9))
    name = desks.proposals.propose(asked, ADA, "the fix must go out").proposal_id
    assert desks.ledger.overrides.every() == []
    desks.proposals.approve(name, BOB, "yes")
    (made,) = desks.ledger.overrides.every()
    assert (made.author, made.expires_unix_nano) == ("ada and bob", now + 3_600 * 10**9)
    for when in (Once(1_000, 2_000), Once(2_000, 3_000)):
        wanted = exclusion(Exclusion(when, ("playback-starts",), "maintenance"))
        assert read_exclusion(wanted).when == when
        name = desks.proposals.propose(wanted, ADA, "a digger").proposal_id
        desks.proposals.approve(name, BOB, "seen it")
    assert {one.correction.when for one in desks.ledger.corrections.every()} == {
        Once(1_000, 2_000),
        Once(2_000, 3_000),
    }
    assert desks.audited()[-1][0] == "bob"
    with pytest.raises(BadRequestError):
        desks.proposals.propose(suspension(Suspension("x", "*", now)), ADA, "late")


def test_people_are_told_that_somebody_waits_for_them(desks):
    notices = NoticeDesk(desks.ledger.database, desks.clock)
    kinds = ("proposal", "proposal_approved", "proposal_withdrawn")
    chat = Subscription(Sender("chat", "http://127.0.0.1:1"), Format.STANDARD, kinds)
    notices.fan_out([chat])
    name = desks.proposals.propose(CLEAR, ADA, "false alarm").proposal_id
    desks.proposals.approve(name, BOB, "yes")
    assert notices.fan_out([chat]) == 2
    first, second = sorted(notices.listed(None, 9), key=lambda row: row.event_id)
    body = orjson.loads(first.body)
    assert (first.kind, second.kind) == ("proposal", "proposal_approved")
    assert first.subject == second.subject == body["data"]["proposal_id"] == name
    assert f"another person approves {name}" in body["data"]["title"]
    assert body["data"]["environment"] == "demo"


def test_a_notice_is_told_again_by_two(desks, helpers):
    notices = NoticeDesk(desks.ledger.database, desks.clock)
    wanted = Subscription(Sender("chat", "http://127.0.0.1:1"), Format.STANDARD, ("decision",))
    notices.fan_out([wanted])
    helpers.decide(desks.ledger, desks.clock, 1, "home", mode="advise")
    notices.fan_out([wanted])
    row, now = notices.take("chat"), desks.clock.wall_unix_nano()
    again = Change(ChangeKind.REPLAY_NOTICE, "demo", "home", row.webhook_id)
    with pytest.raises(ConflictError, match="pending"):
        desks.proposals.propose(again, ADA, "x")
    notices.record(row, Told(now, is_delivered=False, due_unix_nano=None, status=410, error="gone"))
    name = desks.proposals.propose(again, ADA, "mended").proposal_id
    assert notices.take("chat") is None
    desks.proposals.approve(name, BOB, "yes")
    assert notices.take("chat").body == row.body
    assert desks.audited()[-1][:2] == ("bob", "replayed")


def test_the_longest_names_and_reasons_fit(desks):
    """What two people say is longer than what one may."""
    longest = Person("owner", "o" * 128), Person("b" * 100, "b" * 100)
    now = desks.clock.wall_unix_nano()
    asked = suspension(Suspension("s" * 128, "o" * 128, now + 10**9))
    name = desks.proposals.propose(asked, longest[0], "r" * 2_000).proposal_id
    desks.proposals.approve(name, longest[1], "r" * 2_000)
    wanted = exclusion(Exclusion(Once(1_000, 2_000), (), "maintenance"))
    name = desks.proposals.propose(wanted, longest[0], "r" * 2_000).proposal_id
    desks.proposals.approve(name, longest[1], "r" * 2_000)
    assert len(desks.ledger.corrections.every()[0].correction.author) == 200
    assert desks.audited()
