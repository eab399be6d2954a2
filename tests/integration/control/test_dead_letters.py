"""Dead letters: listed, read, sent again while that is right, and refused in words when not."""

from __future__ import annotations

import asyncio
import json
import urllib.request

import pytest
from aiohttp import web

from analysis.decisions.dead_letters import Search
from analysis.decisions.guard_store import Guarding, Release
from analysis.decisions.guards import GuardLimits
from analysis.decisions.kill_switch import KillSwitch
from analysis.decisions.ledger import Ledger
from analysis.decisions.records import Attempt
from analysis.decisions.states import DecisionState, DeliveryState
from analysis.errors import ConflictError, UnknownRecordError
from analysis.webhooks.events import Addressing
from davylamp.cli import main
from telemetry.clock import FixedClock

DEAD = Search(DeliveryState.DEAD, None, 0, 2**62, 100)


@pytest.fixture
def clock():
    return FixedClock()


@pytest.fixture
def ledger(open_ledger, clock, database_url):
    return open_ledger(clock, url=database_url)


@pytest.fixture
def refuse(ledger, helpers, clock):
    """``refuse(number, service)`` -> webhook id of a command that the receiver answered 422."""

    def make(number=1, service="playback"):
        helpers.decide(ledger, clock, number, service)
        (lease,) = ledger.outbox.lease_due(clock.wall_unix_nano(), 60, 1).leases
        attempt = Attempt(clock.wall_unix_nano(), 422, "no such environment", 0.1)
        assert ledger.outbox.record([ledger.outbox.dead(lease, attempt, lease.url, "422")])
        return lease.webhook_id

    return make


def test_a_dead_letter_is_sent_again_with_its_id_and_bytes(ledger, refuse, clock):
    """Due at once; the decision is requested again; who and why are on the timeline."""
    webhook_id = refuse()
    heard = []
    ledger.on_command(lambda: heard.append(1))
    before = ledger.outbox.letter(webhook_id)
    clock.advance(5)
    letter = ledger.outbox.replay(webhook_id, "ada", "the deployer is mended")
    assert heard == [1]
    assert letter.delivery.state is DeliveryState.PENDING
    assert letter.delivery.dead_reason is None
    (lease,) = ledger.outbox.lease_due(clock.wall_unix_nano(), 60, 10).leases
    assert (lease.webhook_id, lease.body) == (webhook_id, before.body)
    accepted = Attempt(clock.wall_unix_nano(), 202, None, 0.1)
    assert ledger.outbox.record([ledger.outbox.delivered(lease, accepted, lease.url)]) == [True]
    decision = ledger.decision(letter.delivery.decision_id)
    assert decision.state is DecisionState.REQUESTED
    assert decision.delivered_unix_nano is not None
    told = [one for one in ledger.events(0, 2**62) if one.kind == "replayed"]
    assert [(one.detail, "says ada" in one.title) for one in told] == [
        ("the deployer is mended", True)
    ]


def test_a_command_whose_time_is_over_is_only_read(ledger, refuse, clock):
    """A nanosecond before its end it may go, at its end never."""
    webhook_id = refuse()
    end = ledger.outbox.letter(webhook_id).delivery.expires_unix_nano
    clock.advance((end - clock.wall_unix_nano() - 1) / 1e9)
    assert ledger.outbox.letter(webhook_id).refusal is None
    clock.advance(1e-6)
    with pytest.raises(ConflictError, match="a new decision must be made"):
        ledger.outbox.replay(webhook_id, "ada", "late")
    assert ledger.outbox.letter(webhook_id).to_json()["can_be_replayed"] is False


def test_a_command_that_was_overtaken_stays_dead(ledger, refuse, helpers, clock):
    """Also when the newer one was delivered long ago."""
    webhook_id = refuse(1)
    helpers.decide(ledger, clock, 2)
    with pytest.raises(ConflictError, match="newer decision"):
        ledger.outbox.replay(webhook_id, "ada", "again")
    advice = helpers.decide(ledger, clock, 3, "home", mode="advise")
    assert advice.sequence == 1


