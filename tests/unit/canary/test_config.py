"""The rule: the shipped one is sound, a wrong one is refused with the key that is wrong."""

from __future__ import annotations

import pytest

from analysis.canary.config import (
    default_config_text,
    load_canary_config,
    parse_key,
    split_key,
)
from analysis.canary.errors import CanaryConfigError

SHIPPED = default_config_text()


def changed(old: str, new: str) -> str:
    assert old in SHIPPED
    return SHIPPED.replace(old, new, 1)


def test_the_shipped_rule_loads_and_names_itself():
    rule = load_canary_config(SHIPPED)
    assert [m.name for m in rule.metrics if m.required] == ["http.server.request.duration"]
    assert all(m.critical for m in rule.metrics)
    assert rule.digest() == load_canary_config(SHIPPED + "\n# a comment\n").digest()
    assert rule.digest() != load_canary_config(changed("alpha = 0.005", "alpha = 0.01")).digest()
    assert rule.metric("http.server.errors").kind == "count"
    with pytest.raises(KeyError):
        rule.metric("x")


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("alpha = 0.005", "alpha = 0.0", "alpha"),
        ("alpha = 0.005", "alpha = 1.0", "alpha"),
        ("alpha = 0.005", 'alpha = "small"', "alpha"),
        ("alpha = 0.005", "alpha = nan", "alpha"),
        ("alpha = 0.005", "alpha = true", "alpha"),
        ("alpha = 0.005\n", "", "alpha"),
        ("alpha = 0.005", "alpha = 0.005\nalphabet = 1", "alphabet"),
        ("alpha = 0.005", "alpha = = 1", "file"),
        ("pass_alpha = 0.01", "pass_alpha = 2", "pass_alpha"),
        ("horizon_s = 300.0", "horizon_s = 30", "min_bake_s"),
        ("min_looks = 3", "min_looks = 0", "min_looks"),
        ("min_looks = 3", "min_looks = 3.5", "min_looks"),
        ("silence_s = 8.0", "silence_s = 0", "silence_s"),
        ("group_min_count = 5", "group_min_count = 0", "group_min_count"),
        ("declared_canary_share_ratio = 0.0", "declared_canary_share_ratio = 1", "declared"),
        ("share_tolerance_ratio = 0.05", "share_tolerance_ratio = 0.9", "share_tolerance"),
        ('kind = "count"', 'kind = "gauge"', "metrics[playback.start.failures].kind"),
        ('source_kind = "counter"', 'source_kind = "gauge"', "source_kind"),
        ('name = "playback.startup.duration"', 'name = "a{b}"', "name"),
        ('name = "playback.startup.duration"', 'name = "http.server.errors"', "metrics.name"),
        ('bad_values = ["failure_technical"]', "bad_values = []", "bad_values"),
        ('bad_values = ["failure_technical"]', "bad_values = [1]", "bad_values"),
        ("weight = 0.6", "weight = 0", "weight"),
        ("pass_margin = 0.02", "pass_margin = 0.001", "pass_margin"),
        ("splits_max = 5", "splits_max = 0", "splits_max"),
        ("slo_bad_ratio = 0.05", "slo_bad_ratio = 0", "slo_bad_ratio"),
        ("critical = true", "critical = 1", "critical"),
    ],
)
def test_a_wrong_rule_is_refused_by_name(old, new, where):
    with pytest.raises(CanaryConfigError) as refused:
        load_canary_config(changed(old, new))
    assert where in refused.value.where
    assert str(refused.value.accepted)


def test_a_rule_without_metrics_is_refused():
    with pytest.raises(CanaryConfigError, match="at least one"):
        load_canary_config(SHIPPED[: SHIPPED.index("[[metrics]]")])


def test_outcomes_follow_globs():
    rule = load_canary_config(SHIPPED)
    errors, failures = rule.metric("http.server.errors"), rule.metrics[0]
    assert [errors.outcome(v) for v in ("200", "404", "500", "503", "")] == [
        "good",
        "good",
        "bad",
        "bad",
        "good",
    ]
    outcomes = ("success", "failure_technical", "failure_business", "abandoned")
    assert [failures.outcome(v) for v in outcomes] == ["good", "bad", None, None]


def test_keys_name_metric_and_split():
    key = split_key("a.b", "device.class", "tv")
    assert key == "a.b{device.class=tv}"
    assert parse_key(key) == ("a.b", "device.class=tv")
    assert parse_key("a.b") == ("a.b", "")
    for wrong in ("a{b=c", "a{b}"):
        with pytest.raises(CanaryConfigError):
            parse_key(wrong)
