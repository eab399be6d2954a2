"""The loop closes rightly when the platform's own processes die or telemetry goes missing."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal

import aiohttp
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from davylamp.story import Story, StoryConfig
from davylamp.timeline import Timeline
from telemetry.clock import SystemClock

#: Between two traces of the independent sender.
PAUSE_S = 0.03
DEAD_ENDPOINT = "http://127.0.0.1:9"


class Sender:
    """An independent service that sends one trace at a time and notes which were acknowledged."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.acknowledged: list[str] = []
        self.refused = 0

    async def run(self, stop: asyncio.Event) -> None:
        async with aiohttp.ClientSession() as session:
            while not stop.is_set():
                trace_id = secrets.token_bytes(16)
                try:
                    async with session.post(
                        f"{self._url}/v1/traces",
                        data=one_span(trace_id),
                        headers={"content-type": "application/x-protobuf"},
                        timeout=aiohttp.ClientTimeout(total=5),
                    ) as reply:
                        is_taken = reply.status == 200
                except (aiohttp.ClientError, TimeoutError):
                    is_taken = False
                if is_taken:
                    self.acknowledged.append(trace_id.hex())
                else:
                    self.refused += 1
                await asyncio.sleep(PAUSE_S)


def one_span(trace_id: bytes) -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    name = group.resource.attributes.add()
    name.key, name.value.string_value = "service.name", "accountant"
    span = group.scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = trace_id, secrets.token_bytes(8), "count me"
    span.kind = 2
    span.start_time_unix_nano = SystemClock().wall_unix_nano()
    span.end_time_unix_nano = span.start_time_unix_nano + 1_000_000
    return request.SerializeToString()


async def test_killing_the_collector_loses_nothing_acknowledged(start_platform):
    """kill -9 while a canary is judged: every acknowledged trace is there, F01 still goes."""
    async with start_platform() as running:
        await running.viewers_are_served()
        sender = Sender(running.settings.url("collector", "otlp_http_port"))
        stop = asyncio.Event()
        sending = asyncio.create_task(sender.run(stop))
        story = Story(running.clients, Timeline(SystemClock()), StoryConfig(0.0, "F01", "N5"))
        watching = asyncio.create_task(story.canary("F01"))
        await running.until(
            lambda: asyncio.sleep(0, len(sender.acknowledged)), lambda n: n > 200, 60
        )
        os.kill(running.supervisor.pid("collector"), signal.SIGKILL)
        before = len(sender.acknowledged)
        canary = await watching
        stop.set()
        await sending
        assert (canary.verdict, canary.state) == ("fail", "rolled_back")
        assert running.supervisor.starts("collector") == 2
        assert len(sender.acknowledged) > before, "the collector took nothing after its restart"
        async with aiohttp.ClientSession(running.settings.url("collector", "api_port")) as api:
            assert await missing(running, api, sender.acknowledged) == []


async def missing(running, session, trace_ids):
    """Those of ``trace_ids`` that the read API does not know; the last ones get a moment."""
    await running.until(lambda: found(session, trace_ids[-1]), lambda is_there: is_there, 15)
    return [one for one in trace_ids if not await found(session, one)]


async def found(session, trace_id):
    async with session.get(f"/api/v1/traces/{trace_id}") as reply:
        return reply.status == 200 and len((await reply.json())["spans"]) == 1


async def test_killing_the_analysis_between_decision_and_delivery(start_platform):
    """The next process delivers the webhook under the same id; one decision, one rollback."""
    async with start_platform() as running:
        await running.viewers_are_served()
        deployment = await running.clients.deploy("F01")
        controller = await running.instance_pid("controller")
        await running.until(
            lambda: running.clients.canary(deployment["deployment_id"]),
            lambda canary: canary["state"] == "observing",
            60,
        )
        # The receiver stands still, so that the decision cannot be delivered yet.
        os.kill(controller, signal.SIGSTOP)
        try:
            (decision,) = await running.until(running.clients.decisions, len, 120)
            (before,) = await running.clients.deliveries(decision["decision_id"])
            os.kill(running.supervisor.pid("analysis"), signal.SIGKILL)
        finally:
            os.kill(controller, signal.SIGCONT)
        assert before["state"] == "pending"
        (after,) = await running.until(
            lambda: running.clients.deliveries(decision["decision_id"]),
            lambda rows: rows and rows[0]["state"] == "delivered",
            60,
        )
        assert after["webhook_id"] == before["webhook_id"]
        await running.until(
            lambda: running.clients.deployment(deployment["deployment_id"]),
            lambda answer: answer["state"] == "rolled_back",
            30,
        )
        assert [one["decision_id"] for one in await running.clients.decisions()] == [
            decision["decision_id"]
        ]
        assert running.supervisor.starts("analysis") == 2


@pytest.mark.slow
async def test_a_silent_canary_is_neither_promoted_nor_rolled_back(start_platform):
    """Its telemetry is cut from the start; viewers do well; the verdict is INCONCLUSIVE, held."""
    async with start_platform() as running:
        await running.viewers_are_served()
        deployment = await running.clients.deploy("N5", canary_otlp_endpoint=DEAD_ENDPOINT)
        deployment_id = deployment["deployment_id"]
        canary = await running.until(
            lambda: running.clients.canary(deployment_id),
            lambda answer: answer["verdict"] is not None,
            90,
        )
        assert canary["verdict"]["kind"] == "inconclusive"
        assert canary["verdict"]["reason"] == "canary_silent"
        looks = canary["looks"]
        await running.until(
            lambda: running.clients.canary(deployment_id),
            lambda answer: answer["looks"] >= looks + 10,
            60,
        )
        assert await running.clients.decisions() == []
        assert (await running.clients.deployment(deployment_id))["state"] == "observing"
