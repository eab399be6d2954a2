"""Who may approve what, and until when."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.proposals.policy import (
    Change,
    ChangeKind,
    Objection,
    Person,
    Proposal,
    ProposalState,
    refusal,
)
from collector.access.desk import OWNER, Caller

ADA, BOB = Person("ada", "ada"), Person("bob", "bob")
CHANGE = Change(ChangeKind.CLEAR_BAR, "demo", "playback", "sha256:bbbb")
PROPOSAL = Proposal("prp_1", CHANGE, ADA, "false alarm", "f" * 64, 1_000, 2_000)
BEFORE = "f" * 64


def objection(proposal=PROPOSAL, by=BOB, state=BEFORE, now=1_500):
    found = refusal(proposal, by, state, now)
    return None if found is None else found.objection


def test_another_person_approves_in_time():
    assert objection() is None
    assert objection(now=1_999) is None
    assert objection(now=2_000) is Objection.EXPIRED


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"by": ADA}, Objection.SAME_PERSON),
        ({"state": "0" * 64}, Objection.CHANGED),
        ({"proposal": replace(PROPOSAL, ended_unix_nano=1_200)}, Objection.USED),
        (
            {"proposal": replace(PROPOSAL, ended_unix_nano=1_200, approved_by=BOB)},
            Objection.USED,
        ),
        # What is over is over for everybody.
        ({"by": ADA, "now": 3_000}, Objection.EXPIRED),
    ],
)
def test_every_objection_has_a_name(changed, expected):
    assert objection(**changed) is expected


@given(first=st.text(min_size=1, max_size=20), second=st.text(min_size=1, max_size=20))
def test_words_never_make_two_people_of_one_token(first, second):
    """The owner's token with another name in the body is the same person."""
    proposed = replace(PROPOSAL, by=Person.of(OWNER, first))
    assert objection(proposed, Person.of(OWNER, second)) is Objection.SAME_PERSON
    named = Caller("ada", frozenset())
    proposed = replace(PROPOSAL, by=Person.of(named, first))
    assert objection(proposed, Person.of(named, second)) is Objection.SAME_PERSON
    assert objection(proposed, Person.of(OWNER, "ada")) is None


def test_the_owner_is_never_shown_as_somebody_elses_token():
    assert Person.of(OWNER, "bob").words == "owner:bob"
    assert Person.of(Caller("bob", frozenset()), "ada").words == "bob"
    assert Person.of(OWNER, "x" * 128).actor == "owner:" + "x" * 122


def test_states_need_no_clock_work():
    assert PROPOSAL.state(1_999) is ProposalState.OPEN
    assert PROPOSAL.state(2_000) is ProposalState.EXPIRED
    approved = replace(PROPOSAL, approved_by=BOB, ended_unix_nano=1_500)
    assert approved.state(9_000) is ProposalState.APPROVED
    assert replace(PROPOSAL, ended_unix_nano=1_500).state(9_000) is ProposalState.WITHDRAWN


def test_every_kind_has_its_words():
    what = '{"looser":["the mode is act, it was advise"]}'
    titles = {replace(CHANGE, kind=kind, what=what).title for kind in ChangeKind}
    assert len(titles) == len(ChangeKind)
    assert "approve settings: the mode is act, it was advise" in titles
    assert CHANGE.title == "end the bar of sha256:bbbb of playback in demo"
