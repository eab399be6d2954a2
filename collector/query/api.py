"""The read API: one GET per question, strict parameters, answers as JSON.

Times come in as Unix seconds, RFC 3339 or ``now-15m`` and go out as Unix nanoseconds. Errors have
one shape: ``{"error": {"code", "message", "accepted"}}``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from collector.config import StoreConfig
from collector.query import arrow, metrics, params, requests, traces
from collector.query.errors import BadParameter, QueryError
from collector.query.exemplars import add_exemplar_routes
from collector.query.health import health
from collector.query.jaeger_api import build_jaeger_app
from collector.query.live import Tails
from collector.query.logs import add_log_routes
from collector.query.metrics import MetricQuery
from collector.query.questions import (
    Answer,
    FromText,
    MatchTexts,
    Questions,
    StepText,
    Text,
    ToText,
    bounds,
    error_answer,
    json_answer,
    refuse_unknown,
)
from collector.query.snapshots import snapshot_routes
from collector.store.engine import Store
from collector.store.points import SeriesCache
from collector.store.reader import KIND_CODES, RED_GROUPS, TraceFilter, Window
from telemetry.clock import Clock

MAX_TRACES: Final = 500


class Ingest(Protocol):
    """What the receiving half tells about itself."""

    def accounting(self) -> Mapping[str, Any]:
        """received, stored, rejected, pending, wal_bytes, lag_s, ..."""
        ...

    def is_ready(self) -> bool:
        """Whether bodies are accepted right now."""
        ...


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
    questions = Questions(config.query_connections, clock)

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
    add_log_routes(app, questions, store)
    add_exemplar_routes(app, questions, store)
    app.mount("/jaeger", build_jaeger_app(store, questions))
    return app


def _add_health(app: FastAPI, ingest: Ingest, registry: CollectorRegistry) -> None:
    @app.get("/api/v1/ingest")
    async def ingest_accounting() -> Response:
        """What was received, stored, refused and is still waiting."""
        return json_answer(dict(ingest.accounting()))

    @app.get("/metrics")
    async def self_metrics() -> Response:
        """The collector's own metrics in Prometheus text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/healthz")
    async def healthz() -> Response:
        """The process answers."""
        return json_answer({"status": "ok"})

    @app.get("/readyz")
    async def readyz() -> Response:
        """200 while bodies are accepted, else 503."""
        if ingest.is_ready():
            return json_answer({"status": "ready"})
        return error_answer(503, "not_ready", "bodies are not accepted right now", "the same later")


def _no_targets() -> dict[str, Any]:
    return {"targets": [], "problems": []}


def _add_state(
    app: FastAPI,
    questions: Questions,
    store: Store,
    ingest: Ingest,
    config: StoreConfig,
    scrape_status: Answer,
) -> None:
    @app.get("/api/v1/scrape")
    async def scrape() -> Response:
        """Targets with their newest scrape, and what is wrong with the files that name them."""
        return json_answer(scrape_status())

    @app.get("/api/v1/health")
    async def state(request: Request) -> Response:
        """What is behind, refused, full or silent; status ok or degraded, with reasons."""
        books, targets, is_ready = ingest.accounting(), scrape_status(), ingest.is_ready()
        return await questions.run(
            request, lambda: health(store, books, targets, config, is_ready=is_ready)
        )


def _add_metric_routes(
    app: FastAPI, questions: Questions, store: Store, config: StoreConfig
) -> None:
    cache = SeriesCache()
    look_back_ns = round(config.series_look_back_s * 1e9)

    @app.get("/api/v1/metrics")
    async def list_metrics(
        request: Request, from_text: FromText = None, to_text: ToText = None
    ) -> Response:
        """Metrics heard in the window."""

        def answer() -> dict[str, Any]:
            span = questions.window(from_text, to_text)
            return {"metrics": metrics.list_metrics(store, span), **bounds(span)}

        return await questions.run(request, answer)

    def question(
        span: Window,
        step: int,
        metric: Text,
        match: list[str],
        by: Text,
        *,
        is_since_last: bool = False,
    ) -> MetricQuery:
        return MetricQuery(
            metric=params.required("metric", metric),
            window=span,
            step_ns=step,
            matches=params.matches(match),
            group_by=params.group_keys(by),
            look_back_ns=look_back_ns,
            max_series=config.max_series_per_query,
            is_since_last=is_since_last,
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
        *,
        since_last: Text = None,
    ) -> Response:
        """Points for charts; steps are aligned to multiples of step_s, null means no data.

        ``since_last=true`` (with agg=increase): what a counter gained while it was not heard
        counts in the step in which it is heard again.
        """

        def answer() -> dict[str, Any]:
            span = questions.window(from_text, to_text)
            step = params.step_ns(step_s, span)
            span = params.aligned(span, step)
            if agg is not None:
                params.one_of("agg", agg, metrics.AGGREGATIONS)
            is_since_last = params.boolean("since_last", since_last)
            if is_since_last and agg != "increase":
                raise BadParameter("since_last is about what was added", accepted="agg=increase")
            asked = question(span, step, metric, match, group_by, is_since_last=is_since_last)
            body = metrics.series(store, cache, asked, agg)
            return {**body, **bounds(span), "step_s": step / 1e9}

        return await questions.run(request, answer, arrow.series_table)

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
            span = questions.window(from_text, to_text)
            step = params.step_ns(step_s, span)
            body = metrics.blocks(store, cache, question(span, step, metric, match, group_by))
            return {**body, **bounds(span), "step_s": step / 1e9}

        return await questions.run(request, answer)


