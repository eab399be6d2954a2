"""Traces as rows, also strange ones."""

from __future__ import annotations

import pytest

from dashboards.answers.collector import Span, Trace
from dashboards.waterfall import origin_of_failure, rows_of

T0 = 1_790_000_000_000_000_000


def span(name, parent="", start=0, took=10, *, bad=False):
    return Span(
        span_id=name,
        parent_span_id=parent,
        service="s",
        name=name,
        kind="2",
        start_unix_nano=T0 + start,
        duration_ns=took,
        status_code=2 if bad else 0,
        status_message="",
        attributes={},
        resource={},
        events=(),
    )


def rows(*spans):
    return rows_of(Trace("t", spans, truncated=False))


def test_children_follow_their_parent_by_start_time():
    """Depth first, whatever the order of the answer."""
    found = rows(
        span("b2", "a", 6, 2), span("c", "b1", 3, 1), span("a", "", 0, 10), span("b1", "a", 2, 4)
    )
    assert [(r.span.name, r.depth) for r in found] == [("a", 0), ("b1", 1), ("c", 2), ("b2", 1)]
    assert (found[1].start_ratio, found[1].width_ratio) == (0.2, 0.4)
    assert found[2].offset_s == pytest.approx(3e-9)


@pytest.mark.parametrize(
    "spans",
    [
        [span("a", "missing"), span("b", "a", 1)],
        [span("a", "b"), span("b", "a")],
        [span("a", "a")],
        [span("a"), span("a", "", 1), span("b", "a", 2)],
        [span("a", "", 0, 0)],
    ],
    ids=["orphan", "circle", "own parent", "same id twice", "no duration"],
)
def test_no_span_is_lost(spans):
    """Every span is a row exactly once."""
    found = rows(*spans)
    assert sorted(id(r.span) for r in found) == sorted(id(s) for s in spans)


def test_a_deep_trace_is_no_problem():
    """Deeper than Python's stack."""
    spans = [span("n0")] + [span(f"n{i}", f"n{i - 1}", i) for i in range(1, 3000)]
    assert rows(*spans)[-1].depth == 2999


def test_the_failure_began_where_nothing_below_failed():
    """An error that travelled up is marked on its way, and traced to its origin."""
    found = rows(
        span("a", "", 0, 10, bad=True),
        span("b", "a", 1, 8, bad=True),
        span("c", "b", 2, 5, bad=True),
        span("d", "a", 9, 1),
    )
    assert [r.has_failed_below for r in found] == [True, True, False, False]
    assert origin_of_failure(found).span.name == "c"
    assert origin_of_failure(rows(span("a"))) is None


def test_no_spans_no_rows():
    """An empty trace is the page's business."""
    assert rows() == []
