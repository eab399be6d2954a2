"""The receiver on the how-to page accepts what we sign, once, and nothing else."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
import uvicorn

from analysis.webhooks.signing import headers, parse_secret
from telemetry.clock import SystemClock

PAGE = Path(__file__).parents[2] / "docs/howto/connect-a-deployer.md"
(CODE,) = re.findall(r"```python\n# receiver\.py\n(.*?)```", PAGE.read_text(), re.DOTALL)
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
async def receiver(tmp_path, monkeypatch):
    secret_file = tmp_path / "webhook.secret"
    secret_file.write_text(SECRET + "\n")
    monkeypatch.setenv("WEBHOOK_SECRET_FILE", str(secret_file))
    module = {"__name__": "receiver"}
    exec(compile(CODE, str(PAGE), "exec"), module)
    config = uvicorn.Config(module["app"], host="127.0.0.1", port=0, log_level="warning")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:  # noqa: ASYNC110 - uvicorn offers only this flag
            await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
        yield client
    server.should_exit = True
    await task


def command(expires_in_s: float = 600.0) -> bytes:
    expires_at = datetime.now(UTC) + timedelta(seconds=expires_in_s)
    data = {
        "decision_id": "dec_1",
        "expires_at": expires_at.isoformat(),
        "release": {"version": "2.4.0"},
        "target": {"version": "2.3.0"},
    }
    return json.dumps({"data": data}).encode()


def signed(body: bytes, secret: str = SECRET, webhook_id: str = "msg_1") -> dict[str, str]:
    now_unix_s = SystemClock().wall_unix_nano() // 1_000_000_000
    return headers([parse_secret(secret)], webhook_id, now_unix_s, body)


async def test_a_signed_command_is_acted_on_once(receiver, capsys):
    body = command()
    for _ in range(2):
        async with receiver.post("/webhooks/davylamp", data=body, headers=signed(body)) as reply:
            assert (reply.status, await reply.json()) == (202, {"decision_id": "dec_1"})
    assert capsys.readouterr().out == "roll back 2.4.0 to 2.3.0\n"


async def test_forged_altered_and_late_commands_are_refused(receiver, capsys):
    body, other = command(), "whsec_" + "A" * 32
    for content, sent, status in (
        (body, signed(body, other), 401),
        (body.replace(b"2.3.0", b"1.0.0"), signed(body), 401),
        (command(-1.0), signed(command(-1.0)), 401),
        (late := command(-1.0), signed(late), 410),
    ):
        async with receiver.post("/webhooks/davylamp", data=content, headers=sent) as reply:
            assert reply.status == status
    assert capsys.readouterr().out == ""