def _add_request_routes(app: FastAPI, questions: Questions, store: Store) -> None:
    @app.get("/api/v1/services")
    async def services(
        request: Request, from_text: FromText = None, to_text: ToText = None
    ) -> Response:
        """Services heard in the window with the rates of their server spans."""

        def answer() -> dict[str, Any]:
            span = questions.window(from_text, to_text)
            return {"services": requests.list_services(store, span), **bounds(span)}

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
            return {"groups": groups, **bounds(span), "step_s": step}

        return await questions.run(request, answer, arrow.red_table)

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
            return {**body, **bounds(span), "step_s": step}

        return await questions.run(request, answer, arrow.heatmap_table)

    @app.get("/api/v1/operations")
    async def operations(
        request: Request,
        service: Text = None,
        from_text: FromText = None,
        to_text: ToText = None,
    ) -> Response:
        """Server operations of one service."""

        def answer() -> dict[str, Any]:
            span = questions.window(from_text, to_text)
            name = params.required("service", service)
            return {
                "operations": requests.operations(store, span, service=name),
                **bounds(span),
            }

        return await questions.run(request, answer)

    @app.get("/api/v1/topology")
    async def topology(
        request: Request, from_text: FromText = None, to_text: ToText = None
    ) -> Response:
        """Who calls whom."""

        def answer() -> dict[str, Any]:
            span = questions.window(from_text, to_text)
            return {**requests.topology(store, span), **bounds(span)}

        return await questions.run(request, answer)


def _add_trace_routes(app: FastAPI, questions: Questions, store: Store) -> None:
    @app.get("/api/v1/traces")
    async def find(
        request: Request,
        *,
        service: Text = None,
        version: Text = None,
        cohort: Text = None,
        operation: Text = None,
        kind: Text = None,
        min_duration_s: Text = None,
        max_duration_s: Text = None,
        error: Text = None,
        match: MatchTexts = [],  # noqa: B006 - FastAPI copies it
        from_text: FromText = None,
        to_text: ToText = None,
        limit: Text = None,
    ) -> Response:
        """The newest traces with a span that meets all conditions."""

        def answer() -> dict[str, Any]:
            span = questions.window(from_text, to_text)
            wanted = TraceFilter(
                service=service,
                version=version,
                cohort=cohort,
                operation=operation,
                kind=KIND_CODES[params.one_of("kind", kind, KIND_CODES)] if kind else None,
                min_duration_ns=params.optional_duration_ns("min_duration_s", min_duration_s),
                max_duration_ns=params.optional_duration_ns("max_duration_s", max_duration_s),
                matches=params.matches(match),
                is_error=params.boolean("error", error),
            )
            count = params.integer("limit", limit or "20", low=1, high=MAX_TRACES)
            found = traces.find_traces(store, span, wanted, limit=count)
            return {"traces": found, "truncated": len(found) == count, **bounds(span)}

        return await questions.run(request, answer)

    tails = Tails(questions)

    # Not in the description: a program that tries every route would wait for its end.
    @app.get("/api/v1/traces/live", include_in_schema=False)
    async def live(
        request: Request,
        *,
        service: Text = None,
        operation: Text = None,
        min_duration_s: Text = None,
        error: Text = None,
        match: MatchTexts = [],  # noqa: B006 - FastAPI copies it
    ) -> Response:
        """New traces with a span that meets all conditions, as server-sent events."""
        try:
            refuse_unknown(request)
            wanted = TraceFilter(
                service=service,
                operation=operation,
                min_duration_ns=params.optional_duration_ns("min_duration_s", min_duration_s),
                matches=params.matches(match),
                is_error=params.boolean("error", error),
            )
        except QueryError as problem:
            return error_answer(problem.status, problem.code, str(problem), problem.accepted)
        return tails.answer(
            request, lambda span, limit: traces.find_traces(store, span, wanted, limit=limit)
        )

    @app.get("/api/v1/traces/{trace_id}")
    async def one(request: Request, trace_id: str) -> Response:
        """One trace in full."""
        return await questions.run(request, lambda: traces.one_trace(store, trace_id))


def _rollup_window(
    questions: Questions, from_text: str | None, to_text: str | None, step_text: str | None
) -> tuple[Window, int]:
    span = questions.window(from_text, to_text)
    step_s = params.whole_step_s(step_text, span)
    return params.aligned(span, step_s * 1_000_000_000), step_s
