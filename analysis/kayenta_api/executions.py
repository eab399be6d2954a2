"""Executions: asked for, fetched, paired, judged, kept. One that a stop cut off begins anew."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Mapping
from typing import Any, Final

import orjson

from analysis.canary.kayenta.errors import KayentaInputError
from analysis.canary.kayenta.metric_sets import MetricSet, pair_all
from analysis.doors.remote_judge import judge_remotely
from analysis.errors import AnalysisError, LedgerUnavailableError
from analysis.kayenta_api import status as told
from analysis.kayenta_api.errors import FetchError, KayentaApiError, TooManyError
from analysis.kayenta_api.execution_request import DEFAULT_SCOPE, ExecutionRequest, Scope, read
from analysis.kayenta_api.metric_sets import metric_sets, pair_json, require_few
from analysis.kayenta_api.objects import Kind, ObjectStore
from analysis.kayenta_api.prometheus_query import promql
from analysis.reading.client import CollectorClient
from analysis.reading.errors import ReadingError
from telemetry.clock import Clock

logger = logging.getLogger("davylamp.kayenta")

#: Executions worked on at once, and waiting for it; one more is answered 429.
MAX_AT_ONCE: Final = 2
MAX_OPEN: Final = 64
#: Names of metrics in one answer.
MAX_NAMES: Final = 1_000
#: Until the database is asked again after it could not be used.
RETRY_S: Final = 5.0
DEFAULT_JUDGE: Final = "NetflixACAJudge-v1.0"


class Executions:
    """Lives on one event loop; ``ask`` and ``cancel`` may be called from any thread."""

    def __init__(self, store: ObjectStore, client: CollectorClient, clock: Clock) -> None:
        self._store = store
        self._client = client
        self._clock = clock
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Open the connections and go on with what an earlier life left."""
        self._loop = asyncio.get_running_loop()
        await self._client.open()
        left = await asyncio.to_thread(self._store.found, Kind.EXECUTION, statuses=told.OPEN)
        for one in left:
            self._begin(one.object_id)

    async def stop(self) -> None:
        """Cut off what runs; it begins anew at the next start."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.close()

    def ask(
        self,
        config: Mapping[str, Any],
        config_id: str | None,
        raw_request: Any,
        asked: told.Asked,
    ) -> str:
        """The new execution's id. Raises KayentaApiError, TooManyError, LedgerUnavailableError."""
        request = read(raw_request)
        queries_of(config, request)
        if len(self._store.found(Kind.EXECUTION, statuses=told.OPEN)) >= MAX_OPEN:
            raise TooManyError(f"{MAX_OPEN} executions are under way, which is the limit")
        execution_id = str(uuid.uuid4())
        begun = told.begun(execution_id, asked, config, config_id, raw_request, self._now_ms())
        self._store.add(
            Kind.EXECUTION,
            execution_id,
            begun,
            name=str(config["name"]),
            applications=[asked.application],
            status=told.NOT_STARTED,
        )
        self._in_loop(lambda: self._begin(execution_id))
        return execution_id

    def cancel(self, execution_id: str) -> None:
        """Raises NotFoundError. One that is complete stays as it is."""
        one = self._store.get(Kind.EXECUTION, execution_id)
        if not one.body["complete"]:
            self._put(told.canceled(one.body, self._now_ms()))
        self._in_loop(lambda: self._end(execution_id))

    def _in_loop(self, work: Any) -> None:
        assert self._loop is not None, "Executions.start() comes first"
        with contextlib.suppress(RuntimeError):  # the loop ended: it begins at the next start
            self._loop.call_soon_threadsafe(work)

    def _begin(self, execution_id: str) -> None:
        task = asyncio.create_task(self._run(execution_id), name=f"kayenta {execution_id}")
        self._tasks[execution_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(execution_id, None))

    def _end(self, execution_id: str) -> None:
        task = self._tasks.get(execution_id)
        if task is not None:
            task.cancel()

    async def _run(self, execution_id: str) -> None:
        async with self._slots:
            while True:
                try:
                    await self._once(execution_id)
                except LedgerUnavailableError as error:
                    logger.warning("execution %s waits: %s", execution_id, error)
                    await asyncio.sleep(RETRY_S)
                else:
                    return

    async def _once(self, execution_id: str) -> None:
        one = await asyncio.to_thread(self._store.get, Kind.EXECUTION, execution_id)
        status = told.running(one.body, self._now_ms())
        if not await asyncio.to_thread(self._put, status):
            return
        try:
            status = await self._judged(status)
        except LedgerUnavailableError:
            raise
        except (AnalysisError, KayentaInputError) as error:
            status = told.failed(status, str(error), self._now_ms())
        except Exception as error:
            logger.exception("execution %s failed", execution_id)
            status = told.failed(status, f"a bug: {type(error).__name__}", self._now_ms())
        await asyncio.to_thread(self._put, status)

    async def _judged(self, status: Mapping[str, Any]) -> dict[str, Any]:
        config = status["config"]
        request = read(status["canaryExecutionRequest"])
        pairs = await self._pairs(config, request)
        pair_list_id = str(uuid.uuid4())
        await asyncio.to_thread(
            self._store.add,
            Kind.PAIRS,
            pair_list_id,
            pairs,
            name=str(config["name"]),
            applications=[status["application"]],
        )
        result = await asyncio.to_thread(
            judge_result, config, pairs, request.pass_at, request.marginal_at
        )
        longest = max(
            scope.experiment.end_ms - scope.experiment.start_ms for scope in request.scopes.values()
        )
        return told.succeeded(status, result, pair_list_id, longest // 1000, self._now_ms())

    async def _pairs(
        self, config: Mapping[str, Any], request: ExecutionRequest
    ) -> list[dict[str, Any]]:
        control: list[MetricSet] = []
        experiment: list[MetricSet] = []
        scopes = {}
        for name, scope_name, queries in queries_of(config, request):
            pair = scopes[name] = request.scopes[scope_name]
            control += await self._fetched(name, queries[0], pair.control)
            experiment += await self._fetched(name, queries[1], pair.experiment)
            require_few([*control, *experiment])
        names = [metric["name"] for metric in config.get("metrics") or []]
        return [pair_json(pair, scopes[pair.name]) for pair in pair_all(names, control, experiment)]

    async def _fetched(self, name: str, query: str, scope: Scope) -> list[MetricSet]:
        answer = await self.fetch(query, scope)
        return metric_sets(name, answer, scope)

    async def fetch(self, query: str, scope: Scope) -> Any:
        """Raises FetchError."""
        try:
            return await self._client.promql_range(
                query, start_ms=scope.start_ms, end_ms=scope.end_ms, step_s=scope.step_s
            )
        except ReadingError as error:
            raise FetchError(f"{query}: {error}") from error

    async def metric_names(self, part: str) -> list[str]:
        """Names with this part, whatever the case, at most ``MAX_NAMES``. Raises FetchError."""
        try:
            names = await self._client.metric_names()
        except ReadingError as error:
            raise FetchError(f"the names of metrics: {error}") from error
        wanted = part.casefold()
        return [name for name in names if wanted in name.casefold()][:MAX_NAMES]

    def _put(self, status: Mapping[str, Any]) -> bool:
        """False if it ended meanwhile: what is complete stays as it is."""
        return self._store.replace(
            Kind.EXECUTION,
            status["pipelineId"],
            status,
            name=str(status["config"]["name"]),
            applications=[status["application"]],
            status=status["status"],
            only_from=told.OPEN,
        )

    def _now_ms(self) -> int:
        return self._clock.wall_unix_nano() // 1_000_000


def queries_of(
    config: Mapping[str, Any], request: ExecutionRequest
) -> list[tuple[str, str, tuple[str, str]]]:
    """(metric, scope, (control's PromQL, experiment's)) of every metric. Raises KayentaApiError."""
    metrics = config.get("metrics") or []
    if not metrics:
        raise KayentaApiError("the canary config has no metrics, so there is nothing to judge")
    templates = config.get("templates") or {}
    found = []
    for metric in metrics:
        scope_name = metric.get("scopeName") or DEFAULT_SCOPE
        pair = request.scopes.get(scope_name)
        if pair is None:
            raise KayentaApiError(
                f"metric {metric['name']!r} names the scope {scope_name!r}; the request has "
                f"{', '.join(sorted(request.scopes))}"
            )
        try:
            queries = (
                promql(metric["query"], templates, pair.control),
                promql(metric["query"], templates, pair.experiment),
            )
        except KayentaApiError as error:
            raise KayentaApiError(f"metric {metric['name']!r}: {error}") from None
        found.append((metric["name"], scope_name, queries))
    return found


def judge_result(
    config: Mapping[str, Any], pairs: list[dict[str, Any]], pass_at: float, marginal_at: float
) -> dict[str, Any]:
    """What the config's judge says. Raises BadRequestError."""
    body = {
        "canaryConfig": dict(config),
        "scoreThresholds": {"pass": pass_at, "marginal": marginal_at},
        "metricSetPairList": pairs,
    }
    answer = judge_remotely(orjson.dumps(body, option=orjson.OPT_SORT_KEYS))
    judge = config.get("judge") or {}
    answer["judgeName"] = judge.get("name") or DEFAULT_JUDGE
    return answer
