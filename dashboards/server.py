"""``run(config)``: serve the pages until asked to stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Final

import uvicorn

from collector.sockets import is_loopback
from dashboards.app import build_app
from dashboards.config import DashboardsConfig
from dashboards.errors import RefusedHostError
from dashboards.signin.config import check as check_sign_in
from dashboards.signin.errors import SignInSettingsError
from telemetry.clock import SystemClock

logger = logging.getLogger("dashboards")

#: Open requests may finish this long after the order to stop.
_GRACE_S: Final = 2


def run(config: DashboardsConfig) -> int:
    """Serve, print ``ready dashboards {...}`` once, block until SIGTERM or SIGINT.

    Returns 0 after a clean stop, 1 when it could not start, with one sentence on stderr.
    """
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    try:
        check_sign_in(config.oidc, is_access_required=config.access.required)
        if not config.access.required:
            _require_loopback(config.host)
        listener = socket.create_server((config.host, config.port), backlog=128)
    except SignInSettingsError as error:
        print(f"dashboards: [dashboards.oidc] {error}", file=sys.stderr)
        return 1
    except RefusedHostError as error:
        print(f"dashboards: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"dashboards: cannot listen on {config.host} port {config.port}: {error.strerror}. "
            "Choose another with [dashboards] port in the settings.",
            file=sys.stderr,
        )
        return 1
    return asyncio.run(_serve(config, listener))


def _require_loopback(host: str) -> None:
    if not is_loopback(host):
        raise RefusedHostError(
            f"host {host!r} is not loopback, which needs [access] required = true; "
            "use 127.0.0.1, ::1 or localhost"
        )


class _Server(uvicorn.Server):
    """Says when it is ready, and ends quietly on SIGTERM instead of dying of it."""

    def __init__(self, config: uvicorn.Config, port: int) -> None:
        super().__init__(config)
        self._port = port

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start and then say so."""
        await super().startup(sockets)
        if self.started:
            print(f"ready dashboards {json.dumps({'port': self._port})}", flush=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle SIGTERM and SIGINT without raising them again at the end."""

        def stop() -> None:
            self.should_exit = True

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        yield


async def _serve(config: DashboardsConfig, listener: socket.socket) -> int:
    try:
        app = build_app(config, SystemClock())
    except SignInSettingsError as error:
        listener.close()
        print(f"dashboards: [dashboards.oidc] {error}", file=sys.stderr)
        return 1
    settings = uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = _Server(settings, listener.getsockname()[1])
    await server.serve(sockets=[listener])
    return 0 if server.started else 1
