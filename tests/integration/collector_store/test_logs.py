"""Log records and exemplars, from OTLP bodies to JSON."""

from __future__ import annotations

import pytest

SECOND_NS = 1_000_000_000


def records(t0, trace_id):
    return [
        {
            "time": t0,
            "body": "Started",
            "severity": 9,
            "trace_id": trace_id,
            "span_id": b"s" * 8,
            "attributes": {"attempt": 1, "ok": True, "list": ["a", "b"]},
        },
        {"time": 0, "observed": t0 + SECOND_NS, "body": "Disk NEARLY full", "severity": 13},
        {"time": t0 + 2 * SECOND_NS, "body": "failed", "severity": 17, "trace_id": trace_id},
    ]


async def test_logs_are_found_by_trace(get, insert, otlp, t0):
    """By time, with every field; a trace without logs is an empty answer."""
    trace_id = t0.to_bytes(16, "big")
    assert insert(otlp.logs_request(otlp.resource("talk"), records(t0, trace_id))) == 3
    status, body = await get(f"/api/v1/traces/{trace_id.hex()}/logs")
    assert status == 200
    first, second = body["logs"]
    assert (first["body"], second["body"]) == ("Started", "failed")
    assert first["time_unix_nano"] == t0
    assert (first["trace_id"], first["span_id"]) == (trace_id.hex(), (b"s" * 8).hex())
    assert second["span_id"] == ""
    assert first["service_name"] == "talk"
    assert (first["severity_number"], first["severity_text"]) == (9, "INFO")
    assert first["attributes"] == {"attempt": "1", "ok": "true", "list": '["a","b"]'}
    assert first["resource"]["cloud.region"] == "eu-west-1"
    assert (await get(f"/api/v1/traces/{'0' * 31}7/logs"))[1]["logs"] == []
    assert (await get("/api/v1/traces/xyz/logs"))[0] == 400


@pytest.mark.parametrize(
    ("parameters", "bodies"),
    [
        ({}, ["failed", "Disk NEARLY full", "Started"]),
        ({"severity": "warn"}, ["failed", "Disk NEARLY full"]),
        ({"severity": "17"}, ["failed"]),
        ({"text": "nearly"}, ["Disk NEARLY full"]),
        ({"text": "nothing of it"}, []),
        ({"match": "attempt=1"}, ["Started"]),
        ({"match": "ok=true"}, ["Started"]),
        ({"match": "attempt!=1"}, ["failed", "Disk NEARLY full"]),
        ({"match": "cloud.region=eu-west-1", "limit": "2"}, ["failed", "Disk NEARLY full"]),
    ],
)
async def test_logs_are_searched(get, insert, otlp, t0, parameters, bodies):
    """By severity, text and attributes, the newest first; a record without time has the other."""
    service = f"search-{t0}"
    insert(otlp.logs_request(otlp.resource(service), records(t0, bytes(16))))
    status, body = await get("/api/v1/logs", service=service, **parameters)
    assert status == 200
    assert [one["body"] for one in body["logs"]] == bodies
    assert body["truncated"] == ("limit" in parameters)


async def test_a_bad_log_search_is_told_what_is_taken(get):
    """As everywhere."""
    assert (await get("/api/v1/logs", severity="loud"))[1]["error"]["accepted"].startswith(
        "trace, debug"
    )
    assert (await get("/api/v1/logs", limit="0"))[0] == 400


async def test_exemplars_lead_to_traces(get, insert, otlp, t0):
    """Of every kind of point; the same exemplar in two points comes once."""
    trace_id, span_id = t0.to_bytes(16, "big"), b"e" * 8
    at = [{"time": t0 + i * SECOND_NS, "start": t0} for i in range(2)]
    explicit = {"count": 2, "sum": 1.0, "bounds": [1.0], "counts": [1, 1]}
    exponential = {"count": 2, "sum": 1.0, "scale": 0, "offset": 0, "counts": [1, 1]}
    for kind, fields in (
        ("sum", {"value": 1.0}),
        ("histogram", explicit),
        ("exponential_histogram", exponential),
    ):
        request = otlp.metrics_request(
            otlp.resource("shown"), f"shown.{kind}", kind, [{**one, **fields} for one in at]
        )
        metric = request.resource_metrics[0].scope_metrics[0].metrics[0]
        for point in getattr(metric, kind).data_points:
            exemplar = point.exemplars.add(
                time_unix_nano=t0, as_double=0.7, trace_id=trace_id, span_id=span_id
            )
            otlp.fill(exemplar.filtered_attributes, {"user": "u-1"})
        insert(request)
        status, body = await get("/api/v1/exemplars", metric=f"shown.{kind}")
        assert status == 200
        (found,) = body["exemplars"]
        assert found["trace_id"] == trace_id.hex()
        assert found["span_id"] == span_id.hex()
        assert (found["value"], found["time_unix_nano"]) == (0.7, t0)
        assert found["filtered_attributes"] == {"user": "u-1"}
        assert found["service_name"] == "shown"
    assert (await get("/api/v1/exemplars", metric="unheard"))[1]["exemplars"] == []
    assert (await get("/api/v1/exemplars"))[0] == 400


async def test_summaries_come_back_as_they_were_sent(get, insert, otlp, t0):
    """Count, sum and quantiles per point."""
    request = otlp.metrics_request(otlp.resource("old"), "old.latency", "gauge", [])
    metric = request.resource_metrics[0].scope_metrics[0].metrics[0]
    point = metric.summary.data_points.add(time_unix_nano=t0, count=4, sum=2.5)
    for level, value in ((0.5, 0.1), (0.99, 1.5)):
        point.quantile_values.add(quantile=level, value=value)
    otlp.fill(point.attributes, {"route": "/x"})
    assert insert(request) == 1
    status, body = await get("/api/v1/summaries", metric="old.latency", match="route=/x")
    assert status == 200
    (series,) = body["series"]
    assert series["points"] == [
        {
            "t_unix_nano": t0,
            "count": 4,
            "sum": 2.5,
            "quantiles": [{"quantile": 0.5, "value": 0.1}, {"quantile": 0.99, "value": 1.5}],
        }
    ]
    status, body = await get("/api/v1/blocks", metric="old.latency")
    assert status == 400


@pytest.mark.parametrize(
    ("parameters", "is_found"),
    [
        ({"operation": "GET /x"}, True),
        ({"operation": "GET /y"}, False),
        ({"kind": "server"}, True),
        ({"kind": "client"}, False),
        ({"max_duration_s": "0.002"}, True),
        ({"max_duration_s": "0.0005"}, False),
        ({"match": "user.id=u-7"}, True),
        ({"match": "retries=3"}, True),
        ({"match": "http.route=/x"}, True),
        ({"match": "http.route!=/x"}, False),
        ({"match": "http.response.status_code=200"}, True),
        ({"match": "cloud.region=eu-west-1"}, True),
        ({"match": "cloud.region=mars"}, False),
        ({"match": "absent="}, True),
    ],
)
async def test_traces_are_found_by_any_attribute(get, insert, otlp, t0, parameters, is_found):
    """Whatever its type, in a column of its own or not, of the span or its resource."""
    service = f"any-{t0}"
    attributes = {
        "user.id": "u-7",
        "retries": 3,
        "http.route": "/x",
        "http.response.status_code": 200,
    }
    span = {"trace_id": t0.to_bytes(16, "big"), "span_id": b"x" * 8, "start": t0}
    insert(otlp.trace_request(otlp.resource(service), [{**span, "attributes": attributes}]))
    status, body = await get("/api/v1/traces", service=service, **parameters)
    assert status == 200
    assert bool(body["traces"]) == is_found
