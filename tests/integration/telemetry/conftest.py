"""Real servers on loopback: a small OTLP endpoint and FastAPI applications under uvicorn."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import uvicorn
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


class OtlpEndpoint:
    """Receives OTLP/HTTP and answers as told: reject some items, or a status."""

    def __init__(self, port: int = 0) -> None:
        self.spans: list[object] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.reject_spans = 0
        self.reject_points = 0
        self.statuses: list[int] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = endpoint.statuses.pop(0) if endpoint.statuses else 200
                reply = endpoint.take(self.path, body) if status == 200 else b""
                self.send_response(status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def take(self, path: str, body: bytes) -> bytes:
        if path == "/v1/traces":
            request = ExportTraceServiceRequest.FromString(body)
            for resource_spans in request.resource_spans:
                for scope_spans in resource_spans.scope_spans:
                    self.spans.extend(scope_spans.spans)
            reply = ExportTraceServiceResponse()
            if self.reject_spans:
                reply.partial_success.rejected_spans = self.reject_spans
                reply.partial_success.error_message = "too old"
            return reply.SerializeToString()
        assert path == "/v1/metrics"
        self.metrics.append(ExportMetricsServiceRequest.FromString(body))
        answer = ExportMetricsServiceResponse()
        if self.reject_points:
            answer.partial_success.rejected_data_points = self.reject_points
            answer.partial_success.error_message = "unknown temporality"
        return answer.SerializeToString()

    def metric(self, name: str) -> list[object]:
        """Every export of the metric ``name``, oldest first."""
        return [
            metric
            for request in list(self.metrics)
            for resource_metrics in request.resource_metrics
            for scope_metrics in resource_metrics.scope_metrics
            for metric in scope_metrics.metrics
            if metric.name == name
        ]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def otlp() -> Iterator[OtlpEndpoint]:
    endpoint = OtlpEndpoint()
    yield endpoint
    endpoint.close()


@pytest.fixture
def otlp_at() -> Callable[[int], OtlpEndpoint]:
    return OtlpEndpoint


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def eventually() -> Callable[..., None]:
    def wait(condition: Callable[[], object], deadline_s: float = 15.0) -> None:
        ends_s = time.monotonic() + deadline_s
        while not condition():
            assert time.monotonic() < ends_s, "condition not met in time"
            time.sleep(0.02)

    return wait


@pytest.fixture
def serve():
    """``async with serve(app) as base_url``: the application under a real uvicorn."""

    @asynccontextmanager
    async def running(app):
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server._serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            await task

    return running
