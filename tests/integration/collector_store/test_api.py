"""Every endpoint over real sockets, from OTLP bodies to JSON."""

from __future__ import annotations

import pytest

SECOND_NS = 1_000_000_000
TRACE = bytes(range(1, 17))


def two_service_trace(otlp, t0, service, trace_id=TRACE):
    edge = otlp.trace_request(
        otlp.resource(f"{service}-edge"),
        [
            {"trace_id": trace_id, "span_id": b"a" * 8, "start": t0, "duration_ns": 40_000_000},
            {
                "trace_id": trace_id,
                "span_id": b"b" * 8,
                "parent": b"a" * 8,
                "kind": 3,
                "start": t0 + 1_000_000,
                "duration_ns": 30_000_000,
            },
        ],
    )
    play = otlp.trace_request(
        otlp.resource(service, version="2.0", instance="p-1"),
        [
            {
                "trace_id": trace_id,
                "span_id": b"c" * 8,
                "parent": b"b" * 8,
                "name": "POST /play",
                "start": t0 + 2_000_000,
                "duration_ns": 20_000_000,
                "status": 2,
                "attributes": {
                    "http.route": "/play",
                    "http.response.status_code": 500,
                    "davylamp.canary.cohort": "canary",
                    "error.type": "timeout",
                    "list": ["x", "y"],
                    "ratio": 0.5,
                    "flag": True,
                },
                "events": ["exception"],
            }
        ],
    )
    return edge, play


async def test_a_trace_is_found_by_filter_and_by_id(get, insert, otlp, t0):
    """All spans, attributes, events and the resource of a trace come back."""
    assert insert(*two_service_trace(otlp, t0, "shop")) == 3
    status, body = await get(
        "/api/v1/traces", service="shop", cohort="canary", error="true", min_duration_s="0.02"
    )
    assert status == 200
    (found,) = body["traces"]
    assert found == {
        "trace_id": TRACE.hex(),
        "root_service": "shop-edge",
        "root_name": "GET /x",
        "start_unix_nano": t0,
        "duration_s": 0.04,
        "span_count": 3,
        "error_count": 1,
        "services": ["shop", "shop-edge"],
    }
    assert (await get("/api/v1/traces", service="shop", min_duration_s="0.021"))[1]["traces"] == []

    status, trace = await get(f"/api/v1/traces/{TRACE.hex()}")
    assert status == 200
    span = trace["spans"][2]
    assert (span["span_id"], span["parent_span_id"]) == ((b"c" * 8).hex(), (b"b" * 8).hex())
    assert trace["spans"][0]["parent_span_id"] == ""
    assert span["duration_ns"] == 20_000_000
    assert span["status_code"] == 2
    assert span["attributes"] == {
        "http.route": "/play",
        "http.response.status_code": "500",
        "davylamp.canary.cohort": "canary",
        "error.type": "timeout",
        "list": '["x","y"]',
        "ratio": "0.5",
        "flag": "true",
    }
    assert span["resource"]["service.version"] == "2.0"
    assert span["events"] == [
        {
            "time_unix_nano": t0 + 2_000_000,
            "name": "exception",
            "attributes": {"exception.type": "ValueError"},
        }
    ]
    assert (await get(f"/api/v1/traces/{'0' * 31}1"))[0] == 404
    assert (await get("/api/v1/traces/xyz"))[0] == 400


