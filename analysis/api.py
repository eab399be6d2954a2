"""The analysis API: deployers declare and report, dashboards read.

Writers show a token (``Authorization: Bearer``); readers on loopback need none unless tokens are
required, which ``collector.access.gate`` sees to. Errors have one
shape: ``{"error": {"code", "message", "accepted"}}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
from fastapi import FastAPI, Query, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from analysis import bodies, params
from analysis.decisions.guards import Guard
from analysis.decisions.ledger import Ledger
from analysis.decisions.records import CanaryRecord
from analysis.errors import (
    AnalysisError,
    BadRequestError,
    ConflictError,
    ForbiddenError,
    IllegalMoveError,
    LedgerFullError,
    LedgerUnavailableError,
    RequestError,
    SecretError,
    TooLargeError,
    UnauthorizedError,
    UnknownRecordError,
)
from analysis.metrics import Metrics
from analysis.webhooks.signing import public_keys, read_secrets
from collector.access.desk import AccessDesk, Caller
from collector.access.errors import Forbidden, Unauthenticated
from collector.access.secret_files import SecretFiles
from collector.access.tokens import Scope
from telemetry.clock import Clock

logger = logging.getLogger("davylamp.api")

#: A declaration with a thousand instances an arm fits.
MAX_BODY_BYTES: Final = 512 * 1024
#: Threads for answers, and requests that may wait for one; one more is answered 503.
WORKERS: Final = 6
MAX_WAITING: Final = 64
MAX_LIST: Final = 500
MAX_LOOKS: Final = 2_000
MAX_POINTS: Final = 11_000

Text = Annotated[str | None, Query()]
FromText = Annotated[str | None, Query(alias="from", description=params.TIME_ACCEPTED)]
ToText = Annotated[str | None, Query(alias="to", description=params.TIME_ACCEPTED)]
#: A status and a JSON-able body; runs on a worker thread.
Work = Callable[[], tuple[int, Any]]


class Desk:
    """Runs work on a bounded pool and turns every failure into the one error shape."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        metrics: Metrics,
        *,
        access: AccessDesk,
        secret_files: tuple[Path, ...],
        files: SecretFiles,
        is_alive: Callable[[], bool],
    ) -> None:
        self.ledger = ledger
        self.clock = clock
        self.metrics = metrics
        self.is_alive = is_alive
        self._access = access
        self._secret_files = secret_files
        self._files = files
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="api")
        self._running = 0

    async def read(self, request: Request, work: Work, *, is_strict: bool = True) -> Response:
        """Answer a question. ``is_strict`` false: parameters nobody knows are passed over."""
        return await self._answer(request, work, is_strict=is_strict)

    async def write(
        self,
        request: Request,
        work: Callable[[bytes, Caller], tuple[int, Any]],
        scope: Scope = Scope.DEPLOY,
    ) -> Response:
        """Take a body from somebody who shows a token with this scope."""
        try:
            caller = self._admitted(request, scope)
            body = await _limited_body(request)
        except RequestError as error:
            return self._counted(request, _error(error))
        return await self._answer(request, lambda: work(body, caller))

    async def ask(
        self,
        request: Request,
        work: Callable[[bytes], tuple[int, Any]],
        *,
        max_bytes: int = MAX_BODY_BYTES,
        is_strict: bool = True,
    ) -> Response:
        """Answer a question that comes as a body; it decides nothing, so nobody shows a token."""
        try:
            body = await _limited_body(request, max_bytes)
        except RequestError as error:
            return self._counted(request, _error(error))
        return await self._answer(request, lambda: work(body), is_strict=is_strict)

    def public_keys(self) -> tuple[str, ...]:
        """``whpk_`` keys that verify the next commands; the files are read each time."""
        found: dict[str, None] = {}
        for file in self._secret_files:
            with contextlib.suppress(SecretError):
                found |= dict.fromkeys(public_keys(read_secrets(file, self._files)))
        return tuple(found)

    def close(self) -> None:
        """Wait for running answers, refuse new ones."""
        self._pool.shutdown()

    async def _answer(self, request: Request, work: Work, *, is_strict: bool = True) -> Response:
        if self._running >= WORKERS + MAX_WAITING:
            busy = _body(503, "busy", "too many requests at once", "fewer at a time")
            return self._counted(request, busy)
        self._running += 1
        try:
            if is_strict:
                _refuse_unknown(request)
            loop = asyncio.get_running_loop()
            status, body = await loop.run_in_executor(self._pool, work)
        except AnalysisError as error:
            if isinstance(error, LedgerUnavailableError):
                self.metrics.ledger_failures.labels("api").inc()
            return self._counted(request, _error(error))
        finally:
            self._running -= 1
        return self._counted(request, json_response(body, status))

    def _counted(self, request: Request, response: Response) -> Response:
        route = request.scope["route"].path
        self.metrics.requests.labels(route, str(response.status_code)).inc()
        return response

    def _admitted(self, request: Request, scope: Scope) -> Caller:
        """Raises UnauthorizedError or ForbiddenError."""
        try:
            caller = self._access.caller(request.headers.get("authorization"))
            caller.require(scope)
        except Unauthenticated as error:
            raise UnauthorizedError(str(error), accepted=error.accepted) from None
        except Forbidden as error:
            raise ForbiddenError(str(error), accepted=error.accepted) from None
        return caller


