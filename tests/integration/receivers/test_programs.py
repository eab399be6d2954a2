"""The programs the relay runs, with the command lines they call recorded by stand-ins on PATH.

Argo's and Flagger's controllers are not here: what is tested is which of their commands is given in
which state of a rollout. HTTP goes to a real server.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

RECEIVERS = Path(__file__).parents[3] / "docs/howto/receivers"
ARGUMENTS = ["prod", "checkout", "1.5.0", "1.4.0", "sha256:0a1b"]
EVENT = json.dumps({"id": "dec_1", "type": "davylamp.rollback.requested"}).encode()
#: Answers `get` from files named after the field, and writes down every other command.
KUBECTL = """#!/bin/sh
case $1 in
get) case "$*" in
    *image*) cat image ;;
    *stableRS*) cat stable ;;
    *currentPodHash*) cat current ;;
    *phase*) cat phase ;;
    esac ;;
*) echo "$@" >> kubectl.calls; test ! -e kubectl.fails ;;
esac
"""
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


class Site:
    """A folder with a stand-in kubectl, and a server that keeps what it is sent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        (folder / "bin/kubectl").write_text(KUBECTL)
        (folder / "bin/kubectl").chmod(0o755)
        self.requests: list[tuple[str, str | None, bytes]] = []
        self.status = 204
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                site.requests.append((self.path, self.headers["authorization"], body))
                self.send_response(site.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=[0.01]).start()

    def put(self, **fields: str) -> None:
        for name, value in fields.items():
            (self.folder / name).write_text(value)

    def run(self, program: str, *arguments: str, **environment: str):
        command = [str(RECEIVERS / program), *arguments]
        if program.endswith(".py"):
            command = [sys.executable, *command]
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return subprocess.run(
            command,
            input=EVENT,
            cwd=self.folder,
            env={"PATH": path, **environment},
            capture_output=True,
            timeout=30,
            check=False,
        )

    @property
    def kubectl(self) -> list[str]:
        path = self.folder / "kubectl.calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.mark.parametrize(
    ("action", "image", "stable", "expected"),
    [
        ("rollback", "shop/checkout:1.5.0", "aaa", ["argo rollouts abort checkout"]),
        ("rollback", "shop/checkout:1.5.0", "bbb", ["argo rollouts undo checkout"]),
        ("rollback", "shop/checkout:1.4.0", "aaa", []),
        ("rollback", "shop/checkout@sha256:0a1b", "aaa", []),
        ("promotion", "shop/checkout:1.5.0@sha256:0a1b", "aaa", ["argo rollouts promote checkout"]),
    ],
    ids=["under way", "promoted meanwhile", "back already", "back by digest", "promotion"],
)
def test_argo_is_given_the_command_its_state_asks_for(site, action, image, stable, expected):
    site.put(image=image, stable=stable, current="bbb")
    done = site.run("argo_rollouts.sh", action, *ARGUMENTS)
    assert (done.returncode, done.stderr) == (0, b"")
    full = " --full" if action == "promotion" else ""
    assert site.kubectl == [f"{one} --namespace prod{full}" for one in expected]


def test_argo_is_not_told_to_end_somebody_elses_release(site):
    site.put(image="shop/checkout:1.6.0", stable="aaa", current="bbb")
    done = site.run("argo_rollouts.sh", "rollback", *ARGUMENTS)
    assert done.returncode == 1
    assert b"neither 1.5.0 nor 1.4.0" in done.stderr
    assert site.kubectl == []


@needs_curl
@pytest.mark.parametrize(
    ("action", "gate", "wanted"),
    [("rollback", "rollback", "Failed"), ("promotion", "gate", "Succeeded")],
)
def test_flaggers_gate_is_opened_until_it_acted_and_closed_again(site, action, gate, wanted):
    site.put(phase="Progressing")
    done = site.run("flagger.sh", action, *ARGUMENTS, LOADTESTER_URL=site.url)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [path for path, _, _ in site.requests] == [f"/{gate}/open", f"/{gate}/close"]
    assert {json.dumps(json.loads(body)) for _, _, body in site.requests} == {
        '{"name": "checkout", "namespace": "prod"}'
    }
    (waited,) = site.kubectl
    assert waited.startswith("wait canary/checkout --namespace prod")
    assert f"={wanted} " in waited


