"""The receiver that runs a program: started and driven as a process, killed, and driven again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import aclosing
from pathlib import Path

import pytest

from analysis.webhooks import signing
from analysis.webhooks.conformance import Audience, Messages, checks, judge_acted
from analysis.webhooks.conformance_run import run_checks
from analysis.webhooks.signing import read_secrets
from telemetry.clock import SystemClock

ROOT = Path(__file__).parents[3]
DEPLOY = """#!/bin/sh
printf '%s|' "$@" >> calls
cat >> events
echo >> calls
test -e allowed || { echo $$ > running; exec sleep 60; }
test ! -e broken
"""


class Relay:
    """A folder with the receiver, a copy of the verifier alone, and a program to run."""

    def __init__(self, folder: Path, secret_file: Path) -> None:
        self.folder = folder
        self.secret_file = secret_file
        (folder / "analysis/webhooks").mkdir(parents=True)
        shutil.copy(ROOT / "analysis/webhooks/verify.py", folder / "analysis/webhooks")
        shutil.copy(ROOT / "docs/howto/receivers/script_receiver.py", folder)
        (folder / "deploy.sh").write_text(DEPLOY)
        (folder / "deploy.sh").chmod(0o755)
        self.process: subprocess.Popen | None = None
        self.sequence = 0

    def start(self) -> str:
        """The address; ``-S -E`` = nothing but the standard library and this folder."""
        options = ["--environment", "prod", "--state", "state", "--port", "0"]
        options += ["--secret-file", str(self.secret_file), "--retry-pause-s", "0.05"]
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-E", "script_receiver.py", *options, "--", "./deploy.sh", "-x"],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.url = f"http://127.0.0.1:{self.line()['port']}/"
        return self.url

    def line(self) -> dict:
        return json.loads(self.process.stdout.readline())

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process.stdout.close()
            self.process = None

    def message(self, **changes):
        self.sequence += 1
        audience = Audience("deploy-controller", "prod")
        made = Messages(audience, SystemClock().wall_unix_nano(), os.urandom)
        return made.make(sequence=self.sequence, **changes)

    def send(self, message) -> int:
        keys = read_secrets(self.secret_file)
        sent = signing.headers(keys, message.webhook_id, int(time.time()), message.body)
        request = urllib.request.Request(self.url, message.body, sent)
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return reply.status
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def until(self, name: str) -> Path:
        end_s = time.monotonic() + 20
        while time.monotonic() < end_s:
            if (self.folder / name).exists() and (self.folder / name).read_text():
                return self.folder / name
            time.sleep(0.01)
        pytest.fail(f"no {name} within 20 s")


@pytest.fixture
def relay(tmp_path, secret_file):
    made = Relay(tmp_path / "relay", secret_file)
    (made.folder / "allowed").touch()
    yield made
    made.stop()


async def test_it_passes_every_check_and_runs_no_rehearsal(relay, secret_file):
    url = relay.start()
    messages = Messages(Audience("deploy-controller"), SystemClock().wall_unix_nano(), os.urandom)
    sent = checks(messages, read_secrets(secret_file))
    async with aclosing(run_checks(url, sent, SystemClock())) as found:
        assert [one async for one in found if not one.passed] == []
    ended = [relay.line() for _ in range(4)]
    assert {one["state"] for one in ended} <= {"rehearsed", "overtaken"}
    assert judge_acted(sent, [one["decision_id"] for one in ended]) == []
    assert relay.calls() == []


def test_the_program_gets_arguments_and_the_event_as_signed(relay):
    relay.start()
    message = relay.message()
    assert relay.send(message) == 202
    assert relay.line() == {
        "state": "done",
        "decision_id": message.decision_id,
        "lane": "prod/conformance-check",
    }
    (call,) = relay.calls()
    words = ["-x", "rollback", "prod", "conformance-check", "0.0.2-conformance"]
    assert call.split("|")[:6] == [*words, "0.0.1-conformance"]
    assert call.split("|")[6].startswith("sha256:")
    assert (relay.folder / "events").read_bytes() == message.body
    assert relay.send(message) == 200


@pytest.mark.parametrize(
    "version", ["--kubeconfig=x", "1.0; rm -r x", "$(id)", "a\nb", "", 5, None]
)
def test_what_could_not_be_an_argument_is_refused(relay, version):
    relay.start()
    target = {"version": version, "digest": "sha256:0a"}
    assert relay.send(relay.message(data={"target": target})) == 422
    assert relay.send(relay.message()) == 202
    assert relay.line()["state"] == "done"
    assert len(relay.calls()) == 1


def test_what_fails_is_run_again(relay):
    (relay.folder / "broken").touch()
    relay.start()
    message = relay.message()
    assert relay.send(message) == 202
    end_s = time.monotonic() + 20
    while len(relay.calls()) < 3 and time.monotonic() < end_s:
        time.sleep(0.01)
    (relay.folder / "broken").unlink()
    assert relay.line()["state"] == "done"
    assert len(relay.calls()) >= 4


def test_a_newer_command_ends_the_tries_of_an_older_one(relay):
    (relay.folder / "broken").touch()
    relay.start()
    older, newer = relay.message(), relay.message()
    assert relay.send(older) == 202
    relay.until("calls")
    assert relay.send(newer) == 202
    ended = relay.line()
    assert (ended["state"], ended["decision_id"]) == ("overtaken", older.decision_id)
    (relay.folder / "broken").unlink()
    ended = relay.line()
    assert (ended["state"], ended["decision_id"]) == ("done", newer.decision_id)


def test_what_was_accepted_survives_a_kill_and_is_not_accepted_twice(relay):
    """Killed while its program runs; the next process runs it again, and knows the id."""
    (relay.folder / "allowed").unlink()
    relay.start()
    message = relay.message()
    assert relay.send(message) == 202
    left = int(relay.until("running").read_text())
    relay.stop()
    os.kill(left, signal.SIGKILL)
    (relay.folder / "allowed").touch()
    relay.start()
    ended = relay.line()
    assert (ended["state"], ended["decision_id"]) == ("done", message.decision_id)
    assert len(relay.calls()) == 2
    assert relay.send(message) == 200
    assert len(relay.calls()) == 2


def test_the_state_of_its_disk_is_no_answer_of_ours(relay, secret_file):
    """Secrets that cannot be read are 503: the same command comes again."""
    relay.start()
    message = relay.message()
    keys = read_secrets(secret_file)
    secret_file.rename(secret_file.with_suffix(".away"))
    sent = signing.headers(keys, message.webhook_id, int(time.time()), message.body)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(relay.url, message.body, sent), timeout=10)
    refused.value.close()
    assert refused.value.code == 503
    secret_file.with_suffix(".away").rename(secret_file)
    assert relay.send(message) == 202
    assert relay.line()["state"] == "done"
