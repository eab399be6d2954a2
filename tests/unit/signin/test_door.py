"""The door: sessions end in time, and with the settings that let somebody in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from collector.access.config import AccessConfig
from collector.access.desk import AccessDesk
from collector.access.gate import Gate, reading
from collector.access.sealed import SealingKey
from collector.access.token_file import TokenFile
from dashboards.signin import door as doors
from dashboards.signin.cookies import Cookie
from dashboards.signin.door import Door
from dashboards.signin.flow import SignInFlow
from davylamp.config import dashboards_config, load_settings
from telemetry.clock import FixedClock

SESSION = Cookie("session", "/", SealingKey(b"s" * 32), is_secure=False)
ATTEMPT = Cookie("attempt", "/signin", SealingKey(b"s" * 32), is_secure=False)
ADA = {"id": "one", "sub": "u-1", "email": "ada@example.com", "groups": []}


@pytest.fixture
def clock():
    return FixedClock()


@pytest.fixture
def door(clock, tmp_path):
    """``door(allowed)``: one before an application that answers 200."""

    async def behind(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"pages"})

    def made(*allowed):
        config = replace(
            dashboards_config(load_settings(environ={})).oidc,
            issuer="https://login.example",
            client_id="lamp",
            allowed=allowed,
        )
        desk = AccessDesk(AccessConfig(True, tmp_path / "none", tmp_path / "none"), clock)
        refused = made.refused.append
        return Door(
            behind,
            session_s=60.0,
            clock=clock,
            flow=SignInFlow(config, clock),
            session_cookie=SESSION,
            attempt_cookie=ATTEMPT,
            gated=lambda app: Gate(app, desk, reading, refused),
            scope_of=reading,
            tokens=TokenFile(tmp_path / "tokens.json"),
            refused=refused,
        )

    made.refused = []
    return made


async def ask(door, path="/", method="GET", **headers):
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http", "method": method, "path": path, "query_string": b"", "headers": raw,
    }  # fmt: skip
    await door(scope, receive, send)
    return sent[0]["status"]


def shown(clock, content=ADA):
    return SESSION.made(content, clock.wall_unix_nano() / 1e9, 60.0).partition(";")[0]


async def test_a_session_ends_in_time(door, clock):
    one, cookie = door("@example.com=read"), shown(clock)
    assert await ask(one, cookie=cookie) == 200
    assert await ask(one, "/_dash-update-component", "POST", cookie=cookie) == 200
    clock.advance(61)
    assert await ask(one, cookie=cookie) == 401
    assert await ask(one, cookie=cookie, accept="text/html") == 302


async def test_a_session_ends_with_the_rule_that_let_somebody_in(door, clock):
    """The settings are asked each time, not the cookie."""
    cookie = shown(clock)
    assert await ask(door("ada@example.com=read"), cookie=cookie) == 200
    assert await ask(door("bob@example.com=read"), cookie=cookie) == 401


async def test_what_needs_more_than_somebody_may_is_refused(door, clock):
    """A reader is not asked to sign in again, but told."""
    cookie = shown(clock)
    copying = "/api/v1/store/snapshot"
    assert await ask(door("ada@example.com=read"), copying, cookie=cookie) == 403
    assert door.refused == ["forbidden"]
    assert await ask(door("ada@example.com=admin"), copying, cookie=cookie) == 200


async def test_ended_sessions_are_forgotten_when_they_are_over(door, clock, monkeypatch):
    """And at most so many are kept; the oldest makes room."""
    monkeypatch.setattr(doors, "MAX_ENDED", 2)
    one = door("@example.com=read")
    cookies = [shown(clock, {**ADA, "id": str(number)}) for number in range(3)]
    for cookie in cookies:
        assert await ask(one, "/signout", "POST", cookie=cookie) == 200
    assert [await ask(one, cookie=cookie) for cookie in cookies] == [200, 401, 401]
    clock.advance(61)
    late = shown(clock)
    await ask(one, "/signout", "POST", cookie=late)
    assert await ask(one, cookie=late) == 401
    assert len(one._ended) == 1


async def test_other_methods_and_kinds_get_no_further(door):
    """A post to the callback, and a socket."""
    one = door("@example.com=read")
    assert await ask(one, "/signin/callback", "POST") == 405
    assert await ask(one, "/signin", "PUT") == 405


async def test_another_hosts_form_makes_no_token(door, clock, tmp_path):
    """Not even a neighbour's, whose requests carry the cookie."""
    one, cookie = door("ada@example.com=admin"), shown(clock)
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200)):
        asked = {"cookie": cookie, "sec-fetch-site": site}
        assert await ask(one, "/signin/token", "POST", **asked) == status
    assert len(TokenFile(tmp_path / "tokens.json").read()) == 1
    assert await ask(one, "/signin/token", "POST") == 302
