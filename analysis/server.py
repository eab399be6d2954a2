"""The analysis process: ledger, runner, delivery and API in one event loop, until SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import uvicorn
import uvloop
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

import telemetry
from analysis.access import scope_of
from analysis.alertmanager_api import add_alertmanager
from analysis.api import Desk, build_app
from analysis.config import AnalysisConfig, GuardConfig, check
from analysis.corrections_api import add_corrections
from analysis.decisions.ledger import Ledger
from analysis.doors.api import add_doors
from analysis.duty import Duty, Term
from analysis.errors import LedgerUnavailableError, SecretError, StartError
from analysis.guards_api import add_guards
from analysis.kayenta_api.api import add_kayenta
from analysis.kayenta_api.executions import Executions
from analysis.kayenta_api.objects import ObjectStore
from analysis.metrics import EndpointMetrics, LedgerMetrics, Metrics, ProposalMetrics
from analysis.notices.desk import NoticeDesk
from analysis.notices.notifier import Notifier
from analysis.outbox_api import add_notices, add_outbox
from analysis.policies_api import add_policies
from analysis.proposals.changes import Changes
from analysis.proposals.desk import ProposalDesk
from analysis.proposals.policy import MAX_OPEN
from analysis.proposals_api import Loosening, add_proposals
from analysis.reading.client import CollectorClient
from analysis.replay_api import add_replay
from analysis.runner.feedback import Feedback
from analysis.runner.runner import Rules, Runner, load_rules
from analysis.secrets_api import add_secrets
from analysis.slo_api import Looker, add_looking_back
from analysis.webhooks.deliver import Deliverer
from analysis.webhooks.events import Addressing
from analysis.webhooks.secret_desk import SecretDesk
from analysis.webhooks.signing import read_secrets
from collector.access.desk import AccessDesk
from collector.access.gate import Gate
from collector.access.own import own_headers
from collector.asgi import Application
from telemetry.clock import Clock, SystemClock

logger = logging.getLogger("davylamp.analysis")

#: Open requests may finish this long after SIGTERM.
GRACEFUL_SHUTDOWN_S: Final = 1
#: The last of our own telemetry may take this long to leave.
TELEMETRY_STOP_S: Final = 1.0
SERVICE_NAME: Final = "davylamp-analysis"
BACKLOG: Final = 128


def run(config: AnalysisConfig) -> int:
    """Serve until SIGTERM or SIGINT. 0 = ended as asked, 1 = could not start or go on."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # Migrations tell every step; one that fails ends the start with its sentence anyway.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        check(config)
        rules = load_rules(config.runner, config.canary_config_path)
        _check_files(config)
        listener = _listen(config.host, config.api_port)
    except StartError as error:
        print(f"analysis cannot start: {error}", file=sys.stderr)
        return 1
    with listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(_serve(config, rules, listener, SystemClock()))
        except StartError as error:
            print(f"analysis cannot start: {error}", file=sys.stderr)
            return 1


async def _serve(
    config: AnalysisConfig, rules: Rules, listener: socket.socket, clock: Clock
) -> int:
    url = base_url(config.host, listener.getsockname()[1])
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    with contextlib.closing(_open(config, clock, url)) as ledger:
        registry.register(LedgerMetrics(ledger))
        rng = np.random.default_rng()
        access = AccessDesk(config.access, clock)
        endpoints = (config.endpoint, *config.endpoints)
        told = (*endpoints, *config.notices)
        files = config.secret_files
        feedback = _feedback(config, clock)

        def new_term(ledger: Ledger, left_s: Callable[[], float]) -> Term:
            deliverer = Deliverer(
                ledger, endpoints, clock, rng, metrics, left_s=left_s, files=files
            )
            runner = Runner(
                ledger,
                _collector(config),
                feedback,
                clock,
                config.runner,
                rules=rules,
                modes=config.modes,
                confirm_timeout_s=config.confirm_timeout_s,
            )
            notices = NoticeDesk(ledger.database, clock)
            notifier = Notifier(notices, config.notices, url, clock, rng, metrics, left_s, files)
            return Term(deliverer, runner, notifier)

        duty = Duty(ledger, new_term, clock, metrics, config.leader_lease_s)
        registry.register(EndpointMetrics(duty.endpoints))
        desk = Desk(
            ledger,
            clock,
            metrics,
            access=access,
            secret_files=tuple(one.secret_file for one in told),
            files=files,
            is_alive=duty.is_alive,
        )
        kept = ObjectStore(ledger.database, clock)
        # A client of its own: long range queries must not hold the judge's questions up.
        reader = _collector(config)
        executions = Executions(kept, reader, clock)
        app = _application(desk, config.guards, duty, rules)
        by_hand = [one.endpoint_id for one in endpoints if config.guards.two_persons]
        add_secrets(app, desk, SecretDesk(told, files, ledger.database, clock), by_hand)
        add_kayenta(app, desk, kept, executions)
        add_looking_back(app, Looker(desk, reader, rules.objectives))
        add_alertmanager(app, desk, config.notices, url)
        try:
            await executions.start()
            server = _Server(_gated(app, access, metrics, config), listener)
            return await _until_told(server, {duty.start()})
        finally:
            await asyncio.gather(duty.stop(), executions.stop())
            desk.close()
            await asyncio.to_thread(telemetry.shutdown, TELEMETRY_STOP_S)


