"""One receiver that hangs costs the others nothing; its own commands wait, are kept, and arrive."""

from __future__ import annotations

import asyncio
from functools import partial

import numpy as np
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from analysis.config import EndpointConfig
from analysis.decisions.ledger import Ledger
from analysis.decisions.outbox import MAX_ROWS_PER_ENDPOINT, Busy
from analysis.decisions.states import DeliveryState
from analysis.metrics import Metrics
from analysis.webhooks import breaker
from analysis.webhooks.breaker import MAX_PER_ENDPOINT, BreakerState
from analysis.webhooks.deliver import Deliverer
from analysis.webhooks.events import Addressing, Route
from telemetry.clock import FixedClock, SystemClock

OTHER = "http://127.0.0.1:9/other"


def is_delivered(ledger, decision):
    return ledger.outbox.deliveries(decision.decision_id)[0].state is DeliveryState.DELIVERED


@pytest.fixture
def open_routed(tmp_path):
    """``open_routed(clock, default_url, {pattern: url})``: a ledger whose lanes have endpoints."""
    opened = []

    def start(clock, url, routes):
        made = tuple(
            Route((pattern,), f"endpoint-{number}", to)
            for number, (pattern, to) in enumerate(routes.items())
        )
        addressing = Addressing("deployer", url, "http://127.0.0.1:1", 900.0, made)
        ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", clock, addressing)
        opened.append(ledger)
        return ledger

    yield start
    for ledger in opened:
        ledger.close()


def test_a_lane_has_its_endpoint(open_routed, helpers):
    """The first route that matches takes the command, its body names the endpoint."""
    clock = FixedClock()
    ledger = open_routed(clock, OTHER, {"demo/a*": f"{OTHER}/a", "demo/*x": f"{OTHER}/x"})
    for number, service in enumerate(("apex", "vix", "playback")):
        helpers.decide(ledger, clock, number, service)
    found = {
        row.lane: row for row in ledger.outbox.lease_due(clock.wall_unix_nano(), 60, 10).leases
    }
    assert {lane: row.endpoint_id for lane, row in found.items()} == {
        "demo/apex": "endpoint-0",
        "demo/vix": "endpoint-1",
        "demo/playback": "deployer",
    }
    for row in found.values():
        assert f'"endpoint_id":"{row.endpoint_id}"'.encode() in row.body


def test_endpoints_take_turns(open_routed, helpers):
    """Twenty rows of one endpoint stand before one of another; the other comes second."""
    clock = FixedClock()
    ledger = open_routed(clock, OTHER, {"demo/q-*": OTHER})
    for number in range(20):
        helpers.decide(ledger, clock, number, f"q-{number}")
        clock.advance(0.001)
    helpers.decide(ledger, clock, 20, "playback")
    now = clock.wall_unix_nano()
    first, second = ledger.outbox.lease_due(now, 60, 2).leases
    assert (first.endpoint_id, second.endpoint_id) == ("endpoint-0", "deployer")
    assert len(ledger.outbox.lease_due(now, 60, 100).leases) == MAX_ROWS_PER_ENDPOINT


def test_an_endpoint_without_room_is_left_alone(open_routed, helpers):
    """None of its rows is taken, nor counts as due before its end; some room is kept to."""
    clock = FixedClock()
    ledger = open_routed(clock, OTHER, {"demo/q-*": OTHER})
    decisions = [helpers.decide(ledger, clock, number, f"q-{number}") for number in range(3)]
    now = clock.wall_unix_nano()
    shut = Busy(room={"endpoint-0": 0})
    assert ledger.outbox.lease_due(now, 60, 10, shut).leases == ()
    assert ledger.outbox.next_due_unix_nano(shut) == decisions[0].expires_unix_nano
    assert ledger.outbox.next_due_unix_nano() == decisions[0].created_unix_nano
    assert len(ledger.outbox.lease_due(now, 60, 10, Busy(room={"endpoint-0": 2})).leases) == 2


async def test_a_hanging_endpoint_takes_only_its_own_room(
    receiver, open_routed, helpers, secret_file, wait
):
    """More lanes than its room hang; other endpoints' commands go out at once all the same."""
    clock, metrics = SystemClock(), Metrics(CollectorRegistry())
    hanging = web.Application()
    held, release = [], asyncio.Event()

    async def hold(request):
        held.append(request)
        await release.wait()
        return web.Response()

    hanging.router.add_post("/", hold)
    runner = web.AppRunner(hanging, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    slow_url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    ledger = open_routed(clock, receiver.url, {"demo/q-*": slow_url})
    networks = ("127.0.0.0/8",)
    endpoints = [
        EndpointConfig(name, url, secret_file, networks, plain_http=False)
        for name, url in (("deployer", receiver.url), ("endpoint-0", slow_url))
    ]
    deliverer = Deliverer(ledger, endpoints, clock, np.random.default_rng(1), metrics)
    stuck = [helpers.decide(ledger, clock, n, f"q-{n}") for n in range(MAX_PER_ENDPOINT + 3)]
    await deliverer.start()
    try:
        await wait(lambda: len(held) == MAX_PER_ENDPOINT)
        quick = helpers.decide(ledger, clock, 99, "playback")
        (delivery,) = await wait(lambda: ledger.outbox.deliveries(quick.decision_id))
        await wait(lambda: receiver.requests)
        assert delivery.endpoint_id == "deployer"
        health = {one.endpoint_id: one for one in deliverer.endpoints()}
        assert health["endpoint-0"].under_way == MAX_PER_ENDPOINT == len(held)
        assert health["endpoint-0"].breaker is BreakerState.CLOSED
        release.set()
        for decision in stuck:
            await wait(partial(is_delivered, ledger, decision))
    finally:
        release.set()
        await deliverer.stop()
        await runner.cleanup()


async def test_a_broken_endpoint_is_asked_one_request_at_a_time(
    receiver, open_routed, helpers, secret_file, wait, monkeypatch
):
    """Ten refusals on many lanes open the breaker; nothing is lost, nothing is given up."""
    monkeypatch.setattr(breaker, "PAUSES_S", (1.0,))
    clock, metrics = SystemClock(), Metrics(CollectorRegistry())
    receiver.answer = lambda _: web.Response(status=500)
    ledger = open_routed(clock, receiver.url, {})
    endpoint = EndpointConfig(
        "deployer", receiver.url, secret_file, ("127.0.0.0/8",), plain_http=False
    )
    decisions = [helpers.decide(ledger, clock, n, f"s-{n}") for n in range(12)]
    deliverer = Deliverer(ledger, [endpoint], clock, np.random.default_rng(1), metrics)
    await deliverer.start()
    try:
        await wait(lambda: deliverer.endpoints()[0].breaker is BreakerState.OPEN)
        await wait(lambda: deliverer.endpoints()[0].under_way == 0)
        before = len(receiver.requests)
        receiver.answer = lambda _: web.Response()
        await wait(lambda: len(receiver.requests) > before)
        for decision in decisions:
            await wait(partial(is_delivered, ledger, decision))
        assert deliverer.endpoints()[0].breaker is BreakerState.CLOSED
    finally:
        await deliverer.stop()
