"""Jaeger's query API: what its page and Grafana's data source ask, in the shapes they read."""

from __future__ import annotations

import json

import pytest

MICROSECOND_NS = 1_000


@pytest.fixture
def shop(insert, otlp, t0):
    """A trace of two services, one call between them that fails; its id as hex."""
    trace_id = t0.to_bytes(16, "big")
    front, back = f"front-{t0}", f"back-{t0}"
    client = {
        "trace_id": trace_id,
        "span_id": b"b" * 8,
        "parent": b"a" * 8,
        "kind": 3,
        "name": "GET",
        "start": t0 + 1_000_000,
        "duration_ns": 30_000_000,
    }
    insert(
        otlp.trace_request(
            otlp.resource(front),
            [
                {
                    "trace_id": trace_id,
                    "span_id": b"a" * 8,
                    "name": "GET /shop",
                    "start": t0,
                    "duration_ns": 40_000_000,
                    "attributes": {"http.response.status_code": 200, "n": 7, "ratio": 0.5},
                },
                client,
            ],
        ),
        otlp.trace_request(
            otlp.resource(back),
            [
                {
                    **client,
                    "span_id": b"c" * 8,
                    "parent": b"b" * 8,
                    "kind": 2,
                    "name": "POST /pay",
                    "status": 2,
                    "events": ["exception"],
                    "attributes": {"ok": False, "user.id": "u-1"},
                }
            ],
        ),
    )
    return {"id": trace_id.hex(), "front": front, "back": back, "t0": t0}


def times(shop):
    start = shop["t0"] // MICROSECOND_NS
    return {"start": str(start - 1_000_000), "end": str(start + 1_000_000)}


async def test_services_and_operations(get, shop):
    """Names, names with kinds, and the older path with names alone."""
    status, body = await get("/jaeger/api/services")
    assert status == 200
    assert {shop["front"], shop["back"]} <= set(body["data"])
    assert body["total"] == len(body["data"])
    assert (body["limit"], body["offset"], body["errors"]) == (0, 0, None)
    _, body = await get("/jaeger/api/operations", service=shop["front"])
    assert body["data"] == [
        {"name": "GET", "spanKind": "client"},
        {"name": "GET /shop", "spanKind": "server"},
    ]
    _, body = await get("/jaeger/api/operations", service=shop["front"], spanKind="server")
    assert [one["name"] for one in body["data"]] == ["GET /shop"]
    _, body = await get(f"/jaeger/api/services/{shop['front']}/operations")
    assert body["data"] == ["GET", "GET /shop"]
    status, body = await get("/jaeger/api/operations")
    assert (status, body["errors"][0]["code"]) == (400, 400)


async def test_one_trace(get, shop):
    """Processes, references, tags with types, logs, microseconds."""
    status, body = await get(f"/jaeger/api/traces/{shop['id']}")
    assert status == 200
    (trace,) = body["data"]
    assert trace["traceID"] == shop["id"]
    assert trace["warnings"] is None
    root, client, server = trace["spans"]
    assert root["references"] == []
    assert server["references"] == [
        {"refType": "CHILD_OF", "traceID": shop["id"], "spanID": client["spanID"]}
    ]
    assert root["operationName"] == "GET /shop"
    assert (root["startTime"], root["duration"]) == (shop["t0"] // MICROSECOND_NS, 40_000)
    tags = {tag["key"]: (tag["type"], tag["value"]) for tag in root["tags"]}
    assert tags["http.response.status_code"] == ("int64", 200)
    assert tags["n"] == ("int64", 7)
    assert tags["ratio"] == ("float64", 0.5)
    assert tags["span.kind"] == ("string", "server")
    assert tags["otel.scope.name"] == ("string", "tests")
    tags = {tag["key"]: (tag["type"], tag["value"]) for tag in server["tags"]}
    assert tags["error"] == ("bool", True)
    assert tags["otel.status_code"] == ("string", "ERROR")
    assert tags["ok"] == ("bool", False)
    (log,) = server["logs"]
    assert log["fields"][0] == {"key": "event", "type": "string", "value": "exception"}
    assert trace["processes"][root["processID"]]["serviceName"] == shop["front"]
    assert trace["processes"][server["processID"]]["serviceName"] == shop["back"]
    assert root["processID"] == client["processID"] != server["processID"]


@pytest.mark.parametrize(
    ("service", "parameters", "is_found"),
    [
        ("front", {}, True),
        ("front", {"operation": "GET /shop"}, True),
        ("front", {"operation": "POST /pay"}, False),
        ("front", {"minDuration": "35ms"}, True),
        ("front", {"minDuration": "41ms"}, False),
        ("back", {"maxDuration": "29ms"}, False),
        ("back", {"tags": json.dumps({"error": "true"})}, True),
        ("front", {"tags": json.dumps({"error": "true"})}, False),
        ("back", {"tags": json.dumps({"user.id": "u-1", "ok": "false"})}, True),
        ("front", {"tag": "n:7"}, True),
        ("front", {"tag": "n:8"}, False),
        ("front", {"tag": "span.kind:client"}, True),
        ("front", {"tag": "cloud.region:eu-west-1", "limit": "20", "lookback": "1h"}, True),
    ],
)
async def test_traces_are_searched(get, shop, service, parameters, is_found):
    """As the page sends it; what is found comes whole."""
    status, body = await get(
        "/jaeger/api/traces", service=shop[service], **times(shop), **parameters
    )
    assert status == 200
    assert [trace["traceID"] for trace in body["data"]] == ([shop["id"]] if is_found else [])
    assert all(len(trace["spans"]) == 3 for trace in body["data"])


async def test_traces_by_id(get, shop):
    """As the comparison page asks; unknown ids are left out, leading zeros may be missing."""
    short = shop["id"].lstrip("0")
    status, body = await get("/jaeger/api/traces", traceID=short)
    assert status == 200
    assert [trace["traceID"] for trace in body["data"]] == [shop["id"]]
    status, body = await get("/jaeger/api/traces/abc123")
    assert status == 404
    assert body["data"] is None
    assert body["errors"] == [{"code": 404, "msg": "trace not found"}]
    assert (await get("/jaeger/api/traces/nonsense"))[0] == 400
    assert (await get("/jaeger/api/traces"))[0] == 400


async def test_dependencies(get, shop):
    """Who calls whom; only a service's own on request."""
    end = str(shop["t0"] // 1_000_000 + 60_000)
    wanted = {"parent": shop["front"], "child": shop["back"], "callCount": 1}
    _, body = await get("/jaeger/api/dependencies", endTs=end, lookback="120000")
    assert wanted in body["data"]
    _, body = await get(
        "/jaeger/api/dependencies", endTs=end, lookback="120000", service=shop["back"]
    )
    assert body["data"] == [wanted]
    assert (await get("/jaeger/api/dependencies", endTs="x"))[0] == 400
