"""Relabelling; the expected sets are those of Prometheus' own rules (model/relabel)."""

from __future__ import annotations

import pytest

from collector.scrape.errors import BadScrapeFile
from collector.scrape.relabel import relabelled


@pytest.fixture
def rules(jobs):
    def read(text):
        return jobs(
            "scrape_configs:\n- job_name: j\n  metric_relabel_configs:\n  - {" + text + "}\n"
        )["j"].sample_rules

    return read


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        (
            "source_labels: [a], regex: 'f(.*)', target_label: d, replacement: 'ch${1}-ch$1'",
            {"a": "foo", "b": "bar"},
            {"a": "foo", "b": "bar", "d": "choo-choo"},
        ),
        ("source_labels: [a], regex: 'o', target_label: d", {"a": "foo"}, {"a": "foo"}),
        ("source_labels: [a, b], target_label: a", {"a": "1", "b": "2"}, {"a": "1;2", "b": "2"}),
        (
            "source_labels: [a, b], separator: '-', target_label: a",
            {"a": "1", "b": "2"},
            {"a": "1-2", "b": "2"},
        ),
        ("target_label: a, replacement: ''", {"a": "1", "b": "2"}, {"b": "2"}),
        (
            "source_labels: [a], regex: 'some-(.*)-(.*)', target_label: '${1}', replacement: $2",
            {"a": "some-name-value"},
            {"a": "some-name-value", "name": "value"},
        ),
        (
            "source_labels: [a], regex: 'some-(.*)-(.*)', target_label: '${3}', replacement: $1",
            {"a": "some-name-value"},
            {"a": "some-name-value"},
        ),
        ("source_labels: [a], regex: '.*o.*', action: drop", {"a": "foo"}, None),
        ("source_labels: [a], regex: 'o', action: drop", {"a": "foo"}, {"a": "foo"}),
        ("source_labels: [a], regex: 'f.*', action: keep", {"a": "foo"}, {"a": "foo"}),
        ("source_labels: [b], regex: 'f.*', action: keep", {"a": "foo"}, None),
        (
            "source_labels: [c], target_label: d, action: hashmod, modulus: 1000",
            {"a": "foo", "b": "bar", "c": "baz"},
            {"a": "foo", "b": "bar", "c": "baz", "d": "976"},
        ),
        (
            "regex: '(b.*)', replacement: 'bar_${1}', action: labelmap",
            {"a": "foo", "b1": "bar", "b2": "baz"},
            {"a": "foo", "b1": "bar", "b2": "baz", "bar_b1": "bar", "bar_b2": "baz"},
        ),
        ("regex: '(b.*)', action: labeldrop", {"a": "foo", "b1": "bar"}, {"a": "foo"}),
        ("regex: '(b.*)', action: labelkeep", {"a": "foo", "b1": "bar"}, {"b1": "bar"}),
    ],
)
def test_rules(rules, rule, before, after):
    """One rule on one set, and beside other sets at once."""
    other = {"z": "unlike"}
    assert relabelled(rules(rule), [dict(before)]) == [after]
    assert relabelled(rules(rule), [other, dict(before)])[1] == after
    assert other == {"z": "unlike"}


def test_a_dropped_set_meets_no_more_rules(jobs):
    """And the others do."""
    found = jobs(
        """
        scrape_configs:
        - job_name: j
          metric_relabel_configs:
          - {source_labels: [a], regex: x, action: drop}
          - {target_label: seen, replacement: "yes"}
        """
    )["j"].sample_rules
    assert relabelled(found, [{"a": "x"}, {"a": "y"}]) == [None, {"a": "y", "seen": "yes"}]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("action: lowercase", "accepted: drop, hashmod"),
        ("regex: '(', target_label: x", "regular expression"),
        ("regex: 'a(?=b)', target_label: x", "RE2"),
        ("source_labels: [a]", "needs a target_label"),
        ("target_label: '1a'", "no label name"),
        ("target_label: a, action: drop", "no target_label"),
        ("target_label: a, action: hashmod", "modulus"),
        ("target_label: a, action: hashmod, modulus: 0", "whole number"),
        ("target_label: a, modulus: 5", "modulus"),
        ("regex: a, source_labels: [b], action: labeldrop", "only a regex"),
        ("source_label: [a], target_label: b", "unknown or unsupported"),
    ],
)
def test_wrong_rules(rules, rule, words):
    """Are told with file, line and what is accepted."""
    with pytest.raises(BadScrapeFile, match=rf"scrape\.yml:4: .*{words}"):
        rules(rule)
