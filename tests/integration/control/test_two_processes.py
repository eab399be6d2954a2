"""Two analysis processes on one PostgreSQL: one leads, the other takes over, nothing is doubled."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import urllib.request
from collections import Counter

import pytest
from aiohttp import web

from analysis.decisions.ledger import Ledger
from analysis.decisions.states import DeliveryState
from analysis.webhooks.events import Addressing
from telemetry.clock import SystemClock

LEASE_S = 5.0
DEADLINE_S = 45.0


def leads(process) -> bool:
    with urllib.request.urlopen(f"{process.url}/metrics", timeout=10) as answer:
        return "davylamp_analysis_leads 1.0" in answer.read().decode()


async def leaders(processes):
    found = await asyncio.gather(*(asyncio.to_thread(leads, one) for one in processes))
    return [one for one, is_leader in zip(processes, found, strict=True) if is_leader]


async def lead(processes, is_reached, deadline_s=DEADLINE_S):
    """Who leads, once that is as it should be; never two."""
    async with asyncio.timeout(deadline_s):
        while not is_reached(found := await leaders(processes)):  # noqa: ASYNC110 - of a process
            await asyncio.sleep(0.1)
    assert len(found) == 1
    return found[0]


async def one_leader(processes):
    return await lead(processes, bool)


@pytest.fixture
def pair(start_process, postgres_url, receiver, tmp_path):
    """Two processes, and a ledger of the test's own that commits decisions."""
    settings = {"database_url": postgres_url, "leader_lease_s": LEASE_S}
    started = [start_process(receiver.url, **settings) for _ in range(2)]
    addressing = Addressing("deployer", receiver.url, "http://127.0.0.1:1", 900.0)
    ledger = Ledger.open(postgres_url, SystemClock(), addressing)
    yield started, ledger
    ledger.close()


def is_delivered(ledger, decision):
    return ledger.outbox.deliveries(decision.decision_id)[0].state is DeliveryState.DELIVERED


async def test_the_other_takes_over_after_kill_9(pair, receiver, helpers, wait):
    """The leader dies with a request under way; the other sends the same one, and all the rest."""
    processes, ledger = pair
    clock = SystemClock()
    first = await one_leader(processes)
    early = helpers.decide(ledger, clock, 1, "early")
    await wait(lambda: is_delivered(ledger, early))
    receiver.hang = lambda n: n == 1
    hung = helpers.decide(ledger, clock, 2, "hung")
    await wait(lambda: len(receiver.requests) == 2)
    first.kill()
    later = helpers.decide(ledger, clock, 3, "later")
    (second,) = [one for one in processes if one is not first]
    assert await one_leader([second]) is second
    for decision in (hung, later):
        await wait(lambda one=decision: is_delivered(ledger, one), DEADLINE_S)
    sent = Counter(one.headers["webhook-id"] for one in receiver.requests)
    (row,) = ledger.outbox.deliveries(hung.decision_id)
    assert sent == {
        ledger.outbox.deliveries(early.decision_id)[0].webhook_id: 1,
        row.webhook_id: 2,
        ledger.outbox.deliveries(later.decision_id)[0].webhook_id: 1,
    }
    same = [one.body for one in receiver.requests if one.headers["webhook-id"] == row.webhook_id]
    assert same[0] == same[1]
    assert len(row.attempts) == 1, "the dead one's request has no result"


@pytest.mark.slow
async def test_a_leader_that_was_paused_is_fenced_off(pair, receiver, helpers, wait):
    """Paused past its lease, with a request under way: the other sends it, the first stands by."""
    processes, ledger = pair
    first = await one_leader(processes)
    (second,) = [one for one in processes if one is not first]
    receiver.hang = lambda n: n == 0
    hung = helpers.decide(ledger, SystemClock(), 1)
    await wait(lambda: receiver.requests)
    os.kill(first.popen.pid, signal.SIGSTOP)
    try:
        assert await one_leader([second]) is second
        await wait(lambda: is_delivered(ledger, hung), DEADLINE_S)
    finally:
        os.kill(first.popen.pid, signal.SIGCONT)
    await lead(processes, lambda found: found == [second])
    (row,) = ledger.outbox.deliveries(hung.decision_id)
    assert [one.status for one in row.attempts] == [200]
    assert Counter(one.headers["webhook-id"] for one in receiver.requests) == {row.webhook_id: 2}


@pytest.mark.slow
async def test_a_leader_that_ends_hands_over_at_once(pair, receiver, helpers, wait):
    """SIGTERM: code 0, and the other need not wait for the lease's end; both APIs answer."""
    processes, ledger = pair
    first = await one_leader(processes)
    (second,) = [one for one in processes if one is not first]
    body = {"status": "completed", "unix_nano": 1_700_000_000_000_000_000, "detail": "done"}
    receiver.answer = lambda _: web.Response(status=202)
    decision = helpers.decide(ledger, SystemClock(), 1)
    await wait(lambda: is_delivered(ledger, decision))

    def report(process):
        request = urllib.request.Request(
            f"{process.url}/api/v1/decisions/{decision.decision_id}/status",
            data=json.dumps(body).encode(),
            headers={"authorization": f"Bearer {helpers.token}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["state"]

    assert await asyncio.to_thread(report, second) == "completed", "by the one that stands by"
    assert await asyncio.to_thread(first.terminate) == 0
    await lead([second], bool, LEASE_S)