async def test_rollup_answers_agree_with_the_spans(get, insert, otlp, t0):
    """Services, RED, heatmap, operations and topology count what was sent."""
    insert(*two_service_trace(otlp, t0, "film", bytes(range(2, 18))))
    at = {"from": str(t0 // SECOND_NS - 1), "to": str(t0 // SECOND_NS + 9)}

    _, body = await get("/api/v1/services", **at)
    services = {item["service_name"]: item for item in body["services"]}
    film = services["film"]
    assert film["versions"] == ["2.0"]
    assert film["instances"][0]["instance_id"] == "p-1"
    assert film["instances"][0]["region"] == "eu-west-1"
    assert film["request_rate_per_s"] == pytest.approx(0.1)
    assert film["error_ratio"] == 1.0
    assert film["p50_s"] == pytest.approx(0.02, rel=0.05)

    _, body = await get("/api/v1/red", service="film", group_by="cohort", step_s="1", **at)
    (group,) = body["groups"]
    assert group["attributes"] == {"cohort": "canary"}
    (point,) = group["points"]
    assert (point["t_unix_s"], point["request_count"], point["error_count"]) == (
        t0 // SECOND_NS,
        1,
        1,
    )

    _, body = await get("/api/v1/heatmap", service="film", step_s="5", **at)
    assert sum(map(sum, body["counts"])) == 1
    assert len(body["counts"][0]) == len(body["bounds_s"])

    _, body = await get("/api/v1/operations", service="film", **at)
    assert [(item["name"], item["count"]) for item in body["operations"]] == [("POST /play", 1)]

    _, body = await get("/api/v1/topology", **at)
    (edge,) = [item for item in body["edges"] if item["server"] == "film"]
    assert (edge["client"], edge["call_count"], edge["error_count"]) == ("film-edge", 1, 0)
    assert edge["p50_s"] == pytest.approx(0.03, rel=0.05)
    assert {"service_name": "film"} in body["nodes"]


@pytest.mark.parametrize("temporality", ["CUMULATIVE", "DELTA"])
async def test_counter_blocks_are_the_same_in_both_temporalities(
    get, insert, otlp, t0, temporality
):
    """Increases per second and arm; cumulative totals are differenced, deltas added up."""
    is_delta = temporality == "DELTA"
    name = f"starts.{temporality}"
    adds = [4, 0, 3, 5]
    for instance, cohort in (("i-1", "baseline"), ("i-2", "canary")):
        total, points = 0, []
        for second, add in enumerate(adds):
            total += add
            points.append(
                {
                    "time": t0 + second * SECOND_NS + 500_000_000,
                    "start": t0,
                    "value": add if is_delta else total,
                    "attributes": {"davylamp.canary.cohort": cohort, "k": "v"},
                }
            )
        insert(
            otlp.metrics_request(
                otlp.resource("c", instance=instance),
                name,
                "sum",
                points,
                getattr(otlp, temporality),
            )
        )
    _, body = await get(
        "/api/v1/blocks",
        **{
            "metric": name,
            "match": "k=v",
            "group_by": "davylamp.canary.cohort",
            "from": str(t0 // SECOND_NS),
            "to": str(t0 // SECOND_NS + 6),
            "step_s": "1",
        },
    )
    assert body["kind"] == "counter"
    assert [group["attributes"]["davylamp.canary.cohort"] for group in body["groups"]] == [
        "baseline",
        "canary",
    ]
    for group in body["groups"]:
        assert [block["increase"] for block in group["blocks"]] == adds
        assert group["blocks"][0]["start_unix_nano"] == t0
        assert group["blocks"][0]["end_unix_nano"] == t0 + SECOND_NS
        assert {block["instance_count"] for block in group["blocks"]} == {1}
    _, body = await get(
        "/api/v1/series",
        **{
            "metric": name,
            "from": str(t0 // SECOND_NS),
            "to": str(t0 // SECOND_NS + 6),
            "step_s": "2",
            "agg": "rate",
        },
    )
    assert [value for _, value in body["groups"][0]["points"]] == [4.0, 8.0, None]


async def test_histogram_blocks_of_both_kinds(get, insert, otlp, t0):
    """Explicit and exponential histograms come back as counts on common bounds."""
    insert(
        otlp.metrics_request(
            otlp.resource("h"),
            "h.explicit",
            "histogram",
            [
                {
                    "time": t0 + SECOND_NS,
                    "start": t0,
                    "count": 3,
                    "sum": 3.0,
                    "bounds": [1.0, 2.0],
                    "counts": [1, 1, 1],
                },
                {
                    "time": t0 + 2 * SECOND_NS,
                    "start": t0,
                    "count": 6,
                    "sum": 7.5,
                    "bounds": [1.0, 2.0],
                    "counts": [1, 4, 1],
                },
            ],
        ),
        otlp.metrics_request(
            otlp.resource("h"),
            "h.exponential",
            "exponential_histogram",
            [
                {
                    "time": t0 + SECOND_NS,
                    "start": t0,
                    "count": 5,
                    "sum": 9.0,
                    "scale": 1,
                    "offset": 0,
                    "counts": [1, 1, 2],
                    "zero_count": 1,
                },
                {
                    "time": t0 + 2 * SECOND_NS,
                    "start": t0,
                    "count": 9,
                    "sum": 19.0,
                    "scale": 0,
                    "offset": 0,
                    "counts": [3, 5],
                    "zero_count": 1,
                },
            ],
        ),
    )
    at = {"from": str(t0 // SECOND_NS), "to": str(t0 // SECOND_NS + 5), "step_s": "1"}
    _, body = await get("/api/v1/blocks", metric="h.explicit", **at)
    assert (body["kind"], body["unit"]) == ("histogram", "s")
    (group,) = body["groups"]
    assert group["bounds"] == [1.0, 2.0]
    assert [block["counts"] for block in group["blocks"]] == [[1, 1, 1], [0, 3, 0]]
    assert [block["sum"] for block in group["blocks"]] == [3.0, 4.5]

    _, body = await get("/api/v1/blocks", metric="h.exponential", **at)
    (group,) = body["groups"]
    assert group["bounds"] == [1.0, 2.0, 4.0]
    assert [block["counts"] for block in group["blocks"]] == [[1, 2, 2, 0], [0, 1, 3, 0]]

    _, body = await get("/api/v1/metrics", **{"from": at["from"], "to": at["to"]})
    kinds = {item["name"]: (item["kind"], item["temporality"]) for item in body["metrics"]}
    assert kinds["h.explicit"] == ("histogram", "cumulative")
    assert kinds["h.exponential"] == ("exponential_histogram", "cumulative")


async def test_gauges_have_values_but_no_increase(get, insert, otlp, t0):
    """last is the newest value, a step without a point is null, an increase is refused."""
    insert(
        otlp.metrics_request(
            otlp.resource("g"),
            "queue.length",
            "gauge",
            [{"time": t0 + s * SECOND_NS, "value": v} for s, v in ((0, 4.0), (1, 2.5), (4, 7))],
        )
    )
    at = {"from": str(t0 // SECOND_NS), "to": str(t0 // SECOND_NS + 6), "step_s": "2"}
    _, body = await get("/api/v1/series", metric="queue.length", group_by="service.name", **at)
    assert body["groups"] == [
        {
            "attributes": {"service.name": "g"},
            "points": [
                [t0 / SECOND_NS, 2.5],
                [t0 / SECOND_NS + 2, None],
                [t0 / SECOND_NS + 4, 7.0],
            ],
        }
    ]
    status, body = await get("/api/v1/blocks", metric="queue.length", **at)
    assert status == 400
    assert body["error"]["code"] == "bad_parameter"


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/api/v1/services", {"from": "yesterday"}),
        ("/api/v1/services", {"form": "now-5m"}),
        ("/api/v1/services", {"from": "now", "to": "now-5m"}),
        ("/api/v1/services", {"from": "2026-01-01T00:00:00"}),
        ("/api/v1/blocks", {}),
        ("/api/v1/blocks", {"metric": "m", "match": "novalue"}),
        ("/api/v1/blocks", {"metric": "m", "step_s": "0"}),
        ("/api/v1/blocks", {"metric": "m", "from": "now-1d", "step_s": "0.001"}),
        ("/api/v1/series", {"metric": "m", "agg": "median"}),
        ("/api/v1/red", {"service": "s", "group_by": "shoe_size"}),
        ("/api/v1/heatmap", {}),
        ("/api/v1/traces", {"limit": "0"}),
        ("/api/v1/traces", {"error": "maybe"}),
        ("/api/v1/traces", {"min_duration_s": "nan"}),
    ],
)
async def test_what_is_not_understood_is_refused(get, path, parameters):
    """A 400 says what was wrong and what would be accepted."""
    status, body = await get(path, **parameters)
    assert status == 400
    assert set(body["error"]) == {"code", "message", "accepted"}


async def test_hostile_text_is_only_ever_data(get, insert, otlp, t0):
    """Quotes, backslashes, tabs and placeholders in names and values match literally."""
    hostile = "x'; DROP TABLE spans; -- \\ \t \n {a:String} \\N"
    insert(
        otlp.metrics_request(
            otlp.resource(hostile),
            hostile,
            "sum",
            [{"time": t0, "start": t0, "value": 1, "attributes": {hostile: hostile}}],
        )
    )
    status, body = await get(
        "/api/v1/blocks",
        **{
            "metric": hostile,
            "match": f"service.name={hostile}",
            "from": str(t0 // SECOND_NS),
            "to": str(t0 // SECOND_NS + 1),
        },
    )
    assert status == 200
    assert body["groups"][0]["blocks"][0]["increase"] == 1.0


async def test_health_self_metrics_and_accounting(get):
    """The collector's own pages."""
    assert (await get("/healthz"))[0] == 200
    assert (await get("/readyz"))[0] == 200
    assert (await get("/api/v1/ingest"))[1]["received"] == 7
    status, text = await get("/metrics")
    assert status == 200
    assert "davylamp_test_total" in text
    assert (await get("/openapi.json"))[0] == 200
