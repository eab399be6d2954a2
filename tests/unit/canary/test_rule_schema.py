"""The schema and the check agree, because both come from the same fields and ranges."""

from __future__ import annotations

from dataclasses import fields

import pytest
import yaml

from analysis.canary.config import (
    CanaryConfig,
    MetricConfig,
    default_config_text,
    load_canary_config,
)
from analysis.canary.errors import CanaryConfigError
from analysis.canary.rule_schema import rule_schema

SPEC = rule_schema()["properties"]["spec"]["properties"]
METRIC = SPEC["metrics"]["items"]["properties"]


def test_every_field_is_in_it():
    assert set(SPEC) == {one.name for one in fields(CanaryConfig)}
    assert set(METRIC) == {one.name for one in fields(MetricConfig)}


def test_the_shipped_rule_has_no_other_keys():
    spec = yaml.safe_load(default_config_text())["spec"]
    assert set(spec) <= set(SPEC)
    for metric in spec["metrics"]:
        assert set(metric) <= set(METRIC)


@pytest.mark.parametrize("name", sorted(name for name, one in SPEC.items() if "maximum" in one))
def test_what_the_schema_forbids_the_check_refuses(name):
    spec = {"metrics": [{"name": "http.server.errors"}], name: SPEC[name]["maximum"]}
    rule = {"apiVersion": "davylamp/v1", "kind": "CanaryRule", "spec": spec}
    load_canary_config(yaml.safe_dump(rule))
    spec[name] += 1
    with pytest.raises(CanaryConfigError, match=name):
        load_canary_config(yaml.safe_dump(rule))
