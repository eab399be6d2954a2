"""Serving an application on a socket the parent opened, in a forked child."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import uvicorn
import uvloop
from fastapi import FastAPI, Response

from sample_services.config import SamplesConfig
from sample_services.instances import InstanceSpec

GRACEFUL_SHUTDOWN_S = 1
#: Longer than the clients keep idle connections, so that the client closes first.
KEEP_ALIVE_S = 75


@dataclass(frozen=True, slots=True)
class Birth:
    """What a child is born with."""

    spec: InstanceSpec
    instance_id: str
    port: int
    config: SamplesConfig
    #: Listening already; None for processes that serve nothing.
    listener: socket.socket | None
    #: The deployer's pipe to the parent; None for everyone else.
    parent: socket.socket | None
    #: Tells the parent that this instance is ready.
    ready: Callable[[], None]
    controller_url: str


class InheritedServer(uvicorn.Server):
    """Reports readiness, and ends quietly on SIGTERM instead of dying of it."""

    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], on_stop: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start and then say so."""
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle SIGTERM and SIGINT without raising them again at the end."""

        def stop() -> None:
            if not self.started:  # nobody is served, nothing to finish or to send
                os._exit(0)
            self._on_stop()
            self.should_exit = True

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        yield


def serve(app: FastAPI, birth: Birth, on_stop: Callable[[], None] = lambda: None) -> None:
    """Blocks until SIGTERM; ``on_stop`` is called then, before open requests are waited for."""
    assert birth.listener is not None
    config = uvicorn.Config(
        app,
        http="httptools",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    server = InheritedServer(config, birth.ready, on_stop)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve(sockets=[birth.listener]))


def lifespan_of(
    start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]
) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    """A FastAPI lifespan from two coroutines; ``stop`` runs also when ``start`` failed."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            await start()
            yield
        finally:
            await stop()

    return lifespan


def json_response(body: Any, status: int = 200) -> Response:
    """``body`` as JSON, without validating what this program just made."""
    return Response(orjson.dumps(body), status, media_type="application/json")
