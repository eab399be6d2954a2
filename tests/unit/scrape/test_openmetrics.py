"""OpenMetrics 1.0: the end, exemplars, times in seconds, and stricter white space."""

from __future__ import annotations

import pytest

from collector.scrape.errors import BadExposition
from collector.scrape.openmetrics import parse_openmetrics

PAGE = b"""# TYPE acme_http_router_request_seconds summary
# UNIT acme_http_router_request_seconds seconds
# HELP acme_http_router_request_seconds Latency though all of ACME's HTTP request router.
acme_http_router_request_seconds_sum{path="/api/v1",method="GET"} 9036.32
acme_http_router_request_seconds_count{path="/api/v1",method="GET"} 807283.0
acme_http_router_request_seconds_created{path="/api/v1",method="GET"} 1605281325.0
# TYPE foo histogram
foo_bucket{le="0.01"} 0 1520879607.789
foo_bucket{le="0.1"} 8 # {} 0.054
foo_bucket{le="1"} 11 1.5 # {trace_id="KOO5S4vxi0o"} 0.67
foo_bucket{le="+Inf"} 17 # {trace_id="oHg5SJYRHA0",x="}\\""} 9.8 1520879607.789
foo_count 17
# TYPE bar counter
bar_total 17.0 # {a="b"} 1 2
# TYPE "my.metric" gauge
{"my.metric",x="y"} 1
# EOF
"""


def test_the_documented_page():
    """The specification's overview example, and exemplars in every shape."""
    page = parse_openmetrics(PAGE, ())
    assert len(page.keys) == 10
    by_name = {page.keys[index]: one for index, one in page.exemplars.items()}
    assert by_name['foo_bucket{le="0.1"}'].labels == ()
    plain = by_name['foo_bucket{le="1"}']
    assert (dict(plain.labels), plain.value, plain.time_ms) == (
        {"trace_id": "KOO5S4vxi0o"},
        0.67,
        None,
    )
    timed = by_name['foo_bucket{le="+Inf"}']
    assert dict(timed.labels)["x"] == '}"'
    assert timed.time_ms == 1520879607789
    assert by_name["bar_total"].time_ms == 2000
    assert page.times_ms[page.keys.index('foo_bucket{le="0.01"}')] == 1520879607789
    assert page.times_ms[page.keys.index('foo_bucket{le="1"}')] == 1500
    assert dict(page.new['{"my.metric",x="y"}']) == {"__name__": "my.metric", "x": "y"}
    entry = page.metadata["acme_http_router_request_seconds"]
    assert (entry.type, entry.unit) == ("summary", "seconds")
    assert page.metadata["my.metric"].type == "gauge"


@pytest.mark.parametrize(
    "body",
    [b"", b"\n", b"a 1\n", b"a 1\n# EOF\n\n", b"a 1\n# EO", b"a 1\n# EOF \n", b"# EOF\na 1\n"],
)
def test_a_page_without_its_end_is_refused_whole(body):
    """It was cut off, or something follows."""
    with pytest.raises(BadExposition):
        parse_openmetrics(body, ())


def test_the_last_line_break_may_be_missing():
    """The specification's ABNF lets it."""
    assert parse_openmetrics(b"# EOF", ()).keys == []


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" a 1",
        b"a  1",
        b"a 1 ",
        b"a\t1",
        b'a{b="1", c="2"} 1',
        b'a {b="1"} 1',
        b"# a comment",
        b"# TYPE a untyped",
        b"# TYPE a gauge\n# TYPE a gauge",
        b"# HELP a x\n# HELP a y",
        b"# UNIT a_s seconds",
        b"a 1 nan",
        b"a 1 1e300",
        b"a 1 # {} 1",
        b"a_total 1 # {} x",
        b"a_total 1 # {a=b} 1",
        b'a_total 1 # {"a"} 1',
        b"a_total 1 # {} ",
        b"a_total 1 #{} 1",
        b'a_total 1 # {a="' + b"x" * 128 + b'"} 1',
    ],
)
def test_what_is_refused(line):
    """With the line it is on."""
    with pytest.raises(BadExposition) as caught:
        parse_openmetrics(b"good 1\n" + line + b"\n# EOF\n", ())
    assert caught.value.line in {2, 3}
