"""Sloth's objectives as OpenSLO v1: one SLO each, and one Service for all of a service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from analysis.slo.openslo.annotations import SLOTH, packed
from analysis.slo.openslo.durations import shorthand
from analysis.slo.openslo.errors import ConversionError
from analysis.slo.openslo.sloth.checks import first_problem
from analysis.slo.openslo.sloth.spec import AlertMeta, SlothSlo

Document = dict[str, Any]


def to_openslo(slos: Sequence[SlothSlo], default_period_s: int) -> list[Document]:
    """Services, then objectives. Raises ConversionError for what Sloth would refuse."""
    services = dict.fromkeys(slo.service for slo in slos)
    made: list[Document] = [
        {"apiVersion": "openslo/v1", "kind": "Service", "metadata": {"name": one}, "spec": {}}
        for one in services
    ]
    return made + [_slo(slo, default_period_s) for slo in slos]


def _slo(slo: SlothSlo, default_period_s: int) -> Document:
    if slo.sli_plugin is not None:
        plugin = slo.sli_plugin.plugin_id
        raise ConversionError(slo.slo_id, f"its query is written by the SLI plugin {plugin!r}")
    problem = first_problem(slo, default_period_s)
    if problem is not None:
        raise ConversionError(slo.slo_id, problem)
    if slo.objective_percent >= 100:
        raise ConversionError(slo.slo_id, "a target of 100 % leaves no budget; OpenSLO has none")
    kept = {
        "name": slo.name,
        "labels": dict(slo.labels),
        "page": _alert(slo.page),
        "ticket": _alert(slo.ticket),
        "plugins": [asdict(one) for one in slo.plugins],
        "override_plugins": slo.override_plugins,
    }
    spec: Document = {
        "service": slo.service,
        "budgetingMethod": "Occurrences",
        "timeWindow": [
            {"duration": shorthand(slo.period_s or default_period_s), "isRolling": True}
        ],
        "indicator": {"metadata": {"name": slo.slo_id}, "spec": {"ratioMetric": _ratio(slo)}},
        "objectives": [{"targetPercent": slo.objective_percent}],
    }
    if slo.description:
        spec["description"] = slo.description
    # Names are unique among all SLOs in OpenSLO, and among those of a service in Sloth.
    metadata: Document = {"name": slo.slo_id, "annotations": {SLOTH: packed(kept)}}
    return {"apiVersion": "openslo/v1", "kind": "SLO", "metadata": metadata, "spec": spec}


def _ratio(slo: SlothSlo) -> Document:
    if slo.events is not None:
        bad, total = slo.events
        return {"counter": False, "bad": _metric(bad), "total": _metric(total)}
    return {"counter": False, "rawType": "failure", "raw": _metric(slo.raw or "")}


def _metric(query: str) -> Document:
    return {"metricSource": {"type": "Prometheus", "spec": {"query": query}}}


def _alert(alert: AlertMeta) -> Document:
    return {
        "disabled": alert.disabled,
        "name": alert.name,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "for_text": alert.for_text,
    }
