"""Asking the collector's read API: one bounded GET per question, typed failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import aiohttp
import orjson

from analysis.reading.answers import (
    BlocksAnswer,
    HeardInstance,
    SeriesAnswer,
    parse_blocks,
    parse_series,
    parse_services,
)
from analysis.reading.config import ReadingConfig
from analysis.reading.errors import (
    AnswerTooLarge,
    AnswerUnusable,
    CollectorUnreachable,
    QuestionRefused,
)

#: Questions under way at once; more wait for a connection.
MAX_CONNECTIONS: Final = 8
_SHOWN_CHARS: Final = 300


class CollectorClient:
    """``base_url`` such as ``http://127.0.0.1:4319``. All methods raise ReadingError.

    ``headers`` gives what every question carries.
    """

    def __init__(
        self,
        base_url: str,
        config: ReadingConfig,
        headers: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._headers = headers
        self._base_url = base_url.rstrip("/")
        self._config = config
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Open the connection pool; needs a running loop."""
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._config.request_timeout_s),
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS),
        )

    async def close(self) -> None:
        """Close the connection pool."""
        if self._session is not None:
            await self._session.close()

    async def blocks(
        self,
        metric: str,
        *,
        from_unix_nano: int,
        to_unix_nano: int,
        step_ns: int,
        matches: Sequence[str],
        group_by: Sequence[str],
    ) -> BlocksAnswer:
        """What was added per group and step, steps counted from ``from_unix_nano``."""
        parameters = _parameters(metric, from_unix_nano, to_unix_nano, step_ns, matches, group_by)
        answer = parse_blocks(await self._get("/api/v1/blocks", parameters))
        asked = (from_unix_nano, to_unix_nano, step_ns)
        if (answer.from_unix_nano, answer.to_unix_nano, answer.step_ns) != asked:
            raise AnswerUnusable("blocks: the answer is about another window than was asked for")
        return answer

    async def increase(
        self,
        metric: str,
        *,
        from_unix_nano: int,
        to_unix_nano: int,
        step_ns: int,
        matches: Sequence[str],
        group_by: Sequence[str],
        is_since_last: bool = False,
    ) -> SeriesAnswer:
        """Events added per group and step; for histograms the observations.

        ``is_since_last``: what a counter gained while nobody heard it counts where it is heard
        again; otherwise it counts nowhere once the silence is longer than the collector looks back.
        """
        parameters = _parameters(metric, from_unix_nano, to_unix_nano, step_ns, matches, group_by)
        parameters.append(("agg", "increase"))
        if is_since_last:
            parameters.append(("since_last", "true"))
        return parse_series(await self._get("/api/v1/series", parameters))

    async def instances(
        self, *, from_unix_nano: int, to_unix_nano: int
    ) -> tuple[HeardInstance, ...]:
        """Every instance heard in the window."""
        window = [("from", seconds_text(from_unix_nano)), ("to", seconds_text(to_unix_nano))]
        return parse_services(await self._get("/api/v1/services", window))

    async def promql_range(self, query: str, *, start_ms: int, end_ms: int, step_s: int) -> Any:
        """The JSON of Prometheus' ``query_range``, both ends included."""
        window = [("start", f"{start_ms / 1000:.3f}"), ("end", f"{end_ms / 1000:.3f}")]
        parameters = [("query", query), *window, ("step", str(step_s))]
        return await self._get("/prometheus/api/v1/query_range", parameters)

    async def metric_names(self) -> list[str]:
        """Names a PromQL query may select, sorted."""
        answer = await self._get("/prometheus/api/v1/label/__name__/values", ())
        names = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise AnswerUnusable("the names of metrics are no list of texts")
        return names

    async def _get(self, path: str, parameters: Iterable[tuple[str, str]]) -> Any:
        assert self._session is not None, "CollectorClient.open() comes first"
        try:
            async with self._session.get(
                self._base_url + path,
                params=list(parameters),
                headers=self._headers(),
                allow_redirects=False,
            ) as reply:
                raw = await self._read(reply)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = str(error) or f"no answer within {self._config.request_timeout_s:g} s"
            raise CollectorUnreachable(f"{path}: {type(error).__name__}: {why}") from error
        if reply.status != 200:
            text = raw[:_SHOWN_CHARS].decode("utf-8", "replace")
            kind = QuestionRefused if 400 <= reply.status < 500 else CollectorUnreachable
            raise kind(f"{path}: {reply.status} {text}")
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise AnswerUnusable(f"{path}: {error}") from error

    async def _read(self, reply: aiohttp.ClientResponse) -> bytes:
        """The whole body, at most ``max_answer_bytes`` of it."""
        limit = self._config.max_answer_bytes
        parts: list[bytes] = []
        size = 0
        async for part in reply.content.iter_chunked(1 << 16):
            size += len(part)
            if size > limit:
                reply.close()
                raise AnswerTooLarge(f"{reply.url.path}: more than {limit} bytes")
            parts.append(part)
        return b"".join(parts)


def _parameters(
    metric: str,
    from_unix_nano: int,
    to_unix_nano: int,
    step_ns: int,
    matches: Sequence[str],
    group_by: Sequence[str],
) -> list[tuple[str, str]]:
    parameters = [
        ("metric", metric),
        ("from", seconds_text(from_unix_nano)),
        ("to", seconds_text(to_unix_nano)),
        ("step_s", f"{step_ns / 1e9:.9g}"),
        *(("match", text) for text in matches),
    ]
    if group_by:
        parameters.append(("group_by", ",".join(group_by)))
    return parameters


def seconds_text(unix_nano: int) -> str:
    """Unix seconds with every nanosecond, as the API reads them exactly."""
    return f"{unix_nano // 1_000_000_000}.{unix_nano % 1_000_000_000:09d}"
