"""Questions made from the API's own description: whatever is asked, the answer is no 5xx.

Each parameter is left out, given as one of the words its kind likes, or as any text at all; the
Prometheus API, which describes itself in its manual, is asked in the same way.
"""

from __future__ import annotations

import os
import time

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.testing import metrics_request, resource, trace_request

PROMETHEUS = {
    "/prometheus/api/v1/query": ("query", "time", "timeout", "limit"),
    "/prometheus/api/v1/query_range": ("query", "start", "end", "step", "timeout"),
    "/prometheus/api/v1/series": ("match[]", "start", "end", "limit"),
    "/prometheus/api/v1/labels": ("match[]", "start", "end"),
    "/prometheus/api/v1/label/{name}/values": ("match[]", "start", "end"),
    "/prometheus/api/v1/metadata": ("metric", "limit"),
    "/prometheus/api/v1/query_exemplars": ("query", "start", "end"),
    "/prometheus/federate": ("match[]",),
}
WORDS = st.sampled_from(
    [
        *("now", "now-5m", "now-1d", "now+1h", "0", "-1", "1", "5", "1e9", "1e308", "nan", "inf"),
        *(
            "asked",
            "asked.points",
            "asked_points",
            "service.name=asked",
            "service.name!=",
            "=",
            "~",
        ),
        *("service.name", "version", "cohort", "rate", "sum", "last", "increase", "true", "false"),
        *("2026-11-25T00:00:00Z", "9999-12-31T23:59:59Z", "1h30m", "100y", "0s", "{}", "up", "("),
        *("rate(asked_points[5m])", 'sum by (job) ({job=~".*"})', "1/0", "-1 ^ 0.5", "0" * 32),
    ]
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.one_of(WORDS, WORDS, TEXT)


@pytest.fixture(scope="module")
def operations(collector):
    """(path, names of its query parameters) of every GET, from the OpenAPI document."""
    now = time.time_ns()
    ids = {"trace_id": os.urandom(16), "span_id": os.urandom(8)}
    collector.post("traces", trace_request(resource("asked"), [{**ids, "start": now}]))
    point = {"time": now, "start": now - 1, "value": 1}
    collector.post("metrics", metrics_request(resource("asked"), "asked.points", "sum", [point]))
    collector.settled_books()
    document = requests.get(f"{collector.api_url}/openapi.json").json()
    found = {
        path: tuple(
            one["name"] for one in item["get"].get("parameters", ()) if one["in"] == "query"
        )
        for path, item in document["paths"].items()
        if "get" in item
    }
    assert len(found) > 10
    assert "from" in found["/api/v1/red"]
    return sorted({**found, **PROMETHEUS}.items())


@given(st.data())
@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_question_is_answered_with_5xx(collector, operations, data):
    """200 or a refusal that says why, as JSON or text."""
    path, names = data.draw(st.sampled_from(operations))
    given_values = data.draw(
        st.lists(st.tuples(st.sampled_from([*names, "oops"]), VALUES), max_size=len(names) + 1)
    )
    for name in ("trace_id", "name"):
        if f"{{{name}}}" in path:
            segment = data.draw(VALUES)
            path = path.replace(f"{{{name}}}", requests.utils.quote(segment, safe=""))
    answer = requests.get(f"{collector.api_url}{path}", given_values)
    assert answer.status_code < 500, (path, given_values, answer.text[:500])
    if answer.status_code >= 400:
        assert answer.content


def test_and_the_log_is_clean(collector, operations):
    """Nothing of it was an exception of ours."""
    assert "Traceback" not in collector.stderr()


@pytest.mark.parametrize("moment", ["1e308", "-1e308", "1e400", "9" * 30])
def test_times_beyond_all_numbers(collector, moment):
    """Stand for all there is, or are refused."""
    for path in ("labels", "query", "series"):
        fields = {"start": moment, "time": moment, "query": "up", "match[]": "up"}
        answer = requests.get(f"{collector.api_url}/prometheus/api/v1/{path}", fields)
        assert answer.status_code in {200, 400}
