"""Who is asking, by what they show and what the files hold right now."""

from __future__ import annotations

import base64
import os

import pytest

from collector.access.config import AccessConfig
from collector.access.desk import LOCAL, OWNER, AccessDesk, shown_token
from collector.access.errors import Forbidden, TokenFileError, Unauthenticated
from collector.access.token_file import TokenFile
from collector.access.tokens import Order, Scope, issue
from telemetry.clock import FixedClock

NOW_S = 1_800_000_000


@pytest.fixture
def clock():
    return FixedClock(NOW_S * 1_000_000_000)


@pytest.fixture
def file(tmp_path):
    return TokenFile(tmp_path / "secrets" / "tokens.json")


@pytest.fixture
def desk(file, tmp_path, clock):
    """``desk()`` requires tokens; ``desk(False)`` does not."""
    owner = tmp_path / "api.token"
    owner.write_text("the-owners\n")
    return lambda required=True: AccessDesk(AccessConfig(required, file.path, owner), clock)


def add(file, **changes):
    order = Order(**{"name": "ci", "scopes": ("read",)} | changes)
    token, text = issue(order, NOW_S, os.urandom)
    file.add(token)
    return token, f"Bearer {text}"


def test_a_token_is_its_name_scopes_and_binding(file, desk):
    _, header = add(file, services=("a",))
    caller = desk().caller(header)
    assert (caller.name, caller.scopes) == ("ci", {Scope.READ})
    assert caller.binding.allows(["a"], ["any"])
    caller.require(Scope.READ)
    with pytest.raises(Forbidden, match="'ci' may read, not deploy"):
        caller.require(Scope.DEPLOY)


def test_the_owner_may_everything_also_as_a_password(desk):
    basic = base64.b64encode(b"anybody:the-owners").decode()
    for header in ("Bearer the-owners", "bearer  the-owners ", f"Basic {basic}"):
        assert desk().caller(header) is OWNER


@pytest.mark.parametrize(
    "header",
    ["", None, "Bearer", "Bearer x", "the-owners", "Basic the-owners", "Basic eA==", "Bearer dvl_"],
)
def test_nobody_else_is_let_in(file, desk, header):
    add(file)
    with pytest.raises(Unauthenticated):
        desk().caller(header)


def test_without_need_a_token_that_is_shown_counts_all_the_same(file, desk):
    token, header = add(file)
    at_home = desk(False)
    assert at_home.caller(None) is at_home.caller("Basic Zm9yOm90aGVycw==") is LOCAL
    assert at_home.caller(header).name == "ci"
    file.remove(token.token_id)
    with pytest.raises(Unauthenticated):
        at_home.caller(header)
    with pytest.raises(Unauthenticated, match="needs a token with the scope deploy"):
        LOCAL.require(Scope.DEPLOY)


def test_its_time_passes_and_a_revoked_one_is_over_at_once(file, desk, clock):
    one = desk()
    _, short = add(file, lifetime_s=60)
    token, long = add(file)
    assert one.caller(short).name == one.caller(long).name
    clock.advance(60)
    with pytest.raises(Unauthenticated, match="has expired"):
        one.caller(short)
    assert file.remove(token.token_id) == token
    assert file.remove(token.token_id) is None
    with pytest.raises(Unauthenticated, match="revoked"):
        one.caller(long)


def test_a_file_that_cannot_be_read_lets_nobody_in(file, desk):
    _, header = add(file)
    one = desk()
    one.caller(header)
    file.path.write_text('{"tokens": [{}]}')
    with pytest.raises(Unauthenticated):
        one.caller(header)
    assert one.caller("Bearer the-owners") is OWNER
    with pytest.raises(TokenFileError, match="is not a file of tokens"):
        file.read()


def test_the_file_is_its_owners_alone(file):
    add(file)
    assert file.path.stat().st_mode & 0o077 == 0


def test_a_header_without_measure_is_not_read():
    assert shown_token("Bearer " + "x" * 2_000) == ""
