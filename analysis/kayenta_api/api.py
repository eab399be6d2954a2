"""The routes, at the paths Kayenta has them; answers and errors in its shapes."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request, Response

from analysis.api import Desk
from analysis.errors import BadRequestError, LedgerUnavailableError
from analysis.kayenta_api import accounts, canary_config
from analysis.kayenta_api.errors import FetchError, KayentaApiError
from analysis.kayenta_api.executions import Executions, judge_result
from analysis.kayenta_api.objects import MAX_LISTED, Kind, ObjectStore, Stored
from analysis.kayenta_api.status import Asked

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
_NS_PER_MS: Final = 1_000_000
Work = Callable[[], tuple[int, Any]]


def add_kayenta(app: FastAPI, desk: Desk, store: ObjectStore, executions: Executions) -> None:
    """Add them; whoever made ``executions`` starts and stops it."""
    front = _Front(desk)
    _add_configs(app, front, store)
    _add_executions(app, front, store, executions)
    _add_judges(app, front, store)
    _add_sets(app, front, store)
    _add_accounts(app, front, executions)


class _Front:
    """Runs work on the desk, with Kayenta's error shape; unused parameters are passed over."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return self._desk.clock.wall_unix_nano() // _NS_PER_MS

    async def read(self, request: Request, work: Work) -> Response:
        """Without a body."""
        return await self._desk.read(request, lambda: _shaped(work), is_strict=False)

    async def take(self, request: Request, work: Callable[[Any], tuple[int, Any]]) -> Response:
        """With a JSON body."""
        return await self._desk.ask(
            request,
            lambda raw: _shaped(lambda: work(_json(raw))),
            max_bytes=MAX_BODY_BYTES,
            is_strict=False,
        )


def _shaped(work: Work) -> tuple[int, Any]:
    try:
        return work()
    except KayentaApiError as error:
        return error.status, {"status": error.status, "message": str(error)}
    except BadRequestError as error:
        return 400, {"status": 400, "message": f"{error}; accepted: {error.accepted}"}
    except LedgerUnavailableError as error:
        return 503, {"status": 503, "message": str(error)}


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise KayentaApiError(f"the body is not JSON: {error}") from None


def _object(body: Any, *names: str) -> tuple[Any, ...]:
    if not isinstance(body, dict) or any(name not in body for name in names):
        raise KayentaApiError(f"the body is no object with {' and '.join(names)}")
    return tuple(body[name] for name in names)


def _asked(request: Request) -> Asked:
    query = request.query_params
    application = query.get("application") or "ad-hoc"
    if len(application) > 128:
        raise KayentaApiError("application: at most 128 characters")
    return Asked(
        application,
        query.get("parentPipelineExecutionId"),
        query.get("metricsAccountName"),
        query.get("configurationAccountName"),
        query.get("storageAccountName"),
    )


