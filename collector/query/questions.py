"""How a question is run and answered: bounded, timed, every failure in the one error shape."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Final, TypeVar

import orjson
from fastapi import Query, Request, Response

from collector.query import arrow, params
from collector.query.errors import BadParameter, Busy, QueryError
from collector.store.errors import QueryTooExpensive, StoreError
from collector.store.reader import Window
from telemetry.clock import Clock

_T = TypeVar("_T")

#: Questions that may wait for a connection; one more is answered 503 at once.
MAX_WAITING: Final = 64

Text = Annotated[str | None, Query()]
FromText = Annotated[str | None, Query(alias="from", description=params.TIME_ACCEPTED)]
ToText = Annotated[str | None, Query(alias="to", description=params.TIME_ACCEPTED)]
StepText = Annotated[str | None, Query(description=params.DURATION_ACCEPTED)]
MatchTexts = Annotated[list[str], Query(description=params.MATCH_ACCEPTED)]
Answer = Callable[[], dict[str, Any]]


class Questions:
    """Runs blocking answers on a bounded pool and turns every failure into the one error shape."""

    def __init__(self, workers: int, clock: Clock) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="query")
        self._limit = workers + MAX_WAITING
        self._running = 0
        self.clock = clock

    async def ask(self, answer: Callable[[], _T]) -> _T:
        """What ``answer`` returns or raises; it runs on a worker thread. Raises Busy."""
        if self._running >= self._limit:
            raise Busy("too many questions at once", accepted="fewer at a time")
        self._running += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, answer)
        finally:
            self._running -= 1

    async def run(
        self, request: Request, answer: Answer, to_table: arrow.ToTable | None = None
    ) -> Response:
        """The response to one question of our own API; with ``to_table`` also as Arrow."""
        is_arrow = arrow.is_asked_for(request.headers.get("accept", ""))
        if is_arrow and to_table is None:
            return error_answer(406, "not_acceptable", "no Arrow here", "application/json")
        started_s = self.clock.monotonic_s()
        try:
            refuse_unknown(request)
            body = await self.ask(answer)
        except QueryError as error:
            return error_answer(error.status, error.code, str(error), error.accepted)
        except QueryTooExpensive as error:
            return error_answer(503, "too_expensive", str(error), "a shorter window or longer step")
        except StoreError as error:
            return error_answer(503, "store_unavailable", str(error), "the same request later")
        body["query_time_s"] = round(self.clock.monotonic_s() - started_s, 6)
        body.setdefault("truncated", False)
        if is_arrow and to_table is not None:
            table = to_table(body)
            return Response(arrow.stream(table, body), media_type=arrow.MEDIA_TYPE)
        return json_answer(body)

    def window(self, from_text: str | None, to_text: str | None) -> Window:
        """[from, to) as asked for, by default the last 15 minutes."""
        return params.window(from_text, to_text, now_unix_nano=self.clock.wall_unix_nano())

    def close(self) -> None:
        """Wait for running answers, drop those that have not begun."""
        self._pool.shutdown(cancel_futures=True)


def bounds(span: Window) -> dict[str, int]:
    """The window an answer is about."""
    return {"from_unix_nano": span.from_unix_nano, "to_unix_nano": span.to_unix_nano}


def json_answer(body: Any, status: int = 200) -> Response:
    """A JSON response."""
    return Response(
        orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS),
        status_code=status,
        media_type="application/json",
    )


def error_answer(status: int, code: str, message: str, accepted: str) -> Response:
    """The one shape of errors."""
    return json_answer({"error": {"code": code, "message": message, "accepted": accepted}}, status)


def refuse_unknown(request: Request) -> None:
    """Raises BadParameter for a parameter the route does not have."""
    route = request.scope["route"]
    known = {field.alias for field in route.dependant.query_params}
    for name in request.query_params:
        if name not in known:
            raise BadParameter(
                f"unknown parameter {name[:100]!r}", accepted=", ".join(sorted(known)) or "none"
            )
