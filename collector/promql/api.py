"""The Prometheus HTTP API over the store, for Grafana, Perses and whoever speaks PromQL.

To be mounted under a prefix; a data source's URL is then ``http://host:port/prefix``. Requests are
GET, or POST with a form body, as Prometheus has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from collector.promql.ast_json import tree_json
from collector.promql.catalog import TRUNCATED, Catalog
from collector.promql.config import PromqlConfig
from collector.promql.engine import Engine, EngineConfig, Result, SeriesPoints
from collector.promql.errors import (
    BadData,
    InvalidExpression,
    PromqlError,
    QueryUnavailable,
    UnknownRoute,
)
from collector.promql.exposition import CONTENT_TYPE, exposition
from collector.promql.http_answers import error_body, query_data, success_body
from collector.promql.http_params import Parameters, parse_form
from collector.promql.limits import Meter, QueryLimits
from collector.promql.parser import parse, parse_selector
from collector.promql.selecting import QueryTimes
from collector.promql.semantics import PROMETHEUS_2, PROMETHEUS_3
from collector.promql.source import StoreSource
from collector.store.engine import Store
from telemetry.clock import Clock

__all__ = ["PrometheusApi", "build_prometheus_app"]

_logger = logging.getLogger(__name__)
#: The release whose API and language these answers follow; clients choose features by it.
COMPATIBLE_VERSIONS: Final = {2: "2.42.0", 3: "3.14.0"}
_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
Answer = Callable[[Parameters], bytes]
_T = TypeVar("_T")


def build_prometheus_app(
    store: Store, clock: Clock, *, config: PromqlConfig, registry: CollectorRegistry
) -> Starlette:
    """The application; ``app.state.api.close()`` ends its workers where no lifespan runs."""
    return PrometheusApi(store, clock, config=config, registry=registry).app()


class PrometheusApi:
    """Answers the routes; queries run on a bounded pool of threads."""

    def __init__(
        self, store: Store, clock: Clock, *, config: PromqlConfig, registry: CollectorRegistry
    ) -> None:
        self._config = config
        self._clock = clock
        self._limits = QueryLimits(
            max_samples=config.max_samples,
            max_series=config.max_series,
            max_steps=config.max_steps,
            max_subquery_steps=config.max_subquery_steps,
            timeout_s=config.timeout_s,
        )
        source = StoreSource(store, config.promoted_resource_attributes)
        self._engine = Engine(
            source,
            clock,
            EngineConfig(
                semantics=PROMETHEUS_2 if config.prometheus_version == 2 else PROMETHEUS_3,
                lookback_ms=round(config.lookback_s * 1000),
                default_step_ms=round(config.default_step_s * 1000),
                limits=self._limits,
            ),
        )
        self._catalog = Catalog(source, lambda: Meter(self._limits, clock))
        self._pool = ThreadPoolExecutor(config.workers, thread_name_prefix="promql")
        self._metrics = _Metrics(registry)
        self._running = 0

    def close(self) -> None:
        """Wait for running queries, refuse new ones."""
        self._pool.shutdown()

    def app(self) -> Starlette:
        """The routes."""

        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            yield
            self.close()

        both = ["GET", "POST"]
        routes = [
            self._route("/api/v1/query", self._query, both),
            self._route("/api/v1/query_range", self._query_range, both),
            self._route("/api/v1/query_exemplars", self._exemplars, both),
            self._route("/api/v1/series", self._series, both),
            self._route("/api/v1/labels", self._labels, both),
            self._route("/api/v1/label/{name}/values", self._label_values, ["GET"]),
            self._route("/api/v1/metadata", self._metadata, ["GET"]),
            self._route("/api/v1/parse_query", self._parse_query, both),
            self._route("/api/v1/rules", self._rules, ["GET"]),
            self._route("/api/v1/alerts", self._alerts, ["GET"]),
            self._route("/api/v1/status/buildinfo", self._build_info, ["GET"]),
            self._route("/federate", self._federate, ["GET"], media_type=CONTENT_TYPE),
            self._route("/{rest:path}", _unknown, [*both, "PUT", "DELETE"]),
        ]
        app = Starlette(routes=routes, lifespan=lifespan)
        app.state.api = self
        return app

    def _route(
        self, path: str, answer: Answer, methods: list[str], *, media_type: str = _JSON
    ) -> Route:
        async def endpoint(request: Request) -> Response:
            return await self._respond(request, answer, media_type)

        return Route(path, endpoint, methods=methods)

    async def _respond(self, request: Request, answer: Answer, media_type: str) -> Response:
        started_s = self._clock.monotonic_s()
        status, body = 200, b""
        try:
            fields = parse_form(*(await self._forms(request)))
            fields["name"] = [request.path_params.get("name", "")]
            parameters = Parameters(fields, self._clock.wall_unix_nano() // 1_000_000)
            body = await self._run(answer, parameters)
        except PromqlError as error:
            status, media_type = error.status, _JSON
            body = error_body(error.error_type, str(error))
        except _TooLarge as error:
            status, media_type = 413, _JSON
            body = error_body("bad_data", str(error))
        except ClientDisconnect:
            status = 499
        except Exception:
            # A bug of ours must not end the process that owns the store.
            _logger.exception("query failed: %s", request.url.path)
            status, media_type = 500, _JSON
            body = error_body("internal", "internal error; the collector's log says more")
        self._metrics.answered(status, self._clock.monotonic_s() - started_s)
        return Response(body, status_code=status, media_type=media_type)

    async def _run(self, answer: Answer, parameters: Parameters) -> bytes:
        if self._running >= self._config.workers + self._config.max_waiting:
            raise QueryUnavailable("too many queries at once; fewer at a time are answered")
        self._running += 1
        self._metrics.running.set(self._running)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, answer, parameters)
        finally:
            self._running -= 1
            self._metrics.running.set(self._running)

    async def _forms(self, request: Request) -> list[str]:
        """The form body, then the query string: the body's value of a field comes first."""
        if request.method != "POST":
            return [request.url.query]
        if request.headers.get("content-type", _FORM).split(";")[0].strip().lower() != _FORM:
            raise BadData(f"a POST body must be {_FORM}")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._config.max_body_bytes:
                raise _TooLarge(f"body of more than {self._config.max_body_bytes} bytes")
        return [body.decode("utf-8", "replace"), request.url.query]

    def _query(self, parameters: Parameters) -> bytes:
        result = _asked(
            lambda: self._engine.instant(
                parameters.text("query"),
                parameters.instant_ms(),
                timeout_s=_timeout_s(parameters),
                lookback_ms=parameters.duration_ms("lookback_delta"),
            )
        )
        return self._answer(result, parameters)

    def _query_range(self, parameters: Parameters) -> bytes:
        times = QueryTimes(*parameters.range_ms())
        result = _asked(
            lambda: self._engine.range(
                parameters.text("query"),
                times,
                timeout_s=_timeout_s(parameters),
                lookback_ms=parameters.duration_ms("lookback_delta"),
            )
        )
        return self._answer(result, parameters)

    def _answer(self, result: Result, parameters: Parameters) -> bytes:
        self._metrics.samples.inc(result.samples_read)
        series, warnings = list(result.series), list(result.warnings)
        limit = parameters.limit()
        if limit and len(series) > limit:
            series, warnings = series[:limit], [*warnings, TRUNCATED]
        return success_body(query_data(result, series), warnings=warnings, infos=result.infos)

    def _series(self, parameters: Parameters) -> bytes:
        return _listed(self._catalog.series(parameters), parameters)

    def _labels(self, parameters: Parameters) -> bytes:
        return _listed(self._catalog.label_names(parameters), parameters)

    def _label_values(self, parameters: Parameters) -> bytes:
        return _listed(self._catalog.label_values(parameters, parameters.text("name")), parameters)

    def _metadata(self, parameters: Parameters) -> bytes:
        return success_body(self._catalog.metadata(parameters))

    def _parse_query(self, parameters: Parameters) -> bytes:
        return success_body(tree_json(_asked(lambda: parse(parameters.text("query")))))

    def _exemplars(self, parameters: Parameters) -> bytes:
        """No exemplars are kept; the expression and the times are checked all the same."""
        parse(parameters.text("query"))
        parameters.bounds_ms()
        return success_body([])

    def _rules(self, _: Parameters) -> bytes:
        """None: the collector evaluates no rules."""
        return success_body({"groups": []})

    def _alerts(self, _: Parameters) -> bytes:
        """None: the collector evaluates no rules."""
        return success_body({"alerts": []})

    def _build_info(self, _: Parameters) -> bytes:
        return success_body(
            {
                "application": "Davylamp",
                "version": COMPATIBLE_VERSIONS[self._config.prometheus_version],
                "revision": "",
                "branch": "",
                "buildUser": "",
                "buildDate": "",
                "goVersion": "",
            }
        )

    def _federate(self, parameters: Parameters) -> bytes:
        now_ms = self._clock.wall_unix_nano() // 1_000_000
        found: dict[Any, SeriesPoints] = {}
        for selector in parameters.texts("match[]"):
            parse_selector(selector)
            for one in self._engine.newest(selector, now_ms):
                found[one.labels] = one
        return exposition(list(found.values())).encode()


