"""OpenSLO's objectives as Pyrra's, where these can say the same: a ratio of plain counters."""

from __future__ import annotations

from typing import Any

from analysis.slo.openslo.annotations import PYRRA, unpacked
from analysis.slo.openslo.errors import ConversionError
from analysis.slo.openslo.model import BudgetingMethod, IndicatorKind, MetricSource, Slo
from analysis.slo.openslo.promql_text import selector_of
from analysis.slo.openslo.pyrra.objective import (
    Alerting,
    BoolGauge,
    Indicator,
    Latency,
    NativeLatency,
    Objective,
    Ratio,
    Selector,
)
from analysis.slo.openslo.pyrra.read import selector
from analysis.slo.openslo.time_windows import RollingWindow


def from_openslo(slo: Slo) -> Objective:
    """The objective in Pyrra's terms, with what an annotation kept. Raises ConversionError."""
    window = slo.window
    if (
        slo.method is not BudgetingMethod.OCCURRENCES
        or not isinstance(window, RollingWindow)
        or len(slo.objectives) != 1
    ):
        raise ConversionError(slo.name, "Pyrra has one objective on events in a rolling window")
    kept = unpacked(slo.name, slo.annotations, PYRRA)
    alerting = kept.get("alerting") or {}
    usual = Alerting()
    return Objective(
        name=slo.name,
        namespace=str(kept.get("namespace") or ""),
        target=float(slo.objectives[0].target_ratio),
        window_s=window.duration_s,
        indicator=_indicator(slo, kept.get("indicator") or {}),
        grouping=tuple(map(str, kept.get("grouping") or ())),
        labels=_texts(kept.get("labels")),
        annotations=_texts(kept.get("annotations")),
        description=slo.description,
        description_as_label=bool(kept.get("description_as_label")),
        alerting=Alerting(
            burnrates=bool(alerting.get("burnrates", True)),
            absent=bool(alerting.get("absent", True)),
            name=str(alerting.get("name") or usual.name),
            absent_name=str(alerting.get("absent_name") or usual.absent_name),
            severities=_severities(alerting.get("severities")),
            absent_severity=str(alerting.get("absent_severity") or ""),
        ),
        performance_over_accuracy=bool(kept.get("performance_over_accuracy")),
    )


def _indicator(slo: Slo, kept: dict[str, Any]) -> Indicator:
    kind = kept.get("kind")
    if kind == "latencyNative":
        return NativeLatency(float(kept["latency_s"]), selector(str(kept["total"])))
    if kind == "bool_gauge":
        return BoolGauge(selector(str(kept["total"])))
    indicator = slo.objectives[0].indicator
    if indicator.total is None or not indicator.is_counter:
        raise ConversionError(slo.name, "Pyrra has ratios of counters: counter: true with total")
    metric = _selector(slo.name, indicator.metric)
    total = _selector(slo.name, indicator.total)
    if indicator.kind is IndicatorKind.BAD_TOTAL:
        return Ratio(metric, total)
    if "le" not in metric.names():
        raise ConversionError(slo.name, "Pyrra has good events of histograms only; give bad ones")
    return Latency(metric, total)


def _selector(name: str, source: MetricSource) -> Selector:
    query = source.spec.get("query")
    try:
        found = selector_of(query) if isinstance(query, str) else None
    except ValueError as error:
        raise ConversionError(name, f"query {query!r}: {error}") from error
    if found is None:
        raise ConversionError(name, f"query {query!r}, accepted: a selector of one metric")
    return selector(str(query))


def _severities(value: Any) -> tuple[str, str, str, str]:
    texts = [str(one) for one in value] if isinstance(value, list) else []
    first, second, third, fourth = (*texts, "", "", "", "")[:4]
    return first, second, third, fourth


def _texts(value: Any) -> dict[str, str]:
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}
