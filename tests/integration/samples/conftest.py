"""The sample stack as real processes, and real receivers for what it sends."""

from __future__ import annotations

import base64
import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from analysis.decisions.records import Arm, Decision, Declaration
from analysis.decisions.states import Action, DecisionState
from analysis.webhooks import signing
from analysis.webhooks.events import Addressing, render

ROOT = Path(__file__).parents[3]
#: For everything that must happen; generous, because the machine may be busy.
DEADLINE_S = 60.0
API_TOKEN = "token-of-this-test"


def wait_until(
    reached: Callable[[], Any],
    *,
    deadline_s: float = DEADLINE_S,
    pause_s: float = 0.05,
    what: str = "",
) -> Any:
    """The first true value of ``reached``; fails when there is none in time."""
    ends_s = time.monotonic() + deadline_s
    while not (found := reached()):
        assert time.monotonic() < ends_s, f"not within {deadline_s} s: {what or reached}"
        time.sleep(pause_s)
    return found


class HttpReceiver:
    """A server on a free port that keeps (path, headers, body) of every POST."""

    reply_type = "application/json"

    def __init__(self, port: int = 0) -> None:
        self.posts: list[tuple[str, Mapping[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.posts.append((self.path, headers, body))
                status, reply = receiver.answer(self.path, body)
                self.send_response(status)
                self.send_header("Content-Type", receiver.reply_type)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        return 200, b"{}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass(frozen=True)
class SpanSeen:
    """A span with the resource it came with, attributes as plain values."""

    resource: Mapping[str, Any]
    attributes: Mapping[str, Any]
    span: Any

    @property
    def service(self) -> str:
        return self.resource["service.name"]


@dataclass(frozen=True)
class PointSeen:
    """The newest point of one series."""

    resource: Mapping[str, Any]
    attributes: Mapping[str, Any]
    #: ``sum``, ``histogram``, ``exponential_histogram`` or ``gauge``.
    kind: str
    temporality: int
    point: Any

    @property
    def total(self) -> float:
        if self.kind == "sum":
            return self.point.as_int or self.point.as_double
        return self.point.count


class OtlpReceiver(HttpReceiver):
    """A real OTLP/HTTP endpoint that keeps what it is sent, as the sample stack's collector.

    Bodies are decoded when somebody asks, each once, so that waiting costs the stack no processor.
    """

    reply_type = "application/x-protobuf"

    def __init__(self) -> None:
        self._decoded: dict[str, int] = defaultdict(int)
        self._spans: list[SpanSeen] = []
        self._newest: dict[str, dict[tuple[Any, ...], PointSeen]] = defaultdict(dict)
        super().__init__()

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        return 200, b""

    def spans(self) -> list[SpanSeen]:
        self._decode("/v1/traces", ExportTraceServiceRequest, self._take_spans)
        return self._spans

    def points(self, metric: str) -> list[PointSeen]:
        """The newest point of each series of ``metric``."""
        self._decode("/v1/metrics", ExportMetricsServiceRequest, self._take_metrics)
        return list(self._newest[metric].values())

    def total(self, metric: str, **match: Any) -> float:
        """Sum over the cumulative series whose attributes match (dots written as ``_``)."""
        return sum(seen.total for seen in self.matching(metric, **match))

    def matching(self, metric: str, **match: Any) -> list[PointSeen]:
        wanted = {key.replace("_", "."): value for key, value in match.items()}
        return [
            seen
            for seen in self.points(metric)
            if all({**seen.resource, **seen.attributes}.get(k) == v for k, v in wanted.items())
        ]

    def _decode(self, path: str, message: Any, take: Callable[[Any], None]) -> None:
        first = self._decoded[path]
        posts = self.posts[first:]
        self._decoded[path] += len(posts)
        for posted_to, _, body in posts:
            if posted_to == path:
                take(message.FromString(body))

    def _take_spans(self, request: ExportTraceServiceRequest) -> None:
        for sent in request.resource_spans:
            resource = plain(sent.resource.attributes)
            for scope in sent.scope_spans:
                self._spans += [SpanSeen(resource, plain(s.attributes), s) for s in scope.spans]

    def _take_metrics(self, request: ExportMetricsServiceRequest) -> None:
        for sent in request.resource_metrics:
            resource = plain(sent.resource.attributes)
            for scope in sent.scope_metrics:
                for metric in scope.metrics:
                    self._newest[metric.name] |= dict(points_of(resource, metric))


def points_of(resource, sent):
    kind = sent.WhichOneof("data")
    data = getattr(sent, kind)
    for point in data.data_points:
        attributes = plain(point.attributes)
        key = (resource["service.instance.id"], *sorted(attributes.items()))
        yield (
            key,
            PointSeen(
                resource, attributes, kind, getattr(data, "aggregation_temporality", 0), point
            ),
        )


def plain(attributes) -> dict[str, Any]:
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value")
        for pair in attributes
    }


class Analysis(HttpReceiver):
    """The two answers of the analysis that a deployer waits for; keeps what it was told."""

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        return (201 if path == "/api/v1/canaries" else 200), body

    def told(self, path_end: str) -> list[dict[str, Any]]:
        return [json.loads(body) for path, _, body in list(self.posts) if path.endswith(path_end)]


class Stack:
    """A running sample stack; stopped, and its end checked, by the fixture that made it."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        defaults = tomllib.loads((ROOT / "davylamp/defaults.toml").read_text())["samples"]
        self.fields = {
            **defaults,
            "controller_port": 0,
            "edge_port": 0,
            "profile": "tiny",
            "export_interval_s": 0.5,
            "drain_timeout_s": 1.0,
            "otlp_endpoint": "http://127.0.0.1:9",
            "analysis_url": "",
            "webhook_secret_file": str(folder / "webhook.secret"),
            "api_token_file": str(folder / "api.token"),
            "state_dir": str(folder / "state"),
            **changes,
        }
        self.secret = new_secret()
        (folder / "webhook.secret").write_text(self.secret)
        (folder / "api.token").write_text(API_TOKEN)
        self.stderr_file = folder / "stderr"
        with self.stderr_file.open("w") as stderr:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    Path(__file__).with_name("stack_child.py"),
                    json.dumps(self.fields),
                ],
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        self.ports: dict[str, Any] = {}

    def wait_ready(self) -> Stack:
        line = self.process.stdout.readline()
        assert line.startswith("ready samples "), self.stderr_file.read_text()
        self.ports = json.loads(line.removeprefix("ready samples "))
        return self

    def ask(self, method: str, path: str, body: Any = None, headers: Any = None, port: int = 0):
        """(status, decoded answer) of the deployer, or of whoever listens on ``port``."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", port or self.ports["controller_port"], timeout=DEADLINE_S
        )
        try:
            data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            sent = {"content-type": "application/json", **(headers or {})}
            connection.request(method, path, data, sent)
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read())
        finally:
            connection.close()

    def instances(self) -> dict[str, dict[str, Any]]:
        """Position -> instance, as the deployer lists them."""
        listed = self.ask("GET", "/v1/instances")[1]["instances"]
        return {one["spec"]["slot"]: one for one in listed}

    def counts(self) -> dict[str, int]:
        """The audience's own counts."""
        return self.ask("GET", "/v1/traffic")[1]

    def deploy(self, build: str, **more: Any) -> dict[str, Any]:
        wish = {"service": "playback", "build": build, **more}
        status, answer = self.ask("POST", "/v1/deployments", wish)
        assert status == 201, answer
        return answer

    def deployment(self, deployment_id: str) -> dict[str, Any]:
        return self.ask("GET", f"/v1/deployments/{deployment_id}")[1]

    def wait_state(self, deployment_id: str, state: str) -> dict[str, Any]:
        def reached():
            found = self.deployment(deployment_id)
            return found if found["state"] == state else None

        return wait_until(reached, what=f"{deployment_id} {state}")

    def journal(self) -> list[dict[str, Any]]:
        """What the deployer wrote down."""
        path = Path(self.fields["state_dir"]) / "samples" / "journal.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def commander(self, deployment: Mapping[str, Any], analysis_url: str) -> Commander:
        return Commander(self, deployment, analysis_url)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(DEADLINE_S)
        finally:
            self.process.stdout.close()


