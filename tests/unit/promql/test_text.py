"""Numbers, durations, quotes, times and forms as Go and Prometheus write them."""

from __future__ import annotations

import math

import pytest

from collector.promql.durations import format_duration, parse_duration_ms
from collector.promql.errors import BadData, line_and_column
from collector.promql.hashing import label_hash, xxhash64
from collector.promql.http_params import Parameters, parse_form
from collector.promql.labels import (
    drop_name,
    format_labels,
    make_labels,
    signature_function,
    with_labels,
)
from collector.promql.strings import (
    format_float,
    format_general,
    format_json,
    format_openmetrics,
    format_rfc3339,
    go_quoted,
    go_rune,
)


@pytest.mark.parametrize(
    ("value", "plain", "general", "sample"),
    [
        (0.0, "0", "0", "0"),
        (-0.0, "-0", "-0", "-0"),
        (1.0, "1", "1", "1"),
        (0.1, "0.1", "0.1", "0.1"),
        (123456.0, "123456", "123456", "123456"),
        (1234567.0, "1234567", "1.234567e+06", "1234567"),
        (1e21, "1" + "0" * 21, "1e+21", "1e+21"),
        (1e20, "1" + "0" * 20, "1e+20", "1" + "0" * 20),
        (1.5e-5, "0.000015", "1.5e-05", "0.000015"),
        (1e-6, "0.000001", "1e-06", "0.000001"),
        (1e-7, "0.0000001", "1e-07", "1e-07"),
        (-2.5e300, "-25" + "0" * 299, "-2.5e+300", "-2.5e+300"),
        (5e-324, "0." + "0" * 323 + "5", "5e-324", "5e-324"),
        (math.nan, "NaN", "NaN", "NaN"),
        (math.inf, "+Inf", "+Inf", "+Inf"),
        (-math.inf, "-Inf", "-Inf", "-Inf"),
    ],
)
def test_floats(value, plain, general, sample):
    """FormatFloat 'f', fmt's %g, and a sample in an answer."""
    assert (format_float(value), format_general(value), format_json(value)) == (
        plain,
        general,
        sample,
    )


def test_numbers_as_label_values():
    """A whole number reads as a float, so that le="1" and le="1.0" are one bound."""
    values = [1.0, 0.5, 10.0, 1e9, math.inf, -2.0]
    assert [format_openmetrics(value) for value in values] == [
        "1.0", "0.5", "10.0", "1e+09", "+Inf", "-2.0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0", 0), ("1ms", 1), ("5s", 5000), ("1m", 60_000), ("1h30m", 5_400_000),
        ("1d", 86_400_000), ("1w", 604_800_000), ("1y", 31_536_000_000), ("1d1ms", 86_400_001),
    ],
)  # fmt: skip
def test_durations(text, milliseconds):
    """Units from the largest to the smallest."""
    assert parse_duration_ms(text) == milliseconds
    assert parse_duration_ms(format_duration(milliseconds)) == milliseconds


@pytest.mark.parametrize("text", ["", "1", "5", "1x", "1m1h", "1h1h", "-1m", "1.5h", " 1m", "300y"])
def test_what_is_no_duration(text):
    """Including what would not fit into Go's type."""
    with pytest.raises(ValueError):
        parse_duration_ms(text)


def test_quotes():
    """Go's %q."""
    assert go_quoted('a"b\n\\é\x01\u2028') == '"a\\"b\\n\\\\é\\x01\\u2028"'
    assert (go_rune("'"), go_rune("x"), go_rune("")) == ("'\\''", "'x'", "'\\ufffd'")


def test_places_count_bytes():
    """Lines and columns from 1; a letter of two bytes is two columns."""
    assert line_and_column("ab\nécd", 5) == "2:4"
    assert line_and_column("", 0) == "unknown position"


def test_label_sets():
    """Sorted, without empty values; operations keep it so."""
    labels = make_labels({"b": "2", "__name__": "m", "a": "1", "c": ""})
    assert labels == (("__name__", "m"), ("a", "1"), ("b", "2"))
    assert drop_name(labels) == (("a", "1"), ("b", "2"))
    assert with_labels(labels, {"a": "", "z": "9"}) == (
        ("__name__", "m"), ("b", "2"), ("z", "9"),
    )  # fmt: skip
    assert signature_function(["a"], is_on=True)(labels) == (("a", "1"),)
    assert signature_function(["a"], is_on=False)(labels) == (("b", "2"),)
    assert format_labels(labels) == '{__name__="m", a="1", b="2"}'


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", 0xEF46DB3751D8E999),
        (b"a", 0xD24EC4F1A98C6E5B),
        (b"abc", 0x44BC2CF5AD770999),
        (b"xxhash" * 3, None),
        (b"Nobody inspects the spammish repetition", 0xFBCEA83C8A378BF1),
    ],
)
def test_xxhash_vectors(data, digest):
    """Published digests of xxHash64 with seed 0; every byte matters."""
    if digest is not None:
        assert xxhash64(data) == digest
    assert xxhash64(data + b"x") != xxhash64(data + b"y")


def test_label_hashes_are_spread_evenly():
    """limit_ratio takes a series by where its hash falls."""
    hashes = [label_hash(make_labels({"n": str(number)})) for number in range(4000)]
    low = sum(one < 2**63 for one in hashes)
    assert 1800 < low < 2200


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [
        ("0", 0),
        ("1.5", 1500),
        ("1435781451.781", 1_435_781_451_781),
        ("-1", -1000),
        ("1e3", 1_000_000),
        ("2015-07-01T20:10:51.781Z", 1_435_781_451_781),
        ("2015-07-01T22:10:51+02:00", 1_435_781_451_000),
        ("1969-12-31T23:59:59.5Z", -500),
    ],
)
def test_times_of_requests(text, time_ms):
    """Unix seconds or RFC 3339."""
    assert Parameters({"time": [text]}, 7).instant_ms() == time_ms


@pytest.mark.parametrize("text", ["x", "NaN", "2015-07-01", "2015-13-01T00:00:00Z", "1 "])
def test_what_is_no_time(text):
    """Said with the parameter's name."""
    with pytest.raises(BadData, match='invalid parameter "time"'):
        Parameters({"time": [text]}, 7).instant_ms()


def test_defaults_and_extremes_of_times():
    """Now; everything; a time beyond all calendars is the last there is."""
    assert Parameters({}, 7).instant_ms() == 7
    start_ms, end_ms = Parameters({}, 7).bounds_ms()
    assert start_ms < -(10**12)
    assert end_ms > 10**12
    assert Parameters({"time": ["1e300"]}, 7).instant_ms() == end_ms


@pytest.mark.parametrize(("text", "step_ms"), [("15", 15_000), ("0.5", 500), ("1m", 60_000)])
def test_steps(text, step_ms):
    """Seconds or a duration."""
    fields = {"start": ["1"], "end": ["2"], "step": [text]}
    assert Parameters(fields, 0).range_ms() == (1000, 2000, step_ms)


def test_forms_keep_every_value_in_order():
    """Body first, then the address; blanks stay."""
    assert parse_form("a=1&a=2&b=", "a=3&c=%22") == {"a": ["1", "2", "3"], "b": [""], "c": ['"']}


def test_rfc_3339():
    """Before 1970 too."""
    assert (format_rfc3339(0), format_rfc3339(-1)) == (
        "1970-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
    )
