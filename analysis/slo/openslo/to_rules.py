"""OpenSLO's objectives as plain Prometheus rules: a window's ratio each, figures, alerts.

The rules are Sloth's (``sloth``), since dashboards for them are everywhere. What it does not have
is made here: alerts of OpenSLO's own policies. An objective that came from Sloth gets the alerts it
had. What Prometheus rules cannot say is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from analysis.slo.openslo.annotations import SLOTH, unpacked
from analysis.slo.openslo.errors import ConversionError
from analysis.slo.openslo.model import (
    AlertPolicy,
    BudgetingMethod,
    Indicator,
    IndicatorKind,
    MetricSource,
    Objective,
    Slo,
)
from analysis.slo.openslo.promql_text import selector_of
from analysis.slo.openslo.rule_groups import Rule, RuleGroup
from analysis.slo.openslo.rule_text import label_filter, number, prometheus_duration
from analysis.slo.openslo.sloth.catalogue import Catalogue, workbook
from analysis.slo.openslo.sloth.checks import WINDOW
from analysis.slo.openslo.sloth.generate import Options, rule_groups
from analysis.slo.openslo.sloth.rules import error_metric
from analysis.slo.openslo.sloth.spec import AlertMeta, PluginCall, SlothSlo
from analysis.slo.openslo.time_windows import RollingWindow

_OPS: Final = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_PROMETHEUS: Final = ("prometheus", "promql", "thanos", "mimir", "cortex", "victoriametrics")


def to_rules(slos: Sequence[Slo], options: Options) -> tuple[RuleGroup, ...]:
    """Groups of all objectives in order. Raises ConversionError."""
    return tuple(group for slo in slos for group in _groups(slo, options))


def _groups(slo: Slo, options: Options) -> list[RuleGroup]:
    if slo.method is not BudgetingMethod.OCCURRENCES:
        raise ConversionError(slo.name, f"rules count events; it counts by {slo.method.value}")
    if slo.is_composite:
        raise ConversionError(slo.name, "rules for a composite SLO; export its members")
    window = slo.window
    if not isinstance(window, RollingWindow):
        raise ConversionError(slo.name, "rules look back over a fixed time, not at a calendar")
    found: list[RuleGroup] = []
    for index, objective in enumerate(slo.objectives):
        name = slo.name if len(slo.objectives) == 1 else f"{slo.name}-{index}"
        made = _sloth(slo, objective, name, window.duration_s)
        windows = _windows(slo, window.duration_s)
        own = replace(options, catalogues=(windows, *options.catalogues))
        found += rule_groups([made], own)
        if options.alerts and slo.alert_policies:
            found.append(_policy_alerts(slo, made, objective))
    return found


def _windows(slo: Slo, period_s: int) -> Catalogue:
    windows = workbook(period_s)
    known, longest_s = windows.windows_s(), windows.windows_s()[-1]
    if period_s <= longest_s:
        shown = prometheus_duration(longest_s)
        raise ConversionError(slo.name, f"a time window up to {shown}, the longest of the alerts'")
    for policy in slo.alert_policies:
        if policy.condition.lookback_s not in (*known, period_s):
            accepted = ", ".join(prometheus_duration(one) for one in (*known, period_s))
            lookback = prometheus_duration(policy.condition.lookback_s)
            where = f"{slo.name}, alert policy {policy.name}"
            raise ConversionError(where, f"lookbackWindow {lookback}, accepted: {accepted}")
    return windows


def _sloth(slo: Slo, objective: Objective, name: str, period_s: int) -> SlothSlo:
    """The objective as Sloth knows it, with what an annotation kept of it."""
    kept = unpacked(slo.name, slo.annotations, SLOTH)
    events, raw = _queries(slo.name, objective.indicator)
    labels = {key: ",".join(values) for key, values in slo.labels.items()}
    own_name = kept.get("name", name) if len(slo.objectives) == 1 else name
    return SlothSlo(
        slo_id=f"{slo.service}-{own_name}",
        name=own_name,
        service=slo.service,
        objective_percent=float(objective.target_ratio * 100),
        period_s=period_s,
        events=events,
        raw=raw,
        labels={**_label_names(labels), **_texts(kept.get("labels"))},
        page=_alert(kept.get("page")),
        ticket=_alert(kept.get("ticket")),
        plugins=tuple(_call(one) for one in kept.get("plugins") or ()),
        override_plugins=bool(kept.get("override_plugins")),
        mode="export",
        spec="openslo/v1",
    )


def _label_names(labels: Mapping[str, str]) -> dict[str, str]:
    """Names that Prometheus takes: dots, dashes and slashes become underscores."""
    return {
        "".join(char if char.isalnum() and char.isascii() else "_" for char in name): value
        for name, value in labels.items()
        if value
    }


def _queries(name: str, indicator: Indicator) -> tuple[tuple[str, str] | None, str | None]:
    """Bad and all events, or the share of bad ones."""
    kind, metric = indicator.kind, _query(name, indicator, indicator.metric)
    if kind is IndicatorKind.THRESHOLD:
        raise ConversionError(name, "a threshold says what a sample is, not how many were bad")
    if kind is IndicatorKind.RAW_FAILURE:
        return None, metric
    if kind is IndicatorKind.RAW_SUCCESS:
        return None, f"1 - ({metric})"
    assert indicator.total is not None, "both kinds of ratios have a total"
    total = _query(name, indicator, indicator.total)
    if kind is IndicatorKind.BAD_TOTAL:
        return (metric, total), None
    return (f"({total}) - ({metric})", total), None


def _query(name: str, indicator: Indicator, source: MetricSource) -> str:
    if source.type.casefold() not in _PROMETHEUS:
        given = source.type or "none"
        raise ConversionError(name, f"metric source of type {given}, accepted: Prometheus")
    query = source.spec.get("query")
    if not isinstance(query, str):
        raise ConversionError(name, "a metric source without the property query")
    if WINDOW.search(query):
        return query
    try:
        selector = selector_of(query)
    except ValueError as error:
        raise ConversionError(name, f"query {query!r}: {error}") from error
    if selector is None:
        accepted = "a selector of one metric, or a query over [{{.window}}]"
        raise ConversionError(name, f"query {query!r}, accepted: {accepted}")
    function = "rate" if indicator.is_counter else "sum_over_time"
    return f"sum({function}({query}[{{{{.window}}}}]))"


def _policy_alerts(slo: Slo, made: SlothSlo, objective: Objective) -> RuleGroup:
    """One alert for each of OpenSLO's policies: one window, as it says."""
    ids = {"sloth_id": made.slo_id, "sloth_service": made.service, "sloth_slo": made.name}
    rules = tuple(
        _policy_alert(slo, policy, label_filter(ids), objective) for policy in slo.alert_policies
    )
    return RuleGroup(f"openslo-alerts-{made.slo_id}", rules)


