"""Kayenta's API of a real process over a real collector, called as Orca, Gate and Argo call it."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
import time
from pathlib import Path

import aiohttp
import numpy as np
import pytest
import requests

from bench.collector.process import Collector
from collector.promql.labels import make_labels
from collector.samples.snappy import compress_block
from collector.scrape.sample_sink import WriteRequests
from collector.scrape.samples import Batch

MINUTES = 60
ARGO = (
    "application=playback&metricsAccountName=any&configurationAccountName=any"
    "&storageAccountName=any"
)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """(collector, end of the window in ms): an hour of two metrics of versions v1, v2 and bad.

    Latency of ``bad`` is half as much again; ``v2`` is like ``v1``.
    """
    folder = tmp_path_factory.mktemp("collector")
    one = Collector(folder, folder / "stderr.log", WAL__SAMPLES_INTERVAL_S=0.1)
    end_ms = int(time.time()) // 60 * 60_000
    rng = np.random.default_rng(7)
    labels, values = [], []
    for version, factor in (("v1", 1.0), ("v2", 1.0), ("bad", 1.5)):
        for name, level in (("kay_latency", 0.1 * factor), ("kay_errors", 0.01)):
            labels.append(make_labels({"__name__": name, "version": version, "zone": "a"}.items()))
            values.append(level * rng.normal(1.0, 0.05, MINUTES + 1))
    table = np.array(values)
    writes = WriteRequests()
    for minute in range(MINUTES + 1):
        at_ms = end_ms - 60_000 * (MINUTES - minute)
        batch = Batch(labels, [at_ms] * len(labels), table[:, minute].tolist())
        body = compress_block(writes.request(batch))
        headers = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}
        reply = requests.post(f"{one.api_url}/api/v1/write", body, headers=headers)
        assert reply.status_code == 204, reply.text
    yield one, end_ms
    one.terminate()


def config(name="playback-canary"):
    """Of two metrics, as Spinnaker's editor writes it."""

    def metric(name, **canary):
        return {
            "name": name,
            "query": {
                "type": "prometheus",
                "serviceType": "prometheus",
                "metricName": f"kay_{name}",
                "customFilterTemplate": "version",
            },
            "groups": [name],
            "analysisConfigurations": {"canary": {"direction": "increase", **canary}},
            "scopeName": "default",
        }

    return {
        "name": name,
        "description": "",
        "configVersion": "1",
        "applications": ["playback"],
        "judge": {"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {}},
        "templates": {"version": 'version="${scope}"'},
        "metrics": [metric("latency", critical=True), metric("errors")],
        "classifier": {"groupWeights": {"latency": 60, "errors": 40}},
    }


def iso(unix_ms):
    return dt.datetime.fromtimestamp(unix_ms / 1000, dt.UTC).isoformat().replace("+00:00", "Z")


def asked_for(end_ms, version, thresholds=None):
    def side(scope):
        window = {"start": iso(end_ms - 60_000 * MINUTES), "end": iso(end_ms), "step": 60}
        return {"scope": scope, "location": "eu", **window}

    return {
        "scopes": {"default": {"controlScope": side("v1"), "experimentScope": side(version)}},
        "thresholds": thresholds or {"pass": 90, "marginal": 50},
    }


@pytest.fixture
async def call(start_process, receiver, measured):
    """``await call(method, path, body)`` gives status and JSON."""
    collector, _ = measured
    process = start_process(receiver.url, collector_url=collector.api_url)
    async with aiohttp.ClientSession() as session:

        async def ask(method, path, body=None):
            data = None if body is None else json.dumps(body).encode()
            async with session.request(method, process.url + path, data=data) as reply:
                raw = await reply.read()
                return reply.status, json.loads(raw) if raw else None

        yield ask


async def completed(call, execution_id):
    """The status once ``complete`` is true, as Orca polls for it."""
    async with asyncio.timeout(20):
        while True:
            status, found = await call("GET", f"/canary/{execution_id}?storageAccountName=any")
            assert status == 200, found
            if found["complete"]:
                return found
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(("version", "passes"), [("v2", True), ("bad", False)])
async def test_argo_rollouts_way(call, measured, version, passes):
    """By name in the list, then started, then asked until complete: a score it can truncate."""
    _, end_ms = measured
    assert (await call("POST", "/canaryConfig?configurationAccountName=any", config()))[0] == 200
    status, found = await call(
        "GET", "/canaryConfig?application=playback&configurationAccountName=any"
    )
    (config_id,) = [one["id"] for one in found if one["name"] == "playback-canary"]
    status, begun = await call("POST", f"/canary/{config_id}?{ARGO}", asked_for(end_ms, version))
    assert status == 200
    done = await completed(call, begun["canaryExecutionId"])
    score = done["result"]["judgeResult"]["score"]
    assert done["status"] == "succeeded"
    assert (int(score["score"]) >= 90) is passes
    if not passes:
        assert score["score"] == 0, "a critical metric fails the whole"
        assert "latency" in score["classificationReason"]
    for result in done["result"]["judgeResult"]["results"]:
        assert result["controlMetadata"]["stats"]["count"] == MINUTES + 1


async def test_the_pages_own_requests_work(call):
    """docs/howto/kayenta-api.md as it stands: a config is kept, a run without data is no pass."""
    page = (Path(__file__).parents[3] / "docs/howto/kayenta-api.md").read_text()
    made, asked = (json.loads(body) for body in re.findall(r"-d '(.*?)'\n```", page, re.DOTALL))
    status, kept = await call("POST", "/canaryConfig", made)
    assert status == 200, kept
    path = f"/canary/{kept['canaryConfigId']}?application=playback"
    status, begun = await call("POST", path, asked)
    assert status == 200, begun
    done = await completed(call, begun["canaryExecutionId"])
    assert done["result"]["judgeResult"]["score"]["classification"] == "Fail"


async def test_gates_pages(call, measured):
    """What Spinnaker's pages ask for around an execution."""
    _, end_ms = measured
    body = {"canaryConfig": config(), "executionRequest": asked_for(end_ms, "v2")}
    _, begun = await call("POST", "/canary?application=playback", body)
    done = await completed(call, begun["canaryExecutionId"])
    list_id = done["metricSetPairListId"]
    _, pairs = await call("GET", f"/metricSetPairList/{list_id}")
    assert [pair["name"] for pair in pairs] == ["latency", "errors"]
    result = done["result"]["judgeResult"]["results"][0]
    status, one = await call("GET", f"/metricSetPairList/{list_id}/{result['id']}")
    assert (status, one["name"], len(one["values"]["control"])) == (200, "latency", MINUTES + 1)
    status, listed = await call("GET", "/canary/executions?application=playback&limit=5")
    assert [found["pipelineId"] for found in listed] == [begun["canaryExecutionId"]]
    assert (await call("GET", "/canary/executions?application=other"))[1] == []
    assert (await call("GET", "/credentials"))[1][0]["supportedTypes"][0] == "METRICS_STORE"
    assert (await call("GET", "/metricsServices"))[1][0]["type"] == "prometheus"
    assert (await call("GET", "/judges"))[1] == [{"name": "NetflixACAJudge-v1.0", "visible": True}]
    # The retrospective: the same metrics, judged again by a config that is kept.
    _, kept = await call("POST", "/canaryConfig", config("again"))
    query = f"canaryConfigId={kept['canaryConfigId']}&metricSetPairListId={list_id}"
    status, again = await call(
        "POST", f"/judges/judge?{query}&passThreshold=90&marginalThreshold=50"
    )
    assert status == 200
    assert again["score"] == done["result"]["judgeResult"]["score"]
    # What Deck's editor completes a metric's name from.
    _, names = await call("GET", "/metadata/metricsService?filter=KAY_&metricsAccountName=any")
    assert names == [{"name": "kay_errors"}, {"name": "kay_latency"}]
    assert (await call("GET", "/metadata/metricsService?filter=nothing"))[1] == []


async def test_a_config_is_kept_changed_and_forgotten(call):
    """With Kayenta's answers to what cannot be."""
    made = {**config("kept"), "id": "kept-1"}
    assert await call("POST", "/canaryConfig", made) == (200, {"canaryConfigId": "kept-1"})
    status, refused = await call("POST", "/canaryConfig", made)
    assert (status, refused["message"]) == (400, "canaryConfig 'kept-1' exists already.")
    changed = {**made, "description": "other"}
    assert (await call("PUT", "/canaryConfig/kept-1", changed))[0] == 200
    assert (await call("GET", "/canaryConfig/kept-1"))[1]["description"] == "other"
    assert (await call("DELETE", "/canaryConfig/kept-1"))[0] == 204
    for method in ("GET", "DELETE"):
        status, gone = await call(method, "/canaryConfig/kept-1")
        assert (status, "kept-1" in gone["message"]) == (404, True)
    assert (await call("PUT", "/canaryConfig/kept-1", changed))[0] == 404
    assert (await call("POST", "/canary/kept-1", {}))[0] == 404


@pytest.mark.parametrize(
    ("version", "changes", "words"),
    [
        ("nobody", {}, None),
        ("v2", {"metricName": "kay_nobody"}, None),
        ("v2", {"customInlineTemplate": "PromQL: sum by (", "customFilterTemplate": None}, "400"),
    ],
)
async def test_what_cannot_be_measured_is_never_a_pass(call, measured, version, changes, words):
    """No data fails the canary as Kayenta has it; a query that is wrong ends with its words."""
    _, end_ms = measured
    made = config()
    for metric in made["metrics"]:
        metric["query"] |= changes
    body = {"canaryConfig": made, "executionRequest": asked_for(end_ms, version)}
    status, begun = await call("POST", "/canary?application=playback", body)
    assert status == 200, begun
    done = await completed(call, begun["canaryExecutionId"])
    if words is None:
        assert done["result"]["judgeResult"]["score"]["score"] == 0
    else:
        assert done["status"] == "terminal"
        assert words in done["exception"]["details"]["errors"][0]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "the body is not JSON"),
        (b"[]", "the body is no object with canaryConfig"),
        (json.dumps({"canaryConfig": config(), "executionRequest": {}}).encode(), "scope pair"),
    ],
)
async def test_bad_bodies_are_told_in_kayentas_shape(start_process, receiver, body, words):
    """{"status": 400, "message": ...}."""
    process = start_process(receiver.url)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{process.url}/canary", data=body) as reply,
    ):
        found = await reply.json()
    assert (reply.status, found["status"]) == (400, 400)
    assert words in found["message"]


