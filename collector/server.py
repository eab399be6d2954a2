"""The collector as a process: ``run(config)`` until SIGTERM or SIGINT.

One event loop carries both receivers and the read API. Three kinds of threads work beside it:
the write-ahead log's, the store's writer's, and those that answer questions.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, Final

import grpc
import numpy as np
import uvicorn
import uvloop
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from collector.access.desk import AccessDesk
from collector.access.gate import Gate, reading
from collector.asgi import Application
from collector.config import CollectorConfig
from collector.errors import PortTaken, StartError
from collector.limits.lives import Lives
from collector.pipeline.pipeline import Pipeline
from collector.promql.api import build_prometheus_app
from collector.query.api import build_app
from collector.receivers.grpc import OtlpGrpc
from collector.receivers.http import OtlpHttp
from collector.receivers.in_flight import InFlight
from collector.receivers.remote_write import RemoteWriteHttp, WriteFirst
from collector.scrape.errors import BadScrapeFile
from collector.scrape.sample_sink import SampleSink
from collector.scrape.scraper import Scraper
from collector.selfmetrics import SelfMetrics
from collector.sockets import BACKLOG, listening, port_message, require_loopback
from collector.store.engine import open_store
from collector.store.errors import StoreError
from collector.wal.errors import WalError
from telemetry.clock import Clock, SystemClock

logger = logging.getLogger("collector")

#: Seconds a stop may take: for answers under way, then for what waits for the store.
STOP_ANSWERS_S: Final = 1.0
STOP_STORE_S: Final = 2.0
#: Connections of one HTTP server, and calls of the gRPC server; one more is refused at once.
MAX_CONNECTIONS: Final = 1_000
MAX_CALLS: Final = 256
#: Longer than exporters keep idle connections, so that the client closes first.
KEEP_ALIVE_S: Final = 75


def run(config: CollectorConfig) -> int:
    """Serve until told to stop; returns the exit code.

    Prints ``ready collector {...}`` once data is accepted. What is wrong at start is one sentence
    on stderr and 1; after that nothing ends the process but a signal.
    """
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_Collector(config, SystemClock(), np.random.default_rng()).serve())
    except (StartError, StoreError, WalError, BadScrapeFile) as error:
        print(f"collector: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"collector: cannot start: {error}", file=sys.stderr)
        return 1
    return 0


class _Collector:
    """One life of the process."""

    def __init__(self, config: CollectorConfig, clock: Clock, rng: np.random.Generator) -> None:
        self._config = config
        self._clock = clock
        self._rng = rng
        self._registry = CollectorRegistry()
        self._metrics = SelfMetrics(self._registry)
        self._metrics.show_limits(config.limits, config.wal, config.overload)
        self._in_flight = InFlight(config.limits.max_in_flight_bytes)
        self._access = AccessDesk(config.access, clock)

    async def serve(self) -> None:
        """Open everything from the inside out, wait, close in reverse."""
        config = self._config
        stopped = _stop_signal()
        if not config.access.required:
            require_loopback(config.host)
        async with contextlib.AsyncExitStack() as stack:
            # gRPC's core tells only that binding failed; a socket of our own tells why.
            listening(config.host, config.otlp_grpc_port, "otlp_grpc_port").close()
            http_socket = listening(config.host, config.otlp_http_port, "otlp_http_port")
            stack.enter_context(http_socket)
            api_socket = listening(config.host, config.api_port, "api_port")
            stack.enter_context(api_socket)
            store = open_store(config.store)
            stack.callback(store.close)
            # The store has one owner, so nobody else writes this file.
            lives = Lives(config.wal.path, config.overload, self._clock)
            # Also when the start fails in words: only who dies without a word has no end.
            stack.callback(lives.ended)
            pipeline = Pipeline(
                config,
                store,
                self._metrics,
                self._clock,
                self._rng,
                is_safe_mode=lives.is_safe_mode,
            )
            stack.callback(pipeline.close, STOP_STORE_S)
            pipeline.start()
            self._show_state(pipeline)
            scraper = self._scraper(pipeline)
            api = build_app(
                store,
                pipeline,
                self._clock,
                registry=self._registry,
                config=config.store,
                scrape_status=scraper.status if scraper is not None else None,
            )
            prometheus = build_prometheus_app(
                store, self._clock, config=config.promql, registry=self._registry
            )
            # The lifespan of a mounted app does not run.
            stack.callback(prometheus.state.api.close)
            write = RemoteWriteHttp(pipeline.samples, *self._receiving())
            api.mount("/prometheus", prometheus)
            answers = WriteFirst(write, self._gated(api))
            await stack.enter_async_context(_served(answers, api_socket))
            receiver = OtlpHttp(pipeline.intake, *self._receiving())
            await stack.enter_async_context(_served(receiver, http_socket))
            grpc_port = await self._serve_grpc(stack, pipeline)
            if scraper is not None:
                await stack.enter_async_context(_running(self._scrape(scraper, pipeline)))
            ports = {
                "otlp_grpc_port": grpc_port,
                "otlp_http_port": http_socket.getsockname()[1],
                "api_port": api_socket.getsockname()[1],
            }
            lives.ready()
            print(f"ready collector {json.dumps(ports)}", flush=True)
            await stopped.wait()
            pipeline.refuse()

    def _receiving(self) -> tuple[Any, ...]:
        """What both HTTP receivers share."""
        limits = self._config.limits
        return self._in_flight, limits, self._metrics, self._rng, self._access

    def _gated(self, api: FastAPI) -> Application:
        """Behind the gate where tokens are required."""
        if not self._config.access.required:
            return api

        def count(outcome: str) -> None:
            self._metrics.answered("read_api", "none", outcome)

        return Gate(api, self._access, reading, count)

    def _scraper(self, pipeline: Pipeline) -> Scraper | None:
        """Raises BadScrapeFile."""
        if not self._config.scrape.config_path:
            return None
        sink = SampleSink(pipeline.samples)
        return Scraper(self._config.scrape, sink, self._in_flight, self._clock, self._metrics)

    async def _scrape(self, scraper: Scraper, pipeline: Pipeline) -> None:
        await asyncio.sleep(pipeline.overload.safe_mode_left_s)
        await scraper.run()

    def _show_state(self, pipeline: Pipeline) -> None:
        self._metrics.show_state(
            pending_bytes=lambda: pipeline.accounts.pending_bytes,
            pending_items=pipeline.accounts.pending_items,
            in_flight_bytes=lambda: self._in_flight.taken_bytes,
            lag_s=pipeline.lag_s,
        )
        self._metrics.show_overload(pipeline.overload)

    async def _serve_grpc(self, stack: contextlib.AsyncExitStack, pipeline: Pipeline) -> int:
        config = self._config
        receiver = OtlpGrpc(
            pipeline.intake, self._in_flight, self._metrics, self._rng, self._access
        )
        server = grpc.aio.server(
            maximum_concurrent_rpcs=MAX_CALLS,
            options=(
                ("grpc.max_receive_message_length", config.limits.max_body_bytes),
                # Else a second collector would share the port and get half of the requests.
                ("grpc.so_reuseport", 0),
            ),
        )
        server.add_generic_rpc_handlers(receiver.handlers())
        address = f"[{config.host}]" if ":" in config.host else config.host
        try:
            port = server.add_insecure_port(f"{address}:{config.otlp_grpc_port}")
        except RuntimeError as error:
            raise PortTaken(
                port_message(
                    config.host, config.otlp_grpc_port, "otlp_grpc_port", OSError(0, str(error))
                )
            ) from error
        await server.start()
        stack.push_async_callback(server.stop, STOP_ANSWERS_S)
        return port


class _Server(uvicorn.Server):
    """Leaves signals to us: three servers share them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def _served(app: Any, listener: socket.socket) -> Any:
    config = uvicorn.Config(
        app,
        http="httptools",
        lifespan="on" if isinstance(app, WriteFirst) else "off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=round(STOP_ANSWERS_S),
        timeout_keep_alive=KEEP_ALIVE_S,
        limit_concurrency=MAX_CONNECTIONS,
        backlog=BACKLOG,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        if task.done():
            await task
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        await task


@contextlib.asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _stop_signal() -> asyncio.Event:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    return stopped
