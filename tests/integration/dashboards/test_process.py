"""The process as it is run: ready line, refusals, 404, headers, end."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

SCRIPT = """
import sys
from pathlib import Path
from collector.access.config import AccessConfig
from dashboards.config import DashboardsConfig
from dashboards.server import run
from davylamp.config import dashboards_config, load_settings
host, port, owner = sys.argv[1], int(sys.argv[2]), sys.argv[3]
sys.exit(run(DashboardsConfig(
    host=host, port=port, collector_url="http://127.0.0.1:1", analysis_url="http://127.0.0.1:1",
    refresh_s=1.0, request_timeout_s=1.0, max_concurrent_reads=4, max_answer_bytes=1_000_000,
    max_cached_answers=16, max_cached_canaries=4, settle_s=2.0, window_s=300,
    allowed_hosts=(), access=AccessConfig(bool(owner), Path("-"), Path(owner or "-")),
    oidc=dashboards_config(load_settings(environ={})).oidc)))
"""


def start(host="127.0.0.1", port=0, owner=""):
    """``owner``: the file of the token that is required then."""
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, host, str(port), str(owner)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )


@contextmanager
def serving(**changes):
    process = start(**changes)
    try:
        words = process.stdout.readline().split(" ", 2)
        assert words[:2] == ["ready", "dashboards"], process.stderr.read()
        yield process, f"http://127.0.0.1:{json.loads(words[2])['port']}"
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def server():
    with serving() as (_, url):
        yield url


def get(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


@pytest.mark.parametrize(
    "path", ["/", "/service/x", "/canaries", "/canary/x", "/trace/" + "0" * 32]
)
def test_pages_are_served_with_a_strict_policy(server, path):
    """Scripts only from here, no frame around it, a language for readers aloud."""
    status, headers, body = get(server + path)
    assert status == 200
    assert '<html lang="en">' in body
    policy = headers["Content-Security-Policy"]
    assert "script-src 'self' 'sha256-" in policy
    assert "unsafe-eval" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["/nope", "/docs", "/openapi.json", "/redoc", "/_mcp", "/service", "/trace/xyz", "/a/b"]
)
def test_what_is_not_a_page_is_a_404(server, path):
    """With a page that says so, its name escaped."""
    status, _, body = get(server + path)
    assert status == 404
    assert "There is no such page" in body


def test_the_404_page_cannot_be_made_to_say_markup(server):
    """A path is text."""
    status, _, body = get(server + "/%3Cscript%3Ealert(1)%3C/script%3E")
    assert status == 404
    assert "<script>" not in body
    assert "&lt;script&gt;" in body


def test_probes_and_metrics(server):
    """Answered without asking either API."""
    assert get(server + "/healthz")[2] == '{"status":"ok"}'
    assert get(server + "/readyz")[2] == '{"status":"ready"}'
    assert "davylamp_dashboards_reads_total 0" in get(server + "/metrics")[2]


def test_a_foreign_host_name_is_refused(server):
    """Else a page elsewhere could read ours through a name that resolves here."""
    assert get(server, Host="evil.example")[0] == 421
    assert get(server, Host="localhost:1")[0] == 200


def test_where_tokens_are_required_the_browser_asks_for_one(tmp_path):
    """Pages, their parts and their updates; any name, the token as password."""
    owner = tmp_path / "api.token"
    owner.write_text("right")
    right = base64.b64encode(b"ada:right").decode()
    with serving(host="0.0.0.0", owner=owner) as (_, url):
        for path in ("/", "/nope", "/assets/davylamp.css", "/_dash-layout", "/metrics"):
            status, headers, _ = get(url + path)
            assert status == 401, path
            assert headers["WWW-Authenticate"].startswith("Basic realm=")
        assert get(url + "/healthz")[0] == 200
        assert get(url + "/", Authorization=f"Basic {right}")[0] == 200
        assert get(url + "/", Authorization="Bearer right")[0] == 200
        told = get(url + "/metrics", Authorization="Bearer right")[2]
        assert "davylamp_dashboards_refused_total 5" in told


def test_the_very_first_request_may_be_for_any_page():
    """Its styles and scripts are there, as they would be after "/"."""
    with serving() as (_, url):
        body = get(url + "/canaries")[2]
    assert "/assets/davylamp.css" in body
    assert "/assets/davylamp.js" in body


def test_sigterm_ends_it_with_zero():
    """Also SIGINT, and soon."""
    for number in (signal.SIGTERM, signal.SIGINT):
        with serving() as (process, _):
            process.send_signal(number)
            assert process.wait(5) == 0


def test_a_taken_port_is_one_sentence():
    """Exit code 1, no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start(port=taken.getsockname()[1])
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert errors.startswith("dashboards: cannot listen on 127.0.0.1 port ")
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org"])
def test_a_wider_address_is_refused(host):
    """There is no authentication yet."""
    process = start(host=host)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "not loopback" in errors
    assert len(errors.splitlines()) == 1
