"""Nothing behind the gate answers who may not ask."""

from __future__ import annotations

import orjson
import pytest

from analysis.access import OPEN, scope_of
from collector.access.config import AccessConfig
from collector.access.desk import AccessDesk
from collector.access.gate import PROBES, Gate, reading
from collector.access.tokens import Scope
from telemetry.clock import SystemClock

RIGHT = (b"authorization", b"Bearer right")


@pytest.fixture
def ask(tmp_path):
    """``await ask(path, *headers)``: (status, headers, body); counted in ``refused``."""
    owner = tmp_path / "api.token"
    owner.write_text("right")
    desk = AccessDesk(AccessConfig(True, tmp_path / "none.json", owner), SystemClock())

    async def behind(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"secret"})

    async def asked(path, *headers, realm=""):
        sent = []

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": path, "headers": list(headers)}
        gate = Gate(behind, desk, reading, asked.refused.append, realm=realm)
        await gate(scope, None, send)
        return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]

    asked.refused = []
    return asked


async def test_the_right_token_comes_through_and_probes_need_none(ask):
    assert (await ask("/x", RIGHT))[0] == 200
    for path in PROBES:
        assert (await ask(path))[0] == 200
    assert ask.refused == []


@pytest.mark.parametrize("headers", [[], [(b"authorization", b"Bearer wrong")], [RIGHT, RIGHT]])
async def test_no_token_a_wrong_one_and_two_are_told_what_is_accepted(ask, headers):
    status, answered, body = await ask("/docs", *headers)
    assert (status, answered[b"www-authenticate"]) == (401, b"Bearer")
    assert orjson.loads(body)["error"]["accepted"] == "Authorization: Bearer <token>"
    assert b"secret" not in body
    assert ask.refused == ["unauthenticated"]


async def test_a_person_is_asked_by_the_browser(ask):
    _, answered, _ = await ask("/", realm="R")
    assert answered[b"www-authenticate"].startswith(b'Basic realm="R"')


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/api/v1/canaries", Scope.READ),
        ("POST", "/api/v1/canaries", Scope.DEPLOY),
        ("POST", "/judge", Scope.READ),
        ("POST", "/canary/x", Scope.DEPLOY),
        ("POST", "/api/v1/guards/lock", Scope.ADMIN),
        ("GET", "/api/v1/guards", Scope.READ),
        ("DELETE", "/never/heard/of", Scope.DEPLOY),
        *(("GET", path, None) for path in sorted(OPEN)),
    ],
)
def test_scopes_of_the_analysis(method, path, scope):
    assert scope_of(method, path) is scope


def test_copying_the_store_is_not_reading():
    assert reading("POST", "/api/v1/store/snapshot") is Scope.ADMIN
    assert reading("POST", "/prometheus/api/v1/query") is Scope.READ
