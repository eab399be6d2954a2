"""Real collector processes on free ports, driven over their sockets."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).parents[3]
PROTOBUF = {"content-type": "application/x-protobuf"}


class CollectorProcess:
    """``davylamp run collector`` with its data in ``folder``; settings as SECTION__KEY=value."""

    def __init__(self, folder: Path, *, other=None, **settings: object) -> None:
        self.folder = folder
        values = {
            "DAVYLAMP__STATE_DIR": folder,
            "COLLECTOR__OTLP_GRPC_PORT": 0,
            "COLLECTOR__OTLP_HTTP_PORT": 0,
            "COLLECTOR__API_PORT": 0,
            "COLLECTOR__WAL__MIN_FREE_BYTES": 0,
            **{f"COLLECTOR__{name}": value for name, value in settings.items()},
            **(other or {}),
        }
        kept = {name: value for name, value in os.environ.items() if "DAVYLAMP_" not in name}
        self._errors = (folder / "stderr.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "davylamp", "run", "collector"],
            cwd=ROOT,
            env={**kept, **{f"DAVYLAMP_{name}": str(value) for name, value in values.items()}},
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        line = self.process.stdout.readline()
        if not line.startswith("ready collector "):
            self.end()
            raise AssertionError(f"no ready line but {line!r}; stderr: {self.stderr()}")
        ports = json.loads(line.removeprefix("ready collector "))
        self.grpc_address = f"127.0.0.1:{ports['otlp_grpc_port']}"
        self.http_url = f"http://127.0.0.1:{ports['otlp_http_port']}"
        self.api_url = f"http://127.0.0.1:{ports['api_port']}"

    def stderr(self) -> str:
        return (self.folder / "stderr.log").read_text()

    def post(self, signal_name: str, body, headers=PROTOBUF) -> requests.Response:
        content = body if isinstance(body, bytes) else body.SerializeToString()
        return requests.post(f"{self.http_url}/v1/{signal_name}", content, headers=headers)

    def get(self, path: str, **parameters):
        answer = requests.get(f"{self.api_url}{path}", parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def books(self) -> dict:
        """The accounting, after checking that it adds up."""
        books = self.get("/api/v1/ingest")
        for account in books["signals"].values():
            gone = account["stored"] + sum(account["rejected"].values()) + account["duplicate"]
            gone += account["quarantined"] + account["pending"]
            assert account["received"] + account["recovered"] == gone
        return books

    def settled_books(self) -> dict:
        """The accounting once nothing waits for the store."""
        return eventually(lambda: (b := self.books())["pending"] == 0 and b)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a self-metric's samples with these labels."""
        total = 0.0
        for line in requests.get(f"{self.api_url}/metrics").text.splitlines():
            found = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
            if found and all(
                f'{key}="{value}"' in (found[1] or "") for key, value in labels.items()
            ):
                total += float(found[2])
        return total

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.end()

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.end()

    def end(self) -> int:
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.process.stdout.close()
            self._errors.close()


def eventually(condition, timeout_s: float = 10.0):
    """The first true answer of ``condition``; fails after ``timeout_s``."""
    ends_s = time.monotonic() + timeout_s
    while not (answer := condition()):
        assert time.monotonic() < ends_s, f"not within {timeout_s} s"
        time.sleep(0.02)
    return answer


@pytest.fixture
def wait_for():
    return eventually


@pytest.fixture
def start(tmp_path):
    """Starts collectors; each ends with the test. The folder is the test's own unless given."""
    running = []

    def run(folder: Path = tmp_path, **settings: object) -> CollectorProcess:
        folder.mkdir(parents=True, exist_ok=True)
        running.append(CollectorProcess(folder, **settings))
        return running[-1]

    yield run
    for one in running:
        if one.process.poll() is None:
            one.kill()


@pytest.fixture(scope="module")
def start_for_module():
    """As ``start``, until the module's tests are done."""
    running = []

    def run(folder: Path, **settings: object) -> CollectorProcess:
        running.append(CollectorProcess(folder, **settings))
        return running[-1]

    yield run
    for one in running:
        assert one.terminate() == 0


@pytest.fixture(scope="module")
def collector(tmp_path_factory):
    """One collector for the tests of a module; each uses its own service names."""
    one = CollectorProcess(
        tmp_path_factory.mktemp("collector"),
        WAL__TRACES_INTERVAL_S=0.1,
        WAL__METRICS_INTERVAL_S=0.1,
        WAL__LOGS_INTERVAL_S=0.1,
    )
    yield one
    assert one.terminate() == 0
