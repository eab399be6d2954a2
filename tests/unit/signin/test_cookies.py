"""Cookies: what we sealed for this use and that is not over, and nothing else."""

from __future__ import annotations

import pytest

from collector.access.sealed import SealingKey
from dashboards.signin.cookies import Cookie

KEY = SealingKey(b"s" * 32)
SESSION = Cookie("session", "/", KEY, is_secure=False)


def sent(header):
    """The Cookie header a browser makes of a Set-Cookie header."""
    return header.partition(";")[0]


def test_what_was_put_in_comes_out_until_its_end():
    header = sent(SESSION.made({"who": "ada é", "groups": ["x"]}, 1_000.0, 60.0))
    found = SESSION.content(f"other=1; {header}", 1_059.9)
    assert (found["who"], found["groups"], found["ends"]) == ("ada é", ["x"], 1_060.0)
    assert SESSION.content(header, 1_060.0) is None


def test_another_kind_or_key_does_not_open():
    """An attempt's cookie is no session."""
    other = Cookie("attempt", "/signin", KEY, is_secure=False)
    foreign = Cookie("session", "/", SealingKey(b"t" * 32), is_secure=False)
    for one in (other, foreign):
        value = sent(one.made({}, 0.0, 60.0)).partition("=")[2]
        assert SESSION.content(f"session={value}", 1.0) is None


@pytest.mark.parametrize(
    "header", ["", "session=", "session", "session=é", "session=====", "a=b", 'session="x', ";;"]
)
def test_what_is_no_cookie_of_ours_is_nothing(header):
    assert SESSION.content(header, 0.0) is None


def test_what_does_not_fit_is_not_made():
    """A browser would drop it without a word."""
    with pytest.raises(ValueError, match="a cookie of"):
        SESSION.made({"groups": ["g" * 4_000]}, 0.0, 60.0)


def test_no_repr_shows_the_key():
    assert repr(SESSION) == "Cookie(name='session', path='/', is_secure=False)"
