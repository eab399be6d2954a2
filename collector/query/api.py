"""The read API: one GET per question, strict parameters, answers as JSON.

Times come in as Unix seconds, RFC 3339 or ``now-15m`` and go out as Unix nanoseconds. Errors have
one shape: ``{"error": {"code", "message", "accepted"}}``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final, Protocol

import orjson
from fastapi import FastAPI, Query, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from collector.config import StoreConfig
from collector.query import metrics, params, requests, traces
from collector.query.errors import BadParameter, QueryError
from collector.query.health import health
from collector.query.metrics import MetricQuery
from collector.query.snapshots import snapshot_routes
from collector.store.engine import Store
from collector.store.errors import QueryTooExpensive, StoreError
from collector.store.points import SeriesCache
from collector.store.reader import RED_GROUPS, TraceFilter, Window
from telemetry.clock import Clock

#: Questions that may wait for a connection; one more is answered 503 at once.
MAX_WAITING: Final = 64
MAX_TRACES: Final = 500

Text = Annotated[str | None, Query()]
FromText = Annotated[str | None, Query(alias="from", description=params.TIME_ACCEPTED)]
ToText = Annotated[str | None, Query(alias="to", description=params.TIME_ACCEPTED)]
StepText = Annotated[str | None, Query(description=params.DURATION_ACCEPTED)]
MatchTexts = Annotated[list[str], Query(description=params.MATCH_ACCEPTED)]
Answer = Callable[[], dict[str, Any]]


class Ingest(Protocol):
    """What the receiving half tells about itself."""

    def accounting(self) -> Mapping[str, Any]:
        """received, stored, rejected, pending, wal_bytes, lag_s, ..."""
        ...

    def is_ready(self) -> bool:
        """Whether bodies are accepted right now."""
        ...


class _Questions:
    """Runs blocking answers on a bounded pool and turns every failure into the one error shape."""

    def __init__(self, workers: int, clock: Clock) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="query")
        self._limit = workers + MAX_WAITING
        self._running = 0
        self.clock = clock

    async def run(self, request: Request, answer: Answer) -> Response:
        """The response to one question; ``answer`` runs on a worker thread."""
        if self._running >= self._limit:
            return _error(503, "busy", "too many questions at once", "fewer at a time")
        self._running += 1
        started_s = self.clock.monotonic_s()
        try:
            _refuse_unknown(request)
            body = await asyncio.get_running_loop().run_in_executor(self._pool, answer)
        except QueryError as error:
            return _error(error.status, error.code, str(error), error.accepted)
        except QueryTooExpensive as error:
            return _error(503, "too_expensive", str(error), "a shorter window or a longer step")
        except StoreError as error:
            return _error(503, "store_unavailable", str(error), "the same request later")
        finally:
            self._running -= 1
        body["query_time_s"] = round(self.clock.monotonic_s() - started_s, 6)
        body.setdefault("truncated", False)
        return _json(body)

    def close(self) -> None:
        """Wait for running answers, drop those that have not begun."""
        self._pool.shutdown(cancel_futures=True)


def build_app(
    store: Store,
    ingest: Ingest,
    clock: Clock,
    *,
    registry: CollectorRegistry,
    config: StoreConfig,
    scrape_status: Answer | None = None,
) -> FastAPI:
    """The application; it closes its own worker pool, never the store."""
    questions = _Questions(config.query_connections, clock)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        questions.close()

    app = FastAPI(title="Davylamp collector", version="1", lifespan=lifespan)
    _add_health(app, ingest, registry)
    _add_state(app, questions, store, ingest, config, scrape_status or _no_targets)
    app.include_router(snapshot_routes(store))
    _add_metric_routes(app, questions, store, config)
    _add_request_routes(app, questions, store)
    _add_trace_routes(app, questions, store)
    return app


def _add_health(app: FastAPI, ingest: Ingest, registry: CollectorRegistry) -> None:
    @app.get("/api/v1/ingest")
    async def ingest_accounting() -> Response:
        """What was received, stored, refused and is still waiting."""
        return _json(dict(ingest.accounting()))

    @app.get("/metrics")
    async def self_metrics() -> Response:
        """The collector's own metrics in Prometheus text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/healthz")
    async def healthz() -> Response:
        """The process answers."""
        return _json({"status": "ok"})

    @app.get("/readyz")
    async def readyz() -> Response:
        """200 while bodies are accepted, else 503."""
        if ingest.is_ready():
            return _json({"status": "ready"})
        return _error(503, "not_ready", "bodies are not accepted right now", "the same later")


