"""New traces as they arrive: server-sent events, bounded in number, time and size.

Each event is one trace's summary, when a span of it that meets the conditions was first seen; spans
that come later are in the trace itself. What is missed while the store is busy comes with the next
look, which goes back LOOK_BACK_S; a pause longer than that is said.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any, Final

import orjson
from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from collector.query.errors import QueryError
from collector.query.questions import Questions, error_answer
from collector.store.errors import StoreError
from collector.store.reader import Window

#: Streams at once; one more is answered 503.
MAX_TAILS: Final = 16
#: A stream ends after so long; the client opens another.
MAX_TAIL_S: Final = 900.0
#: Between two looks; how far back each goes; how many traces of one look are sent.
LOOK_EVERY_S: Final = 1.0
LOOK_BACK_S: Final = 15.0
MAX_PER_LOOK: Final = 100
#: Ids remembered so that nothing is sent twice; far more than LOOK_BACK_S brings.
MAX_REMEMBERED: Final = 5_000
MEDIA_TYPE: Final = "text/event-stream"
_NS: Final = 1_000_000_000

Find = Callable[[Window, int], list[dict[str, Any]]]


class Tails:
    """The streams that are open."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._open = 0

    def answer(self, request: Request, find: Find) -> Response:
        """A stream of what ``find(window, limit)`` newly finds, the newest first in each look."""
        if self._open >= MAX_TAILS:
            return error_answer(503, "busy", f"{MAX_TAILS} streams are open", "fewer, or later")
        self._open += 1
        headers = {"Cache-Control": "no-store"}
        # Before the first byte: what comes while the client reads it is new, too.
        start = self._questions.clock.wall_unix_nano()
        return StreamingResponse(self._events(request, find, start), 200, headers, MEDIA_TYPE)

    async def _events(self, request: Request, find: Find, start: int) -> AsyncIterator[bytes]:
        clock = self._questions.clock
        ends_s = clock.monotonic_s() + MAX_TAIL_S
        known: OrderedDict[str, None] = OrderedDict()
        try:
            yield b"retry: 1000\n\n"
            while clock.monotonic_s() < ends_s and not await request.is_disconnected():
                now = clock.wall_unix_nano()
                window = Window(max(start, now - round(LOOK_BACK_S * _NS)), now + 1)
                try:
                    found = await self._questions.ask(partial(find, window, MAX_PER_LOOK))
                except (QueryError, StoreError) as error:
                    yield _event("missed", {"message": str(error)})
                    found = []
                new = [one for one in found if one["trace_id"] not in known]
                for one in reversed(new):
                    known[one["trace_id"]] = None
                    yield _event("trace", one)
                while len(known) > MAX_REMEMBERED:
                    known.popitem(last=False)
                if len(found) == MAX_PER_LOOK:
                    yield _event("missed", {"message": "more traces than are sent at once"})
                # Keeps proxies from closing a quiet stream.
                yield b": \n\n"
                await asyncio.sleep(LOOK_EVERY_S)
            yield _event("end", {"message": "open the stream again to go on"})
        finally:
            self._open -= 1


def _event(kind: str, data: Mapping[str, Any]) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"
