"""The doors of a real process, asked as Argo, Flagger and Kayenta ask."""

from __future__ import annotations

import json

import aiohttp
import pytest

from analysis.decisions.ledger import Ledger
from analysis.webhooks.events import Addressing
from telemetry.clock import SystemClock


@pytest.fixture
async def asked(start_process, receiver, tmp_path, helpers):
    """``await asked(method, path, body)`` of a process that knows one failed canary."""
    clock = SystemClock()
    addressing = Addressing("deployer", receiver.url, "http://127.0.0.1:1", 900.0)
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", clock, addressing)
    helpers.decide(ledger, clock, 1)
    ledger.close()
    process = start_process(receiver.url)
    async with aiohttp.ClientSession() as session:

        async def ask(method, path, body=None):
            data = None if body is None else json.dumps(body).encode()
            async with session.request(method, process.url + path, data=data) as reply:
                return reply.status, await reply.json()

        yield ask


async def test_argo_reads_one_object(asked):
    """200 also for what is unknown: any other status would be an Error to Argo."""
    status, found = await asked("GET", "/api/v1/analysis/argo?service=playback")
    assert (status, found["verdict"], found["deployment_id"]) == (200, "fail", "playback-1")
    status, found = await asked("GET", "/api/v1/analysis/argo?service=nobody")
    assert (status, found["verdict"], found["reason"]) == (200, "nodata", "not_declared")
    status, found = await asked("GET", "/api/v1/analysis/argo")
    assert (status, found["error"]["code"]) == (422, "malformed")


async def test_flagger_rolls_back_on_evidence_alone(asked):
    """Its canary's name, or what metadata says; the body tells why."""
    hook = {"name": "playback", "namespace": "demo", "phase": "Progressing", "metadata": {}}
    status, found = await asked("POST", "/api/v1/flagger/rollback", hook)
    assert (status, found["verdict"]) == (200, "fail")
    status, _ = await asked("POST", "/api/v1/flagger/confirm-promotion", hook)
    assert status == 409
    other = {**hook, "metadata": {"service": "nobody"}}
    status, found = await asked("POST", "/api/v1/flagger/rollback", other)
    assert (status, found["verdict"]) == (404, "nodata")
    status, _ = await asked("POST", "/api/v1/flagger/dance", hook)
    assert status == 422


async def test_kayenta_gets_a_judge_result(asked):
    """NaN travels as text both ways."""
    pair = {
        "name": "m", "id": "1", "tags": {},
        "values": {"control": [1, 2, 3, 4, "NaN"], "experiment": []},
    }  # fmt: skip
    body = {
        "canaryConfig": {"metrics": [{"name": "m", "groups": ["g"]}]},
        "scoreThresholds": {"pass": 90, "marginal": 50},
        "metricSetPairList": [pair],
    }
    status, found = await asked("POST", "/judge", body)
    assert status == 200
    assert found["results"][0]["classification"] == "Nodata"
    assert found["results"][0]["experimentMetadata"]["stats"]["mean"] in (None, "NaN", 0.0)
    status, found = await asked("POST", "/judge", {"canaryConfig": 1})
    assert (status, "canaryConfig" in found["error"]["message"]) == (422, True)