def _no_targets() -> dict[str, Any]:
    return {"targets": [], "problems": []}


def _add_state(
    app: FastAPI,
    questions: _Questions,
    store: Store,
    ingest: Ingest,
    config: StoreConfig,
    scrape_status: Answer,
) -> None:
    @app.get("/api/v1/scrape")
    async def scrape() -> Response:
        """Targets with their newest scrape, and what is wrong with the files that name them."""
        return _json(scrape_status())

    @app.get("/api/v1/health")
    async def state(request: Request) -> Response:
        """What is behind, refused, full or silent; status ok or degraded, with reasons."""
        books, targets, is_ready = ingest.accounting(), scrape_status(), ingest.is_ready()
        return await questions.run(
            request, lambda: health(store, books, targets, config, is_ready=is_ready)
        )


def _add_metric_routes(
    app: FastAPI, questions: _Questions, store: Store, config: StoreConfig
) -> None:
    cache = SeriesCache()
    look_back_ns = round(config.series_look_back_s * 1e9)

    @app.get("/api/v1/metrics")
    async def list_metrics(
        request: Request, from_text: FromText = None, to_text: ToText = None
    ) -> Response:
        """Metrics heard in the window."""

        def answer() -> dict[str, Any]:
            span = _window(questions, from_text, to_text)
            return {"metrics": metrics.list_metrics(store, span), **_bounds(span)}

        return await questions.run(request, answer)

    def question(span: Window, step: int, metric: Text, match: list[str], by: Text) -> MetricQuery:
        return MetricQuery(
            metric=params.required("metric", metric),
            window=span,
            step_ns=step,
            matches=params.matches(match),
            group_by=params.group_keys(by),
            look_back_ns=look_back_ns,
            max_series=config.max_series_per_query,
        )

    @app.get("/api/v1/series")
    async def series(
        request: Request,
        metric: Text = None,
        match: MatchTexts = [],  # noqa: B006 - FastAPI copies it
        group_by: Text = None,
        from_text: FromText = None,
        to_text: ToText = None,
        step_s: StepText = None,
        agg: Text = None,
    ) -> Response:
        """Points for charts; steps are aligned to multiples of step_s, null means no data."""

        def answer() -> dict[str, Any]:
            span = _window(questions, from_text, to_text)
            step = params.step_ns(step_s, span)
            span = params.aligned(span, step)
            if agg is not None:
                params.one_of("agg", agg, metrics.AGGREGATIONS)
            body = metrics.series(store, cache, question(span, step, metric, match, group_by), agg)
            return {**body, **_bounds(span), "step_s": step / 1e9}

        return await questions.run(request, answer)

    @app.get("/api/v1/blocks")
    async def blocks(
        request: Request,
        metric: Text = None,
        match: MatchTexts = [],  # noqa: B006 - FastAPI copies it
        group_by: Text = None,
        from_text: FromText = None,
        to_text: ToText = None,
        step_s: StepText = None,
    ) -> Response:
        """What arrived per interval, counted from ``from`` in steps of step_s."""

        def answer() -> dict[str, Any]:
            span = _window(questions, from_text, to_text)
            step = params.step_ns(step_s, span)
            body = metrics.blocks(store, cache, question(span, step, metric, match, group_by))
            return {**body, **_bounds(span), "step_s": step / 1e9}

        return await questions.run(request, answer)


