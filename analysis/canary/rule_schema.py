"""The JSON Schema of a rule, made from the fields and ranges that the check uses.

Editors complete and underline by it. It cannot say what holds between fields (a bake within the
horizon); ``davylamp canary validate`` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final, get_type_hints

from analysis.canary import rule_ranges
from analysis.canary.config import (
    SOURCE_KINDS,
    CanaryConfig,
    MetricConfig,
    MetricKind,
    Mode,
    Statistic,
)
from analysis.canary.rule_document import API_VERSION, KIND, MAX_METRICS

_TYPES: Final[Mapping[Any, Mapping[str, Any]]] = {
    float: {"type": "number"},
    int: {"type": "integer"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    tuple[str, ...]: {"type": "array", "items": {"type": "string"}},
    MetricKind: {"enum": list(MetricKind)},
    Mode: {"enum": list(Mode)},
    Statistic: {"enum": list(Statistic)},
}


def rule_schema() -> dict[str, Any]:
    """Draft 2020-12."""
    metric = _properties(MetricConfig, rule_ranges.METRIC)
    metric["source_kind"] = {"enum": list(SOURCE_KINDS)}
    metrics = {
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_METRICS,
        "items": _object(metric, ["name"]),
    }
    spec = {**_properties(CanaryConfig, rule_ranges.RULE), "metrics": metrics}
    top = {
        "apiVersion": {"const": API_VERSION},
        "kind": {"const": KIND},
        "metadata": {"type": "object"},
        "spec": _object(spec, ["metrics"]),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Davylamp canary rule",
        **_object(top, ["apiVersion", "kind", "spec"]),
    }


def _properties(kind: type[Any], ranges: Mapping[str, rule_ranges.Range]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {
        one.name: {
            **_TYPES[hints[one.name]],
            **(ranges[one.name].to_schema() if one.name in ranges else {}),
        }
        for one in fields(kind)
        if one.name != "metrics"
    }


def _object(properties: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": required,
        "additionalProperties": False,
    }