async def test_an_execution_cut_off_by_a_kill_is_judged_after_the_restart(
    start_process, receiver, measured, wait
):
    """It was acknowledged; one that was cancelled stays so. The first collector never answers."""
    collector, end_ms = measured
    receiver.hang = lambda _: True
    silent = f"http://127.0.0.1:{receiver.port}"
    first = start_process(receiver.url, collector_url=silent)
    body = {"canaryConfig": config(), "executionRequest": asked_for(end_ms, "v2")}
    async with aiohttp.ClientSession() as session:

        async def ask(method, url, **content):
            async with session.request(method, url, **content) as reply:
                assert reply.status == 200, await reply.text()
                return await reply.json()

        url = f"{first.url}/canary?application=playback"
        ids = [(await ask("POST", url, json=body))["canaryExecutionId"] for _ in range(3)]
        await ask("PUT", f"{first.url}/pipelines/{ids[0]}/cancel")
        await wait(lambda: any("query_range" in one.path for one in receiver.requests))
        first.kill()
        second = start_process(receiver.url, collector_url=collector.api_url)

        async def second_call(method, path):
            return 200, await ask(method, second.url + path)

        found = [await completed(second_call, one) for one in ids]
    assert [one["status"] for one in found] == ["canceled", "succeeded", "succeeded"]
    assert "result" not in found[0]