def _policy_alert(slo: Slo, policy: AlertPolicy, matchers: str, objective: Objective) -> Rule:
    condition = policy.condition
    budget = number(float(objective.budget_ratio))
    limit = f"({number(float(condition.threshold))} * {budget})"
    series = f"{error_metric(condition.lookback_s)}{matchers}"
    wait = condition.alert_after_s
    return Rule(
        alert=policy.name,
        expr=f"max({series} {_OPS[condition.op]} {limit}) without (sloth_window)",
        for_text=prometheus_duration(wait) if wait else "",
        labels={"severity": condition.severity, "slo": slo.name},
        annotations={"targets": ", ".join(policy.targets)},
    )


def _alert(content: Any) -> AlertMeta:
    if not isinstance(content, dict):
        return AlertMeta(disabled=True)
    return AlertMeta(
        disabled=bool(content.get("disabled")),
        name=str(content.get("name") or ""),
        labels=_texts(content.get("labels")),
        annotations=_texts(content.get("annotations")),
        for_text=str(content.get("for_text") or ""),
    )


def _call(content: Any) -> PluginCall:
    if not isinstance(content, dict):
        raise ConversionError("plugins", f"{content!r} is no plugin")
    priority, config = content.get("priority"), content.get("config")
    return PluginCall(
        str(content.get("plugin_id") or ""),
        priority if isinstance(priority, int) else 0,
        config if isinstance(config, dict) else {},
    )


def _texts(value: Any) -> dict[str, str]:
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}