class _TooLarge(Exception):  # noqa: N818 - named after HTTP's 413
    """A body over its limit."""


class _Metrics:
    """What the API tells about itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._duration = Histogram(
            "davylamp_promql_request_duration_seconds",
            "Time to answer a request of the Prometheus API, by status",
            ["status"],
            registry=registry,
        )
        self.samples = Counter(
            "davylamp_promql_samples_read",
            "Samples read from the store by PromQL queries",
            registry=registry,
        )
        self.running = Gauge(
            "davylamp_promql_requests_in_progress",
            "Requests of the Prometheus API that run or wait for a worker",
            registry=registry,
        )

    def answered(self, status: int, duration_s: float) -> None:
        """One request is done."""
        self._duration.labels(str(status)).observe(duration_s)


def _asked(question: Callable[[], _T]) -> _T:
    """The question's answer; what is wrong with the expression is said of its parameter."""
    try:
        return question()
    except InvalidExpression as error:
        raise BadData(f'invalid parameter "query": {error}') from None


def _timeout_s(parameters: Parameters) -> float | None:
    timeout_ms = parameters.duration_ms("timeout")
    return None if timeout_ms is None else timeout_ms / 1000


def _listed(found: list[Any], parameters: Parameters) -> bytes:
    limit = parameters.limit()
    if limit and len(found) > limit:
        return success_body(found[:limit], warnings=[TRUNCATED])
    return success_body(found)


def _unknown(_: Parameters) -> bytes:
    raise UnknownRoute("page not found")
