"""OTLP to Prometheus: names, labels, buckets; and what patterns mean."""

from __future__ import annotations

import numpy as np
import pytest

from collector.promql.buckets import bucket_fraction, bucket_quantile, made_monotone
from collector.promql.matchers import Matcher, matching
from collector.promql.otlp_labels import series_labels, target_info_labels, target_labels
from collector.promql.otlp_names import label_name, metric_name, unit_word
from collector.promql.regex import MAX_PATTERN_CHARS, InvalidRegexError, Regex


@pytest.mark.parametrize(
    ("name", "unit", "kind", "wanted"),
    [
        ("http.server.request.duration", "s", "", "http_server_request_duration_seconds"),
        ("requests", "{request}", "counter", "requests_total"),
        ("requests.total", "", "counter", "requests_total"),
        ("total.requests", "", "counter", "requests_total"),
        ("disk.io", "By", "counter", "disk_io_bytes_total"),
        ("disk.bytes", "By", "", "disk_bytes"),
        ("speed", "m/s", "gauge", "speed_meters_per_second"),
        ("use", "1", "gauge", "use_ratio"),
        ("use", "1", "counter", "use_total"),
        ("load", "%", "gauge", "load_percent"),
        ("things", "widgets", "gauge", "things_widgets"),
        ("rate", "{packet}/s", "gauge", "rate_per_second"),
        ("1st", "", "gauge", "_1st"),
        ("a::b", "", "gauge", "a::b"),
        ("__x..y__", "", "gauge", "x_y"),
    ],
)
def test_metric_names(name, unit, kind, wanted):
    """Unit words at the end, _total for counters, no doubled words."""
    is_counter, is_gauge = kind == "counter", kind == "gauge"
    assert metric_name(name, unit, is_counter=is_counter, is_gauge=is_gauge) == wanted


def test_label_names_and_units():
    """Unknown characters are underscores, a digit in front gets a word."""
    assert [label_name(one) for one in ("http.route", "1a", "ok_9", "é")] == [
        "http_route", "key_1a", "ok_9", "_",
    ]  # fmt: skip
    assert [unit_word(one) for one in ("ms", "By/s", "{x}", "")] == [
        "milliseconds", "bytes_per_second", "", "",
    ]  # fmt: skip


def test_targets():
    """Job from namespace and name; target_info only where it says something of somebody."""
    full = {"service.name": "a", "service.namespace": "n", "service.instance.id": "i"}
    assert target_labels(full) == (("instance", "i"), ("job", "n/a"))
    assert target_labels({"service.namespace": "n"}) == ()
    assert target_info_labels(full) == ()
    assert target_info_labels({"host.name": "h"}) == ()
    assert dict(target_info_labels({**full, "host.name": "h"}))["host_name"] == "h"
    labels = series_labels({"job": "spoofed", "v": "1"}, {**full, "v": "2", "w": "3"}, ["v", "w"])
    assert dict(labels) == {"instance": "i", "job": "n/a", "v": "1", "w": "3"}


@pytest.mark.parametrize(
    ("pattern", "text", "is_match"),
    [
        ("a.c", "abc", True),
        ("a.c", "xabcx", False),
        ("a.c", "a\nc", True),
        ("(?i)ABC", "abc", True),
        ("a(?i:B)c", "abc", True),
        ("a|b", "b", True),
        ("", "", True),
        (".+", "", False),
        (r"\d{3}", "123", True),
        (r"[[:alpha:]]+", "ab", True),
        (r"\Qa.b\E", "a.b", True),
        (r"\Qa.b\E", "axb", False),
    ],
)
def test_patterns_are_anchored_and_in_re2(pattern, text, is_match):
    """The whole text, a dot matches a line break."""
    assert Regex(pattern).matches([text]) == [is_match]


def test_prometheus_2_has_dots_stop_at_lines():
    """The other dialect."""
    assert Regex("a.c", is_dot_all=False).matches(["a\nc", "abc"]) == [False, True]


@pytest.mark.parametrize(
    "pattern", ["(", "*", "a(?=b)", r"(a)\1", "[", "a" * (MAX_PATTERN_CHARS + 1)]
)
def test_what_is_no_pattern(pattern):
    """Look-around and back references are not RE2; nor is a novel."""
    with pytest.raises(InvalidRegexError, match="error parsing regexp"):
        Regex(pattern)