def test_advice_overtakes_nothing(ledger, refuse, helpers, clock):
    """Nobody was commanded by it."""
    webhook_id = refuse(1)
    helpers.decide(ledger, clock, 2, mode="advise")
    assert ledger.outbox.replay(webhook_id, "ada", "again").delivery.state is DeliveryState.PENDING


def test_only_what_is_dead_is_sent_again(ledger, refuse, helpers, clock):
    """Pending, reported on, unknown: each refused by name."""
    helpers.decide(ledger, clock, 1)
    (row,) = ledger.outbox.letters(Search(None, "deployer", 0, 2**62, 10))
    with pytest.raises(ConflictError, match="is pending"):
        ledger.outbox.replay(row.webhook_id, "ada", "x")
    webhook_id = refuse(2, "home")
    decision_id = ledger.outbox.letter(webhook_id).delivery.decision_id
    ledger.report_status(decision_id, "completed", clock.wall_unix_nano(), "by hand")
    with pytest.raises(ConflictError, match="that is completed"):
        ledger.outbox.replay(webhook_id, "ada", "x")
    with pytest.raises(UnknownRecordError):
        ledger.outbox.replay("msg_nobody", "ada", "x")


def test_guards_hold_a_replay_too(tmp_path, helpers, clock, database_url):
    """A thrown switch and a locked environment."""
    switch = KillSwitch(tmp_path / "stop")
    guarding = Guarding(GuardLimits(1, 9, 9, 60.0, 9, 9, 60.0), switch)
    addressing = Addressing("deployer", "http://127.0.0.1:9/x", "http://127.0.0.1:1", 900.0)
    ledger = Ledger.open(database_url, clock, addressing, guarding)
    helpers.decide(ledger, clock, 1)
    (lease,) = ledger.outbox.lease_due(clock.wall_unix_nano(), 60, 1).leases
    ledger.outbox.record([ledger.outbox.dead(lease, None, lease.url, "stopped")])
    switch.path.write_text("incident")
    with pytest.raises(ConflictError, match="incident"):
        ledger.outbox.replay(lease.webhook_id, "ada", "x")
    switch.path.unlink()
    ledger.guards.lock("demo", "bob", "freeze")
    with pytest.raises(ConflictError, match="bob: freeze"):
        ledger.outbox.replay(lease.webhook_id, "ada", "x")
    ledger.guards.release_lock("demo", "bob", "over")
    ledger.outbox.replay(lease.webhook_id, "ada", "x")
    ledger.close()


@pytest.fixture
def guarded(tmp_path, clock, database_url):
    """A ledger with guards that hold nothing by themselves."""
    guarding = Guarding(GuardLimits(1, 9, 9, 60.0, 9, 9, 60.0), KillSwitch(tmp_path / "stop"))
    addressing = Addressing("deployer", "http://127.0.0.1:9/x", "http://127.0.0.1:1", 900.0)
    ledger = Ledger.open(database_url, clock, addressing, guarding)
    yield ledger
    ledger.close()


def kept(ledger, decision_id) -> Release:
    """What the command of a decision leaves in service."""
    (row,) = ledger.outbox.deliveries(decision_id)
    data = json.loads(ledger.outbox.letter(row.webhook_id).body)["data"]
    return Release("demo", data["release"]["service"], data["target"]["digest"])


def test_a_command_to_a_release_barred_since_stays_dead(guarded, helpers, clock):
    """A person found a hole in it after the command had been given up."""
    helpers.decide(guarded, clock, 1)
    (lease,) = guarded.outbox.lease_due(clock.wall_unix_nano(), 60, 1).leases
    guarded.outbox.record([guarded.outbox.dead(lease, None, lease.url, "stopped")])
    guarded.guards.bar(kept(guarded, lease.decision_id), "bob", "has a hole")
    with pytest.raises(ConflictError, match="barred: bob: has a hole"):
        guarded.outbox.replay(lease.webhook_id, "ada", "x")
    guarded.guards.clear(kept(guarded, lease.decision_id), "bob", "it has none")
    guarded.outbox.replay(lease.webhook_id, "ada", "x")