def _add_request_routes(app: FastAPI, questions: _Questions, store: Store) -> None:
    @app.get("/api/v1/services")
    async def services(
        request: Request, from_text: FromText = None, to_text: ToText = None
    ) -> Response:
        """Services heard in the window with the rates of their server spans."""

        def answer() -> dict[str, Any]:
            span = _window(questions, from_text, to_text)
            return {"services": requests.list_services(store, span), **_bounds(span)}

        return await questions.run(request, answer)

    @app.get("/api/v1/red")
    async def red(
        request: Request,
        service: Text = None,
        group_by: Text = None,
        from_text: FromText = None,
        to_text: ToText = None,
        step_s: StepText = None,
    ) -> Response:
        """Requests, errors and durations of one service per step."""

        def answer() -> dict[str, Any]:
            span, step = _rollup_window(questions, from_text, to_text, step_s)
            if group_by is not None:
                params.one_of("group_by", group_by, RED_GROUPS)
            groups = requests.red(
                store,
                span,
                service=params.required("service", service),
                group_by=group_by,
                step_s=step,
            )
            return {"groups": groups, **_bounds(span), "step_s": step}

        return await questions.run(request, answer)

    @app.get("/api/v1/heatmap")
    async def heatmap(
        request: Request,
        service: Text = None,
        from_text: FromText = None,
        to_text: ToText = None,
        step_s: StepText = None,
    ) -> Response:
        """Counts by step and duration bucket."""

        def answer() -> dict[str, Any]:
            span, step = _rollup_window(questions, from_text, to_text, step_s)
            name = params.required("service", service)
            body = requests.heatmap(store, span, service=name, step_s=step)
            return {**body, **_bounds(span), "step_s": step}

        return await questions.run(request, answer)

    @app.get("/api/v1/operations")
    async def operations(
        request: Request,
        service: Text = None,
        from_text: FromText = None,
        to_text: ToText = None,
    ) -> Response:
        """Server operations of one service."""

        def answer() -> dict[str, Any]:
            span = _window(questions, from_text, to_text)
            name = params.required("service", service)
            return {
                "operations": requests.operations(store, span, service=name),
                **_bounds(span),
            }

        return await questions.run(request, answer)

    @app.get("/api/v1/topology")
    async def topology(
        request: Request, from_text: FromText = None, to_text: ToText = None
    ) -> Response:
        """Who calls whom."""

        def answer() -> dict[str, Any]:
            span = _window(questions, from_text, to_text)
            return {**requests.topology(store, span), **_bounds(span)}

        return await questions.run(request, answer)


def _add_trace_routes(app: FastAPI, questions: _Questions, store: Store) -> None:
    @app.get("/api/v1/traces")
    async def find(
        request: Request,
        *,
        service: Text = None,
        version: Text = None,
        cohort: Text = None,
        min_duration_s: Text = None,
        error: Text = None,
        from_text: FromText = None,
        to_text: ToText = None,
        limit: Text = None,
    ) -> Response:
        """The newest traces with a span that meets all conditions."""

        def answer() -> dict[str, Any]:
            span = _window(questions, from_text, to_text)
            wanted = TraceFilter(
                service=service,
                version=version,
                cohort=cohort,
                min_duration_ns=(
                    params.duration_ns("min_duration_s", min_duration_s) if min_duration_s else 0
                ),
                is_error=params.boolean("error", error),
            )
            count = params.integer("limit", limit or "20", low=1, high=MAX_TRACES)
            found = traces.find_traces(store, span, wanted, limit=count)
            return {"traces": found, "truncated": len(found) == count, **_bounds(span)}

        return await questions.run(request, answer)

    @app.get("/api/v1/traces/{trace_id}")
    async def one(request: Request, trace_id: str) -> Response:
        """One trace in full."""
        return await questions.run(request, lambda: traces.one_trace(store, trace_id))


def _window(questions: _Questions, from_text: str | None, to_text: str | None) -> Window:
    return params.window(from_text, to_text, now_unix_nano=questions.clock.wall_unix_nano())


def _rollup_window(
    questions: _Questions, from_text: str | None, to_text: str | None, step_text: str | None
) -> tuple[Window, int]:
    span = _window(questions, from_text, to_text)
    step_s = params.whole_step_s(step_text, span)
    return params.aligned(span, step_s * 1_000_000_000), step_s


def _bounds(span: Window) -> dict[str, int]:
    return {"from_unix_nano": span.from_unix_nano, "to_unix_nano": span.to_unix_nano}


def _refuse_unknown(request: Request) -> None:
    route = request.scope["route"]
    known = {field.alias for field in route.dependant.query_params}
    for name in request.query_params:
        if name not in known:
            raise BadParameter(
                f"unknown parameter {name[:100]!r}", accepted=", ".join(sorted(known)) or "none"
            )


def _json(body: Any, status: int = 200) -> Response:
    return Response(
        orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS),
        status_code=status,
        media_type="application/json",
    )


def _error(status: int, code: str, message: str, accepted: str) -> Response:
    return _json({"error": {"code": code, "message": message, "accepted": accepted}}, status)
