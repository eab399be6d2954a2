"""A service on the stock JavaScript SDK, as npm has it, over all three exporters."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
import requests
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

SERVICE = Path(__file__).with_name("stock_node_service.cjs")
STABLE, EXPERIMENTAL = "2.12.1", "0.223.0"
PACKAGES = {
    "@opentelemetry/api": "1.9.1",
    "@opentelemetry/api-logs": EXPERIMENTAL,
    "@opentelemetry/sdk-node": EXPERIMENTAL,
    "@opentelemetry/sdk-logs": EXPERIMENTAL,
    **{f"@opentelemetry/{n}": STABLE for n in ("resources", "sdk-metrics", "sdk-trace-base")},
    **{
        f"@opentelemetry/exporter-{signal}-otlp-{protocol}": EXPERIMENTAL
        for signal in ("trace", "metrics", "logs")
        for protocol in ("proto", "http", "grpc")
    },
}
INSTALL_TIMEOUT_S = 300.0
SEND_TIMEOUT_S = 60.0
COUNT = 50
#: "http" is JSON.
OVER_HTTP = ("proto", "http")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """Runs the service; answers with the id of its trace."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": PACKAGES}))
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, timeout=INSTALL_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install the SDK within {INSTALL_TIMEOUT_S} s")
    if done.returncode:
        pytest.skip(f"npm cannot install the SDK: {done.stderr.decode()[-300:]}")
    shutil.copy(SERVICE, folder)

    def run(protocol: str, address: str, service: str) -> str:
        done = subprocess.run(
            ["node", SERVICE.name, protocol, address, service, str(COUNT)],
            cwd=folder,
            capture_output=True,
            timeout=SEND_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        trace_id: str = json.loads(done.stdout)["trace_id"]
        return trace_id

    return run


@pytest.mark.parametrize("protocol", ["proto", "http", "grpc"])
def test_everything_arrives_once_with_its_attributes(collector, node, protocol):
    """Spans, records and metrics, numbers and text beyond ASCII."""
    service = f"node-{protocol}"
    address = f"http://{collector.grpc_address}" if protocol == "grpc" else collector.http_url
    trace_id = node(protocol, address, service)
    collector.settled_books()
    check(collector, service, trace_id)


@pytest.mark.parametrize("protocol", OVER_HTTP)
def test_what_is_answered_429_comes_again_and_is_stored_once(start, node, protocol):
    """The rate limit says how long to wait; the SDK waits and sends again."""
    collector = start(OVERLOAD__MAX_ITEMS_PER_S=40.0, OVERLOAD__BURST_ITEMS=30)
    trace_id = node(protocol, collector.http_url, "limited")
    books = collector.settled_books()
    limited = {"protocol": "http", "outcome": "rate_limited"}
    assert collector.metric("davylamp_otlp_requests_total", **limited) >= 1
    assert books["stored"] == stored_items()
    check(collector, "limited", trace_id)


@pytest.mark.parametrize("is_passed_on", [False, True])
@pytest.mark.parametrize("protocol", OVER_HTTP)
def test_what_is_answered_503_on_the_way_is_stored_once(start, node, protocol, is_passed_on):
    """A proxy answers 503 once per signal, either before or after it passed the body on."""
    collector = start()
    with proxy(collector.http_url, is_passed_on=is_passed_on) as (address, refused):
        trace_id = node(protocol, address, "proxied")
    assert sorted(refused) == ["/v1/logs", "/v1/metrics", "/v1/traces"]
    books = collector.settled_books()
    assert books["stored"] == stored_items()
    for account in books["signals"].values():
        assert bool(account["duplicate"]) is (is_passed_on and account["received"] > 0)
    check(collector, "proxied", trace_id)


def stored_items() -> int:
    """Spans, records, and a point for each of two counters and a histogram."""
    return COUNT + COUNT + 3


@contextlib.contextmanager
def proxy(behind: str, *, is_passed_on: bool):
    """Its address, and the paths that it answered 503 once."""
    refused: list[str] = []

    async def answer(request):
        body, path = await request.body(), request.url.path
        is_refused = path not in refused
        if is_refused:
            refused.append(path)
        if is_refused and not is_passed_on:
            return Response(status_code=503)
        kind = {"content-type": request.headers["content-type"]}
        passed = await run_in_threadpool(requests.post, behind + path, body, headers=kind)
        assert passed.status_code == 200
        if is_refused:
            return Response(status_code=503)
        return Response(passed.content, headers={"content-type": passed.headers["content-type"]})

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", refused
    finally:
        server.should_exit = True
        thread.join()


def check(collector, service, trace_id):
    check_spans(collector.get(f"/api/v1/traces/{trace_id}")["spans"], service)
    logs = collector.get("/api/v1/logs", service=service, limit=2 * COUNT)["logs"]
    check_logs(logs, trace_id)
    check_metrics(collector, service)


def check_spans(spans, service):
    assert len(spans) == COUNT
    (root,) = [span for span in spans if span["name"] == "GET /"]
    steps = {span["name"]: span for span in spans if span is not root}
    assert set(steps) == {f"step {number}" for number in range(1, COUNT)}
    for number in range(1, COUNT):
        span = steps[f"step {number}"]
        assert span["parent_span_id"] == root["span_id"]
        assert span["resource"] == {"service.name": service, "service.version": "7"}
        attributes = {name: json.loads(span["attributes"][name]) for name in ("number", "share")}
        assert attributes == {"number": number, "share": number / 4}
        assert span["attributes"]["even"] == ("true" if number % 2 == 0 else "false")
        assert span["attributes"]["text"] == f"ä {number}"
        assert json.loads(span["attributes"]["list"]) == ["a", "b"]


def check_logs(logs, trace_id):
    by_body = {log["body"]: log for log in logs}
    assert len(logs) == len(by_body) == COUNT
    for number in range(COUNT):
        log = by_body[f"line {number}"]
        assert log["attributes"] == {"number": str(number), "text": f"ö {number}"}
        assert (log["severity_text"], log["severity_number"]) == ("WARN", 13)
        assert log["trace_id"] == trace_id


def check_metrics(collector, service):
    window = {"from": "now-60s", "to": "now+1s", "step_s": "61"}
    starts = collector.get(
        "/api/v1/blocks", metric=f"{service}.starts", group_by="outcome", **window
    )
    assert starts["unit"] == "{start}"
    by_outcome = {one["attributes"]["outcome"]: one["blocks"][0] for one in starts["groups"]}
    assert {name: block["increase"] for name, block in by_outcome.items()} == {
        "ok": COUNT,
        "error": COUNT,
    }
    durations = collector.get("/api/v1/blocks", metric=f"{service}.duration", **window)
    (block,) = durations["groups"][0]["blocks"]
    assert (sum(block["counts"]), block["point_count"]) == (COUNT, 1)
    assert block["sum"] == sum(number / 8 for number in range(COUNT))
