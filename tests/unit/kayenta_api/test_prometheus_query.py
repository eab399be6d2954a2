"""Queries as Kayenta's Prometheus integration writes them."""

from __future__ import annotations

import pytest

from analysis.kayenta_api.errors import KayentaApiError
from analysis.kayenta_api.execution_request import Scope
from analysis.kayenta_api.prometheus_query import promql

SCOPE = Scope("playback-v2", "eu-1", 0, 60_000, 60, {"ns": "prod"})
TEMPLATES = {"by_scope": 'version="${scope}",ns="${ns}"'}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"metricName": "cpu"}, "avg(cpu)"),
        (
            {"metricName": "cpu", "labelBindings": ['job="a"', 'x=~"b.*"']},
            'avg(cpu{job="a",x=~"b.*"})',
        ),
        ({"metricName": "cpu", "groupByFields": ["zone", "node"]}, "avg(cpu) by (zone, node)"),
        (
            {"metricName": "cpu", "resourceType": "gce_instance"},
            'avg(cpu{instance=~"playback-v2-.{4}",zone="eu-1"})',
        ),
        (
            {"metricName": "cpu", "resourceType": "aws_ec2_instance"},
            'avg(cpu{asg_groupname="playback-v2",zone=~"eu-1.{1}"})',
        ),
        (
            {"metricName": "cpu", "customFilterTemplate": "by_scope", "labelBindings": ['a="b"']},
            'avg(cpu{a="b",version="playback-v2",ns="prod"})',
        ),
        (
            {"customInlineTemplate": 'PromQL: sum(rate(x{v="$\\{scope}",z="${location}"}[1m]))'},
            'sum(rate(x{v="playback-v2",z="eu-1"}[1m]))',
        ),
        ({"metricName": "cpu", "customInlineTemplate": 'ns="${ns}"'}, 'avg(cpu{ns="prod"})'),
    ],
)
def test_the_query_of_a_metric(query, expected):
    """Verbatim with PromQL: before it, else an average with filters."""
    assert promql(query, TEMPLATES, SCOPE) == expected


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, "neither a metricName nor a template"),
        ({"metricName": "cpu", "customFilterTemplate": "nobody"}, "'nobody' is not among"),
        (
            {"customInlineTemplate": "PromQL: x{a='${project}'}"},
            "the template names project; known: location, ns, resourceType, scope",
        ),
    ],
)
def test_what_is_missing_is_named(query, words):
    """Never a query with a hole."""
    with pytest.raises(KayentaApiError, match=words):
        promql(query, TEMPLATES, SCOPE)


def test_a_scope_that_is_not_given_is_missing_too():
    """Argo may send none."""
    with pytest.raises(KayentaApiError, match="the template names scope"):
        promql({"customInlineTemplate": "PromQL: ${scope}"}, {}, Scope(None, None, 0, 1, 1))
