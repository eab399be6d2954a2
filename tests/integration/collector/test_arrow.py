"""Arrow streams hold the numbers of the JSON answers, with types, nulls and the same words."""

from __future__ import annotations

import os
import time

import orjson
import pyarrow as pa
import pytest
import requests

from collector.query import arrow
from collector.testing import DELTA, SECOND_NS, metrics_request, resource, trace_request


@pytest.fixture(scope="module")
def filled(collector):
    """Two minutes ago: spans of a service and a delta counter with a hole."""
    start = time.time_ns() // (60 * SECOND_NS) * 60 * SECOND_NS - 120 * SECOND_NS
    spans = [
        {
            "trace_id": os.urandom(16),
            "span_id": os.urandom(8),
            "start": start + number * SECOND_NS,
            "duration_ns": (number + 1) * 1_000_000,
            "status": 2 if number % 10 == 0 else 0,
        }
        for number in range(60)
    ]
    collector.post("traces", trace_request(resource("arrow"), spans))
    for at in (0, 1, 2, 40):
        point = {"time": start + (at + 1) * SECOND_NS, "start": start + at * SECOND_NS, "value": 5}
        request = metrics_request(resource("arrow"), "arrow.count", "sum", [point], DELTA)
        collector.post("metrics", request)
    collector.settled_books()
    window = {"from": start / 1e9, "to": start / 1e9 + 60}
    return collector, window


def both(filled, path, **parameters):
    collector, window = filled
    url = f"{collector.api_url}/api/v1/{path}"
    query = {**window, **parameters}
    plain = requests.get(url, query).json()
    answer = requests.get(url, query, headers={"accept": arrow.MEDIA_TYPE})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == arrow.MEDIA_TYPE
    table = pa.ipc.open_stream(answer.content).read_all()
    told = orjson.loads(table.schema.metadata[arrow.METADATA_KEY])
    for name in ("from_unix_nano", "to_unix_nano", "step_s", "truncated"):
        assert told[name] == plain[name]
    return plain, table


def test_series_with_holes_that_are_null(filled):
    plain, table = both(
        filled, "series", metric="arrow.count", agg="increase", step_s="10", group_by="service.name"
    )
    (group,) = plain["groups"]
    assert table.column("value").to_pylist() == [value for _, value in group["points"]]
    assert table.column("value").null_count > 0
    assert set(table.column("attributes.service.name").to_pylist()) == {"arrow"}
    times = [one.timestamp() for one in table.column("time").to_pylist()]
    assert times == [at for at, _ in group["points"]]


def test_requests_errors_and_quantiles(filled):
    plain, table = both(filled, "red", service="arrow", step_s="10")
    (group,) = plain["groups"]
    for name in ("request_count", "error_count", "p99_s"):
        assert table.column(name).to_pylist() == [point[name] for point in group["points"]]
    assert sum(table.column("request_count").to_pylist()) == 60


def test_a_heatmap_is_its_cells(filled):
    plain, table = both(filled, "heatmap", service="arrow", step_s="10")
    cells = sum(1 for counts in plain["counts"] for count in counts if count)
    assert (table.num_rows, sum(table.column("count").to_pylist())) == (cells, 60)
    assert set(table.column("upper_bound_s").to_pylist()) <= set(plain["bounds_s"])


def test_nothing_found_is_an_empty_table(filled):
    _, table = both(filled, "series", metric="nobody.knows", step_s="10")
    assert (table.num_rows, table.column_names) == (0, ["time", "value"])


def test_where_there_is_none_it_is_said_and_errors_stay_json(filled):
    collector, _ = filled
    headers = {"accept": arrow.MEDIA_TYPE}
    answer = requests.get(f"{collector.api_url}/api/v1/services", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (406, "not_acceptable")
    wrong = requests.get(f"{collector.api_url}/api/v1/series", headers=headers)
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "bad_parameter")
