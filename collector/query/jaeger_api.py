"""Jaeger's query API, so that its page and Grafana's Jaeger data source can read this store.

Mounted under ``/jaeger``: services, operations, traces, one trace, dependencies. Paths, parameters
and answers are those of the server's HTTP JSON API; what it does not know it ignores, as Jaeger
does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI, Request, Response

from collector.query import jaeger_json, jaeger_params
from collector.query.errors import BadParameter, NotFound, QueryError
from collector.query.questions import Questions, json_answer
from collector.query.traces import span_json, trace_id_of
from collector.store import reader
from collector.store.engine import Store
from collector.store.errors import QueryTooExpensive, StoreError
from collector.store.points import text
from collector.store.reader import KIND_CODES, Window
from collector.wire.values import stored_json
from telemetry.clock import Clock

#: Spans all traces of one answer may hold together; the rest is left out with a warning.
MAX_SPANS: Final = 50_000
MAX_NAMES: Final = 10_000
_KIND_NAMES: Final = {code: name for name, code in KIND_CODES.items()}
_EVER: Final = Window(0, 7_258_118_400_000_000_000)


class JaegerApi:
    """The answers; each blocks."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def services(self) -> dict[str, Any]:
        """Names of every service heard."""
        rows = reader.instances(self._store, _EVER).to_pylist()
        names = sorted({text(row["service_name"]) for row in rows})
        return jaeger_json.answer(names, total=len(names))

    def operations(self, service: str, kind: str) -> dict[str, Any]:
        """``{name, spanKind}`` of a service's spans."""
        found = [
            {"name": name, "spanKind": _KIND_NAMES.get(code, "")}
            for name, code in self._names(service, jaeger_params.span_kind(kind))
        ]
        return jaeger_json.answer(found, total=len(found))

    def operation_names(self, service: str) -> dict[str, Any]:
        """Only their names, each once."""
        names = sorted({name for name, _ in self._names(service, None)})
        return jaeger_json.answer(names, total=len(names))

    def search(self, request: Request) -> dict[str, Any]:
        """Traces by id, or by service and conditions, the newest first."""
        query = request.query_params
        wanted_ids = query.getlist("traceID")
        if wanted_ids:
            return jaeger_json.answer(self._traces([_trace_id(one) for one in wanted_ids]))
        search = jaeger_params.trace_search(
            dict(query),
            query.getlist("tag"),
            query.getlist("tags"),
            now_unix_nano=self._clock.wall_unix_nano(),
        )
        table = reader.trace_ids(self._store, search.window, search.wanted, limit=search.limit)
        return jaeger_json.answer(
            self._traces([raw.hex() for raw in table["trace_id"].to_pylist()])
        )

    def trace(self, trace_id: str) -> dict[str, Any]:
        """One trace. Raises NotFound."""
        found = self._traces([_trace_id(trace_id)])
        if not found:
            raise NotFound("trace not found")
        return jaeger_json.answer(found)

    def dependencies(self, request: Request) -> dict[str, Any]:
        """Which service calls which, how often."""
        given = dict(request.query_params)
        window = jaeger_params.dependency_window(given, now_unix_nano=self._clock.wall_unix_nano())
        service = given.get("service", "")
        calls: dict[tuple[str, str], int] = {}
        for row in reader.edges(self._store, window).to_pylist():
            edge = (text(row["client"]), text(row["server"]))
            if not service or service in edge:
                calls[edge] = calls.get(edge, 0) + row["calls"]
        return jaeger_json.answer(
            [
                {"parent": parent, "child": child, "callCount": count}
                for (parent, child), count in sorted(calls.items())
            ]
        )

    def _names(self, service: str, kind: int | None) -> list[tuple[str, int]]:
        if not service:
            raise BadParameter("parameter 'service' is required", accepted="service=<name>")
        table = reader.span_names(self._store, service, kind=kind, limit=MAX_NAMES)
        return [(text(row["name"]), row["kind"]) for row in table.to_pylist()]

    def _traces(self, ids: list[str]) -> list[dict[str, Any]]:
        """Traces in the order of ``ids``; unknown ones are left out."""
        extent = reader.trace_extent(self._store, ids) if ids else None
        if extent is None:
            return []
        rows = reader.spans_of_traces(self._store, ids, extent, limit=MAX_SPANS + 1).to_pylist()
        spans: dict[str, list[dict[str, Any]]] = {}
        for row in rows[:MAX_SPANS]:
            spans.setdefault(text(row["trace_id_hex"]), []).append(span_json(row, stored_json))
        is_cut = len(rows) > MAX_SPANS
        last = text(rows[MAX_SPANS - 1]["trace_id_hex"]) if is_cut else ""
        return [
            jaeger_json.trace(one, spans[one], truncated=one == last) for one in ids if one in spans
        ]


def _trace_id(given: str) -> str:
    """Jaeger leaves out leading zeros."""
    return trace_id_of(given.rjust(32, "0"))


def build_jaeger_app(store: Store, questions: Questions) -> FastAPI:
    """The application to mount; questions share the pool of our own API."""
    app = FastAPI(title="Jaeger query API", version="1", docs_url=None, redoc_url=None)
    api = JaegerApi(store, questions.clock)

    async def run(answer: Callable[[], dict[str, Any]]) -> Response:
        try:
            return json_answer(await questions.ask(answer))
        except QueryError as error:
            return json_answer(jaeger_json.failure(error.status, _sentence(error)), error.status)
        except (QueryTooExpensive, StoreError) as error:
            return json_answer(jaeger_json.failure(503, str(error)), 503)

    @app.get("/api/services")
    async def services() -> Response:
        """Names of services."""
        return await run(api.services)

    @app.get("/api/operations")
    async def operations(service: str = "", spanKind: str = "") -> Response:  # noqa: N803 - theirs
        """Operations of a service with their span kinds."""
        return await run(lambda: api.operations(service, spanKind))

    @app.get("/api/services/{service:path}/operations")
    async def operation_names(service: str) -> Response:
        """Operations of a service by name."""
        return await run(lambda: api.operation_names(service))

    @app.get("/api/traces")
    async def search(request: Request) -> Response:
        """Traces that meet service, operation, tags, start, end, minDuration, maxDuration."""
        return await run(lambda: api.search(request))

    @app.get("/api/traces/{trace_id}")
    async def trace(trace_id: str) -> Response:
        """One trace."""
        return await run(lambda: api.trace(trace_id))

    @app.get("/api/dependencies")
    async def dependencies(request: Request) -> Response:
        """Who calls whom before ``endTs``, as far as ``lookback`` reaches."""
        return await run(lambda: api.dependencies(request))

    return app


def _sentence(error: QueryError) -> str:
    return f"{error}; accepted: {error.accepted}" if error.accepted else str(error)
