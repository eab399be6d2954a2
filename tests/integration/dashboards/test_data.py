"""Reading over real sockets: from a collector's read API, and from servers that misbehave."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from collector.access.config import AccessConfig
from dashboards.answers.reading import Available, Source, Unavailable, Why
from dashboards.config import DashboardsConfig
from dashboards.data import LOOKS_PER_PAGE, Data
from davylamp.config import dashboards_config, load_settings
from telemetry.clock import FixedClock

CONFIG = DashboardsConfig(
    host="127.0.0.1",
    port=0,
    collector_url="",
    analysis_url="",
    refresh_s=2.0,
    request_timeout_s=0.5,
    max_concurrent_reads=4,
    max_answer_bytes=10_000,
    max_cached_answers=8,
    max_cached_canaries=2,
    settle_s=2.0,
    window_s=300,
    allowed_hosts=(),
    access=AccessConfig(False, Path("/nonexistent"), Path("/nonexistent")),
    oidc=dashboards_config(load_settings(environ={})).oidc,
)
EMPTY = {"services": []}


@asynccontextmanager
async def reading(handler, **changes):
    """``Data`` and its clock against a server that answers every GET with ``handler``."""
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    clock = FixedClock()
    config = replace(CONFIG, collector_url=url, analysis_url=url, **changes)
    try:
        async with Data(config, clock) as data:
            yield data, clock
    finally:
        await runner.cleanup()


def answering(body, status=200):
    async def handler(_request):
        return web.json_response(body, status=status)

    return handler


async def test_an_answer_has_the_time_it_was_read():
    """And its value, parsed."""
    async with reading(answering(EMPTY)) as (data, clock):
        answer = await data.services(900)
    assert answer == Available((), clock.wall_unix_nano())


async def raw(_request):
    return web.Response(body=b"<html>")


async def too_much(_request):
    return web.Response(body=b" " * 20_000)


async def broken(request):
    request.transport.abort()
    return web.Response()


@pytest.mark.parametrize(
    ("handler", "why", "words"),
    [
        (raw, Why.UNREADABLE, "in a form this page does not know"),
        (answering({"services": [{}]}), Why.UNREADABLE, "service_name is missing"),
        (too_much, Why.TOO_LARGE, "more than 10000 bytes"),
        (broken, Why.UNREACHABLE, "does not answer at http://127.0.0.1:"),
        (
            answering({"error": {"code": "busy", "message": "too many"}}, 503),
            Why.BUSY,
            "answered 503: too many",
        ),
        (answering({}, 400), Why.REFUSED, "answered 400: no reason given"),
        (answering({}, 404), Why.NOT_FOUND, "answered 404"),
    ],
)
async def test_every_failure_is_a_value_with_a_sentence(handler, why, words):
    """Nothing is raised to a page."""
    async with reading(handler) as (data, _):
        answer = await data.services(900)
    assert isinstance(answer, Unavailable)
    assert (answer.source, answer.why) == (Source.COLLECTOR, why)
    assert words in answer.sentence


async def test_nobody_listening_is_unreachable():
    """A refused connection."""
    config = replace(CONFIG, collector_url="http://127.0.0.1:1", analysis_url="http://127.0.0.1:1")
    async with Data(config, FixedClock()) as data:
        answer = await data.slos()
    assert answer == Unavailable(
        Source.ANALYSIS,
        Why.UNREACHABLE,
        "The analysis does not answer at http://127.0.0.1:1",
    )


async def test_a_slow_answer_is_given_up():
    """Within the time-out, however long the server thinks."""
    release = asyncio.Event()

    async def slow(_request):
        await release.wait()
        return web.json_response(EMPTY)

    async with reading(slow, request_timeout_s=0.1) as (data, _):
        async with asyncio.timeout(5):
            answer = await data.services(900)
        release.set()
    assert answer.why is Why.TIMEOUT


async def test_equal_questions_are_asked_once_and_shared_for_a_moment():
    """At the same time, and until the next update; then anew."""
    asked = []

    async def counting(request):
        asked.append(request.path_qs)
        return web.json_response(EMPTY)

    async with reading(counting) as (data, clock):
        await asyncio.gather(*(data.services(900) for _ in range(20)))
        await data.services(900)
        assert len(asked) == 1
        await data.services(60)
        assert len(asked) == 2
        clock.advance(1.5)
        await data.services(900)
        assert len(asked) == 2
        clock.advance(0.2)
        await data.services(900)
        assert len(asked) == 3
        counts = data.counts()
    assert (counts.asked, counts.shared, counts.failed) == (3, 21, 0)


async def test_questions_at_once_are_bounded():
    """More wait for their turn."""
    running, most = 0, 0

    async def counting(_request):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return web.json_response({"operations": []})

    async with reading(counting, request_timeout_s=10.0) as (data, _):
        await asyncio.gather(*(data.operations(f"s{n}", 60) for n in range(30)))
    assert most == CONFIG.max_concurrent_reads


async def test_kept_answers_are_bounded():
    """The oldest makes room."""
    async with reading(answering({"operations": []})) as (data, _):
        for n in range(30):
            await data.operations(f"s{n}", 60)
        assert len(data._recent) == CONFIG.max_cached_answers


def look(index):
    traffic = {
        "baseline_requests": 1,
        "canary_requests": 1,
        "canary_share_ratio": 0.5,
        "declared_canary_share_ratio": None,
        "checked": False,
    }
    return {
        "index": index,
        "unix_nano": index,
        "elapsed_s": float(index),
        "verdict": "observing",
        "final": False,
        "reason": "observing",
        "summary": "",
        "culprit_metric": None,
        "culprit_split": None,
        "log_e_value": 0.0,
        "max_log_e_value": 0.0,
        "threshold_log_e": 5.0,
        "certify_threshold_log_e": 4.0,
        "metrics": [],
        "traffic": traffic,
        "inputs_digest": "",
        "rule_digest": "",
        "code_version": "",
    }


async def test_looks_are_read_once_each_and_in_pages():
    """Only new ones are asked for; a shorter history means another canary of the same name."""
    total, asked = LOOKS_PER_PAGE + 3, []

    async def looks(request):
        after = int(request.query.get("after_index", -1))
        asked.append(after)
        found = [look(i) for i in range(after + 1, total)][: int(request.query["limit"])]
        return web.json_response({"looks": found})

    async with reading(looks, max_answer_bytes=4_000_000) as (data, clock):
        answer = await data.looks("c", total=total)
        assert [item.index for item in answer.value] == list(range(total))
        assert asked == [-1, LOOKS_PER_PAGE - 1]
        total += 2
        clock.advance(3)
        answer = await data.looks("c", total=total)
        assert [item.index for item in answer.value] == list(range(total))
        assert asked[2:] == [LOOKS_PER_PAGE + 2]
        total = 4
        clock.advance(3)
        answer = await data.looks("c", total=total)
        assert [item.index for item in answer.value] == list(range(4))
        for other in ("d", "e", "f"):
            await data.looks(other, total=total)
        assert set(data._looks) == {"e", "f"}
