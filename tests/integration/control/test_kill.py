"""kill -9 between decision and delivery: the command still arrives, the same one, once decided."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analysis.decisions.states import DeliveryState
from telemetry.clock import SystemClock

CHILD = Path(__file__).with_name("commit_child.py")
ROOT = Path(__file__).parents[3]


@pytest.fixture
def commit(tmp_path):
    """``commit(url, count)`` -> (process, how to read its next line)."""
    started = []

    def start(receiver_url: str, count: int):
        child = subprocess.Popen(
            [sys.executable, str(CHILD), f"sqlite:///{tmp_path / 'ledger.db'}", receiver_url,
             str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        started.append(child)
        assert child.stdout.readline() == "open\n"
        return child

    yield start
    for child in started:
        child.kill()
        child.wait(10)
        child.stdout.close()
        child.stdin.close()


def kill(child):
    child.send_signal(signal.SIGKILL)
    child.wait(10)


def stored(path):
    """(webhook_id, body) of every row, read by a stranger."""
    with sqlite3.connect(path) as raw:
        return dict(raw.execute("SELECT webhook_id, body FROM outbox").fetchall())


async def test_killed_after_the_commit_before_any_request(
    commit, start_process, receiver, wait, tmp_path
):
    """The decision was committed and the process killed; the next one delivers that very row."""
    child = commit(receiver.url, 1)
    decision_id = child.stdout.readline().split()[1]
    kill(child)
    before = stored(tmp_path / "ledger.db")
    assert len(before) == 1
    assert receiver.requests == []
    process = start_process(receiver.url)
    await wait(lambda: receiver.requests)
    (request,) = receiver.requests
    assert {request.headers["webhook-id"]: request.body} == before
    assert json.loads(request.body)["id"] == decision_id
    assert process.terminate() == 0
    assert stored(tmp_path / "ledger.db") == before


async def test_killed_while_the_request_is_under_way(
    commit, start_process, receiver, wait, tmp_path, open_ledger
):
    """The receiver has the bytes and never answered: the next process sends the same ones."""
    child = commit(receiver.url, 1)
    child.stdout.readline()
    kill(child)
    receiver.hang = lambda n: n == 0
    first = start_process(receiver.url)
    await wait(lambda: receiver.requests)
    first.kill()
    second = start_process(receiver.url)
    await wait(lambda: len(receiver.requests) == 2)
    one, two = receiver.requests
    assert one.headers["webhook-id"] == two.headers["webhook-id"]
    assert one.body == two.body
    assert second.terminate() == 0
    ledger = open_ledger()
    assert len(ledger.decisions()) == 1
    (row,) = ledger.outbox.deliveries()
    assert row.state is DeliveryState.DELIVERED
    assert row.webhook_id == two.headers["webhook-id"]
    assert [attempt.status for attempt in row.attempts] == [200], "the killed one is not recorded"


@pytest.mark.slow
def test_decisions_reported_as_committed_survive_any_kill(commit, tmp_path, open_ledger):
    """12 kills at odd moments: every decision told as committed is there with its row."""
    committed = []
    for round_number in range(12):
        child = commit("http://127.0.0.1:9/x", 0)
        deadline_s = time.monotonic() + 0.05 + 0.013 * round_number
        lines = []
        while time.monotonic() < deadline_s or not lines:
            lines.append(child.stdout.readline())
        kill(child)
        lines += child.stdout.readlines()
        committed += [line.split()[1] for line in lines if line.endswith("\n")]
    ledger = open_ledger(SystemClock())
    with ledger.database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    decisions = {one.decision_id for one in ledger.decisions(10_000)}
    rows = [one.decision_id for one in ledger.outbox.deliveries(limit=10_000)]
    assert len(committed) >= 12
    assert set(committed) <= decisions
    # At most one per kill was committed and not yet told.
    assert len(decisions) - len(committed) <= 12
    assert sorted(rows) == sorted(decisions)
    assert all(
        canary.is_over == (canary.decision is not None) for canary in ledger.canaries(limit=9999)
    )


def test_a_full_disk_refuses_and_recovers(tmp_path):
    """The file may not grow any more: typed refusals, nothing told is lost, no restart needed."""
    child = Path(__file__).with_name("full_disk_child.py")
    path = tmp_path / "ledger.db"
    done = subprocess.run(
        [sys.executable, str(child), f"sqlite:///{path}"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    told = [line.split()[1] for line in lines if line.startswith("committed")]
    refused = [line for line in lines if line.startswith("refused")]
    assert len(refused) == 3
    assert lines.index(refused[0]) > 0, "something fitted before"
    assert lines[-1].startswith("committed"), "with room again it goes on"
    with sqlite3.connect(path) as raw:
        found = {row[0] for row in raw.execute("SELECT deployment_id FROM canaries")}
        rows = raw.execute("SELECT count(*) FROM events").fetchone()[0]
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert found == set(told)
    assert rows == len(told), "a refused declaration left no event behind"
