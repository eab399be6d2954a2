"""The deployer's HTTP API: deployments, routes, commands."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from sample_services.controller.analysis_client import AnalysisClient
from sample_services.controller.commands import Addressee, check_address, check_fresh, read_command
from sample_services.controller.deployer import Deployer, Wish
from sample_services.controller.fleet import Fleet
from sample_services.controller.journal import Journal
from sample_services.controller.ledger import AdmissionLedger
from sample_services.controller.signature import verified_id
from sample_services.errors import (
    CommandRefusedError,
    DeclarationError,
    DeploymentError,
    UnknownBuildError,
    ZygoteError,
)
from sample_services.instances import Instance
from sample_services.layout import SERVICES
from sample_services.serving import Birth, json_response, lifespan_of, serve
from telemetry.clock import Clock, SystemClock

logger = logging.getLogger("samples.controller")

BODY_LIMIT_BYTES = 65_536
MAX_WAIT_S = 30.0
#: What the audience reports about itself.
TRAFFIC_COUNTS = TypeAdapter(dict[str, int])


class DeploymentRequest(BaseModel):
    """``build`` is a key of the releases table; ``share_ratio`` of the accounts in each arm."""

    service: str = Field(max_length=64)
    build: str = Field(max_length=64)
    share_ratio: float | None = Field(default=None, gt=0.0, le=0.5)
    #: Base address for the canary's own telemetry; a dead one makes a silent canary.
    canary_otlp_endpoint: str = Field(default="", max_length=256, pattern=r"^$|^https?://")


class FirstCanaryRequest(BaseModel):
    """An edge's report."""

    unix_nano: int = Field(gt=0)


