"""The Prometheus API over HTTP: shapes, parameters, errors, limits."""

from __future__ import annotations

import http.client
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import pytest

RESOURCE = {
    "service.namespace": "shop",
    "service.name": "cart",
    "service.instance.id": "i-1",
    "service.version": "1.2",
    "cloud.region": "eu",
}

NO_STEP = (
    'invalid parameter "step": zero or negative query resolution step widths are not accepted. '
    "Try a positive integer"
)
NO_TIME = (
    """invalid parameter "time": invalid time value for 'time': cannot parse "soon" to a valid """
    "timestamp"
)
TOO_FINE = (
    "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query "
    "resolution (?step=XX)"
)
NO_VECTOR = (
    'invalid parameter "query": invalid expression type "range vector" for range query, must be '
    "Scalar or instant Vector"
)


@pytest.fixture
def counted(serving, otlp, t0_s):
    """Ten minutes of a counter of its own, 3 every 15 s; (name, labels, start in s)."""
    name = f"api.requests.h{t0_s}"
    points = [
        {"time_s": t0_s + 15 * n, "value": 3.0 * n, "attributes": {"http.route": "/x"}}
        for n in range(40)
    ]
    assert serving.insert(otlp(RESOURCE, name, "{request}", "sum", points)) == 40
    labels = {
        "job": "shop/cart",
        "instance": "i-1",
        "service_version": "1.2",
        "http_route": "/x",
    }
    return f"api_requests_h{t0_s}_total", labels, t0_s


def test_an_instant_query_answers_a_vector(serving, counted):
    """Labels, name and the value at the given time, as [seconds, text]."""
    name, labels, t0_s = counted
    status, body = serving.get("/api/v1/query", query=name, time=t0_s + 60)
    assert (status, body) == (
        200,
        {
            "status": "success",
            "data": {
                "resultType": "vector",
                "result": [
                    {"metric": {"__name__": name, **labels}, "value": [t0_s + 60, "12"]},
                ],
            },
        },
    )


def test_a_range_query_answers_a_matrix(serving, counted):
    """One [time, value] per step."""
    name, labels, t0_s = counted
    fields = {
        "query": f"count_over_time({name}[1m])",
        "start": t0_s + 60,
        "end": t0_s + 90,
        "step": "15",
    }
    assert serving.get("/api/v1/query_range", fields) == serving.post("/api/v1/query_range", fields)
    status, body = serving.get("/api/v1/query_range", fields)
    assert status == 200
    assert body["data"] == {
        "resultType": "matrix",
        "result": [
            {
                "metric": labels,
                "values": [[t0_s + 60 + 15 * n, "4"] for n in range(3)],
            }
        ],
    }


def test_scalars_strings_and_ranges_have_their_own_shapes(serving, counted):
    """A scalar is one sample, a string one text, a range vector all its samples."""
    name, labels, t0_s = counted
    shapes = {
        "1 / 0": {"resultType": "scalar", "result": [t0_s, "+Inf"]},
        '"a b"': {"resultType": "string", "result": [t0_s, "a b"]},
        "-1e-7": {"resultType": "scalar", "result": [t0_s, "-0.0000001"]},
        "vector(-1e-7)": {
            "resultType": "vector",
            "result": [{"metric": {}, "value": [t0_s, "-1e-07"]}],
        },
        "vector(1e21)": {
            "resultType": "vector",
            "result": [{"metric": {}, "value": [t0_s, "1e+21"]}],
        },
        "123456789012345680000": {
            "resultType": "scalar",
            "result": [t0_s, "123456789012345680000"],
        },
        f"{name}[15s]": {
            "resultType": "matrix",
            "result": [{"metric": {"__name__": name, **labels}, "values": [[t0_s, "0"]]}],
        },
    }
    for query, data in shapes.items():
        assert serving.get("/api/v1/query", query=query, time=t0_s)[1]["data"] == data


def test_infos_stand_beside_the_data(serving, otlp, t0_s):
    """rate of a gauge is answered, with a doubt and its place."""
    name = f"gauge_h{t0_s}"
    points = [{"time_s": t0_s + 15 * n, "value": 1.0} for n in range(5)]
    serving.insert(otlp(RESOURCE, name, "", "gauge", points))
    body = serving.get("/api/v1/query", query=f"rate({name}[1m])", time=t0_s + 60)[1]
    text = "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/"
    assert body["infos"] == [f'{text}_bucket: "{name}" (1:6)']


