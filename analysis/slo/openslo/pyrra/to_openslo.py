"""Pyrra's objectives as OpenSLO v1. It has no services: the namespace stands in for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from analysis.slo.openslo.annotations import PYRRA, packed
from analysis.slo.openslo.durations import shorthand
from analysis.slo.openslo.errors import ConversionError
from analysis.slo.openslo.exact import exact
from analysis.slo.openslo.pyrra.objective import (
    BoolGauge,
    Latency,
    NativeLatency,
    Objective,
    Ratio,
    Selector,
)
from analysis.slo.openslo.rule_text import number

Document = dict[str, Any]
#: For objects without a namespace.
SERVICE_DEFAULT: Final = "default"
_WINDOW: Final = "{{.window}}"


def to_openslo(objectives: Sequence[Objective]) -> list[Document]:
    """Services, then objectives. Raises ConversionError."""
    services = dict.fromkeys(one.namespace or SERVICE_DEFAULT for one in objectives)
    made: list[Document] = [
        {"apiVersion": "openslo/v1", "kind": "Service", "metadata": {"name": one}, "spec": {}}
        for one in services
    ]
    return made + [_slo(one) for one in objectives]


def _slo(objective: Objective) -> Document:
    if objective.window_s % 60:
        raise ConversionError(objective.name, f"a window of {objective.window_s} s")
    if not 0 <= objective.target < 1:
        raise ConversionError(objective.name, "a target of 100 % leaves no budget")
    kept = {
        "namespace": objective.namespace,
        "grouping": list(objective.grouping),
        "labels": dict(objective.labels),
        "annotations": dict(objective.annotations),
        "alerting": asdict(objective.alerting),
        "performance_over_accuracy": objective.performance_over_accuracy,
        "description_as_label": objective.description_as_label,
        "indicator": _kind(objective),
    }
    ratio = {"ratioMetric": _ratio(objective)}
    spec: Document = {
        "service": objective.namespace or SERVICE_DEFAULT,
        "budgetingMethod": "Occurrences",
        "timeWindow": [{"duration": shorthand(round(objective.window_s)), "isRolling": True}],
        "indicator": {"metadata": {"name": objective.name}, "spec": ratio},
        "objectives": [{"target": float(exact(objective.target))}],
    }
    if objective.description:
        spec["description"] = objective.description
    metadata = {"name": objective.name, "annotations": {PYRRA: packed(kept)}}
    return {"apiVersion": "openslo/v1", "kind": "SLO", "metadata": metadata, "spec": spec}


def _kind(objective: Objective) -> Document:
    """What the queries below cannot be turned back from."""
    indicator = objective.indicator
    if isinstance(indicator, NativeLatency):
        total = str(indicator.total)
        return {"kind": "latencyNative", "latency_s": indicator.latency_s, "total": total}
    if isinstance(indicator, BoolGauge):
        return {"kind": "bool_gauge", "total": str(indicator.total)}
    return {"kind": "latency" if isinstance(indicator, Latency) else "ratio"}


def _ratio(objective: Objective) -> Document:
    indicator = objective.indicator
    if isinstance(indicator, Ratio):
        return {
            "counter": True,
            "bad": _metric(str(indicator.errors)),
            "total": _metric(str(indicator.total)),
        }
    if isinstance(indicator, Latency):
        return {
            "counter": True,
            "good": _metric(str(indicator.success)),
            "total": _metric(str(indicator.total)),
        }
    if isinstance(indicator, NativeLatency):
        rates = f"sum(rate({_over(indicator.total)}))"
        query = f"histogram_fraction(0, {number(indicator.latency_s)}, {rates})"
        return {"counter": False, "rawType": "success", "raw": _metric(query)}
    series = _over(indicator.total)
    query = f"sum(sum_over_time({series})) / sum(count_over_time({series}))"
    return {"counter": False, "rawType": "success", "raw": _metric(query)}


def _over(selector: Selector) -> str:
    return f"{selector}[{_WINDOW}]"


def _metric(query: str) -> Document:
    return {"metricSource": {"type": "Prometheus", "spec": {"query": query}}}
