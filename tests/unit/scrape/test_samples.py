"""From a page to samples: labels, limits, duplicates, and the ends of series."""

from __future__ import annotations

import math

import numpy as np
import pytest

from collector.promql.series import STALE_NAN, is_stale
from collector.scrape.errors import LimitPassed, ScrapeFailed
from collector.scrape.openmetrics import parse_openmetrics
from collector.scrape.samples import TargetSeries
from collector.scrape.text_format import parse_text


def take(series, text, now_ms=1_000):
    batch, counts = series.take(parse_text(text.encode(), series.known), now_ms)
    return rows(batch), counts


def rows(batch):
    return [
        (dict(labels), time_ms, "stale" if is_stale(np.array([value]))[0] else value)
        for labels, time_ms, value in zip(batch.labels, batch.times_ms, batch.values, strict=True)
    ]


def names(found):
    return [(labels["__name__"], value) for labels, _, value in found]


def test_the_targets_labels_win(target):
    """Clashing ones of the page are kept as exported_...; nothing is lost."""
    series = TargetSeries(target())
    text = 'm{job="x",instance="y",exported_job="z",a="b"} 1'
    ((labels, time_ms, value),), counts = take(series, text)
    assert labels == {
        "__name__": "m",
        "job": "j",
        "instance": "h:1",
        "exported_job": "z",
        "exported_exported_job": "x",
        "exported_instance": "y",
        "a": "b",
    }
    assert (time_ms, value) == (1_000, 1.0)
    assert (counts.scraped, counts.kept, counts.duplicates, counts.added) == (1, 1, 0, 1)


def test_or_the_pages_labels_do(target):
    """With honor_labels; an empty one counts as not given."""
    series = TargetSeries(target("honor_labels: true"))
    ((labels, _, _),), _ = take(series, 'm{job="x",instance=""} 1')
    assert labels == {"__name__": "m", "job": "x", "instance": "h:1"}


def test_series_that_leave_get_a_stale_marker(target):
    """Once; when they come back they are new."""
    series = TargetSeries(target())
    assert names(take(series, "a 1\nb 2")[0]) == [("a", 1.0), ("b", 2.0)]
    assert names(take(series, "a 1")[0]) == [("a", 1.0), ("b", "stale")]
    assert names(take(series, "a 1")[0]) == [("a", 1.0)]
    found, counts = take(series, "a 1\nb 3")
    assert names(found) == [("a", 1.0), ("b", 3.0)]
    assert counts.added == 1
    assert sorted(names(rows(series.end(5)))) == [("a", "stale"), ("b", "stale")]
    assert rows(series.end(6)) == []


def test_times_of_the_page(target):
    """Are kept unless told otherwise, and such series have no stale markers."""
    series = TargetSeries(target())
    assert take(series, "a 1 500")[0][0][1] == 500
    assert rows(series.end(5)) == []
    series = TargetSeries(target("honor_timestamps: false"))
    assert take(series, "a 1 500")[0][0][1] == 1_000
    assert len(rows(series.end(5))) == 1


def test_the_first_of_two_equal_series_stays(target):
    """The other one is counted; with times of their own they are two samples."""
    series = TargetSeries(target())
    found, counts = take(series, 'a{x="1"} 1\na{ x="1" } 2\na{x="1"} 3 7\na{x="1"} 4 7')
    assert [(time_ms, value) for _, time_ms, value in found] == [(1_000, 1.0), (7, 3.0)]
    assert (counts.scraped, counts.kept, counts.duplicates) == (4, 4, 2)


def test_relabelling_drops_and_renames(target):
    """Before limits are looked at; dropped samples count as scraped, not as kept."""
    series = TargetSeries(
        target(
            """
            sample_limit: 1
            metric_relabel_configs:
            - {source_labels: [__name__], regex: drop_.*, action: drop}
            - {source_labels: [x], target_label: y}
            - {regex: x, action: labeldrop}
            """
        )
    )
    for _ in range(2):
        found, counts = take(series, 'drop_a 1\nb{x="v"} 2\ndrop_c 3')
        assert [(labels["__name__"], labels["y"], "x" in labels) for labels, _, _ in found] == [
            ("b", "v", False)
        ]
        assert (counts.scraped, counts.kept) == (3, 1)


@pytest.mark.parametrize(
    ("limit", "text", "outcome"),
    [
        ("sample_limit: 2", "a 1\nb 1\nc 1", "sample_limit"),
        ("label_limit: 3", 'a{b="1"} 1', "label_limit"),
        ("label_name_length_limit: 8", 'a{longername="1"} 1', "label_name_length_limit"),
        ("label_value_length_limit: 8", 'a{b="123456789"} 1', "label_value_length_limit"),
    ],
)
def test_a_passed_limit_fails_the_scrape(target, limit, text, outcome):
    """And the series of the page before can be ended."""
    series = TargetSeries(target(limit))
    take(series, "old 1")
    with pytest.raises(LimitPassed) as caught:
        take(series, text)
    assert caught.value.outcome == outcome
    assert names(rows(series.end(5))) == [("old", "stale")]


def test_relabelling_must_leave_a_name(target):
    """A sample without one would be nobody's."""
    rule = "metric_relabel_configs: [{target_label: __name__, replacement: ''}]"
    with pytest.raises(ScrapeFailed, match="without a name"):
        take(TargetSeries(target(rule)), "a 1")


def test_exemplars_go_with_their_samples(target):
    """Also when samples before them are dropped."""
    rule = "metric_relabel_configs: [{source_labels: [__name__], regex: a, action: drop}]"
    series = TargetSeries(target(rule))
    page = parse_openmetrics(b'a 1\nb_total 2 # {trace_id="t"} 1\n# EOF', series.known)
    batch, _ = series.take(page, 1_000)
    assert {index: dict(one.labels) for index, one in batch.exemplars.items()} == {
        0: {"trace_id": "t"}
    }


def test_other_settings_go_on_where_the_old_ones_ended(target):
    """A changed configuration neither ends nor doubles series."""
    old, new = TargetSeries(target()), TargetSeries(target("label_limit: 9"))
    take(old, "a 1\nb 1")
    new.adopt(old)
    assert names(take(new, "a 2")[0]) == [("a", 2.0), ("b", "stale")]


def test_the_stale_marker_is_no_other_nan():
    """A page's NaN is a value."""
    assert math.isnan(STALE_NAN)
    assert not is_stale(np.array([float("nan")]))[0]
