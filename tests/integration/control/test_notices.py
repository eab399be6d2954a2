"""Notices: every event told once, in order, in its receiver's words; nothing passed over."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from analysis.config import NoticeConfig
from analysis.decisions.states import DeliveryState
from analysis.errors import ConflictError, UnknownRecordError
from analysis.metrics import Metrics
from analysis.notices import notifier
from analysis.notices.desk import NoticeDesk
from analysis.notices.formats import Format, Sender
from analysis.notices.notifier import Notifier
from analysis.notices.store import Subscription, Told
from analysis.webhooks.verify import verify
from telemetry.clock import FixedClock, SystemClock

KINDS = ("decision", "dead_letter", "confirmed")
ROUTING_KEY = "R" * 32


def subscription(endpoint_id="chat", form=Format.STANDARD, kinds=KINDS):
    return Subscription(Sender(endpoint_id, "http://127.0.0.1:1"), form, kinds)


@pytest.fixture
def clock():
    return FixedClock()


@pytest.fixture
def ledger(open_ledger, clock, database_url):
    return open_ledger(clock, url=database_url)


@pytest.fixture
def desk(ledger, clock):
    return NoticeDesk(ledger.database, clock)


def test_a_new_endpoint_begins_with_what_comes_next(desk, ledger, helpers, clock):
    """Then every event of the wanted kinds once, however often it is looked."""
    helpers.decide(ledger, clock, 1)
    assert desk.fan_out([subscription()]) == 0
    helpers.decide(ledger, clock, 2)
    clock.advance(901)
    ledger.outbox.lease_due(clock.wall_unix_nano(), 60, 0)
    assert desk.fan_out([subscription(), subscription("later")]) == 3
    assert desk.fan_out([subscription(), subscription("later")]) == 0
    told = [(one.endpoint_id, one.kind, one.deployment_id) for one in desk.listed(None, 10)]
    assert sorted(told) == [
        ("chat", "dead_letter", "playback-1"),  # superseded
        ("chat", "dead_letter", "playback-2"),  # expired
        ("chat", "decision", "playback-2"),
    ]


def test_about_one_canary_in_order_and_others_meanwhile(desk, ledger, helpers, clock):
    """What failed is due later; the next about it waits, another canary's does not."""
    desk.fan_out([subscription()])
    first = helpers.decide(ledger, clock, 1, "playback")
    ledger.confirm(first.decision_id, clock.wall_unix_nano(), "seen")
    helpers.decide(ledger, clock, 2, "home")
    assert desk.fan_out([subscription()]) == 3
    now = clock.wall_unix_nano()
    row = desk.take("chat")
    assert (row.kind, row.deployment_id) == ("decision", "playback-1")
    later = now + 10 * 10**9
    desk.record(row, Told(now, is_delivered=False, due_unix_nano=later, status=500, error="x"))
    other = desk.take("chat")
    assert other.deployment_id == "home-2"
    desk.record(other, Told(now, is_delivered=True, due_unix_nano=None, status=200, error=None))
    assert desk.take("chat") is None
    clock.advance(10)
    again = desk.take("chat")
    assert (again.webhook_id, again.body, again.attempts) == (row.webhook_id, row.body, 1)


def test_who_is_not_reached_is_on_the_timeline_and_can_be_told_again(desk, ledger, helpers, clock):
    """Dead, with an event that itself is told to nobody; a replay starts anew."""
    desk.fan_out([subscription()])
    helpers.decide(ledger, clock, 1)
    desk.fan_out([subscription()])
    row, now = desk.take("chat"), clock.wall_unix_nano()
    with pytest.raises(ConflictError, match="pending"):
        desk.replay(row.webhook_id, "ada", "x")
    desk.record(row, Told(now, is_delivered=False, due_unix_nano=None, status=410, error="gone"))
    assert [one.state for one in desk.listed(DeliveryState.DEAD, 9)] == [DeliveryState.DEAD]
    kinds = [one.kind for one in ledger.events(0, 2**62)]
    assert "notice_dead" in kinds
    assert desk.fan_out([subscription()]) == 0
    assert desk.replay(row.webhook_id, "ada", "mended").attempts == 0
    assert desk.take("chat").body == row.body
    with pytest.raises(UnknownRecordError):
        desk.replay("msg_nobody", "ada", "x")


def test_alerts_of_objectives_are_told_unless_silenced(desk, ledger, clock):
    """Pages and tickets by their kinds, an end after its beginning, what is silenced to nobody."""
    wanted = [subscription("pager", Format.PAGERDUTY, ("slo_page",))]
    wanted += [subscription("chat", Format.ALERTMANAGER, ("slo_page", "slo_ticket"))]
    desk.fan_out(wanted)
    for kind, slo, is_firing, is_told in (
        ("slo_page", "starts", True, True),
        ("slo_ticket", "starts", True, True),
        ("slo_page", "home", True, False),
        ("slo_page", "starts", False, True),
    ):
        labels = {"alertname": "SloBurnRate", "slo": slo, "service": "playback"}
        labels["severity"] = kind.removeprefix("slo_")
        about = {"labels": labels, "is_firing": is_firing, "is_told": is_told}
        ledger.record_event(kind, "playback", "The budget burns", detail="x", about=about)
        clock.advance(1)
    assert desk.fan_out(wanted) == 5
    row = desk.take("pager")
    assert (row.subject, row.deployment_id) == ("slo/starts/page", None)
    rows = sorted(desk.listed(None, 9), key=lambda one: one.event_id)
    bodies = [json.loads(one.body) for one in rows]
    pages = [one for one in bodies if "event_action" in one]
    assert [one["event_action"] for one in pages] == ["trigger", "resolve"]
    assert {one["dedup_key"] for one in pages} == {"davylamp/slo/starts/page"}
    chat = [one for one in bodies if "groupKey" in one]
    assert [one["status"] for one in chat] == ["firing", "firing", "resolved"]
    assert chat[0]["groupKey"] == chat[2]["groupKey"] != chat[1]["groupKey"]
    assert chat[0]["commonLabels"]["slo"] == "starts"


