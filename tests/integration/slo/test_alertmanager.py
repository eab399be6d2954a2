"""A real Alertmanager takes our alerts, keeps them through a freeze, and sees them end."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from analysis.alerts.book import AlertBook, burning
from analysis.runner.alertmanager import RESEND_S, AlertmanagerClient
from analysis.slo.objectives import load_objectives, shipped_text
from analysis.slo.tracker import SloTracker

BINARY = shutil.which("prometheus-alertmanager")
CONFIG = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
NS = 1_000_000_000
SLICE_S = 5


class Service:
    """An objective of one hour, fed in slices."""

    def __init__(self, now_s):
        _, hour = load_objectives({"objectives.yaml": shipped_text()})
        self.tracker = SloTracker(hour, SLICE_S, 30.0)
        self.book = AlertBook()
        self.now_s = now_s // SLICE_S * SLICE_S

    def feed(self, seconds, good, bad):
        for _ in range(seconds // SLICE_S):
            self.tracker.take(self.now_s, good, bad)
            self.now_s += SLICE_S
        return self.look()

    def look(self):
        return self.tracker.evaluate(self.now_s * NS)

    def alerts(self, at_s=None):
        self.book.take(burning([self.look()]), [], (at_s or self.now_s) * NS, {})
        return self.book.alerts


@pytest.fixture
def alertmanager(tmp_path):
    """Base address of an own Alertmanager."""
    if BINARY is None:
        pytest.skip("prometheus-alertmanager is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "am.yml").write_text(CONFIG)
    command = [
        BINARY,
        f"--config.file={tmp_path / 'am.yml'}",
        f"--storage.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    url = f"http://127.0.0.1:{port}"
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _await_ready(url, process)
            yield url
        finally:
            process.terminate()
            process.wait(10)


def _await_ready(url, process):
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/-/ready", timeout=1).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
        else:
            return
    pytest.fail("prometheus-alertmanager did not start")


def listed(url):
    """Severity -> alert, of those it holds as active."""
    with urllib.request.urlopen(f"{url}/api/v2/alerts", timeout=5) as reply:
        return {one["labels"]["severity"]: one for one in json.load(reply)}


def test_alerts_are_taken_resent_and_resolved(alertmanager):
    client = AlertmanagerClient(alertmanager)
    service = Service(int(time.time()) - 3_700)
    service.feed(3_500, 20, 0)
    firing = service.feed(200, 0, 20).firing
    assert "page" in firing
    assert asyncio.run(client.tell(service.alerts(), service.now_s * NS))
    held = listed(alertmanager)
    assert held.keys() == firing
    assert held["page"]["labels"]["slo"] == "playback-starts-hour"
    assert "failed in" in held["page"]["annotations"]["summary"]
    first_end = held["page"]["endsAt"]
    # Nobody reports: the alert is frozen, and goes on being sent.
    service.now_s += RESEND_S + SLICE_S
    assert service.look().is_frozen
    assert asyncio.run(client.tell(service.alerts(), service.now_s * NS))
    held = listed(alertmanager)
    assert held.keys() == firing
    assert held["page"]["endsAt"] > first_end
    service.now_s -= RESEND_S + SLICE_S
    assert service.feed(900, 2_000, 0).firing == frozenset()
    # It ends now by the machine's clock, which is the one Alertmanager goes by.
    now_s = int(time.time())
    assert asyncio.run(client.tell(service.alerts(now_s), now_s * NS))
    assert listed(alertmanager) == {}


def test_what_is_not_taken_stays_due():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        client = AlertmanagerClient(f"http://127.0.0.1:{free.getsockname()[1]}")
        service = Service(1_790_000_000)
        service.feed(3_500, 20, 0)
        service.feed(200, 0, 20)
        assert not asyncio.run(client.tell(service.alerts(), service.now_s * NS))
        assert not asyncio.run(client.tell(service.alerts(), (service.now_s + 1) * NS))