@pytest.mark.parametrize(
    ("path", "fields", "status", "kind", "message"),
    [
        ("query", {"query": ""}, 400, "bad_data",
         'invalid parameter "query": unknown position: parse error: no expression found in input'),
        ("query", {"query": "sum(x"}, 400, "bad_data",
         'invalid parameter "query": 1:6: parse error: unclosed left parenthesis'),
        ("query", {"query": "1", "time": "soon"}, 400, "bad_data",
         NO_TIME),
        ("query", {"query": "1", "timeout": "x"}, 400, "bad_data",
         'invalid parameter "timeout": cannot parse "x" to a valid duration'),
        ("query_range", {"query": "1", "start": "5", "end": "1", "step": "1"}, 400, "bad_data",
         'invalid parameter "end": end timestamp must not be before start time'),
        ("query_range", {"query": "1", "start": "1", "end": "5", "step": "0"}, 400, "bad_data",
         NO_STEP),
        ("query_range", {"query": "1", "start": "0", "end": "11001", "step": "1"}, 400, "bad_data",
         TOO_FINE),
        ("query_range", {"query": "x[5m]", "start": "1", "end": "5", "step": "1"}, 400, "bad_data",
         NO_VECTOR),
        ("query", {"query": 'label_replace(vector(1), "", "x", "y", "z")'}, 422, "execution",
         "invalid destination label name in label_replace(): "),
        ("query", {"query": "sum_over_time(vector(1)[30d:1s])"}, 422, "execution",
         "a subquery has 2592000 steps, accepted are 100000"),
        ("query", {"query": "vector(1)", "timeout": "0s"}, 503, "timeout",
         "query timed out in expression evaluation"),
        ("series", {}, 400, "bad_data", "no match[] parameter provided"),
        ("series", {"match[]": "{"}, 400, "bad_data",
         'invalid parameter "match[]": 1:2: parse error: unexpected end of input inside braces'),
        ("series", {"match[]": "{}"}, 400, "bad_data",
         'invalid parameter "match[]": match[] must contain at least one non-empty matcher'),
        ("labels", {"start": "x"}, 400, "bad_data",
         NO_TIME.replace("time'", "start'").replace('"time"', '"start"').replace("soon", "x")),
        ("metadata", {"limit": "x"}, 400, "bad_data", "limit must be a number"),
        ("parse_query", {"query": "(" * 200}, 400, "bad_data",
         'invalid parameter "query": 1:101: parse error: nested deeper than 100'),
        ("nothing", {}, 404, "not_found", "page not found"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_as_prometheus_says_it(serving, path, fields, status, kind, message):
    """Status, error type and text."""
    assert serving.get(f"/api/v1/{path}", fields) == (
        status,
        {"status": "error", "errorType": kind, "error": message},
    )


def test_series_and_labels_know_the_same_names(serving, counted):
    """Both take selectors; only what they match is listed."""
    name, labels, t0_s = counted
    bounds = {"match[]": name, "start": t0_s, "end": t0_s + 600}
    assert serving.get("/api/v1/series", bounds)[1]["data"] == [{"__name__": name, **labels}]
    assert serving.get("/api/v1/labels", bounds)[1]["data"] == sorted(["__name__", *labels])
    for key, value in labels.items():
        assert serving.get(f"/api/v1/label/{key}/values", bounds)[1]["data"] == [value]
    escaped = serving.get("/api/v1/label/U__http__route/values", bounds)
    assert escaped[1]["data"] == ["/x"]
    assert name in serving.get("/api/v1/label/__name__/values")[1]["data"]
    before = {"match[]": name, "end": t0_s - 1}
    assert serving.get("/api/v1/series", before)[1]["data"] == []


def test_a_limit_cuts_and_says_so(serving, counted):
    """As many as asked for, and a warning."""
    name, _, t0_s = counted
    query = f'label_replace({name}, "n", "1", "", "") or {name}'
    body = serving.get("/api/v1/query", query=query, time=t0_s + 60, limit=1)[1]
    assert len(body["data"]["result"]) == 1
    assert body["warnings"] == ["results truncated due to limit"]
    names = serving.get("/api/v1/labels", limit=2)[1]
    assert (len(names["data"]), names["warnings"]) == (2, ["results truncated due to limit"])


def test_metadata_knows_type_and_unit(serving, otlp, counted, t0_s):
    """By the metric's name without suffixes of series."""
    name, _, _ = counted
    histogram = f"lat.h{t0_s}"
    point = {"time_s": t0_s, "count": 1, "sum": 0.5, "bounds": [1.0], "counts": [1, 0]}
    serving.insert(otlp(RESOURCE, histogram, "ms", "histogram", [point]))
    data = serving.get("/api/v1/metadata", metric=name)[1]["data"]
    assert data == {name: [{"type": "counter", "help": "", "unit": ""}]}
    base = f"lat_h{t0_s}_milliseconds"
    assert serving.get("/api/v1/metadata", metric=base)[1]["data"] == {
        base: [{"type": "histogram", "help": "", "unit": "milliseconds"}]
    }


def test_parse_query_shows_the_tree(serving):
    """The shape of Prometheus' translate_ast."""
    body = serving.post("/api/v1/parse_query", {"query": 'sum by (a) (rate(x{b!="c"}[5m])) > 1'})
    assert body[1]["data"] == {
        "type": "binaryExpr",
        "op": ">",
        "lhs": {
            "type": "aggregation",
            "op": "sum",
            "expr": {
                "type": "call",
                "func": {
                    "name": "rate",
                    "argTypes": ["matrix"],
                    "variadic": 0,
                    "returnType": "vector",
                },
                "args": [
                    {
                        "type": "matrixSelector",
                        "name": "x",
                        "range": 300_000,
                        "offset": 0,
                        "matchers": [
                            {"name": "b", "value": "c", "type": "!="},
                            {"name": "__name__", "value": "x", "type": "="},
                        ],
                        "timestamp": None,
                        "startOrEnd": None,
                    }
                ],
            },
            "param": None,
            "grouping": ["a"],
            "without": False,
        },
        "rhs": {"type": "numberLiteral", "val": "1"},
        "matching": None,
        "bool": False,
    }


def test_what_grafana_probes_is_there(serving):
    """Build information, exemplars, rules: answered, though there are none."""
    info = serving.get("/api/v1/status/buildinfo")[1]["data"]
    assert (info["application"], info["version"]) == ("Davylamp", "3.14.0")
    assert serving.closed_edge.get("/api/v1/status/buildinfo")[1]["data"]["version"] == "2.42.0"
    fields = {"query": "up", "start": 1, "end": 2}
    assert serving.get("/api/v1/query_exemplars", fields)[1] == {"status": "success", "data": []}
    assert serving.get("/api/v1/rules")[1]["data"] == {"groups": []}
    assert serving.get("/api/v1/alerts")[1]["data"] == {"alerts": []}


def test_times_are_seconds_or_rfc_3339(serving):
    """The same moment, written in four ways."""
    moment_s = 1_780_000_000.25
    spelled = ["1780000000.25", "1.78000000025e9", "2026-05-28T20:26:40.25Z",
               "2026-05-28T22:26:40.250+02:00"]  # fmt: skip
    for text in spelled:
        data = serving.get("/api/v1/query", query="time()", time=text)[1]["data"]
        assert data["result"] == [moment_s, "1780000000.25"]


def test_bodies_are_forms_and_bounded(serving):
    """Another type is refused, a huge one too, and the body's field wins over the address's."""
    status, body = serving.post("/api/v1/query", b"{}", **{"content-type": "application/json"})
    assert (status, body["errorType"]) == (400, "bad_data")
    status, body = serving.post("/api/v1/query", b"query=" + b"1" * 300_000)
    assert (status, body["error"]) == (413, "body of more than 200000 bytes")
    body = serving.post("/api/v1/query?query=2", {"query": "1", "time": "0"})[1]
    assert body["data"]["result"] == [0, "1"]


def test_too_many_queries_at_once_are_told(serving):
    """Two run, four wait, one more is answered 503 at once; afterwards all is well."""
    slow = "+".join(["sum_over_time(vector(1)[20h:1s])"] * 60)
    with ThreadPoolExecutor(24) as pool:
        outcomes = list(
            pool.map(lambda _: serving.post("/api/v1/query", {"query": slow})[0], range(24))
        )
    assert set(outcomes) <= {200, 503}
    assert 503 in outcomes
    assert serving.get("/api/v1/query", query="1")[0] == 200


def test_too_many_samples_are_refused(serving):
    """A query that would hold more than it may is an execution error, with Prometheus' words."""
    query = " or ".join(f'label_replace(vector(1), "a", "{n}", "", "")' for n in range(300))
    status, body = serving.post(
        "/api/v1/query_range", {"query": query, "start": 0, "end": 10_000, "step": 1}
    )
    assert (status, body["errorType"]) == (422, "execution")
    assert body["error"] == (
        "query processing would load too many samples into memory in query execution"
    )


def test_a_client_that_leaves_harms_nobody(serving):
    """A body that never ends, and then the next question."""
    address = urllib.parse.urlsplit(serving.base)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=5)
    connection.putrequest("POST", f"{address.path}/api/v1/query")
    connection.putheader("Content-Length", "1000")
    connection.putheader("Content-Type", "application/x-www-form-urlencoded")
    connection.endheaders(b"query=")
    connection.close()
    assert serving.get("/api/v1/query", query="1")[0] == 200


def test_federation_hands_out_the_newest_samples(serving, otlp):
    """Text format with times, within the lookback of now."""
    import time

    now_s = time.time()
    resource = {"service.name": "fed", "service.instance.id": 'q"\\'}
    points = [{"time_s": now_s - 10, "value": 2.5}, {"time_s": now_s - 5, "value": 3.5}]
    serving.insert(otlp(resource, "federated", "", "gauge", points))
    status, text = serving.get("/federate", [("match[]", '{__name__="federated"}')])
    assert status == 200
    first, second = text.splitlines()
    assert first == "# TYPE federated untyped"
    assert second.startswith('federated{instance="q\\"\\\\",job="fed"} 3.5 ')
    assert int(second.rsplit(" ", 1)[1]) == round((now_s - 5) * 1000)


def test_the_api_measures_itself(serving):
    """Requests by status, and samples read."""
    serving.get("/api/v1/query", query="1")
    text = serving.self_metrics.get("")[1]
    assert 'davylamp_promql_request_duration_seconds_count{status="200"}' in text
    assert "davylamp_promql_samples_read_total" in text
