"""The pages about receivers say what the files beside them do."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from analysis.webhooks.conformance import Audience, Messages, checks
from analysis.webhooks.events import MAX_BODY_BYTES
from davylamp import conformance_cli
from davylamp.cli import _parser

ROOT = Path(__file__).parents[2]
HOWTO = ROOT / "docs/howto"
PAGES = sorted([*HOWTO.glob("commands-to-*.md"), HOWTO / "write-a-receiver.md"])


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def relay_help():
    command = [sys.executable, HOWTO / "receivers/script_receiver.py", "--help"]
    environment = {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_options_and_programs_on_the_pages_exist(page, relay_help):
    for command in blocks(page, "sh"):
        words = command.replace("\\\n", " ").split()
        if "script_receiver.py" in words:
            options, program = words[: words.index("--")], words[words.index("--") + 1]
            unknown = [one for one in options if one[:2] == "--" and one not in relay_help]
            assert unknown == []
            if page.stem != "commands-to-a-script":
                assert (HOWTO / "receivers" / program).exists()
    for text in blocks(page, "yaml"):
        assert yaml.safe_load(text)
    for text in blocks(page, "json"):
        assert json.loads(text)["triggers"][0]["type"] == "webhook"


def test_the_conformance_run_on_the_page_has_every_check():
    (shown,) = blocks(HOWTO / "write-a-receiver.md", "text")
    sent = checks(Messages(Audience("x"), 1_735_689_600 * 10**9, lambda size: b"x" * size), [b""])
    expected = [f"ok    {one.name}: expected {one.expected.value}, got" for one in sent]
    lines = shown.splitlines()
    assert [line.rsplit(" ", 1)[0] for line in lines[: len(sent)]] == expected
    assert lines[-1] == f"{len(sent) + 1} passed, 0 failed"
    contract = (ROOT / "docs/reference/webhooks.md").read_text()
    assert f"makes {len(sent)} checks of a receiver" in contract
    assert f"at most {MAX_BODY_BYTES:,} bytes" in contract


def test_the_relays_limits_are_those_on_its_page():
    spec = importlib.util.spec_from_file_location("relay", HOWTO / "receivers/script_receiver.py")
    relay = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(relay)
    page = (HOWTO / "commands-to-a-script.md").read_text()
    assert f"{relay.MAX_PROGRAMS_AT_ONCE} at once, at most {relay.PROGRAM_TIMEOUT_S:.0f} s" in page
    assert relay.ARGUMENT.fullmatch("a" * 256)
    assert not relay.ARGUMENT.fullmatch("a" * 257)
    assert all(relay.ARGUMENT.fullmatch(f"a{one}") for one in "._:/@+-")
    assert relay.MAX_BODY_BYTES == MAX_BODY_BYTES
    # The gate of flagger.sh must be closed again before the relay ends the program.
    waits_s = re.findall(r"--timeout (\d+)s", (HOWTO / "receivers/flagger.sh").read_text())
    assert [int(one) < relay.PROGRAM_TIMEOUT_S - 30 for one in waits_s] == [True]


def test_the_command_on_the_page_is_understood():
    page = HOWTO / "write-a-receiver.md"
    (command,) = [one for one in blocks(page, "sh") if one.startswith("davylamp")]
    options = _parser(is_process=False).parse_args(command.replace("\\\n", " ").split()[1:])
    assert (options.webhooks_command, options.environment) == ("conformance", "conformance")
    rows = dict(re.findall(r"^\| `(--[\w-]+)` \| (.+) \|$", page.read_text(), re.MULTILINE))
    assert set(rows) == {"--secret-file", "--endpoint-id", "--environment", "--acted"}
    assert f"up to {conformance_cli.ACTED_WAIT_S:.0f} seconds" in page.read_text()
