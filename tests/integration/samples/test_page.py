"""The page about the sample services is true: its commands run, its table is the code's."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from sample_services.playback.builds import BUILDS

PAGE = (Path(__file__).parents[3] / "docs/explanation/sample-services.md").read_text()


def commands():
    """(method, port, path, body) of each curl command, in order."""
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line)
            assert words[0] == "curl"
            (url,) = [word for word in words if word.startswith("http://")]
            found = re.fullmatch(r"http://127\.0\.0\.1:(7000|7001)(/.*)", url)
            body = words[words.index("-d") + 1] if "-d" in words else None
            method = "POST" if "-d" in words or "-X" in words else "GET"
            yield method, found[1], found[2], body


def test_every_command_of_the_page_works(start_stack, analysis, until):
    """In the order of the page, on other ports; between two deployments the first is ended."""
    stack = start_stack(analysis_url=analysis.url, plays_per_s=5.0, browse_per_s=1.0)
    ports = {"7000": stack.ports["controller_port"], "7001": stack.ports["edge_ports"][0]}
    answers = {}
    for method, port, path, body in commands():
        data = None if body is None else json.loads(body)
        status, answer = stack.ask(method, path, data, port=ports[port])
        assert status < 300, (method, path, answer)
        answers[method, path.partition("?")[0]] = answer
        if (method, path) == ("POST", "/v1/deployments"):
            stack.commander(answer, analysis.url).command("rollback")
            stack.wait_state(answer["deployment_id"], "rolled_back")
        elif path.endswith("recommendations/stop"):
            until(lambda: not [s for s in stack.instances() if s.startswith("recomm")])
    assert answers["POST", "/v1/play"]["locations"]
    assert len(answers["GET", "/v1/home"]["rows"]) == 3
    assert len(answers) == 9


@pytest.mark.parametrize("key", BUILDS)
def test_every_release_is_in_the_table(key):
    """With its version."""
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{key}`")]
    assert row.split("|")[2].strip() == BUILDS[key].version
    assert PAGE.count("\n| `") == len(BUILDS)
