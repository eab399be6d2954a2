"""The main job, end to end, as `make demo ARGS=--once` does it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from davylamp.config import environment_of

PORTS = {
    "collector": {"otlp_grpc_port": 0, "otlp_http_port": 0, "api_port": 0},
    "analysis": {"api_port": 0},
    "dashboards": {"port": 0},
    "samples": {"controller_port": 0, "edge_port": 0, "profile": "tiny"},
}


async def demo(tmp_path, *arguments):
    values = {**PORTS, "davylamp": {"state_dir": str(tmp_path / "state")}}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "davylamp",
        "demo",
        "--ignore-load",
        *arguments,
        env=os.environ | environment_of(values),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def said_until(process, words: bytes, deadline_s: float) -> bytes:
    """What the process printed up to these words; it fails with all of it if it ends before."""
    said = b""
    async with asyncio.timeout(deadline_s):
        while words not in said:
            line = await process.stdout.readline()
            # At the end of its output a stream answers at once and for ever.
            assert line, f"exit {await process.wait()} before {words!r}:\n{said.decode()}"
            said += line
    return said


async def test_a_bad_release_is_rolled_back_and_a_good_one_promoted(tmp_path):
    """F01 is gone soon after its first request, an outage changes nothing, N5 serves."""
    record = tmp_path / "record.json"
    process = await demo(tmp_path, "--once", "--quiet-s", "5", "--record", str(record))
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    bad, good = json.loads(record.read_text())["canaries"]
    assert (bad["build"], bad["verdict"], bad["state"]) == ("F01", "fail", "rolled_back")
    assert "tv-legacy" in bad["summary"] or "failed playback starts" in bad["summary"]
    assert bad["webhook_attempts"] == 1
    assert bad["verdict_s"] < bad["webhook_s"] < bad["gone_s"] < bad["confirmed_s"]
    assert (good["build"], good["verdict"], good["state"]) == ("N5", "pass", "promoted")


async def test_ctrl_c_stops_everything(tmp_path):
    """SIGINT while it runs: exit 0 and no process is left."""
    process = await demo(tmp_path, "--quiet-s", "600")
    said = await said_until(process, b"Viewers press play", deadline_s=90)
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(40):
        rest = (await process.communicate())[0]
    assert process.returncode == 0, (said + rest).decode()
    assert b"Stopped." in rest
    assert left_over(tmp_path) == []


def left_over(tmp_path) -> list[str]:
    """Command lines of running processes whose environment names this test's folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if str(tmp_path / "state").encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_bytes().decode())
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found
