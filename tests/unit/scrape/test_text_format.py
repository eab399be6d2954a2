"""Prometheus' text format: what is read, and the line of what is not."""

from __future__ import annotations

import math

import pytest

from collector.scrape.errors import BadExposition
from collector.scrape.text_format import parse_text

PAGE = b"""# HELP http_requests_total The total number of \\\\ HTTP\\nrequests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400",}    3 1395066363000

# A comment, and one that looks like more:
# HELPLESS
#TYPE nothing
msdos_seconds{path="C:\\\\DIR\\\\FILE.TXT",error="Cannot find file:\\n\\"FILE.TXT\\""} 1.458255915e9
metric_without_timestamp_and_labels 12.47
something_weird{problem="division by zero"} +Inf -3982045
   spaced   {  a = "1" ,b="}{" }   NaN\t
{"utf8.name \xc3\xa9", "label.x"="v"} -Inf
"""


def labelled(page):
    return [
        (dict(page.new[key]), value, time)
        for key, value, time in zip(page.keys, page.values, page.times_ms, strict=True)
    ]


def test_the_documented_page():
    """The example of the format's own documentation, and corners of it."""
    found = labelled(parse_text(PAGE, ()))
    assert found[0] == (
        {"__name__": "http_requests_total", "method": "post", "code": "200"},
        1027.0,
        1395066363000,
    )
    assert found[1][0]["code"] == "400"
    assert found[2][0]["path"] == "C:\\DIR\\FILE.TXT"
    assert found[2][0]["error"] == 'Cannot find file:\n"FILE.TXT"'
    assert found[3] == ({"__name__": "metric_without_timestamp_and_labels"}, 12.47, None)
    assert found[4][1:] == (math.inf, -3982045)
    assert found[5][0] == {"__name__": "spaced", "a": "1", "b": "}{"}
    assert math.isnan(found[5][1])
    assert found[6] == ({"__name__": "utf8.name \u00e9", "label.x": "v"}, -math.inf, None)
    assert len(found) == 7


def test_metadata():
    """Type and help by family, in one vocabulary."""
    page = parse_text(PAGE + b"# TYPE u untyped\n# TYPE g gauge", ())
    entry = page.metadata["http_requests_total"]
    assert (entry.type, entry.help) == ("counter", "The total number of \\ HTTP\nrequests.")
    assert page.metadata["u"].type == "unknown"
    assert page.metadata["g"].type == "gauge"


def test_known_series_are_not_read_again():
    """Their labels are the same whatever is known; only new ones are told."""
    page = parse_text(b'a{x="1"} 1\na{x="2"} 2\na{x="1"} 3\n', {'a{x="1"}'})
    assert page.keys == ['a{x="1"}', 'a{x="2"}', 'a{x="1"}']
    assert list(page.new) == ['a{x="2"}']


@pytest.mark.parametrize("value", ["1", "+1", "-1.5e-300", ".5", "5.", "Inf", "-inf", "nan", "NaN"])
def test_numbers(value):
    """As Go's ParseFloat spells them."""
    (found,) = parse_text(f"a {value}".encode(), ()).values
    assert math.isnan(found) if value.lower() == "nan" else found == float(value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"a", "no sample"),
        (b"a b", "no number"),
        (b"a 1_000", "no sample"),
        (b"a \xd9\xa1", "no sample"),
        (b"a 1e999", "no number"),
        (b"a 0x1p4", "no number"),
        (b"a 1 2 3", "no sample"),
        (b"a 1 1.5", "no sample"),
        (b"a 1 " + b"9" * 19, "no time"),
        (b"a 1 " + b"9" * 5000, "no time"),
        (b"1a 1", "no sample"),
        (b"a-1", "no sample"),
        (b"a 1\r", "no sample"),
        (b'a{b="1" 1', "no sample"),
        (b'a{b="1"', "no sample"),
        (b'a{b="1",,} 1', "labels cannot be read"),
        (b'a{b="1"c="2"} 1', "labels cannot be read"),
        (b"a{b=1} 1", "labels cannot be read"),
        (b"a{b} 1", "no value"),
        (b'a{1b="1"} 1', "labels cannot be read"),
        (b'a{b="1",b="2"} 1', "given twice"),
        (b'a{__name__="x"} 1', "reserved"),
        (b'a{""="x"} 1', "empty"),
        (b'a{"b"} 1', "two names"),
        (b'{"b","c"} 1', "no value"),
        (b'{b="1"} 1', "no name"),
        (b"{} 1", "no name"),
        (b"# TYPE a nonsense", "accepted: counter"),
        (b"# TYPE a", "accepted"),
        (b"# TYPE 1a counter", "without a metric's name"),
        (b"a \xff", "not UTF-8"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(line, words):
    """The whole page is refused."""
    with pytest.raises(BadExposition, match=words) as caught:
        parse_text(b"good 1\n\n" + line + b"\ngood 2\n", ())
    assert caught.value.line == 3


@pytest.mark.parametrize(
    "hostile", [b'a{b="' + b"\\" * 200_000, b"a{" + b'""' * 100_000, b"a{" * 100_000]
)
def test_hostile_lines_cost_no_more_than_their_length(hostile):
    """A pattern that tried again would take for ever: the test's own time limit would tell."""
    with pytest.raises(BadExposition):
        parse_text(hostile, ())
