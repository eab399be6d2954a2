"""The how-to page works: its blocks are run as they stand, beside a real analysis process."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import aclosing, closing
from pathlib import Path

import pytest

from analysis.decisions.ledger import Ledger
from analysis.decisions.records import DecisionDraft
from analysis.decisions.states import Action
from analysis.webhooks.events import Addressing
from davylamp.config import analysis_config, load_settings
from telemetry.clock import SystemClock

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/howto/connect-a-deployer.md"
BLOCKS = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE.read_text(), re.DOTALL))
LOOK = {
    "index": 0,
    "unix_nano": 1,
    "verdict": "fail",
    "final": True,
    "reason": "regression",
    "summary": "The canary is worse.",
    "culprit_metric": None,
    "culprit_split": None,
}


class Site:
    """A state folder, the page's scripts, and the processes of one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        (self.state / "secrets").mkdir(parents=True)
        secret = base64.b64encode(os.urandom(32)).decode()
        (self.state / "secrets" / "webhook.secret").write_text(f"whsec_{secret}\n")
        (self.state / "secrets" / "api.token").write_text("token\n")
        for name, code in BLOCKS.items():
            (folder / name).write_text(code)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.deployer_port = probe.getsockname()[1]
        self.environment = {
            "DAVYLAMP_DAVYLAMP__STATE_DIR": str(self.state),
            "DAVYLAMP_ANALYSIS__API_PORT": "0",
            "DAVYLAMP_COLLECTOR__API_PORT": "9",
            "DAVYLAMP_COLLECTOR__OTLP_HTTP_PORT": "9",
            "DAVYLAMP_SAMPLES__CONTROLLER_PORT": str(self.deployer_port),
        }
        self.processes: list[subprocess.Popen] = []

    def start(self, *arguments: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**os.environ, **self.environment, "PYTHONPATH": str(ROOT)},
        )
        self.processes.append(process)
        return process

    def start_analysis(self) -> tuple[subprocess.Popen, str]:
        process = self.start("-m", "davylamp", "run", "analysis")
        line = process.stdout.readline()
        return process, f"http://127.0.0.1:{json.loads(line.split(' ', 2)[2])['api_port']}"

    def start_deployer(self) -> subprocess.Popen:
        process = self.start("deployer.py", str(self.deployer_port), str(self.state))
        self.until(lambda: socket.create_connection(("127.0.0.1", self.deployer_port)).close() or 1)
        return process

    def until(self, ask, deadline_s: float = 20.0):
        end_s = time.monotonic() + deadline_s
        while time.monotonic() < end_s:
            try:
                found = ask()
            except OSError:
                found = None
            if found:
                return found
            time.sleep(0.02)
        pytest.fail(f"not within {deadline_s} s")

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait(10)
            process.stdout.close()


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    yield made
    made.stop()


def read(url: str):
    with urllib.request.urlopen(url, timeout=5) as reply:
        return json.load(reply)


def conclude(site: Site, deployment_id: str):
    """A verdict, written while no process has the ledger open; commits decision and command."""
    config = analysis_config(load_settings(environ=site.environment))
    clock = SystemClock()
    addressing = Addressing(
        config.endpoint.endpoint_id, config.endpoint.url, site.analysis_url, 900.0
    )
    with closing(Ledger.open(config.database_url, clock, addressing)) as ledger:
        draft = DecisionDraft(Action.ROLLBACK, "act", "fail", "The canary is worse.", None, None)
        return ledger.conclude(deployment_id, LOOK, None, "failed", draft)


def test_a_canary_is_declared_and_its_command_obeyed_once(site):
    """Declared over HTTP, commanded by webhook, reported back; a replay is not acted on again."""
    analysis, url = site.start_analysis()
    declare = [sys.executable, "declare.py", url, str(site.state), "checkout-42"]
    declared = subprocess.run(
        declare, cwd=site.folder, capture_output=True, text=True, check=True, timeout=20
    )
    assert declared.stdout == "201 declared\n"
    analysis.terminate()
    assert analysis.wait(10) == 0
    # The port stays, for the command names the address its receiver reports to.
    site.environment["DAVYLAMP_ANALYSIS__API_PORT"] = url.rsplit(":", 1)[1]
    site.analysis_url = url
    decision = conclude(site, "checkout-42")
    deployer = site.start_deployer()
    site.start_analysis()
    assert deployer.stdout.readline() == "davylamp.rollback.requested 1.5.0 -> 1.4.0\n"
    path = f"{url}/api/v1/decisions/{decision.decision_id}"
    done = site.until(lambda: (d := read(path))["completed_unix_nano"] and d)
    assert done["state"] in ("completed", "confirmed")
    assert done["acknowledged_unix_nano"] <= done["completed_unix_nano"]
    assert len((site.state / "accepted.jsonl").read_text().splitlines()) == 1