def _count(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_LISTED:
        raise KayentaApiError(f"{name}: a number from 1 to {MAX_LISTED}")
    return int(text)


def _add_configs(app: FastAPI, front: _Front, store: ObjectStore) -> None:
    @app.get("/canaryConfig")
    async def configs(request: Request) -> Response:
        """All of them, or those of an application."""

        def work() -> tuple[int, Any]:
            wanted = request.query_params.getlist("application")
            found = store.found(Kind.CONFIG, applications=wanted)
            return 200, [canary_config.summary(one.body) for one in found]

        return await front.read(request, work)

    @app.get("/canaryConfig/{config_id}")
    async def config(request: Request, config_id: str) -> Response:
        """One, whole."""
        return await front.read(request, lambda: (200, store.get(Kind.CONFIG, config_id).body))

    @app.post("/canaryConfig")
    async def add(request: Request) -> Response:
        """Keep a new one, under its own id if it has one."""

        def work(body: Any) -> tuple[int, Any]:
            made = canary_config.checked(body)
            config_id = made.get("id") or str(uuid.uuid4())
            now_ms = front.now_ms()
            store.add(
                Kind.CONFIG,
                config_id,
                canary_config.stamped(made, config_id, now_ms, now_ms),
                name=made["name"],
                applications=made["applications"],
            )
            return 200, {"canaryConfigId": config_id}

        return await front.take(request, work)

    @app.put("/canaryConfig/{config_id}")
    async def replace(request: Request, config_id: str) -> Response:
        """Another content under the same id."""

        def work(body: Any) -> tuple[int, Any]:
            made = canary_config.checked(body)
            before = store.get(Kind.CONFIG, config_id)
            created_ms = before.created_unix_nano // _NS_PER_MS
            store.replace(
                Kind.CONFIG,
                config_id,
                canary_config.stamped(made, config_id, created_ms, front.now_ms()),
                name=made["name"],
                applications=made["applications"],
            )
            return 200, {"canaryConfigId": config_id}

        return await front.take(request, work)

    @app.delete("/canaryConfig/{config_id}")
    async def remove(request: Request, config_id: str) -> Response:
        """Forget one; executions keep what they were judged by."""
        return await front.read(request, lambda: _removed(store, Kind.CONFIG, config_id))


def _add_executions(
    app: FastAPI, front: _Front, store: ObjectStore, executions: Executions
) -> None:
    @app.get("/canary/executions")
    async def listed(request: Request) -> Response:
        """Newest first, by application and status."""

        def work() -> tuple[int, Any]:
            query = request.query_params
            limit, page = _count(request, "limit", 20), _count(request, "page", 1)
            statuses = [one for one in (query.get("statuses") or "").split(",") if one]
            found = store.found(
                Kind.EXECUTION,
                applications=query.getlist("application"),
                statuses=[one.lower() for one in statuses],
                limit=limit,
                skip=limit * (page - 1),
            )
            return 200, [one.body for one in found]

        return await front.read(request, work)

    @app.post("/canary")
    async def ad_hoc(request: Request) -> Response:
        """Judge by a configuration that is not kept."""

        def work(body: Any) -> tuple[int, Any]:
            raw_config, raw_request = _object(body, "canaryConfig", "executionRequest")
            config = canary_config.checked(raw_config)
            return 200, _started(executions.ask(config, None, raw_request, _asked(request)))

        return await front.take(request, work)

    @app.post("/canary/{config_id}")
    async def begin(request: Request, config_id: str) -> Response:
        """Judge by a configuration that is kept, as it is now."""

        def work(body: Any) -> tuple[int, Any]:
            config = store.get(Kind.CONFIG, config_id).body
            return 200, _started(executions.ask(config, config_id, body, _asked(request)))

        return await front.take(request, work)

    @app.get("/canary/{execution_id}")
    async def status(request: Request, execution_id: str) -> Response:
        """How far it is, and the result once it is complete."""
        return await front.read(
            request, lambda: (200, store.get(Kind.EXECUTION, execution_id).body)
        )

    @app.put("/pipelines/{execution_id}/cancel")
    async def cancel(request: Request, execution_id: str) -> Response:
        """End it without a result."""

        def work() -> tuple[int, Any]:
            executions.cancel(execution_id)
            return 200, {}

        return await front.read(request, work)

    @app.get("/canaryResultArchive/{execution_id}")
    async def archived(request: Request, execution_id: str) -> Response:
        """The same as its status: nothing is kept twice."""
        return await status(request, execution_id)


def _add_judges(app: FastAPI, front: _Front, store: ObjectStore) -> None:
    @app.get("/judges")
    async def known(request: Request) -> Response:
        """Judges a configuration may name."""
        return await front.read(request, lambda: (200, accounts.judges()))

    @app.post("/judges/judge")
    async def again(request: Request) -> Response:
        """Judge what was fetched before by a configuration that is kept; fetches nothing."""

        def work() -> tuple[int, Any]:
            query = request.query_params
            config = store.get(Kind.CONFIG, query.get("canaryConfigId") or "").body
            pairs = store.get(Kind.PAIRS, query.get("metricSetPairListId") or "").body
            pass_at, marginal_at = (
                _threshold(query.get(name), name) for name in ("passThreshold", "marginalThreshold")
            )
            return 200, judge_result(config, pairs, pass_at, marginal_at)

        return await front.read(request, work)


def _threshold(text: str | None, name: str) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100:
        raise KayentaApiError(f"{name}: a number from 0 to 100")
    return number


def _add_sets(app: FastAPI, front: _Front, store: ObjectStore) -> None:
    @app.get("/metricSetPairList")
    async def lists(request: Request) -> Response:
        """Ids and times of what was fetched."""

        def work() -> tuple[int, Any]:
            return 200, [_listed(one) for one in store.found(Kind.PAIRS)]

        return await front.read(request, work)

    @app.post("/metricSetPairList")
    async def add(request: Request) -> Response:
        """Keep pairs that were made elsewhere."""

        def work(body: Any) -> tuple[int, Any]:
            if not isinstance(body, list) or not all(isinstance(one, dict) for one in body):
                raise KayentaApiError("the body is no list of metric set pairs")
            list_id = str(uuid.uuid4())
            store.add(Kind.PAIRS, list_id, body)
            return 200, {"metricSetPairListId": list_id}

        return await front.take(request, work)

    @app.get("/metricSetPairList/{list_id}")
    async def one_list(request: Request, list_id: str) -> Response:
        """All pairs of one execution."""
        return await front.read(request, lambda: (200, store.get(Kind.PAIRS, list_id).body))

    @app.get("/metricSetPairList/{list_id}/{pair_id}")
    async def one_pair(request: Request, list_id: str, pair_id: str) -> Response:
        """One pair, as the page of a metric asks for it."""

        def work() -> tuple[int, Any]:
            pairs = store.get(Kind.PAIRS, list_id).body
            found = next((pair for pair in pairs if pair.get("id") == pair_id), None)
            if found is None:
                return 404, {"status": 404, "message": f"No pair with id {pair_id[:100]!r}."}
            return 200, found

        return await front.read(request, work)

    @app.delete("/metricSetPairList/{list_id}")
    async def remove(request: Request, list_id: str) -> Response:
        """Forget one."""
        return await front.read(request, lambda: _removed(store, Kind.PAIRS, list_id))


def _add_accounts(app: FastAPI, front: _Front, executions: Executions) -> None:
    @app.get("/metadata/metricsService")
    async def metadata(request: Request) -> Response:
        """Names of metrics with ``filter`` in them, for an editor that completes them."""
        try:
            names = await executions.metric_names(request.query_params.get("filter", ""))
        except FetchError as error:
            body = {"status": 503, "message": str(error)}
            return await front.read(request, lambda: (503, body))
        return await front.read(request, lambda: (200, [{"name": name} for name in names]))

    @app.get("/credentials")
    async def credentials(request: Request) -> Response:
        """The one account."""
        return await front.read(request, lambda: (200, accounts.credentials()))

    @app.get("/metricsServices")
    async def services(request: Request) -> Response:
        """The one service."""
        return await front.read(request, lambda: (200, accounts.metrics_services()))


def _removed(store: ObjectStore, kind: Kind, object_id: str) -> tuple[int, Any]:
    store.remove(kind, object_id)
    return 204, None


def _started(execution_id: str) -> dict[str, str]:
    return {"canaryExecutionId": execution_id}


def _listed(one: Stored) -> dict[str, Any]:
    updated_ms = one.updated_unix_nano // _NS_PER_MS
    return {
        "id": one.object_id,
        "updatedTimestamp": updated_ms,
        "updatedTimestampIso": canary_config.iso(updated_ms),
    }
