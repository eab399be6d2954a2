"""amtool, as people have it, against a real analysis process: alerts seen and silenced."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
import urllib.request

import aiohttp
import pytest

from analysis.alerts.book import Alert
from analysis.decisions.ledger import Ledger
from telemetry.clock import SystemClock

AMTOOL = shutil.which("amtool")
NOW = time.time_ns()
NOTICE = {
    "endpoint_id": "chat", "url": "http://127.0.0.1:9/", "allowed_networks": ["127.0.0.0/8"],
    "plain_http": False, "format": "standard", "kinds": ["slo_page"],
}  # fmt: skip


def alert(severity, silenced_by=()):
    return Alert(
        {"alertname": "SloBurnRate", "slo": "starts", "service": "playback", "severity": severity},
        "Pressing play",
        "9 of 10 failed",
        started_unix_nano=NOW,
        updated_unix_nano=NOW,
        ended_unix_nano=None,
        silenced_by=silenced_by,
        is_told=not silenced_by,
    )


@pytest.fixture(scope="module")
def process(shared_folder, start_shared):
    """With two alerts that an earlier process left; the ticket is silenced."""
    url = f"sqlite:///{shared_folder / 'ledger.db'}"
    with contextlib.closing(Ledger.open(url, SystemClock())) as ledger:
        alerts = [alert("page"), alert("ticket", ("sil_0",))]
        ledger.put_statuses("alert", {one.fingerprint: one.to_json() for one in alerts})
    return start_shared("http://127.0.0.1:9/nobody", notices=[NOTICE])


@pytest.fixture
def amtool(process, helpers):
    """``amtool(*arguments)``: what it prints; without the token it may only look."""
    if AMTOOL is None:
        pytest.skip("amtool (prometheus-alertmanager) is not installed")

    def call(*arguments, token=helpers.token, fails=False):
        address = process.url.replace("http://", f"http://ada:{token}@" if token else "http://")
        done = subprocess.run(
            [AMTOOL, f"--alertmanager.url={address}", *arguments],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert (done.returncode != 0) is fails, done.stderr
        return done.stderr if fails else done.stdout

    return call


def test_alerts_are_listed_by_labels_and_silence(amtool):
    def severities(*arguments):
        found = json.loads(amtool("-o", "json", "alert", "query", *arguments, token=""))
        return sorted(one["labels"]["severity"] for one in found)

    assert severities() == ["page"]
    assert severities("--silenced") == ["ticket"]
    assert severities("--active", "--silenced", "slo=~st.*") == ["page", "ticket"]
    assert severities("slo!=starts") == []
    assert severities("--receiver=chat", "--active", "--silenced") == ["page"]


def test_a_silence_from_making_to_its_end(amtool, process):
    made = amtool(
        "silence", "add", "severity=page", "slo=~st.*", "-d", "1h", "-c", "known", "-a", "ada"
    ).strip()
    (seen,) = json.loads(amtool("-o", "json", "silence", "query", "severity=page", token=""))
    assert (seen["id"], seen["comment"], seen["createdBy"]) == (made, "known", "ada")
    assert seen["status"]["state"] == "active"
    assert json.loads(amtool("-o", "json", "silence", "query", "severity=ticket")) == []
    amtool("silence", "update", "-d", "2h", made)
    (longer,) = amtool("silence", "query", "-q").split()
    assert longer != made
    amtool("silence", "expire", longer)
    assert amtool("silence", "query", "-q").strip() == ""
    ended = json.loads(amtool("-o", "json", "silence", "query", "--expired"))
    assert {one["status"]["state"] for one in ended} == {"expired"}
    assert {made, longer} <= {one["id"] for one in ended}


def test_what_amtool_shows_of_the_configuration(amtool):
    assert "receiver: timeline" in amtool("config", "show")
    assert "chat" in amtool("config", "routes", "show")
    assert "disabled" in amtool("cluster", "show")


def test_only_who_may_silences(amtool):
    arguments = ("silence", "add", "severity=page", "-d", "1h", "-c", "known", "-a", "ada")
    amtool(*arguments, token="", fails=True)
    amtool(*arguments, token="wrong", fails=True)
    assert json.loads(amtool("-o", "json", "silence", "query")) == []


async def test_errors_are_texts(process, helpers):
    """As Alertmanager's are, so that its clients can read them."""
    headers = {"authorization": f"Bearer {helpers.token}"}
    async with aiohttp.ClientSession(process.url, headers=headers) as session:
        for method, path, body, status in (
            ("GET", "/api/v2/alerts?filter=a%3D~(", None, 400),
            ("GET", "/api/v2/alerts?active=perhaps", None, 400),
            ("GET", "/api/v2/silence/sil_nobody", None, 404),
            ("DELETE", "/api/v2/silence/sil_nobody", None, 404),
            ("POST", "/api/v2/silences", {"id": "x"}, 400),
            ("POST", "/api/v2/alerts", [], 405),
        ):
            async with session.request(method, path, json=body) as reply:
                assert reply.status == status, path
                assert isinstance(await reply.json(), str), path
        async with session.get("/api/v2/alerts/groups") as reply:
            groups = await reply.json()
        assert {(one["labels"]["slo"], one["receiver"]["name"]) for one in groups} == {
            ("starts", "timeline"),
            ("starts", "chat"),
        }


def test_who_silenced_what_and_why_is_on_the_timeline(amtool, process):
    """And so in the audit log."""
    made = amtool("silence", "add", "slo=audited", "-d", "1h", "-c", "known", "-a", "ada").strip()
    amtool("silence", "expire", made)
    with urllib.request.urlopen(f"{process.url}/api/v1/events?from=now-1h") as reply:
        events = [one for one in json.load(reply)["events"] if 'slo="audited"' in one["title"]]
    assert [(one["kind"], one["detail"]) for one in reversed(events)] == [
        ("silence", "ada: known"),
        ("silence", "the owner ended it"),
    ]
