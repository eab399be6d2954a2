"""What a token is, and what cannot be one."""

from __future__ import annotations

import os

import pytest

from collector.access.errors import BadTokenOrderError
from collector.access.tokens import Binding, Order, Scope, Token, id_in, issue

NOW_S = 1_800_000_000.5


def made(**changes):
    order = Order(**{"name": "ci", "scopes": ("deploy",)} | changes)
    return issue(order, NOW_S, os.urandom)


def test_the_text_is_known_by_its_digest_only():
    token, text = made()
    assert token.is_text(text)
    assert text.startswith("dvl_")
    assert id_in(text) == token.token_id
    secret = text.split("_", 2)[2]
    assert secret not in str(token.to_json())
    for wrong in (text[:-1], text + "x", text.upper(), made()[1], ""):
        assert not token.is_text(wrong)


def test_two_of_the_same_order_are_two():
    assert made()[0].token_id != made()[0].token_id


def test_it_comes_back_from_its_json_whole():
    token, _ = made(services=("a", "b"), environments=("prod",), lifetime_s=60)
    assert Token.from_json(token.to_json()) == token
    assert token.is_over(NOW_S + 60)
    assert not token.is_over(NOW_S + 59)
    assert not made()[0].is_over(2 * NOW_S)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, "1 to 100"),
        ({"name": "a\nb"}, "1 to 100"),
        ({"name": "owner"}, "not owner"),
        ({"scopes": ("root",)}, "accepted: ingest, read, deploy, admin"),
        ({"scopes": ()}, "allows nothing"),
        ({"lifetime_s": 0.0}, "over at once"),
        ({"services": ("",)}, "none empty"),
    ],
)
def test_what_cannot_be_a_token_says_what_could(change, words):
    with pytest.raises(BadTokenOrderError, match=words):
        made(**change)


@pytest.mark.parametrize(
    ("services", "environments", "allowed"),
    [
        (["a"], ["prod"], True),
        (["b"], ["prod"], False),
        (["a"], ["test"], False),
        # A name that is given twice, with another one, is not its own; nor is none.
        (["a", "b"], ["prod"], False),
        ([], ["prod"], False),
        (["a"], [], False),
    ],
)
def test_a_binding_allows_its_own_names_only(services, environments, allowed):
    bound = Binding(frozenset({"a"}), frozenset({"prod"}))
    assert bound.allows(services, environments) is allowed
    assert Binding().allows(services, environments)
    assert Binding(frozenset({"a"})).allows(["a"], [])


@pytest.mark.parametrize("text", ["", "dvl_", "dvl_xyz_" + "a" * 43, "Bearer", "dvl_" + "0" * 60])
def test_what_is_no_token_has_no_id(text):
    assert id_in(text) is None


def test_scopes_are_those_of_the_page():
    assert list(Scope) == ["ingest", "read", "deploy", "admin"]
