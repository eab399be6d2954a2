"""Two people over HTTP, each with a token, against a real process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import time
from functools import partial

import aiohttp
import pytest
from aiohttp import web

from analysis.decisions.ledger import Ledger
from analysis.decisions.states import DeliveryState
from analysis.webhooks.events import Addressing
from collector.access.token_file import TokenFile
from collector.access.tokens import Order, issue
from davylamp.cli import main
from telemetry.clock import SystemClock

WHO = {"who": "somebody", "reason": "a test"}
RELEASE = {"environment": "demo", "service": "playback", "digest": "sha256:cccc", **WHO}
LOCK = {"environment": "demo", **WHO}
EXCLUSION = {**WHO, "once": {"from_unix_s": 1_000, "to_unix_s": 2_000}}
GUARDS = {"two_persons": True, "proposal_lifetime_s": 900.0}


@pytest.fixture
def token(tmp_path):
    """``token(name, **binding)``: an admin's."""

    def made(name, **bound):
        kept, text = issue(Order(name, ("admin", "read"), **bound), time.time(), os.urandom)
        TokenFile(tmp_path / "tokens.json").add(kept)
        return text

    return made


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as made:
        yield made


@pytest.fixture
def ask(session):
    async def asked(process, method, path, shown, body=None):
        headers = {"authorization": f"Bearer {shown}"}
        url = f"{process.url}/api/v1/{path}"
        async with session.request(method, url, json=body, headers=headers) as reply:
            return reply.status, await reply.json()

    return asked


@pytest.fixture
def start(start_process):
    def started(url="http://127.0.0.1:9/nobody", **guards):
        return start_process(url, tokens_required=True, guards={**GUARDS, **guards})

    return started


def code(answer):
    status, body = answer
    return status, body["error"]["code"]


async def test_tightening_acts_at_once_and_loosening_waits_for_another(
    start, ask, token, helpers, tmp_path, session
):
    """Also over a kill between the two; and not when its time is over."""
    ada, bob = token("ada"), token("bob")
    process = start()
    assert (await ask(process, "POST", "guards/bar", ada, RELEASE))[0] == 200
    assert (await ask(process, "POST", "guards/lock", ada, LOCK))[0] == 200
    status, proposal = await ask(process, "POST", "guards/clear", ada, RELEASE)
    assert (status, proposal["state"], proposal["proposed_by"]) == (202, "open", "ada")
    approve = f"proposals/{proposal['proposal_id']}/approve"
    assert code(await ask(process, "POST", approve, ada, {**WHO, "who": "bob"})) == (
        403,
        "forbidden",
    )
    assert len((await ask(process, "GET", "guards", ada))[1]["barred"]) == 1
    process.kill()
    # Those made from now on are over at once; the one that waits keeps its own end.
    process = start(proposal_lifetime_s=1e-9)
    _, listed = await ask(process, "GET", "proposals", bob)
    assert [one["proposal_id"] for one in listed["proposals"]] == [proposal["proposal_id"]]
    status, approved = await ask(process, "POST", approve, bob, WHO)
    assert (status, approved["state"], approved["approved_by"]) == (200, "approved", "bob")
    assert (await ask(process, "GET", "guards", ada))[1]["barred"] == []
    assert code(await ask(process, "POST", approve, helpers.token, WHO)) == (409, "conflict")
    _, late = await ask(process, "POST", "guards/release", ada, LOCK)
    path = f"proposals/{late['proposal_id']}"
    status, answer = await ask(process, "POST", f"{path}/approve", bob, WHO)
    assert (status, "has expired" in answer["error"]["message"]) == (409, True)
    assert (await ask(process, "GET", path, bob))[1]["state"] == "expired"
    async with session.get(
        f"{process.url}/metrics", headers={"authorization": f"Bearer {bob}"}
    ) as reply:
        text = await reply.text()
    assert "davylamp_proposals_open 0.0" in text
    assert 'davylamp_proposals_total{outcome="approved"} 1.0' in text
    assert process.terminate() == 0
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        rows = database.execute("SELECT actor, action, detail FROM audit ORDER BY 1").fetchall()
    (cleared,) = [row for row in rows if row[1] == "guard_cleared"]
    assert cleared[0] == "bob"
    assert "ada and bob" in cleared[2]