def require_own(caller: Caller, service: str, environment: str) -> None:
    """Raises ForbiddenError when the caller's token does not speak for the service there."""
    if not caller.binding.allows([service], [environment]):
        raise ForbiddenError(
            f"the token {caller.name!r} does not speak for {service} in {environment}",
            accepted="a token that is bound to them, or to nothing",
        )


def build_app(desk: Desk) -> FastAPI:
    """The application; whoever made the desk closes it."""
    app = FastAPI(title="Davylamp analysis", version="1", docs_url=None, redoc_url=None)
    _add_health(app, desk)
    _add_canaries(app, desk)
    _add_decisions(app, desk)
    _add_keys(app, desk)
    _add_objectives(app, desk)

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> Response:
        """Unknown paths and methods in the one error shape."""
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
        return _body(error.status_code, code, str(error.detail), "see /openapi.json")

    return app


def _add_health(app: FastAPI, desk: Desk) -> None:
    @app.get("/healthz")
    async def healthz() -> Response:
        """The process answers."""
        return json_response({"status": "ok"})

    @app.get("/readyz")
    async def readyz(request: Request) -> Response:
        """200 while commands are delivered and the ledger can be read, else 503."""

        def work() -> tuple[int, Any]:
            desk.ledger.totals()
            if not desk.is_alive():
                raise LedgerUnavailableError("a loop of the analysis has ended")
            if desk.ledger.guards.held_by_settings():
                return 200, {"status": "ready", "held": str(Guard.SETTINGS_NOT_APPROVED)}
            return 200, {"status": "ready"}

        return await desk.read(request, work)

    @app.get("/metrics")
    async def self_metrics() -> Response:
        """The control plane's own metrics in Prometheus text format."""
        text = await asyncio.to_thread(generate_latest, desk.metrics.registry)
        return Response(text, media_type=CONTENT_TYPE_LATEST)


def _add_canaries(app: FastAPI, desk: Desk) -> None:
    ledger = desk.ledger

    @app.post("/api/v1/canaries")
    async def declare(request: Request) -> Response:
        """Declare a canary before it gets traffic; the same again is answered 200."""

        def work(raw: bytes, caller: Caller) -> tuple[int, Any]:
            declaration = bodies.read_declaration(raw)
            require_own(caller, declaration.service, declaration.environment)
            record, is_new = ledger.declare_new(declaration)
            return 201 if is_new else 200, _with_look(ledger, record)

        return await desk.write(request, work)

    @app.get("/api/v1/canaries")
    async def canaries(request: Request, state: Text = None, limit: Text = None) -> Response:
        """Canaries, newest first."""

        def work() -> tuple[int, Any]:
            found = ledger.canaries(params.canary_state(state), _limit(limit))
            return 200, {"canaries": [record.to_json() for record in found]}

        return await desk.read(request, work)

    @app.get("/api/v1/canaries/{deployment_id}")
    async def canary(request: Request, deployment_id: str) -> Response:
        """One canary with its newest look."""

        def work() -> tuple[int, Any]:
            return 200, _with_look(ledger, ledger.canary(deployment_id))

        return await desk.read(request, work)

    @app.get("/api/v1/canaries/{deployment_id}/looks")
    async def looks(
        request: Request, deployment_id: str, after_index: Text = None, limit: Text = None
    ) -> Response:
        """Evidence over time, oldest first."""

        def work() -> tuple[int, Any]:
            after = params.integer("after_index", after_index, default=-1, low=-1, high=10**9)
            count = params.integer("limit", limit, default=MAX_LOOKS, low=1, high=MAX_LOOKS)
            return 200, {"looks": ledger.looks(deployment_id, after, count)}

        return await desk.read(request, work)


def _add_decisions(app: FastAPI, desk: Desk) -> None:
    ledger = desk.ledger

    @app.post("/api/v1/decisions/{decision_id}/status")
    async def status(request: Request, decision_id: str) -> Response:
        """The receiver's word about what became of a command."""

        def work(raw: bytes, caller: Caller) -> tuple[int, Any]:
            body = bodies.read_status(raw)
            about = ledger.decision(decision_id)
            require_own(caller, about.service, about.environment)
            decision = ledger.report_status(decision_id, body.status, body.unix_nano, body.detail)
            return 200, decision.to_json()

        return await desk.write(request, work)

    @app.get("/api/v1/decisions")
    async def decisions(request: Request, limit: Text = None) -> Response:
        """Decisions, newest first."""

        def work() -> tuple[int, Any]:
            return 200, {"decisions": [d.to_json() for d in ledger.decisions(_limit(limit))]}

        return await desk.read(request, work)

    @app.get("/api/v1/decisions/{decision_id}")
    async def decision(request: Request, decision_id: str) -> Response:
        """One decision."""
        return await desk.read(request, lambda: (200, ledger.decision(decision_id).to_json()))

    @app.get("/api/v1/deliveries")
    async def deliveries(
        request: Request, decision_id: Text = None, limit: Text = None
    ) -> Response:
        """Deliveries with every attempt, newest first."""

        def work() -> tuple[int, Any]:
            found = ledger.outbox.deliveries(decision_id, _limit(limit))
            return 200, {"deliveries": [delivery.to_json() for delivery in found]}

        return await desk.read(request, work)