async def _until_told(server: _Server, loops: set[asyncio.Task[None]]) -> int:
    """Serve; a loop that ends by itself ends the process, so that it is started anew."""
    serving = asyncio.create_task(server.serve(sockets=[server.listener]))
    await asyncio.wait({serving, *loops}, return_when=asyncio.FIRST_COMPLETED)
    is_broken = not serving.done()
    if is_broken:
        server.should_exit = True
    await serving
    for loop in loops:
        if is_broken and loop.done():
            logger.error("%s has ended", loop.get_name(), exc_info=loop.exception())
    return 1 if is_broken else 0


def _feedback(config: AnalysisConfig, clock: Clock) -> Feedback:
    return Feedback(
        telemetry.setup(SERVICE_NAME, endpoint=config.otlp_endpoint, set_globals=False, clock=clock)
    )


def _collector(config: AnalysisConfig) -> CollectorClient:
    headers = partial(own_headers, config.access)
    return CollectorClient(config.collector_url, config.runner.reading, headers)


def _gated(
    app: FastAPI, access: AccessDesk, metrics: Metrics, config: AnalysisConfig
) -> Application:
    """Behind the gate where tokens are required; else only changes need one."""
    if not config.access.required:
        return app

    def count(outcome: str) -> None:
        metrics.requests.labels("gate", outcome).inc()

    return Gate(app, access, scope_of, count)


def _application(desk: Desk, guards: GuardConfig, duty: Duty, rules: Rules) -> FastAPI:
    """What needs nothing but the ledger, and what may need two people."""
    ledger, clock = desk.ledger, desk.clock
    app = build_app(desk)
    proposals = ProposalDesk(ledger.database, clock, Changes(ledger.outbox), guards.proposing)
    desk.metrics.registry.register(ProposalMetrics(proposals.open_count, MAX_OPEN))
    loosening = Loosening(proposals, clock, desk.metrics)
    add_proposals(app, desk, proposals)
    add_guards(app, desk, ledger.guards, loosening)
    add_outbox(app, desk, ledger.outbox, duty.endpoints, loosening)
    add_notices(app, desk, NoticeDesk(ledger.database, clock), loosening)
    names = [one.name for one in rules.objectives]
    add_corrections(app, desk, names, loosening)
    add_policies(app, desk, rules.policies, names, loosening)
    add_doors(app, desk)
    add_replay(app, desk)
    return app


class _Server(uvicorn.Server):
    """Says when it is ready, and ends quietly on SIGTERM instead of dying of it."""

    def __init__(self, app: Application, listener: socket.socket) -> None:
        config = uvicorn.Config(
            app,
            http="httptools",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
        )
        super().__init__(config)
        self.listener = listener

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell the supervisor."""
        await super().startup(sockets)
        port = self.listener.getsockname()[1]
        print("ready analysis", json.dumps({"api_port": port}), flush=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle SIGTERM and SIGINT without raising them again at the end."""

        def stop() -> None:
            self.should_exit = True

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        yield


def base_url(host: str, port: int) -> str:
    """``http://host:port`` of our own API."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _open(config: AnalysisConfig, clock: Clock, url: str) -> Ledger:
    """The ledger; settings that nobody approved are told. Raises StartError."""
    addressing = Addressing(
        endpoint_id=config.endpoint.endpoint_id,
        url=config.endpoint.url,
        analysis_url=url,
        decision_lifetime_s=config.decision_lifetime_s,
        routes=config.routes,
    )
    ledger = Ledger.open(config.database_url, clock, addressing, config.guarding())
    try:
        held = ledger.guards.begin()
    except LedgerUnavailableError as error:
        ledger.close()
        raise StartError(str(error)) from error
    if held is not None:
        logger.warning("commands are held (settings_not_approved): %s", held)
    return ledger


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise StartError(f"cannot listen on {host} port {port}: {error.strerror}") from None
    return listener


def _check_files(config: AnalysisConfig) -> None:
    """Raises StartError when a command could not be signed, or nobody could ever report."""
    _check_token(config.access.owner_file)
    if not config.modes.has_act:
        return
    try:
        for endpoint in (config.endpoint, *config.endpoints):
            read_secrets(endpoint.secret_file, config.secret_files)
    except SecretError as error:
        raise StartError(f"the mode is act, but commands cannot be signed: {error}") from None


def _check_token(path: Path) -> None:
    try:
        is_empty = not path.read_text().strip()
    except OSError as error:
        raise StartError(f"the API token {path} cannot be read: {error.strerror}") from None
    if is_empty:
        raise StartError(f"the API token {path} is empty")