class Controller:
    """Everything the routes need, made after the fork."""

    def __init__(self, birth: Birth, clock: Clock) -> None:
        assert birth.parent is not None, "only the deployer gets a pipe to the parent"
        config = birth.config
        folder = config.state_dir / "samples"
        self.config = config
        self.clock = clock
        self.ledger = AdmissionLedger(folder / "commands.jsonl")
        self.journal = Journal(folder / "journal.jsonl", clock)
        self.analysis = AnalysisClient(config.analysis_url, config.api_token_file)
        self.fleet = Fleet(birth.parent)
        self.deployer = Deployer(
            config, self.fleet, self.analysis, self.journal, self.ledger, clock
        )
        self.fleet.on_change = self.deployer.on_fleet_change
        self.addressee = Addressee(config.endpoint_id, config.environment, config.analysis_url)
        self.traffic: dict[str, int] = {}

    async def start(self) -> None:
        """Connect to the parent, and only then answer anybody."""
        await self.analysis.open()
        await self.fleet.open()
        self.deployer.resume()

    async def stop(self) -> None:
        """Disconnect."""
        await self.deployer.close()
        await self.fleet.close()
        await self.analysis.close()

    def receive(self, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """Admit and begin a command. Raises CommandRefusedError.

        ``headers`` may hold a name twice, which the verifier wants to see.
        A message seen before is accepted again and not acted on again: its sender did not get
        our first answer.
        """
        now_unix_nano = self.clock.wall_unix_nano()
        secret_file = self.config.webhook_secret_file
        webhook_id = verified_id(headers, body, secret_file, now_unix_nano // 1_000_000_000)
        command = read_command(webhook_id, body)
        check_address(body, command, self.addressee)
        if self.ledger.seen(webhook_id):
            return {"decision_id": command.decision_id, "duplicate": True}
        check_fresh(command, self.ledger.last_sequence(command.subject), now_unix_nano)
        if self.addressee.is_rehearsal(command):
            self.ledger.admit(command)
            self.ledger.finish(command.decision_id)
            return {"decision_id": command.decision_id, "duplicate": False}
        self.deployer.check(command)
        self.ledger.admit(command)
        self.deployer.obey(command)
        return {"decision_id": command.decision_id, "duplicate": False}


def build_app(controller: Controller) -> FastAPI:
    """The deployer's routes."""
    app = FastAPI(
        title="deploy controller",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan_of(controller.start, controller.stop),
    )
    _deployment_routes(app, controller)
    _operator_routes(app, controller)

    @app.get("/v1/routes")
    async def routes(
        after_version: int = 0,
        wait_s: Annotated[float, Query(ge=0.0, le=MAX_WAIT_S)] = 0.0,
        reader: Annotated[str, Query(max_length=64)] = "",
    ) -> Response:
        if controller.deployer.publisher.closed:
            return _refusal(503, "ending", "this deployer is going down")
        table = await controller.deployer.publisher.read(reader, after_version, wait_s)
        return json_response(table.to_json())

    @app.post("/webhooks/davylamp")
    async def webhook(request: Request) -> Response:
        body = await _limited_body(request)
        if body is None:
            return _refusal(413, "too_large", f"at most {BODY_LIMIT_BYTES} bytes")
        try:
            return json_response(controller.receive(request.headers, body), 202)
        except CommandRefusedError as error:
            logger.warning("command refused: %s: %s", error.code, error)
            controller.journal.write("command_refused", code=error.code, status=error.status)
            return _refusal(error.status, error.code, str(error))

    return app


def _deployment_routes(app: FastAPI, controller: Controller) -> None:
    deployer = controller.deployer

    @app.post("/v1/deployments")
    async def deploy(wish: DeploymentRequest) -> Response:
        share_ratio = (
            controller.config.share_ratio if wish.share_ratio is None else wish.share_ratio
        )
        try:
            deployment = await deployer.deploy(
                Wish(wish.service, wish.build, share_ratio, wish.canary_otlp_endpoint)
            )
        except UnknownBuildError as error:
            return _refusal(422, "unknown_build", str(error))
        except DeclarationError as error:
            return _refusal(502, "not_declared", str(error))
        except DeploymentError as error:
            return _refusal(409, "conflict", str(error))
        except ZygoteError as error:
            return _refusal(503, "not_started", str(error))
        return json_response(deployment.to_json(), 201)

    @app.get("/v1/deployments")
    async def deployments() -> Response:
        return json_response({"deployments": [known.to_json() for known in deployer.recent()]})

    @app.get("/v1/deployments/{deployment_id}")
    async def deployment(deployment_id: str) -> Response:
        found = deployer.find(deployment_id)
        if found is None:
            return _refusal(404, "unknown_deployment", f"no deployment {deployment_id!r}")
        return json_response(found.to_json())

    @app.post("/v1/deployments/{deployment_id}/first-canary-request")
    async def first_canary_request(deployment_id: str, report: FirstCanaryRequest) -> Response:
        deployer.saw_canary_request(deployment_id, report.unix_nano)
        return json_response({}, 202)


def _operator_routes(app: FastAPI, controller: Controller) -> None:
    """What runs, how the audience fares, and a switch to take a whole service away."""

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/v1/instances")
    async def instances() -> Response:
        running = controller.fleet.instances.values()
        return json_response({"instances": [_published(instance) for instance in running]})

    @app.post("/v1/services/{service}/{action}")
    async def switch(service: str, action: str) -> Response:
        if service not in SERVICES or action not in ("stop", "start"):
            return _refusal(404, "unknown", f"stop or start one of {', '.join(SERVICES)}")
        controller.journal.write("service_switched", service=service, action=action)
        if action == "stop":
            controller.fleet.suspend(service)
        else:
            controller.fleet.resume(service)
        return json_response({}, 202)

    @app.post("/v1/traffic")
    async def traffic_report(request: Request) -> Response:
        body = await _limited_body(request)
        if body is None:
            return _refusal(413, "too_large", f"at most {BODY_LIMIT_BYTES} bytes")
        try:
            counts = TRAFFIC_COUNTS.validate_json(body)
        except ValidationError:
            return _refusal(422, "malformed", "an object of counts by name")
        controller.traffic = counts
        return json_response({}, 202)

    @app.get("/v1/traffic")
    async def traffic() -> Response:
        return json_response(controller.traffic)


def _published(instance: Instance) -> dict[str, Any]:
    """What may be known of an instance; which release it was built from is not told."""
    shown = instance.to_json()
    del shown["spec"]["build"]
    return shown


async def _limited_body(request: Request) -> bytes | None:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT_BYTES:
            return None
    return bytes(body)


def _refusal(status: int, code: str, message: str) -> Response:
    return json_response({"error": {"code": code, "message": message}}, status)


def main(birth: Birth) -> None:
    """The deployer, until SIGTERM."""
    controller = Controller(birth, SystemClock())
    serve(build_app(controller), birth, controller.deployer.publisher.close)
