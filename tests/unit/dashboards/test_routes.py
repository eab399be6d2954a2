"""Addresses."""

from __future__ import annotations

import pytest

from dashboards.routes import (
    Route,
    canary_href,
    parse_path,
    parse_query,
    service_href,
    trace_href,
    with_param,
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", Route("fleet")),
        ("/service/playback", Route("service", "playback")),
        ("/service/a%2Fb%20c", Route("service", "a/b c")),
        ("/canaries", Route("canaries")),
        ("/canary/playback-2.4.0-7/", Route("canary", "playback-2.4.0-7")),
        ("/trace/" + "aB" * 16, Route("trace", "aB" * 16)),
        ("/trace/xyz", None),
        ("/service", None),
        ("/service/a/b", None),
        ("/etc/passwd", None),
        ("", None),
    ],
)
def test_a_path_is_a_page_or_there_is_none(path, expected):
    """Every page has one address; anything else has none."""
    assert parse_path(path) == expected


@pytest.mark.parametrize("name", ["playback", "a/b", "ü {x}", "%2F", "?q=1#f"])
def test_links_lead_back_to_their_name(name):
    """A name of any characters survives its own link."""
    assert parse_path(service_href(name)) == Route("service", name)
    assert parse_path(canary_href(name)) == Route("canary", name)


def test_a_trace_link_is_a_trace_page():
    """32 hexadecimal digits."""
    assert parse_path(trace_href("0" * 32)) == Route("trace", "0" * 32)


def test_a_query_that_is_not_understood_takes_the_defaults():
    """Nobody gets an error page for an old link."""
    query = parse_query("?range=9y&by=shoe&metric=m%7Ba%3Db%7D", window_s=300)
    assert (query.window_s, query.split, query.metric) == (300, "none", "m{a=b}")
    query = parse_query("?range=1h&by=version&span=ff", window_s=300)
    assert (query.window_s, query.window_word, query.split, query.span) == (
        3600,
        "1h",
        "version",
        "ff",
    )


def test_one_parameter_changes_and_the_others_stay():
    """Choices on a page do not forget each other."""
    assert with_param("?range=1h&by=version", "range", "5m") == "?by=version&range=5m"
    assert with_param("?by=version", "by", None) == ""
    key = "name{attribute=a&b}"
    assert parse_query(with_param("", "metric", key), window_s=1).metric == key
