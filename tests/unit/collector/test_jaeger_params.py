"""Jaeger's parameters, as its server reads them."""

from __future__ import annotations

import pytest

from collector.query.errors import BadParameter
from collector.query.jaeger_params import dependency_window, duration_ns, span_kind, trace_search
from collector.store.reader import Match

NOW = 1_790_000_000_000_000_000


def search(*, tag=(), tags=(), **given):
    return trace_search({"service": "s", **given}, tag, tags, now_unix_nano=NOW)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("100ms", 100_000_000),
        ("1.2s", 1_200_000_000),
        ("1h30m", 5_400_000_000_000),
        ("5us", 5_000),
        ("5µs", 5_000),
        ("7ns", 7),
        ("0", 0),
    ],
)
def test_durations_are_gos(text, nanoseconds):
    """One or more numbers with units."""
    assert duration_ns("minDuration", text) == nanoseconds


@pytest.mark.parametrize("text", ["5", "ms", "-1s", "1 s", "1s2", "1e3s"])
def test_other_durations_are_refused(text):
    """The message names the parameter."""
    with pytest.raises(BadParameter, match="'minDuration'"):
        duration_ns("minDuration", text)


def test_times_are_microseconds():
    """From the first to the last microsecond, both included."""
    window = search(start="1000", end="2000").window
    assert (window.from_unix_nano, window.to_unix_nano) == (1_000_000, 2_001_000)


@pytest.mark.parametrize(
    ("given", "hours"), [({}, 48), ({"lookback": "1h"}, 1), ({"lookback": "custom"}, 48)]
)
def test_without_a_start_lookback_counts(given, hours):
    """Jaeger's two days when it does not say."""
    window = search(**given).window
    assert window.from_unix_nano == NOW - hours * 3_600_000_000_000


def test_tags_are_conditions():
    """A JSON object or key:value; those Jaeger makes of a span's fields become fields again."""
    found = search(
        tag=["http.method:GET", "url:http://x"],
        tags=['{"error":"true","span.kind":"client","user":"u"}'],
        operation="op",
        minDuration="1ms",
        maxDuration="2ms",
        limit="7",
    )
    wanted = found.wanted
    assert wanted.is_error
    assert wanted.kind == 3
    assert wanted.matches == (
        Match("http.method", "GET"),
        Match("url", "http://x"),
        Match("user", "u"),
    )
    assert (wanted.operation, wanted.min_duration_ns, wanted.max_duration_ns) == (
        "op",
        1_000_000,
        2_000_000,
    )
    assert found.limit == 7


@pytest.mark.parametrize(
    "given",
    [
        {"service": ""},
        {"limit": "0"},
        {"limit": "x"},
        {"start": "-1"},
        {"start": "2000", "end": "1000"},
        {"minDuration": "2s", "maxDuration": "1s"},
        {"tags": ["[1]"]},
        {"tags": ['{"a":1}']},
        {"tags": ["{"]},
        {"tag": ["no colon"]},
        {"tags": ['{"span.kind":"odd"}']},
    ],
)
def test_what_is_not_understood_is_refused(given):
    """Never guessed."""
    with pytest.raises(BadParameter):
        search(**given)


def test_dependencies_have_milliseconds():
    """A day before now by default."""
    day_ns = 86_400_000_000_000
    window = dependency_window({}, now_unix_nano=NOW)
    assert (window.from_unix_nano, window.to_unix_nano) == (NOW - day_ns, NOW)
    window = dependency_window({"endTs": "5000", "lookback": "1000"}, now_unix_nano=NOW)
    assert (window.from_unix_nano, window.to_unix_nano) == (4_000_000_000, 5_000_000_000)


def test_span_kinds():
    """By name; none is any."""
    assert span_kind("") is None
    assert span_kind("consumer") == 5