def test_the_pages_deployer_refuses_strangers_and_repeats_nothing(site):
    """Unsigned 401, for others 422, late 410, overtaken 409, repeated 200; one is obeyed."""
    from analysis.webhooks.signing import headers, read_secrets

    deployer = site.start_deployer()
    keys = read_secrets(site.state / "secrets" / "webhook.secret")

    def send(message_id: str, sign_with=keys, **changes) -> int:
        data = {
            "audience": {"endpoint_id": "deploy-controller", "environment": "demo"},
            "mode": "act",
            "sequence": 5,
            "expires_at": "2100-01-01T00:00:00Z",
            "release": {"version": "2"},
            "target": {"version": "1"},
            "confirm_url": "http://127.0.0.1:9/nobody",
            **changes,
        }
        event = {"type": "davylamp.rollback.requested", "subject": "demo/checkout", "data": data}
        body = json.dumps(event).encode()
        sent = headers(sign_with, message_id, int(time.time()), body)
        request = urllib.request.Request(
            f"http://127.0.0.1:{site.deployer_port}/webhooks/davylamp", body, sent
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as reply:
                return reply.status
        except urllib.error.HTTPError as error:
            return error.code

    assert send("msg_1", [bytes(32)]) == 401
    assert send("msg_1", audience={"endpoint_id": "other", "environment": "demo"}) == 422
    assert send("msg_1", mode="dry_run") == 422
    assert send("msg_1", expires_at="2020-01-01T00:00:00Z") == 410
    assert send("msg_1") == 202
    assert send("msg_1") == 200
    assert send("msg_2") == 409
    assert send("msg_2", sequence=6) == 202
    deployer.kill()
    accepted = (site.state / "accepted.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in accepted] == ["msg_1", "msg_2"]


async def test_the_pages_deployer_passes_the_conformance_checks(site):
    """And carries none of the rehearsals out."""
    from analysis.webhooks.conformance import Audience, Messages, checks
    from analysis.webhooks.conformance_run import run_checks
    from analysis.webhooks.signing import read_secrets

    deployer = site.start_deployer()
    messages = Messages(Audience("deploy-controller"), SystemClock().wall_unix_nano(), os.urandom)
    sent = checks(messages, read_secrets(site.state / "secrets" / "webhook.secret"))
    url = f"http://127.0.0.1:{site.deployer_port}/webhooks/davylamp"
    async with aclosing(run_checks(url, sent, SystemClock())) as found:
        assert [(one.check.name, one.status) async for one in found if not one.passed] == []
    deployer.kill()
    assert deployer.stdout.read() == ""
    accepted = (site.state / "accepted.jsonl").read_text().splitlines()
    assert len(accepted) == 4


def test_the_relay_obeys_a_real_command_and_reports_its_end(site):
    """From a committed decision over the signed webhook to a program's arguments, and back."""
    analysis, url = site.start_analysis()
    declare = [sys.executable, "declare.py", url, str(site.state), "checkout-42"]
    subprocess.run(declare, cwd=site.folder, capture_output=True, check=True, timeout=20)
    analysis.terminate()
    assert analysis.wait(10) == 0
    site.environment["DAVYLAMP_ANALYSIS__API_PORT"] = url.rsplit(":", 1)[1]
    site.analysis_url = url
    decision = conclude(site, "checkout-42")
    program = site.folder / "deploy.sh"
    program.write_text('#!/bin/sh\necho "$@" > obeyed\n')
    program.chmod(0o755)
    relay = site.start(
        str(ROOT / "docs/howto/receivers/script_receiver.py"),
        *("--secret-file", str(site.state / "secrets/webhook.secret"), "--environment", "demo"),
        *("--state", "relay", "--port", str(site.deployer_port), "--analysis-url", url),
        *("--token-file", str(site.state / "secrets/api.token"), "--", "./deploy.sh"),
    )
    assert json.loads(relay.stdout.readline())["state"] == "ready"
    site.start_analysis()
    ended = json.loads(relay.stdout.readline())
    assert (ended["state"], ended["decision_id"]) == ("done", decision.decision_id)
    assert (
        site.folder / "obeyed"
    ).read_text() == "rollback demo checkout 1.5.0 1.4.0 sha256:0a1b\n"
    path = f"{url}/api/v1/decisions/{decision.decision_id}"
    done = site.until(lambda: (d := read(path))["completed_unix_nano"] and d)
    assert done["acknowledged_unix_nano"] <= done["completed_unix_nano"]