class Commander:
    """Makes commands as the analysis does, with its own renderer and signer, and posts them."""

    def __init__(self, stack: Stack, deployment: Mapping[str, Any], analysis_url: str) -> None:
        self._stack = stack
        self._analysis_url = analysis_url
        fields = stack.fields
        arms = {
            arm: Arm(deployment[arm]["version"], deployment[arm]["digest"], ("i-1",))
            for arm in ("baseline", "canary")
        }
        self.declaration = Declaration(
            deployment_id=deployment["deployment_id"],
            environment=fields["environment"],
            service=deployment["service"],
            started_unix_nano=deployment["started_unix_nano"],
            expires_unix_nano=deployment["expires_unix_nano"],
            **arms,
        )

    def body(self, action: str = "rollback", *, lifetime_s: float = 60.0, **changes: Any) -> bytes:
        """A rendered command; ``changes`` are fields of the decision."""
        now = time.time_ns()
        decision = Decision(
            **{
                "decision_id": f"dec_{secrets.token_hex(8)}",
                "deployment_id": self.declaration.deployment_id,
                "environment": self.declaration.environment,
                "service": self.declaration.service,
                "action": Action(action),
                "mode": "act",
                "sequence": now,
                "state": DecisionState.REQUESTED,
                "verdict": "fail",
                "summary": "more starts fail",
                "culprit_metric": None,
                "culprit_split": None,
                "evidence_sha256": "0" * 64,
                "rule_sha256": "0" * 64,
                "supersedes": None,
                "created_unix_nano": now,
                "expires_unix_nano": now + round(lifetime_s * 1e9),
                "delivered_unix_nano": None,
                "acknowledged_unix_nano": None,
                "completed_unix_nano": None,
                "confirmed_unix_nano": None,
                "history": (),
            }
            | changes
        )
        endpoint_id = self._stack.fields["endpoint_id"]
        addressing = Addressing(endpoint_id, "", self._analysis_url, lifetime_s)
        return render(decision, self.declaration, addressing)

    def headers(
        self, body: bytes, *, secret: str = "", webhook_id: str = "", age_s: int = 0
    ) -> dict[str, str]:
        """The signature of one attempt, by default with the secret the stack knows."""
        keys = [signing.parse_secret(secret or self._stack.secret)]
        message_id = webhook_id or f"msg_{secrets.token_hex(8)}"
        return signing.headers(keys, message_id, int(time.time()) - age_s, body)

    def post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        return self._stack.ask("POST", "/webhooks/davylamp", body, headers)

    def command(self, action: str) -> tuple[int, dict[str, Any]]:
        """Sign and post a fresh command."""
        body = self.body(action)
        return self.post(body, self.headers(body))


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


@pytest.fixture(scope="session")
def until():
    return wait_until


@pytest.fixture(scope="module")
def otlp() -> Iterator[OtlpReceiver]:
    receiver = OtlpReceiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def analysis() -> Iterator[Analysis]:
    receiver = Analysis()
    yield receiver
    receiver.close()


@pytest.fixture
def another_secret() -> str:
    return new_secret()


@pytest.fixture(scope="module")
def start_stack(tmp_path_factory) -> Iterator[Callable[..., Stack]]:
    """``start_stack(field=value)``: a tiny stack, ready; all are stopped with their module.

    ``start_stack.begin(...)`` does not wait, ``start_stack.started`` is all of them.
    """
    started: list[Stack] = []

    def begin(**changes: Any) -> Stack:
        started.append(Stack(tmp_path_factory.mktemp("stack"), **changes))
        return started[-1]

    def start(**changes: Any) -> Stack:
        return begin(**changes).wait_ready()

    start.begin, start.started = begin, started
    yield start
    for stack in started:
        stack.stop()
