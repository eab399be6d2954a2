"""The how-to page works: its blocks are run as they stand, against real receivers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/howto/instrument-a-service.md"
BLOCKS = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE.read_text(), re.DOTALL))
DEADLINE_S = 60.0
ARM = {"davylamp.canary.cohort": "canary", "deployment.id": "catalogue-7"}


class Receiver:
    """OTLP over HTTP on one free port and over gRPC on another; keeps the requests."""

    def __init__(self):
        self.traces = []
        self.metrics = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/v1/traces":
                    receiver.traces.append(ExportTraceServiceRequest.FromString(body))
                else:
                    receiver.metrics.append(ExportMetricsServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        self.http_url = f"http://127.0.0.1:{self._http.server_address[1]}"
        export = grpc.unary_unary_rpc_method_handler(
            self._export,
            request_deserializer=ExportTraceServiceRequest.FromString,
            response_serializer=ExportTraceServiceResponse.SerializeToString,
        )
        service = "opentelemetry.proto.collector.trace.v1.TraceService"
        self._grpc = grpc.server(ThreadPoolExecutor(2))
        self._grpc.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(service, {"Export": export})]
        )
        self.grpc_url = f"http://127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"
        self._grpc.start()

    def _export(self, request, _context):
        self.traces.append(request)
        return ExportTraceServiceResponse()

    def spans(self):
        """(service, name, kind, attributes) of every span."""
        return [
            (service_of(sent.resource), span.name, span.kind, plain(span.attributes))
            for request in self.traces
            for sent in request.resource_spans
            for scope in sent.scope_spans
            for span in scope.spans
        ]

    def metric_names(self):
        """(service, metric) pairs."""
        return {
            (service_of(sent.resource), metric.name)
            for request in self.metrics
            for sent in request.resource_metrics
            for scope in sent.scope_metrics
            for metric in scope.metrics
        }

    def close(self):
        self._http.shutdown()
        self._http.server_close()
        self._grpc.stop(None)


def plain(attributes):
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in attributes}


def service_of(resource):
    return plain(resource.attributes)["service.name"]


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path):
    """The page's files, side by side."""
    for name, body in BLOCKS.items():
        (tmp_path / name).write_text(body)
    return tmp_path


def environment(endpoint):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "DAVYLAMP_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}


def run(folder, endpoint, *command):
    """Run a file of the page to its end; what it printed."""
    ended = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment(endpoint),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


@contextmanager
def serving(folder, endpoint):
    """``service.py`` under uvicorn as on the page, on any free port; its base address."""
    command = [sys.executable, "-m", "uvicorn", "service:app", "--port", "0"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment(endpoint), stderr=log)
    try:
        address = re.compile(r"running on (http://127\.0\.0\.1:\d+)")
        ends_s = time.monotonic() + DEADLINE_S
        while not (found := address.search((folder / "log").read_text())):
            assert time.monotonic() < ends_s, (folder / "log").read_text()
            time.sleep(0.02)
        yield found.group(1)
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def test_the_page_has_the_files_it_promises():
    """A block that loses its first line would silently not be tested."""
    assert BLOCKS.keys() == {"service.py", "caller.py", "stock_http.py", "stock_grpc.py"}
    assert PAGE.read_text().count("```python") == len(BLOCKS)


def test_the_service_is_about_fifteen_lines():
    """The promise of the quick start."""
    assert len(BLOCKS["service.py"].splitlines()) <= 15


def test_a_service_and_its_caller(folder, receiver):
    """One server span and one duration per request; trace and arm go from caller to service."""
    with serving(folder, receiver.http_url) as base_url:
        with urllib.request.urlopen(f"{base_url}/titles/t1") as reply:
            assert reply.read() == b'{"title":"t1"}'
        assert run(folder, receiver.http_url, "caller.py", base_url) == "{'title': 't1'}\n"
    spans = receiver.spans()
    shown = Counter((service, name, kind) for service, name, kind, _ in spans)
    assert shown == {
        ("catalogue", "GET /titles/{title}", 2): 2,
        ("shelf", "GET /titles/{title}", 3): 1,
    }
    armed = [service for service, _, _, attributes in spans if ARM.items() <= attributes.items()]
    assert sorted(armed) == ["catalogue", "shelf"]
    assert {
        ("catalogue", "http.server.request.duration"),
        ("shelf", "http.client.request.duration"),
    } <= receiver.metric_names()


def test_a_service_without_a_collector_works_and_is_quiet(folder):
    """Nothing listens: requests are answered, the log has a warning for each signal, not more."""
    with serving(folder, "http://127.0.0.1:9") as base_url:
        for _ in range(20):
            with urllib.request.urlopen(f"{base_url}/titles/t1") as reply:
                assert reply.status == 200
        stopping_s = time.monotonic()
    assert time.monotonic() - stopping_s < 15.0
    warnings = [x for x in (folder / "log").read_text().splitlines() if "collector" in x]
    assert len(warnings) <= 2
    assert "Traceback" not in (folder / "log").read_text()


def test_a_stock_sdk_over_http(folder, receiver):
    """Spans and metrics arrive; the file imports nothing of ours."""
    assert "telemetry." not in BLOCKS["stock_http.py"].replace("opentelemetry.", "")
    run(folder, receiver.http_url, "stock_http.py")
    assert [span[:3] for span in receiver.spans()] == [("billing", "POST /invoices", 2)]
    assert ("billing", "billing.invoices") in receiver.metric_names()


def test_a_stock_sdk_over_grpc(folder, receiver):
    """The other exporter, the other port."""
    run(folder, receiver.grpc_url, "stock_grpc.py")
    assert [span[:3] for span in receiver.spans()] == [("ledger", "Post", 2)]
