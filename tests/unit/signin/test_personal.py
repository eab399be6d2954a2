"""Tokens of people: named after them, over in time, few, and never for an unverified address."""

from __future__ import annotations

import os

import pytest

from collector.access.config import AccessConfig
from collector.access.desk import AccessDesk
from collector.access.errors import Unauthenticated
from collector.access.token_file import TokenFile
from collector.access.tokens import Scope
from dashboards.signin.allowed import Person
from dashboards.signin.errors import NotAllowedError, NotMadeError
from dashboards.signin.personal import MAX_LIVE, Holder, hand_out
from telemetry.clock import FixedClock

ADA = Person("u-1", "ada@example.com", frozenset())
NOW_S = FixedClock().wall_unix_nano() / 1e9


@pytest.fixture
def file(tmp_path):
    return TokenFile(tmp_path / "tokens.json")


def made(file, person=ADA, now_s=NOW_S, scopes=(Scope.READ, Scope.ADMIN)):
    return hand_out(file, Holder(person, frozenset(scopes), now_s + 60), now_s, os.urandom)


def test_it_is_the_persons_and_over_with_the_session(file, tmp_path):
    """The other processes know it by the person's address."""
    clock = FixedClock()
    desk = AccessDesk(AccessConfig(True, file.path, tmp_path / "none"), clock)
    text = made(file)
    caller = desk.caller(f"Bearer {text}")
    assert (caller.name, caller.scopes) == ("ada@example.com", {Scope.READ, Scope.ADMIN})
    assert caller.binding.is_free
    assert text not in file.path.read_text()
    clock.advance(61)
    with pytest.raises(Unauthenticated, match="has expired"):
        desk.caller(f"Bearer {text}")


def test_a_person_has_few_and_old_ones_make_room(file):
    """Of the same name only; the file does not grow for ever."""
    bob = Person("u-2", "bob@example.com", frozenset())
    made(file, bob)
    for _ in range(MAX_LIVE):
        made(file)
    with pytest.raises(NotMadeError, match=f"has {MAX_LIVE} tokens already"):
        made(file)
    made(file, bob)
    made(file, now_s=NOW_S + 61)
    names = sorted(one.name for one in file.read().values())
    assert names == ["ada@example.com", "bob@example.com", "bob@example.com"]


@pytest.mark.parametrize("email", ["", "owner", "a/b@example.com", "a" * 101])
def test_who_has_no_name_for_the_audit_log_gets_none(file, email):
    """A subject could be worded like the name of another token."""
    with pytest.raises(NotAllowedError):
        made(file, Person("grafana", email, frozenset()))
    assert not file.path.exists()


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "in-the-way").write_text("")
    with pytest.raises(NotMadeError, match="the token cannot be kept"):
        made(TokenFile(tmp_path / "in-the-way" / "tokens.json"))