async def test_every_door_that_loosens_asks_for_two(start, ask, token, helpers):
    """The owner's token is one person, whatever name it says."""
    bob, owner = token("bob"), helpers.token
    process = start()
    await ask(process, "POST", "guards/lock", owner, LOCK)
    for path, body, kind in (
        ("guards/release", LOCK, "release_lock"),
        ("guards/known-good", RELEASE, "known_good"),
    ):
        status, proposal = await ask(process, "POST", path, owner, body)
        assert (status, proposal["kind"]) == (202, kind)
        assert proposal["proposed_by"] == "owner:somebody"
        approve = f"proposals/{proposal['proposal_id']}/approve"
        assert (await ask(process, "POST", approve, owner, {**WHO, "who": "bob"}))[0] == 403
        assert (await ask(process, "POST", approve, bob, WHO))[0] == 200
    status, proposal = await ask(process, "POST", "slo-corrections", owner, EXCLUSION)
    assert (status, proposal["kind"]) == (202, "exclude_time")
    assert (await ask(process, "GET", "slo-corrections", bob))[1]["corrections"] == []
    approve = f"proposals/{proposal['proposal_id']}/approve"
    assert (await ask(process, "POST", approve, bob, WHO))[0] == 200
    (made,) = (await ask(process, "GET", "slo-corrections", bob))[1]["corrections"]
    assert made["author"] == "owner:somebody and bob"
    withdraw = f"slo-corrections/{made['correction_id']}/withdraw"
    assert (await ask(process, "POST", withdraw, bob, WHO))[0] == 200, "it tightens"
    secret = {"who": "x", "secret": "whsec_" + "bmFh" * 8}
    assert code(await ask(process, "PUT", "endpoints/deployer/secret", bob, secret)) == (
        403,
        "forbidden",
    )
    _, guards = await ask(process, "GET", "guards", bob)
    assert (guards["locks"], len(guards["known_good"])) == ([], 1)
    assert (await ask(process, "GET", "proposals?state=approved", bob))[1]["proposals"][0][
        "approved_by"
    ] == "bob"
    assert code(await ask(process, "GET", "proposals?state=x", bob)) == (422, "malformed")
    await a_bound_token_approves_nothing_of_others(process, ask, token, bob)


async def a_bound_token_approves_nothing_of_others(process, ask, token, ada):
    search = token("eve", services=("search",))
    own = token("ian", services=("playback",), environments=("demo",))
    await ask(process, "POST", "guards/bar", ada, RELEASE)
    await ask(process, "POST", "guards/lock", ada, LOCK)
    _, proposal = await ask(process, "POST", "guards/clear", ada, RELEASE)
    path = f"proposals/{proposal['proposal_id']}"
    assert code(await ask(process, "POST", f"{path}/approve", search, WHO)) == (403, "forbidden")
    assert code(await ask(process, "POST", f"{path}/withdraw", search, WHO)) == (403, "forbidden")
    # A lock is about every service.
    _, lock = await ask(process, "POST", "guards/release", ada, LOCK)
    unlock = f"proposals/{lock['proposal_id']}/approve"
    assert (await ask(process, "POST", unlock, own, WHO))[0] == 403
    assert (await ask(process, "POST", f"{path}/approve", own, WHO))[0] == 200


async def test_a_dead_command_is_sent_again_by_two(
    start, ask, token, receiver, tmp_path, helpers, wait, capsys
):
    receiver.answer = lambda n: web.Response(status=422 if n == 0 else 202)
    clock, url = SystemClock(), f"sqlite:///{tmp_path / 'ledger.db'}"
    to = Addressing("deployer", receiver.url, "http://127.0.0.1:1", 900.0)
    with contextlib.closing(Ledger.open(url, clock, to)) as ledger:
        decision = helpers.decide(ledger, clock, 1)
        (letter,) = ledger.outbox.deliveries(decision.decision_id)
    ada, bob = token("ada"), token("bob")
    process = start(receiver.url)
    path, found = f"outbox/{letter.webhook_id}", {}
    own = (await ask(process, "GET", "guards", ada))[1]["settings"]["sha256"]
    said = partial(command_line, tmp_path, process.port, capsys, helpers.token)
    words = ("guards", "settings", own, "--reason", "as agreed")
    status, out = await asyncio.to_thread(said, *words, shown=ada)
    proposal = json.loads(out)
    assert (status, proposal["proposed_by"]) == (0, "ada")
    assert receiver.requests == [], "nobody has approved this receiver"
    approve = f"proposals/{proposal['proposal_id']}/approve"
    assert (await ask(process, "POST", approve, bob, WHO))[0] == 200
    async with asyncio.timeout(20):
        while found.get("state") != DeliveryState.DEAD:
            found = (await ask(process, "GET", path, ada))[1]
    status, out = await asyncio.to_thread(
        said, "outbox", "replay", letter.webhook_id, "--reason", "mended", shown=ada
    )
    assert (status, out.startswith("another person approves: prp_")) == (0, True)
    assert len(receiver.requests) == 1
    (proposal,) = (await ask(process, "GET", "proposals", ada))[1]["proposals"]
    name, words = proposal["proposal_id"], ("--reason", "yes")
    assert (proposal["kind"], proposal["service"]) == ("replay_command", "playback")
    _, out = await asyncio.to_thread(said, "proposals", "list")
    assert out.splitlines()[0].startswith(f"{name}  open  ada  send the command msg_")
    assert (await asyncio.to_thread(said, "proposals", "approve", name, *words, shown=ada))[0] == 1
    status, out = await asyncio.to_thread(said, "proposals", "approve", name, *words, shown=bob)
    assert (status, f"{name}  approved  ada and bob" in out) == (0, True)
    await wait(lambda: len(receiver.requests) == 2)


def command_line(folder, port, capsys, owner, *words, shown=None):
    """Exit code and what is printed."""
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "secrets" / "api.token").write_text(owner)
    config = folder / "davylamp.toml"
    config.write_text(f'[davylamp]\nstate_dir = "{folder}"\n[analysis]\napi_port = {port}\n')
    if shown is not None:
        (folder / "own").write_text(shown)
        words = (*words, "--token-file", str(folder / "own"))
    return main(["--config", str(config), *words]), capsys.readouterr().out
