"""A request driven straight through the ASGI interface, without a server."""

from __future__ import annotations

from typing import Any

import pytest


async def call_app(
    app: Any, path: str, headers: dict[str, str] | None = None, method: str = "GET"
) -> int:
    """Send one request into ``app`` and return the response's status."""
    status = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [(k.encode(), v.encode()) for k, v in (headers or {}).items()],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    return status


@pytest.fixture
def request_app() -> Any:
    return call_app