def test_a_promotion_that_goes_well_pages_nobody(desk, ledger, helpers, clock):
    """It is told in our own words only."""
    wanted = [subscription(), subscription("pager", Format.PAGERDUTY)]
    desk.fan_out(wanted)
    helpers.decide(ledger, clock, 1, action="promotion")
    assert desk.fan_out(wanted) == 1
    assert [one.endpoint_id for one in desk.listed(None, 9)] == ["chat"]


def test_a_refused_event_leaves_the_cursor_where_it_was(desk, ledger, helpers, clock, monkeypatch):
    """A row that cannot be made rolls its transaction back; nothing is passed over."""
    from analysis.notices import store

    desk.fan_out([subscription()])
    helpers.decide(ledger, clock, 1)

    def fails(*_):
        raise KeyError

    with monkeypatch.context() as patch:
        patch.setattr(store, "render", fails)
        with pytest.raises(KeyError):
            desk.fan_out([subscription()])
    assert desk.fan_out([subscription()]) == 1


@contextlib.asynccontextmanager
async def notifying(ledger, configs, clock):
    metrics = Metrics(CollectorRegistry())
    desk = NoticeDesk(ledger.database, clock)
    rng = np.random.default_rng(1)
    made = Notifier(desk, configs, "http://127.0.0.1:1", clock, rng, metrics)
    desk.fan_out([subscription(one.endpoint_id) for one in configs])
    task = asyncio.create_task(made.run())
    try:
        yield desk
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_each_endpoint_gets_its_words_and_one_that_hangs_delays_nobody(
    receiver, open_ledger, helpers, wait, secret_file, tmp_path, monkeypatch
):
    """Signed CloudEvents, Alertmanager's body, PagerDuty's with the key that is never stored."""
    monkeypatch.setattr(notifier, "POLL_S", 0.05)
    clock, ledger = SystemClock(), open_ledger()
    key_file = tmp_path / "pagerduty.key"
    key_file.write_text(ROUTING_KEY + "\n")
    received: dict[str, list] = {}

    async def take(request):
        name = request.match_info["name"]
        raw = await request.read()
        received.setdefault(name, []).append((dict(request.headers), raw))
        if name == "slow":
            await asyncio.sleep(3600)
        return web.Response(status=202)

    app = web.Application()
    app.router.add_post("/{name}", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"

    def config(name, form, file=secret_file):
        return NoticeConfig(
            name, f"{base}/{name}", file, ("127.0.0.0/8",), plain_http=False,
            format=form, kinds=KINDS,
        )  # fmt: skip

    configs = [
        config("slow", "standard"),
        config("chat", "cdevents"),
        config("alerts", "alertmanager"),
        config("pager", "pagerduty", key_file),
    ]
    async with notifying(ledger, configs, clock) as desk:
        helpers.decide(ledger, clock, 1)
        await wait(lambda: {"slow", "chat", "alerts", "pager"} <= set(received))
        await wait(lambda: len(desk.listed(DeliveryState.DELIVERED, 9)) == 3)
        stored = desk.listed(None, 9)
    await runner.cleanup()
    headers, body = received["chat"][0]
    verify(headers, body, [helpers.secret], clock.wall_unix_nano() // 10**9)
    assert headers["Content-Type"] == "application/cloudevents+json"
    assert json.loads(body)["data"]["context"]["specversion"] == "0.5.0"
    assert json.loads(received["alerts"][0][1])["version"] == "4"
    page = json.loads(received["pager"][0][1])
    assert (page["routing_key"], page["event_action"]) == (ROUTING_KEY, "trigger")
    assert all(ROUTING_KEY.encode() not in row.body for row in stored)
    assert [row.state for row in stored if row.endpoint_id == "slow"] == [DeliveryState.PENDING]


async def test_a_missing_key_is_told_and_tried_again(open_ledger, helpers, wait, monkeypatch):
    """The operator may mend the file; its name is told, never its content."""
    monkeypatch.setattr(notifier, "POLL_S", 0.05)
    clock, ledger = SystemClock(), open_ledger()
    config = NoticeConfig(
        "pager", "http://127.0.0.1:9/", Path("/nonexistent/key"), ("127.0.0.0/8",),
        plain_http=False, format="pagerduty", kinds=KINDS,
    )  # fmt: skip
    async with notifying(ledger, [config], clock) as desk:
        helpers.decide(ledger, clock, 1)
        await wait(lambda: [row for row in desk.listed(None, 9) if row.attempts])
        (row,) = desk.listed(None, 9)
    assert (row.state, row.status) == (DeliveryState.PENDING, None)
    assert "cannot be read as a routing key" in row.error
