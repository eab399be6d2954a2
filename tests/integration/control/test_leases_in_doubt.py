"""Leases that nobody uses: of a commit whose answer was lost, or of a term that was cut off."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from analysis.decisions.outbox import Busy
from analysis.decisions.states import DeliveryState
from analysis.errors import LedgerUnavailableError
from analysis.metrics import Metrics
from analysis.webhooks import deliver
from analysis.webhooks.deliver import Deliverer


class LosesAnAnswer:
    """A database whose connection breaks once between a worker's commit and its answer."""

    is_shared = False

    def __init__(self, database):
        self.database, self.losses = database, 1
        self.read, self.close = database.read, database.close

    @contextmanager
    def write(self, *, is_urgent=False):
        with self.database.write(is_urgent=is_urgent) as connection:
            yield connection
        if is_urgent and self.losses:
            self.losses -= 1
            raise LedgerUnavailableError("the ledger cannot be used now: connection lost")


@pytest.fixture
async def idle_control(start_control, receiver):
    """A ledger without its deliverer."""
    control = await start_control(receiver.url)
    await control.deliverer.stop()
    return control


@pytest.fixture
async def start_deliverer(idle_control):
    """Deliverers on the ledger, one after the other."""
    started = []

    async def start(ledger=None):
        control = idle_control
        metrics, rng = Metrics(CollectorRegistry()), np.random.default_rng(7)
        made = Deliverer(ledger or control.ledger, [control.endpoint], control.clock, rng, metrics)
        await made.start()
        started.append(made)
        return made

    yield start
    for one in started:
        await one.stop()


async def test_rows_leased_by_a_commit_in_doubt_are_sent_by_the_same_process(
    idle_control, start_deliverer, receiver, wait
):
    """They would wait for their lease's end, a minute, and die if they lived shorter."""
    control = idle_control
    decisions = [control.decide(f"service-{number}") for number in range(3)]
    doubtful = LosesAnAnswer(control.ledger.database)
    await start_deliverer(control.ledger.on(doubtful))
    for one in decisions:
        await wait(lambda one=one: control.delivery(one).state is DeliveryState.DELIVERED)
    assert doubtful.losses == 0
    assert len(receiver.requests) == 3


async def test_a_new_term_sends_at_once_what_the_last_one_was_cut_off_from(
    idle_control, start_deliverer, receiver, wait, monkeypatch
):
    """The same process leads again before its lease was over, so nobody else ended its leases."""
    control = idle_control
    monkeypatch.setattr(deliver, "STOP_GRACE_S", 0.0)
    receiver.hang = lambda n: n == 0
    decision = control.decide()
    first = await start_deliverer()
    await wait(lambda: receiver.requests)
    await first.stop()
    await start_deliverer()
    await wait(lambda: control.delivery(decision).state is DeliveryState.DELIVERED)
    assert len({one.headers["webhook-id"] for one in receiver.requests}) == 1


async def test_what_is_under_way_keeps_its_lease(idle_control):
    """Only the lanes that the worker does not name are freed."""
    control, desk = idle_control, idle_control.ledger.outbox
    for service in ("kept", "lost"):
        control.decide(service)
    now = control.clock.wall_unix_nano()
    taken = {one.lane.partition("/")[2]: one for one in desk.lease_due(now, 60.0, 10).leases}
    busy = Busy(lanes=(taken["kept"].lane,))
    assert desk.lease_due(now, 60.0, 10, busy).leases == ()
    (again,) = desk.lease_due(now, 60.0, 10, busy, is_in_doubt=True).leases
    assert again.webhook_id == taken["lost"].webhook_id
    assert again.token != taken["lost"].token
