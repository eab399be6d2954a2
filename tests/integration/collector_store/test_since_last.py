"""What a counter gained while nobody heard it, counted where it is heard again if that is asked."""

from __future__ import annotations

import pytest

SECOND_NS = 1_000_000_000
#: Longer than the collector looks back.
SILENT_S = 1_000


@pytest.fixture
def told(get, insert, otlp, t0):
    """Store points of one counter, then ask for the steps of the newest 10 s."""

    async def run(name, points, kind="sum", **more):
        stored = []
        for second, start_s, value in points:
            point = {"time": t0 + second * SECOND_NS, "start": t0 + start_s * SECOND_NS}
            if kind == "sum":
                point["value"] = value
            else:
                point |= {"count": value, "sum": 1.0, "bounds": [], "counts": [value]}
            stored.append(point)
        insert(otlp.metrics_request(otlp.resource(name), name, kind, stored))
        begin = t0 // SECOND_NS + SILENT_S
        status, body = await get(
            "/api/v1/series",
            **{"metric": name, "from": str(begin), "to": str(begin + 10), "step_s": "5", **more},
        )
        assert status == 200, body
        return [[value for _, value in group["points"]] for group in body["groups"]]

    return run


@pytest.mark.parametrize("kind", ["sum", "histogram"])
async def test_a_gap_ends_where_the_counter_is_heard_again(told, kind):
    points = [(1, 0, 10), (2, 0, 15), (SILENT_S + 6, 0, 40), (SILENT_S + 7, 0, 42)]
    asked = {"agg": "increase", "since_last": "true"}
    assert await told(f"gap.{kind}", points, kind, **asked) == [[None, 27.0]]


async def test_a_chart_has_no_spike_there(told):
    points = [(1, 0, 10), (SILENT_S + 6, 0, 40), (SILENT_S + 7, 0, 42)]
    assert await told("gap.chart", points, agg="increase") == [[None, 2.0]]


async def test_a_counter_that_began_anew_in_the_gap_counts_from_zero(told):
    """By its start, and by its value; what the lost process had counted after its last point is
    known to nobody.
    """
    asked = {"agg": "increase", "since_last": "true"}
    by_start = [(1, 0, 10), (SILENT_S + 6, 500, 40)]
    assert await told("gap.by_start", by_start, **asked) == [[None, 40.0]]
    by_value = [(1, 0, 10), (SILENT_S + 6, 0, 4)]
    assert await told("gap.by_value", by_value, **asked) == [[None, 4.0]]


async def test_a_counter_never_heard_before_says_nothing_of_its_past(told):
    points = [(SILENT_S + 1, 0, 1_000), (SILENT_S + 6, 0, 1_001)]
    asked = {"agg": "increase", "since_last": "true"}
    assert await told("gap.first", points, **asked) == [[None, 1.0]]


async def test_only_an_increase_can_be_asked_so(get, t0):
    status, body = await get("/api/v1/series", metric="m", agg="rate", since_last="true")
    assert (status, body["error"]["accepted"]) == (400, "agg=increase")
    status, _ = await get("/api/v1/series", metric="m", agg="increase", since_last="maybe")
    assert status == 400
