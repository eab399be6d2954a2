"""Overrides of budget policies over HTTP: who, why, how long, and what is refused."""

from __future__ import annotations

import time

import aiohttp
import pytest

POLICY = """\
apiVersion: davylamp/v1
kind: ErrorBudgetPolicy
metadata: {name: playback}
spec:
  steps:
    - name: spent
      when: {remainingAtMost: 0}
      actions: [notify, freeze]
"""
PATH = "/api/v1/slo-policies"
HOUR_NS = 3_600 * 10**9


def override(**changes):
    body = {
        "who": "ada",
        "reason": "the fix must go out",
        "step": "playback/spent",
        "expires_unix_nano": time.time_ns() + HOUR_NS,
    }
    return body | changes


@pytest.fixture
def start(tmp_path, start_process):
    file = tmp_path / "policies.yaml"

    def started(text):
        file.write_text(text)
        return start_process("http://127.0.0.1:9/nobody", budget_policy_path=str(file))

    return started


async def test_an_override_is_made_listed_and_ended(start, helpers):
    process = start(POLICY)
    headers = {"authorization": f"Bearer {helpers.token}"}
    async with aiohttp.ClientSession(process.url, headers=headers) as session:

        async def ask(method, path, body=None):
            async with session.request(method, path, json=body) as reply:
                return reply.status, await reply.json()

        status, made = await ask("POST", f"{PATH}/overrides", override())
        assert (status, made["author"], made["objective"]) == (201, "ada", "*")
        for wrong, words in (
            ({"step": "playback/none"}, "playback/spent"),
            ({"objective": "none"}, "playback-starts"),
            ({"expires_unix_nano": time.time_ns() - 1}, "within the next"),
            ({"expires_unix_nano": time.time_ns() + 31 * 24 * HOUR_NS}, "within the next"),
        ):
            status, answer = await ask("POST", f"{PATH}/overrides", override(**wrong))
            assert status == 422
            assert words in answer["error"]["accepted"]
        end = {"who": "bob", "reason": "it is out"}
        status, ended = await ask("POST", f"{PATH}/overrides/{made['override_id']}/end", end)
        assert (status, ended["expires_unix_nano"] <= time.time_ns()) == (200, True)
        status, _ = await ask("POST", f"{PATH}/overrides/{made['override_id']}/end", end)
        assert status == 409
        assert (await ask("POST", f"{PATH}/overrides/ovr_none/end", end))[0] == 404
        _, listed = await ask("GET", PATH)
        assert [one["override_id"] for one in listed["overrides"]] == [made["override_id"]]
        status, events = await ask("GET", "/api/v1/events?from=now-1h")
    told = [one["detail"] for one in events["events"] if one["kind"] == "policy_override"]
    assert sorted(told) == ["ada: the fix must go out", "bob: it is out"]


def test_a_policy_that_cannot_be_used_is_told_at_start(start):
    process = start(POLICY.replace("freeze", "melt"))
    assert process.popen.returncode not in (0, None)
    assert "policies.yaml:8:" in process.stderr.read_text()
