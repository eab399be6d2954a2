"""A secret, the receivers of docs/howto/receivers as files, and servers on loopback."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn

RECEIVERS = Path(__file__).parents[3] / "docs/howto/receivers"
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def secret_file(tmp_path):
    path = tmp_path / "webhook.secret"
    path.write_text(SECRET + "\n")
    return path


@pytest.fixture
def load(tmp_path, monkeypatch, secret_file):
    """``load((old, new), ..., name=value)``: the FastAPI receiver with parts of its text exchanged
    and names added, and the list of what it obeys.
    """
    monkeypatch.setenv("WEBHOOK_SECRET_FILE", str(secret_file))
    monkeypatch.chdir(tmp_path)

    def changed(*changes: tuple[str, str], **added):
        source = (RECEIVERS / "fastapi_receiver.py").read_text()
        for old, new in changes:
            assert source.count(old) == 1, old
            source = source.replace(old, new)
        names: dict = {"__name__": "receiver", **added}
        exec(compile(source, "fastapi_receiver.py", "exec", dont_inherit=True), names)
        obeyed: list[str] = []
        names["obey"] = lambda event: obeyed.append(event["data"]["decision_id"])
        return names["app"], obeyed

    return changed


@pytest.fixture
def serve():
    """``async with serve(app) as url``: under a real uvicorn, in this loop."""

    @asynccontextmanager
    async def serving(app):
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
        task = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}/webhooks/davylamp"
        finally:
            server.should_exit = True
            await task

    return serving
