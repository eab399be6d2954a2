"""The life of the stack: up, killed in parts, taken down, refused."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest


def small(start_stack, otlp):
    return start_stack(otlp_endpoint=otlp.url, plays_per_s=20.0, browse_per_s=2.0)


@pytest.fixture
def own_stack(start_stack, otlp):
    """For tests that end it."""
    return small(start_stack, otlp)


@pytest.fixture(scope="module")
def stack(start_stack, otlp):
    return small(start_stack, otlp)


def is_running(pid):
    """Whether ``pid`` is a process that is not merely waiting to be buried."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_it_comes_up_and_ends_without_a_word(own_stack, until):
    """Everyone is served, SIGTERM ends every process with 0, and nothing was worth a line."""
    stack = own_stack
    listed = stack.instances()
    assert {slot.split("/")[0] for slot in listed} == {
        "controller",
        "edge",
        "playback",
        "profiles",
        "recommendations",
        "steering",
        "viewers",
    }
    until(lambda: stack.counts().get("plays_success", 0) > 20)
    pids = [one["pid"] for one in listed.values()]
    assert stack.stop() == 0
    assert not [pid for pid in pids if is_running(pid)]
    assert stack.stderr_file.read_text() == ""


def children_of(pid):
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []


@pytest.mark.parametrize("begun", [2, 4, 7])
def test_it_may_be_ended_while_it_starts(start_stack, otlp, until, begun):
    """SIGTERM after so many forks: no child misses it, and nobody complains."""
    stack = start_stack.begin(otlp_endpoint=otlp.url, plays_per_s=5.0)
    until(lambda: len(children_of(stack.process.pid)) >= begun, pause_s=0.0)
    pids = children_of(stack.process.pid)
    assert stack.stop() == 0
    assert not [pid for pid in pids if is_running(pid)]
    assert stack.stderr_file.read_text() == ""


def kill(stack, until, slot):
    """``kill -9``; (the instance before, the one that took its place)."""
    before = stack.instances()[slot]
    os.kill(before["pid"], signal.SIGKILL)

    def back():
        found = stack.instances().get(slot)
        return found if found and found["pid"] != before["pid"] else None

    return before, until(back)


@pytest.mark.parametrize("slot", ["playback/a/stable", "edge/a/stable", "steering/a/stable"])
def test_a_killed_instance_comes_back(stack, until, slot):
    """On the same address, under a new name; viewers are served afterwards."""
    before, after = kill(stack, until, slot)
    assert after["port"] == before["port"]
    assert after["instance_id"] != before["instance_id"]
    served = stack.counts().get("plays_success", 0)
    until(lambda: stack.counts().get("plays_success", 0) > served)


def test_a_killed_audience_comes_back(stack, until):
    """Reports go on although the process that made the last one is gone."""
    kill(stack, until, "viewers/a/stable")
    last = stack.counts()
    until(lambda: (now := stack.counts()) != last and now.get("plays_success"))


def test_the_deployer_comes_back_to_the_same_table(stack, until):
    """Killed, it learns everything from the parent again; no play fails meanwhile."""
    table = stack.ask("GET", "/v1/routes")[1]
    controller = stack.instances()["controller/a/stable"]
    until(lambda: stack.counts().get("plays_success", 0) > 20)
    before = stack.counts()
    os.kill(controller["pid"], signal.SIGKILL)

    def answered():
        try:
            return stack.instances()["controller/a/stable"]["pid"] != controller["pid"]
        except (OSError, KeyError):
            return False

    until(answered)
    again = stack.ask("GET", "/v1/routes")[1]
    assert again["version"] > table["version"]
    key = ("service", "arm", "zone", "instance_id", "url")
    known, now = (
        {tuple(e[k] for k in key) for e in t["endpoints"] if e["service"] != "controller"}
        for t in (table, again)
    )
    assert now == known
    until(lambda: stack.counts().get("plays_success", 0) > before["plays_success"] + 20)
    after = stack.counts()
    failed = after.get("plays_http_failed", 0) - before.get("plays_http_failed", 0)
    assert failed <= 2  # one play in a thousand has its licence refused anyway


def test_nobody_survives_the_parent(own_stack, until):
    """A killed parent takes its children with it."""
    pids = [one["pid"] for one in own_stack.instances().values()]
    own_stack.process.kill()
    until(lambda: not [pid for pid in pids if is_running(pid)])


def test_a_taken_port_is_one_sentence(start_stack, otlp):
    """Exit code 1, the address in the message, no traceback, nothing left running."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refusal_of(start_stack, controller_port=port).count(f"127.0.0.1:{port}") == 1
        assert refusal_of(start_stack, edge_port=port).count(f"127.0.0.1:{port}") == 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"host": "0.0.0.0"}, "host"),
        ({"profile": "huge"}, "profile"),
        ({"state_dir": "/proc/nowhere"}, "/proc/nowhere/samples"),
        ({"state_dir": "/dev/null"}, "/dev/null/samples"),
    ],
)
def test_what_cannot_work_is_one_sentence(start_stack, changes, named):
    """Before anything starts."""
    assert named in refusal_of(start_stack, **changes)


def refusal_of(start_stack, **changes):
    """The one line of a stack that does not start."""
    with pytest.raises(AssertionError):
        start_stack(**changes)
    stack = start_stack.started[-1]
    assert stack.process.wait(30) == 1
    (line,) = stack.stderr_file.read_text().splitlines()
    return line


def test_a_program_with_threads_is_refused():
    """A fork copies one thread; locks held by the others would stay locked."""
    program = (
        "import threading, sys\n"
        "from sample_services.stack import run\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "sys.exit(run(None))\n"
    )
    root = Path(__file__).parents[3]
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1)
    assert "without threads" in ended.stderr