def test_a_hostile_pattern_costs_no_time():
    """Exponential elsewhere, linear here."""
    assert Regex("(a*)*b").matches(["a" * 50_000]) == [False]


@pytest.mark.parametrize(
    ("pattern", "template", "wanted"),
    [
        ("(.*)-(.*)", "$2+$1", "y+x"),
        ("(.*)-(.*)", "${2}1", "y1"),
        ("(.*)-(.*)", "$21", ""),
        ("(.*)-(.*)", "$0|$$|$9", "x-y|$|"),
        ("(?P<a>.)-(?P<b>.)", "$b$a", "yx"),
        (r"([()])?(?:x)-(.)", "[$1]$2", "[]y"),
        ("x-y", "plain", "plain"),
        ("z", "never", None),
    ],
)
def test_templates(pattern, template, wanted):
    """Groups by number and by name, as Go's Expand fills them."""
    assert Regex(pattern).expand(template, ["x-y"]) == [wanted]


def test_a_missing_label_reads_as_nothing():
    """Equal to "", matched by what matches ""."""
    sets = [(("a", "1"),), (("a", "2"), ("b", "x"))]
    for matcher, chosen in (
        (Matcher("b", "=", ""), [0]),
        (Matcher("b", "!=", ""), [1]),
        (Matcher("b", "=~", "x|"), [0, 1]),
        (Matcher("b", "!~", ".+"), [0]),
        (Matcher("a", "=~", "1|2"), [0, 1]),
    ):
        assert matching(sets, [matcher]) == chosen


@pytest.fixture(autouse=True)
def quiet_arithmetic():
    """The engine evaluates with numpy's warnings off: dividing by nothing is an answer there."""
    with np.errstate(all="ignore"):
        yield


def counts(*values):
    return np.array(values, dtype=np.float64)[:, None]


@pytest.mark.parametrize(
    ("level", "bounds", "cumulative", "wanted"),
    [
        (0.5, [1, 2, np.inf], [2, 4, 4], 1.0),
        (0.75, [1, 2, np.inf], [2, 4, 4], 1.5),
        (1.0, [1, 2, np.inf], [2, 4, 8], 2.0),
        (0.25, [-1, 2, np.inf], [2, 4, 4], -1.0),
        (0.5, [1, 2], [2, 4], np.nan),
        (0.5, [np.inf], [4], np.nan),
        (0.5, [1, np.inf], [0, 0], np.nan),
        (-0.1, [1, np.inf], [1, 1], -np.inf),
        (np.nan, [1, np.inf], [1, 1], np.nan),
    ],
)
def test_quantiles_of_buckets(level, bounds, cumulative, wanted):
    """Even spread inside a bucket, from 0 in the first; the last has no upper end to give."""
    given = bucket_quantile(np.array([level]), np.array(bounds, float), counts(*cumulative))
    assert given[0] == pytest.approx(wanted, nan_ok=True)


def test_fractions_of_buckets():
    """Between two values, beyond them, and the wrong way round."""
    bounds, cumulative = np.array([1.0, 2.0, np.inf]), counts(2, 4, 5)
    for lower, upper, wanted in (
        (0, 2, 0.8), (0.5, 1.5, 0.4), (-np.inf, np.inf, 1.0), (2, 1, 0.0), (np.nan, 1, np.nan),
        (2, np.inf, 0.2), (3, 9, 0.0),
    ):  # fmt: skip
        given = bucket_fraction(np.array([lower]), np.array([upper]), bounds, cumulative)
        assert given[0] == pytest.approx(wanted, nan_ok=True)


def test_counts_that_fall_are_lifted_and_rounding_is_not_told():
    """A fall is lifted and noted; a difference of rounding is only evened out."""
    monotone = made_monotone(counts(5, 3, 3.0000000000000004, 7))
    assert monotone.counts[:, 0].tolist() == [5, 5, 5, 7]
    assert monotone.lifted[:, 0].tolist() == [0, 2, 5 - 3.0000000000000004, 0]
    evened = made_monotone(counts(5, 5 * (1 - 1e-15), 7))
    assert evened.counts[:, 0].tolist() == [5, 5, 7]
    assert not evened.lifted.any()