def test_a_bar_gives_up_what_is_queued_and_leads_there(guarded, helpers, clock):
    """And is told so; commands of other services stay."""
    helpers.decide(guarded, clock, 1)
    helpers.decide(guarded, clock, 2, "home")
    (mine,) = (one for one in guarded.decisions() if one.service == "playback")
    guarded.guards.bar(kept(guarded, mine.decision_id), "bob", "has a hole")
    (row,) = guarded.outbox.deliveries(mine.decision_id)
    assert (row.state, row.dead_reason) == (DeliveryState.DEAD, "barred by bob: has a hole")
    assert guarded.decision(mine.decision_id).state is DecisionState.EXPIRED
    told = [one.detail for one in guarded.events(0, 2**62) if one.kind == "dead_letter"]
    assert told == [row.dead_reason]
    (lease,) = guarded.outbox.lease_due(clock.wall_unix_nano(), 60, 9).leases
    assert lease.lane == "demo/home"


def test_letters_are_found_by_state_endpoint_and_time(ledger, refuse, clock):
    """Newest first, [from, to), at most so many."""
    ids = []
    for number in range(3):
        ids.append(refuse(number, f"s-{number}"))
        clock.advance(10)
    start = clock.wall_unix_nano() - 30 * 10**9
    found = ledger.outbox.letters(DEAD)
    assert [one.webhook_id for one in found] == ids[::-1]
    first = Search(DeliveryState.DEAD, "deployer", start, start + 10 * 10**9, 100)
    assert [one.webhook_id for one in ledger.outbox.letters(first)] == ids[:1]
    assert ledger.outbox.letters(Search(DeliveryState.DEAD, "other", 0, 2**62, 9)) == []
    assert ledger.outbox.letters(Search(DeliveryState.PENDING, None, 0, 2**62, 9)) == []
    assert len(ledger.outbox.letters(Search(None, None, 0, 2**62, 2))) == 2


async def test_over_http_and_from_the_command_line(
    start_process, receiver, tmp_path, helpers, open_ledger, wait, capsys
):
    """A real process: a command is refused, found, read, sent again, delivered."""
    receiver.answer = lambda n: web.Response(status=422 if n == 0 else 202, text="not yet")
    ledger = open_ledger()
    helpers.decide(ledger, ledger._clock, 1)
    ledger.close()
    process = start_process(receiver.url)
    config = tmp_path / "davylamp.toml"
    (tmp_path / "secrets").mkdir()
    config.write_text(
        f'[davylamp]\nstate_dir = "{tmp_path}"\n[analysis]\napi_port = {process.port}\n'
    )
    (tmp_path / "secrets" / "api.token").write_text(helpers.token)

    def davylamp(*words):
        code = main(["--config", str(config), "outbox", *words])
        return code, capsys.readouterr()

    async def told(*words):
        code, said = await asyncio.to_thread(davylamp, *words)
        return code, said.out, said.err

    def asked(path):
        with urllib.request.urlopen(process.url + path, timeout=10) as answer:
            return answer.read().decode()

    await wait(lambda: receiver.requests)
    found = []
    while not found:
        found = json.loads(await asyncio.to_thread(asked, "/api/v1/outbox"))["deliveries"]
    webhook_id = found[0]["webhook_id"]
    code, out, _ = await told("list")
    assert (code, "422 refused: not yet" in out, "1 dead rows" in out) == (0, True, True)
    code, out, _ = await told("show", webhook_id)
    assert json.loads(out)["body"]["data"]["decision_id"] == found[0]["decision_id"]
    code, out, _ = await told("endpoints")
    assert out == "deployer  closed  0 under way\n"
    code, out, _ = await told("replay", webhook_id, "--who", "ada", "--reason", "mended")
    assert (code, out) == (0, f"{webhook_id} is pending again\n")
    await wait(lambda: len(receiver.requests) == 2)
    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == webhook_id
    assert first.body == second.body
    code, out, err = await told("replay", "msg_nobody", "--reason", "x")
    assert (code, "404" in err) == (1, True)
    metrics = await asyncio.to_thread(asked, "/metrics")
    assert 'davylamp_endpoint_breaker_open{endpoint="deployer"} 0.0' in metrics
