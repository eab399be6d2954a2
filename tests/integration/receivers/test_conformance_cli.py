"""``davylamp webhooks conformance`` against the FastAPI receiver, started as the page says."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from davylamp.cli import main

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def receiver(tmp_path, secret_file):
    """The URL of a running receiver and the file of what it prints."""
    shutil.copy(ROOT / "docs/howto/receivers/fastapi_receiver.py", tmp_path)
    port = free_port()
    with (tmp_path / "obeyed.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "fastapi_receiver:app", "--port", str(port)],
            stdout=log,
            stderr=subprocess.DEVNULL,
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "WEBHOOK_SECRET_FILE": str(secret_file),
            },
        )
    end_s = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < end_s:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.02)
    yield f"http://127.0.0.1:{port}/webhooks/davylamp", tmp_path / "obeyed.log"
    process.kill()
    process.wait(10)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """``run(*words)``: exit code, lines printed, what was complained."""
    monkeypatch.setenv("DAVYLAMP_DAVYLAMP__STATE_DIR", str(tmp_path / "state"))

    def conformance(*words: object):
        code = main(["webhooks", "conformance", *map(str, words)])
        said = capsys.readouterr()
        return code, said.out.splitlines(), said.err

    return conformance


def test_a_good_receiver_passes_and_a_stranger_is_told_apart(receiver, run, secret_file, tmp_path):
    url, obeyed = receiver
    code, lines, _ = run(url, "--secret-file", secret_file, "--acted", obeyed)
    assert (code, lines[-1]) == (0, "20 passed, 0 failed")
    assert lines[0] == "ok    genuine command: expected 2xx, got 202"
    assert lines[-2] == "ok    what was acted upon: expected each once, no other, got 0 wrong"
    assert obeyed.read_text().count("davylamp.rollback.requested") == 4
    # With a secret that the receiver does not know, whatever should be accepted is refused.
    other = tmp_path / "other.secret"
    other.write_text("whsec_" + "A" * 43 + "=\n")
    code, lines, _ = run(url, "--secret-file", other)
    assert (code, lines[-1]) == (1, "12 passed, 7 failed")
    assert lines[:3] == [
        "FAIL  genuine command: expected 2xx, got 401",
        "      no command of ours would be obeyed",
        "      it said: no signature matches",
    ]
    assert "A" * 20 not in "".join(lines)
    # For an endpoint by another name nothing is meant, and what was done is looked at too.
    nobody = tmp_path / "nothing.log"
    code, lines, _ = run(
        url, "--secret-file", secret_file, "--endpoint-id", "other", "--acted", nobody
    )
    assert (code, lines[-1]) == (1, "13 passed, 7 failed")
    assert sum(line.endswith("is there 0 x, expected 1 x") for line in lines) == 4


def test_when_nobody_answers_nothing_more_is_sent(run, secret_file):
    code, lines, _ = run(f"http://127.0.0.1:{free_port()}/", "--secret-file", secret_file)
    assert code == 1
    assert lines[0] == "FAIL  genuine command: expected 2xx, got no answer"
    assert lines[-1] == "0 passed, 1 failed, 18 not run"


@pytest.mark.parametrize(
    ("url", "words", "complaint"),
    [
        ("ftp://127.0.0.1/", (), "scheme 'ftp': https is accepted"),
        ("http://user:word@127.0.0.1/", (), "no user name or password"),
        ("http://127.0.0.1:1/", ("--endpoint-id", "a b"), "--endpoint-id 'a b' is not accepted"),
        ("http://127.0.0.1:1/", ("--secret-file", "missing"), "missing cannot be read"),
    ],
)
def test_what_cannot_be_sent_is_a_sentence(run, secret_file, url, words, complaint):
    code, lines, said = run(url, "--secret-file", secret_file, *words)
    assert (code, lines) == (1, [])
    assert complaint in said
