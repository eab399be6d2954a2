"""Who may ask and tell a real analysis process what."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time

import aiohttp
import pytest

from analysis.decisions.ledger import Ledger
from analysis.notices.desk import NoticeDesk
from analysis.notices.formats import Format, Sender
from analysis.notices.store import Subscription
from analysis.webhooks.events import Addressing
from collector.access.token_file import TokenFile
from collector.access.tokens import Order, issue
from telemetry.clock import SystemClock

NOW = time.time_ns()
BODY = {
    "deployment_id": "playback-1",
    "environment": "demo",
    "service": "playback",
    "baseline": {"version": "1.0.0", "digest": "sha256:aaaa", "instances": []},
    "canary": {"version": "1.1.0", "digest": "sha256:bbbb", "instances": []},
    "started_unix_nano": NOW,
    "expires_unix_nano": NOW + 900 * 10**9,
}
BAR = {
    "environment": "demo",
    "service": "playback",
    "digest": "sha256:cccc",
    "who": "somebody else",
    "reason": "has a hole",
}
LOCK = {"environment": "demo", "who": "somebody else", "reason": "freeze"}


@pytest.fixture
def token(tmp_path):
    """``token(*scopes, **binding)`` is a text that the process knows."""

    def made(*scopes, name="ada@example", **bound):
        kept, text = issue(Order(name, scopes, **bound), time.time(), os.urandom)
        TokenFile(tmp_path / "tokens.json").add(kept)
        return text

    return made


@pytest.fixture
async def ask(start_process):
    """``await ask(method, path, token, body)``: status and JSON of a process that requires one."""
    process = start_process("http://127.0.0.1:9/nobody", tokens_required=True)
    async with aiohttp.ClientSession() as session:

        async def asked(method, path, shown=None, body=None):
            headers = {} if shown is None else {"authorization": f"Bearer {shown}"}
            url = process.url + path
            async with session.request(method, url, json=body, headers=headers) as reply:
                return reply.status, await reply.json()

        asked.process = process
        yield asked


async def test_every_route_is_closed_but_probes_and_public_keys(ask, helpers):
    _, described = await ask("GET", "/openapi.json", helpers.token)
    open_paths = {"/healthz", "/readyz", "/api/v1/webhooks/keys"}
    assert open_paths <= set(described["paths"])
    assert len(described["paths"]) > 25
    for path, methods in described["paths"].items():
        for method in methods:
            status, answer = await ask(method.upper(), path)
            if path in open_paths:
                assert status == 200, path
            else:
                assert (status, answer["error"]["code"]) == (401, "unauthenticated"), path


async def test_scopes_are_separate(ask, token):
    reads, deploys, rules = token("read"), token("deploy"), token("admin")
    assert (await ask("GET", "/api/v1/canaries", reads))[0] == 200
    assert (await ask("GET", "/api/v1/canaries", deploys))[0] == 403
    for shown, status in ((reads, 403), (rules, 403), (deploys, 201)):
        assert (await ask("POST", "/api/v1/canaries", shown, BODY))[0] == status
    for shown, status in ((reads, 403), (deploys, 403), (rules, 200)):
        assert (await ask("POST", "/api/v1/guards/bar", shown, BAR))[0] == status


async def test_a_token_speaks_for_its_own_service_only(ask, token):
    other = token("deploy", "admin", services=("search",), environments=("demo",))
    elsewhere = token("deploy", "admin", services=("playback",), environments=("prod",))
    own = token("deploy", "admin", services=("playback",), environments=("demo",))
    for shown in (other, elsewhere):
        for path, body in (("/api/v1/canaries", BODY), ("/api/v1/guards/bar", BAR)):
            status, answer = await ask("POST", path, shown, body)
            assert (status, answer["error"]["code"]) == (403, "forbidden")
            assert "does not speak for playback in demo" in answer["error"]["message"]
    assert (await ask("POST", "/api/v1/canaries", own, BODY))[0] == 201
    # A lock stops every service of an environment.
    assert (await ask("POST", "/api/v1/guards/lock", own, LOCK))[0] == 403


@pytest.fixture
def kept(tmp_path, helpers):
    """A command and a notice about playback, left by a process that is gone."""
    clock = SystemClock()
    addressing = Addressing("deployer", "http://127.0.0.1:9", "http://127.0.0.1:1", 900.0)
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with contextlib.closing(Ledger.open(url, clock, addressing)) as ledger:
        desk = NoticeDesk(ledger.database, clock)
        wanted = Subscription(Sender("chat", "http://127.0.0.1:1"), Format.STANDARD, ("decision",))
        desk.fan_out([wanted])
        decision = helpers.decide(ledger, clock, 1)
        desk.fan_out([wanted])
        (letter,) = ledger.outbox.deliveries(decision.decision_id)
        (notice,) = desk.listed(None, 2)
    return {"outbox": letter.webhook_id, "notices": notice.webhook_id}


async def test_what_is_sent_again_is_its_own(kept, ask, token):
    """Another service's token sends neither again."""
    stranger = token("admin", services=("search",))
    own = token("admin", services=("playback",), environments=("demo",))
    body = {"who": "ada", "reason": "mended"}
    for kind, webhook_id in kept.items():
        path = f"/api/v1/{kind}/{webhook_id}/replay"
        assert (await ask("POST", path, stranger, body))[0] == 403, kind
        # Pending: whoever may is told that there is nothing to send again yet.
        assert (await ask("POST", path, own, body))[0] in (200, 409), kind


async def test_the_audit_names_who_showed_the_token(ask, token, helpers, tmp_path):
    """Not who the body says; whoever holds the installation's own token says a name."""
    assert (await ask("POST", "/api/v1/guards/bar", token("admin"), BAR))[0] == 200
    assert (await ask("POST", "/api/v1/guards/lock", helpers.token, LOCK))[0] == 200
    assert ask.process.terminate() == 0
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        rows = [str(row) for row in database.execute("SELECT * FROM audit ORDER BY 1")]
    assert "'ada@example'" in rows[0]
    assert "somebody else" not in rows[0]
    assert "'somebody else'" in rows[1]


async def test_no_token_is_in_answers_and_logs(ask, token):
    shown = token("read")
    _, answer = await ask("POST", "/api/v1/canaries", shown, BODY)
    wrong = shown[:-1] + ("A" if shown[-1] != "A" else "B")
    _, refused = await ask("GET", "/api/v1/canaries", wrong)
    said = f"{answer}{refused}{ask.process.stderr.read_text()}"
    assert shown not in said
    assert wrong not in said
