"""Whatever a server does to a question, the caller gets an answer or a typed error."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import orjson
import pytest

from analysis.reading.client import CollectorClient
from analysis.reading.config import ReadingConfig
from analysis.reading.errors import (
    AnswerTooLarge,
    AnswerTruncated,
    AnswerUnusable,
    CollectorUnreachable,
    QuestionRefused,
)

SECOND_NS = 1_000_000_000
START = 1_790_000_000 * SECOND_NS
CONFIG = ReadingConfig(
    request_timeout_s=2.0,
    max_answer_bytes=4_000,
    settle_min_s=0.3,
    settle_max_s=3.0,
    step_s=1,
    low_traffic_step_s=4,
    low_traffic_events_per_s=1.0,
    catch_up_max_steps=60,
    audit_tile_s=20,
    audit_age_s=30,
    prime_s=30,
)


@asynccontextmanager
async def _server(status: int, body: bytes, *, length: int | None = None, is_mute: bool = False):
    """A socket that answers everybody alike; ``length`` may promise more than is sent."""

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        if is_mute:
            await reader.read()
        else:
            promised = len(body) if length is None else length
            head = f"HTTP/1.1 {status} X\r\nContent-Length: {promised}\r\n"
            writer.write(
                head.encode() + b"Location: /elsewhere\r\nConnection: close\r\n\r\n" + body
            )
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def _ask(url: str, config: ReadingConfig = CONFIG):
    client = CollectorClient(url, config)
    await client.open()
    try:
        return await client.blocks(
            "playback.starts",
            from_unix_nano=START,
            to_unix_nano=START + 5 * SECOND_NS,
            step_ns=SECOND_NS,
            matches=(),
            group_by=(),
        )
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (CollectorUnreachable, 500),
        (CollectorUnreachable, 503),
        (CollectorUnreachable, 302),  # a redirect is not followed
        (QuestionRefused, 400),
        (QuestionRefused, 404),
    ],
)
async def test_a_status_that_is_no_answer_has_a_name(answer, error, status):
    """A proper body does not help a status other than 200."""
    async with _server(status, orjson.dumps(answer())) as url:
        with pytest.raises(error):
            await _ask(url)


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b"\xff", b"<html></html>"])
async def test_a_body_that_is_no_answer_is_unusable(body):
    """Cut off, empty, of another kind."""
    async with _server(200, body) as url:
        with pytest.raises(AnswerUnusable):
            await _ask(url)


async def test_a_reply_that_breaks_off_is_unreachable(answer):
    """Less than was promised is not looked at, even if it happens to parse."""
    body = orjson.dumps(answer())
    async with _server(200, body, length=len(body) + 10) as url:
        with pytest.raises(CollectorUnreachable):
            await _ask(url)


async def test_more_than_the_allowed_bytes_are_not_read(answer):
    """One byte above the limit is too many, at the limit it is an answer."""
    body = orjson.dumps(answer())
    async with _server(200, body) as url:
        await _ask(url, replace(CONFIG, max_answer_bytes=len(body)))
        with pytest.raises(AnswerTooLarge):
            await _ask(url, replace(CONFIG, max_answer_bytes=len(body) - 1))


async def test_a_truncated_answer_is_an_error(answer):
    """The collector says itself that series are missing."""
    async with _server(200, orjson.dumps({**answer(), "truncated": True})) as url:
        with pytest.raises(AnswerTruncated):
            await _ask(url)


async def test_an_answer_about_another_window_is_unusable(answer):
    """Steps of another window would be taken as the asked ones."""
    async with _server(200, orjson.dumps(answer(steps=6))) as url:
        with pytest.raises(AnswerUnusable):
            await _ask(url)


async def test_silence_ends_with_the_deadline():
    """A server that never answers counts as unreachable."""
    async with _server(200, b"", is_mute=True) as url:
        with pytest.raises(CollectorUnreachable):
            await _ask(url, replace(CONFIG, request_timeout_s=0.2))


async def test_nobody_listens():
    """A port that was just given back."""
    async with _server(200, b"") as url:
        pass
    with pytest.raises(CollectorUnreachable):
        await _ask(url)