def _add_keys(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/v1/webhooks/keys")
    async def keys(request: Request) -> Response:
        """Public keys (``whpk_``, Ed25519) that verify commands, newest first; HMAC has none."""
        return await desk.read(request, lambda: (200, {"keys": list(desk.public_keys())}))


def _add_objectives(app: FastAPI, desk: Desk) -> None:
    ledger = desk.ledger

    @app.get("/api/v1/slos")
    async def slos(request: Request) -> Response:
        """Where every objective stands."""
        return await desk.read(request, lambda: (200, {"slos": ledger.statuses("slo")}))

    @app.get("/api/v1/slos/{name:path}/history")
    async def history(
        request: Request,
        name: str,
        from_text: FromText = None,
        to_text: ToText = None,
        limit: Text = None,
    ) -> Response:
        """Points of one objective, oldest first, and what it was when, newest first."""

        def work() -> tuple[int, Any]:
            start, end = params.window(from_text, to_text, desk.clock.wall_unix_nano())
            count = params.integer("limit", limit, default=MAX_POINTS, low=1, high=MAX_POINTS)
            points = ledger.slo_points(name, start, end, count)
            if not points and name not in ledger.status_names("slo"):
                raise UnknownRecordError(f"no objective {name!r}")
            kept = ledger.definitions.generations(name)
            return 200, {
                "points": [point.to_json() for point in points],
                "definitions": [one.to_json() for one in kept],
            }

        return await desk.read(request, work)

    @app.get("/api/v1/anomalies")
    async def anomalies(request: Request) -> Response:
        """What every detector says."""
        return await desk.read(request, lambda: (200, {"anomalies": ledger.statuses("anomaly")}))

    @app.get("/api/v1/events")
    async def events(
        request: Request, from_text: FromText = None, to_text: ToText = None, limit: Text = None
    ) -> Response:
        """The timeline, newest first."""

        def work() -> tuple[int, Any]:
            start, end = params.window(from_text, to_text, desk.clock.wall_unix_nano())
            found = ledger.events(start, end, _limit(limit, default=MAX_LIST))
            return 200, {"events": [event.to_json() for event in found]}

        return await desk.read(request, work)


def _with_look(ledger: Ledger, record: CanaryRecord) -> dict[str, Any]:
    return {**record.to_json(), "last_look": ledger.last_look(record.deployment_id)}


def _limit(text: str | None, *, default: int = 100) -> int:
    return params.integer("limit", text, default=default, low=1, high=MAX_LIST)


async def _limited_body(request: Request, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """The whole body. Raises TooLargeError as soon as it is known to be above the limit."""
    parts = bytearray()
    try:
        async for part in request.stream():
            parts += part
            if len(parts) > max_bytes:
                raise TooLargeError(
                    f"the body has more than {max_bytes} bytes",
                    accepted=f"at most {max_bytes} bytes",
                )
    except ClientDisconnect:
        raise BadRequestError("the body ended early", accepted="a whole body") from None
    return bytes(parts)


def _refuse_unknown(request: Request) -> None:
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    for name in request.query_params:
        if name not in known:
            raise BadRequestError(
                f"unknown parameter {name[:100]!r}", accepted=", ".join(sorted(known)) or "none"
            )


def json_response(body: Any, status: int = 200) -> Response:
    """``body`` as JSON, without validating what this program just made; 204 has none."""
    if status == 204:
        return Response(status_code=204)
    return Response(orjson.dumps(body), status, media_type="application/json")


_STATUSES: Final[dict[type[AnalysisError], tuple[int, str, str]]] = {
    UnknownRecordError: (404, "not_found", "a known id"),
    ConflictError: (409, "conflict", "what is stored under this id"),
    LedgerFullError: (429, "too_many", "the same later"),
    LedgerUnavailableError: (503, "unavailable", "the same later"),
}


def _error(error: AnalysisError) -> Response:
    if isinstance(error, RequestError):
        return _body(error.status, error.code, str(error), error.accepted)
    if isinstance(error, IllegalMoveError):
        return _body(409, "illegal_move", str(error), error.accepted)
    status, code, accepted = _STATUSES[type(error)]
    return _body(status, code, str(error), accepted)


def _body(status: int, code: str, message: str, accepted: str) -> Response:
    body = {"error": {"code": code, "message": message, "accepted": accepted}}
    return json_response(body, status)