@needs_curl
def test_flaggers_gate_is_closed_when_nothing_happened_too(site):
    site.put(phase="Waiting")
    (site.folder / "kubectl.fails").touch()
    done = site.run("flagger.sh", "rollback", *ARGUMENTS, LOADTESTER_URL=site.url)
    assert done.returncode == 1
    assert [path for path, _, _ in site.requests] == ["/rollback/open", "/rollback/close"]


@pytest.mark.parametrize(("phase", "code"), [("Failed", 0), ("Succeeded", 1), ("Initialized", 1)])
def test_flaggers_gate_stays_shut_without_a_canary(site, phase, code):
    site.put(phase=phase)
    assert (
        site.run("flagger.sh", "rollback", *ARGUMENTS, LOADTESTER_URL=site.url).returncode == code
    )
    closed = ["/rollback/close"] if phase == "Failed" else []
    assert ([path for path, _, _ in site.requests], site.kubectl) == (closed, [])


@needs_curl
def test_spinnaker_is_sent_the_event_as_it_was_signed(site):
    done = site.run("spinnaker.sh", "rollback", *ARGUMENTS, GATE_URL=site.url)
    assert (done.returncode, done.stderr) == (0, b"")
    assert site.requests == [("/webhooks/webhook/davylamp", None, EVENT)]
    site.status = 500
    assert site.run("spinnaker.sh", "rollback", *ARGUMENTS, GATE_URL=site.url).returncode != 0


def test_github_is_asked_for_a_dispatch(site):
    site.put(token="ghp_secret\n")
    words = ["shop/checkout", "token", "rollback", *ARGUMENTS]
    done = site.run("github_actions.py", *words, GITHUB_API_URL=site.url)
    assert (done.returncode, done.stderr) == (0, b"")
    ((path, authorization, body),) = site.requests
    assert (path, authorization) == ("/repos/shop/checkout/dispatches", "Bearer ghp_secret")
    assert json.loads(body) == {
        "event_type": "davylamp-rollback",
        "client_payload": {
            "action": "rollback",
            "environment": "prod",
            "service": "checkout",
            "release_version": "1.5.0",
            "target_version": "1.4.0",
            "target_digest": "sha256:0a1b",
            "decision_id": "dec_1",
        },
    }
    site.status = 403
    done = site.run("github_actions.py", *words, GITHUB_API_URL=site.url)
    assert done.returncode == 1
    assert b"shop/checkout: HTTP Error 403" in done.stderr
    assert b"ghp_secret" not in done.stderr


def test_a_link_is_switched_at_once_and_twice_is_once(site):
    for version in ("1.4.0", "1.5.0"):
        (site.folder / "releases/checkout" / version).mkdir(parents=True)
    link = site.folder / "releases/checkout/current"
    link.symlink_to("1.5.0")
    (site.folder / "bin/restart").write_text('#!/bin/sh\necho "$@" >> "$LOG"\n')
    (site.folder / "bin/restart").chmod(0o755)
    environment = {
        "RELEASES": str(site.folder / "releases"),
        "RESTART": "restart",
        "LOG": str(site.folder / "log"),
    }
    for _ in range(2):
        done = site.run("switch_link.sh", "rollback", *ARGUMENTS, **environment)
        assert (done.returncode, done.stderr) == (0, b"")
        assert link.readlink() == Path("1.4.0")
    assert (site.folder / "log").read_text() == "checkout\ncheckout\n"
    missing = ["rollback", *ARGUMENTS[:3], "0.9", ARGUMENTS[4]]
    assert site.run("switch_link.sh", *missing, **environment).returncode == 1
    assert link.readlink() == Path("1.4.0")
