"""The process: ready, ended cleanly, or one sentence why it cannot start."""

from __future__ import annotations

import json
import signal
import socket
import time

import aiohttp
import pytest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly(start_process, receiver, number):
    """SIGTERM and SIGINT: code 0 within five seconds, nothing more on stdout, no traceback."""
    process = start_process(receiver.url)
    started_s = time.monotonic()
    process.popen.send_signal(number)
    assert process.popen.wait(10) == 0
    assert time.monotonic() - started_s < 5
    assert process.popen.stdout.read() == ""
    assert "Traceback" not in process.stderr.read_text()


async def test_it_ends_in_time_with_a_request_under_way(
    start_process, receiver, wait, helpers, tmp_path
):
    """A hanging receiver does not hold up the end."""
    from analysis.decisions.ledger import Ledger
    from analysis.webhooks.events import Addressing
    from telemetry.clock import SystemClock

    addressing = Addressing("deployer", receiver.url, "http://127.0.0.1:1", 900.0)
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", SystemClock(), addressing)
    helpers.decide(ledger, SystemClock(), 1)
    ledger.close()
    receiver.hang = lambda _: True
    process = start_process(receiver.url)
    await wait(lambda: receiver.requests)
    started_s = time.monotonic()
    assert process.terminate() == 0
    assert time.monotonic() - started_s < 5
    assert "Traceback" not in process.stderr.read_text()


def refusal(process) -> str:
    assert process.port == 0
    assert process.popen.wait(10) == 1
    lines = process.stderr.read_text().splitlines()
    assert "Traceback" not in lines
    (line,) = [one for one in lines if one.startswith("analysis cannot start: ")]
    return line


def test_a_taken_port_is_named(start_process, receiver):
    """Address, port and the system's word."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refusal(start_process(receiver.url, port=port))
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in line


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"host": "0.0.0.0"}, "only loopback"),
        ({"mode": "yolo"}, "mode = 'yolo' is unknown; accepted: observe, advise, act"),
        ({"decision_lifetime_s": 0}, "decision_lifetime_s = 0 must be above 0"),
        ({"confirm_timeout_s": float("nan")}, "confirm_timeout_s = nan must be above 0"),
        ({"url": "ftp://127.0.0.1/x"}, "[analysis.endpoint] scheme 'ftp': https is accepted"),
        ({"url": "http://user:pw@127.0.0.1/x"}, "a URL holds no user name or password"),
        ({"collector_url": "127.0.0.1:4319"}, "collector_url must be http(s)"),
        ({"secret_file": "/nonexistent"}, "commands cannot be signed: /nonexistent cannot be read"),
        ({"api_token_file": "/nonexistent"}, "the API token /nonexistent cannot be read"),
        ({"database_url": "sqlite:////proc/nope/ledger.db"}, "cannot write the ledger"),
        ({"database_url": "postgresql://u:topsecret@127.0.0.1:9/x"}, "cannot open the ledger"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_said_at_start(start_process, receiver, changes, why):
    """One sentence, code 1, no traceback, no password."""
    url = changes.pop("url", receiver.url)
    line = refusal(start_process(url, **changes))
    assert why in line
    assert "pw@" not in line
    assert "topsecret" not in line


def test_a_second_process_on_the_same_ledger_is_refused(start_process, receiver):
    """The first goes on, the second says why it cannot."""
    first = start_process(receiver.url)
    assert "another process has the ledger" in refusal(start_process(receiver.url))
    assert first.terminate() == 0


@pytest.mark.parametrize("mode", ["observe", "advise"])
def test_without_commands_no_secret_is_needed(start_process, receiver, mode):
    """Only the mode act signs."""
    process = start_process(receiver.url, mode=mode, secret_file="/nonexistent")
    assert process.port > 0
    assert process.terminate() == 0


async def test_the_ready_line_tells_the_port(start_process, receiver):
    """Port 0 becomes a free one, which answers at once."""
    process = start_process(receiver.url)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{process.url}/readyz") as reply,
    ):
        assert (reply.status, json.loads(await reply.text())) == (200, {"status": "ready"})
