"""What of Kayenta's config becomes a rule, and that the rest is named."""

from __future__ import annotations

import pytest
import yaml

from analysis.canary.config import load_canary_config
from analysis.canary.errors import CanaryConfigError
from analysis.canary.from_kayenta import from_kayenta


def metric(name, source, *groups, query=None, **settings):
    return {
        "name": name,
        "query": {"type": "prometheus", "metricName": source, **(query or {})},
        "groups": list(groups or ["all"]),
        "analysisConfigurations": {"canary": settings},
    }


def config(*metrics, **weights):
    return {
        "name": "checkout",
        "metrics": list(metrics),
        "classifier": {"groupWeights": weights},
    }


def test_a_latency_becomes_a_metric_that_loads():
    effect = {"allowedIncrease": 1.2, "measure": "meanRatio"}
    found = from_kayenta(
        config(
            metric(
                "latency", "http_request_duration_seconds_bucket", "l", direction="increase",
                critical=True, mustHaveData=True, effectSize=effect,
            ),
            l=60,
        )
    )  # fmt: skip
    (one,) = load_canary_config(yaml.safe_dump(found.rule)).metrics
    assert (one.source_metric, one.critical, one.required) == (
        "http_request_duration_seconds", True, True,
    )  # fmt: skip
    assert (one.fail_margin, one.pass_margin, one.weight) == (0.2, 0.4, 0.6)
    assert any("OpenTelemetry" in note for note in found.notes)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (metric("e", "http_errors_total"), "e: left out, 'http_errors_total' is no distribution"),
        (metric("e", ""), "its query is no distribution"),
        (metric("d", "free_time", direction="decrease"), "of which less is worse"),
        (metric("m", "x_seconds", muted=True), "muted"),
        (metric("l", "x_seconds"), "only slower is worse"),
        (metric("l", "x_seconds", nanStrategy="replace"), "nanStrategy has no counterpart"),
        (metric("l", "x_seconds", query={"customInlineTemplate": "x"}), "goes into match|go into"),
        (metric("l", "x_seconds", effectSize={"allowedIncrease": 0.5}), "allowedIncrease 0.5 is"),
        (
            metric("l", "x_seconds", effectSize={"allowedIncrease": 1.5, "measure": "cles"}),
            "cles is replaced",
        ),
    ],
)
def test_what_a_rule_cannot_say_is_named(one, words):
    import re

    found = from_kayenta(config(one))
    assert any(re.search(words, note) for note in found.notes), found.notes


def test_a_group_shares_its_weight():
    found = from_kayenta(
        config(metric("a", "a_seconds", "g"), metric("b", "b_seconds", "g"), metric("c", "c_time"),
               g=80)
    )  # fmt: skip
    assert [one["weight"] for one in found.rule["spec"]["metrics"]] == [0.4, 0.4, 0.2]


@pytest.mark.parametrize("wrong", [None, [], {}, {"metrics": {}}, {"metrics": [1]}])
def test_what_is_no_config_is_refused(wrong):
    with pytest.raises(CanaryConfigError, match="a list of metrics"):
        from_kayenta(wrong)


def test_nothing_to_take_over_is_no_rule():
    assert from_kayenta(config(metric("e", "errors"))).rule is None
