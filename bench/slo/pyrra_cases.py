"""Pyrra's published fixtures: rules, queries, windows, buckets, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from analysis.slo.openslo.errors import ConversionError
from analysis.slo.openslo.promql_text import normalised
from analysis.slo.openslo.pyrra import queries
from analysis.slo.openslo.pyrra.checks import judge
from analysis.slo.openslo.pyrra.draft import Draft, IndicatorDraft
from analysis.slo.openslo.pyrra.objective import (
    Alerting,
    BoolGauge,
    Indicator,
    Latency,
    Matcher,
    NativeLatency,
    Objective,
    Ratio,
    Selector,
    le_for_prometheus_3,
)
from analysis.slo.openslo.pyrra.rules import (
    Options,
    burnrate_group,
    generic_group,
    increase_group,
)
from analysis.slo.openslo.pyrra.windows import windows
from analysis.slo.openslo.rule_groups import Rule, RuleGroup

_GROUPS: Mapping[str, Callable[[Objective, Options], RuleGroup]] = {
    "burnrates": burnrate_group,
    "increase": increase_group,
    "generic": generic_group,
}
#: The percentile of Pyrra's tests.
_PERCENTILE = 0.95
_BURNRATE_WINDOW_S = 300
_SEVERITIES = ("FastBurn", "MediumBurn", "SlowBurn", "LongTermBurn")


def rules(case: dict[str, Any]) -> list[str]:
    """An objective -> one of its three groups, or the error that there is none."""
    options = Options(
        external_url=case["options"].get("ExternalURL", ""),
        prometheus_3=bool(case["options"].get("EnablePrometheus3Migration")),
    )
    make = _GROUPS[case["id"].split(":")[1]]
    objective = _objective(case["objective"])
    try:
        group = make(objective, options)
    except ConversionError as error:
        return [] if "error" in case else [str(error)]
    if "error" in case:
        return [f"no error, expected {case['error']}"]
    expected = case["group"]
    wrong = []
    if (group.name, group.interval) != (expected["name"], expected["interval"]):
        wrong.append(f"{group.name} each {group.interval}, expected {expected['name']}")
    if len(group.rules) != len(expected["rules"]):
        wrong.append(f"{len(group.rules)} rules, expected {len(expected['rules'])}")
    for ours, theirs in zip(group.rules, expected["rules"], strict=False):
        if _comparable(ours.plain()) != _comparable(theirs):
            wrong.append(f"{_shown(ours)}, expected {theirs}")
    return wrong


def _comparable(rule: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in rule.items() if value and key != "annotations"}
    return {**kept, "expr": normalised(rule["expr"])}


def _shown(rule: Rule) -> dict[str, Any]:
    return {key: value for key, value in rule.plain().items() if key != "annotations"}


def query(case: dict[str, Any]) -> list[str]:
    """An objective -> one query. The cases leave out the objective's name but for the answer."""
    named = re.search(r'slo="([^"]+)"', case["expected"])
    indicator, grouping = _indicator(case["indicator"])
    objective = Objective(
        name=named[1] if named else "",
        target=case["target"],
        window_s=case["window_s"],
        indicator=indicator,
        grouping=grouping,
    )
    span_s = case.get("timerange", case["window_s"])
    groups = [_matcher(one) for one in case.get("grouping", ())]
    kind = case["query"]
    made: Mapping[str, Callable[[], str]] = {
        "QueryTotal": lambda: queries.total_query(objective, span_s),
        "QueryErrors": lambda: queries.errors_query(objective, span_s),
        "QueryErrorBudget": lambda: queries.budget_query(objective),
        "QueryBurnrate": lambda: queries.burnrate_query(
            objective, case.get("timerange", _BURNRATE_WINDOW_S), groups
        ),
        "RequestRange": lambda: queries.requests_range(objective, span_s),
        "ErrorsRange": lambda: queries.errors_range(objective, span_s),
        "DurationRange": lambda: queries.duration_range(
            objective, span_s, case.get("percentile", _PERCENTILE)
        ),
    }
    ours = made[kind]()
    is_same = normalised(ours) == normalised(case["expected"])
    return [] if is_same else [f"{ours}", f"expected {case['expected']}"]


def scaled(case: dict[str, Any]) -> list[str]:
    """A period -> its windows."""
    ours = [
        {"for_s": one.for_s, "long_s": one.long_s, "short_s": one.short_s, "factor": one.factor}
        for one in windows(case["window_days"] * 86_400)
    ]
    return [] if ours == case["expected"] else [f"{ours}, expected {case['expected']}"]


def bucket(case: dict[str, Any]) -> list[str]:
    """A matcher -> one for both spellings of a bucket."""
    ours, expected = le_for_prometheus_3(_matcher(case["matcher"])), _matcher(case["expected"])
    return [] if ours == expected else [f"{ours}, expected {expected}"]


def refusal(case: dict[str, Any]) -> list[str]:
    """An object -> its first error and its warnings.

    Some errors are cut short in the cases, and of refused objects most warnings are left out: these
    are compared where the case has any.
    """
    spec = case["spec"]
    indicators = {
        kind: IndicatorDraft({name: text for name, text in texts.items() if isinstance(text, str)})
        for kind, texts in (spec.get("indicator") or {}).items()
        if texts is not None
    }
    problem, warnings = judge(
        Draft(
            name=spec.get("name", ""),
            namespace=spec.get("namespace", ""),
            target=str(spec.get("target", "")),
            window=spec.get("window", ""),
            indicators=indicators,
        )
    )
    expected = re.sub(r"[0-9]+:[0-9]+: parse error: ", "", case["error"] or "")
    is_same = (problem is None) is case["valid"] and (
        problem is None or problem.startswith(expected) or expected.startswith(problem)
    )
    wrong = [] if is_same else [f"{problem!r}, expected {expected!r}"]
    is_unknown = not case["valid"] and not case["warnings"]
    is_warned = is_unknown or sorted(warnings) == sorted(case["warnings"])
    return wrong if is_warned else [*wrong, f"warnings {warnings}, expected {case['warnings']}"]


def _objective(content: Mapping[str, Any]) -> Objective:
    labels = dict(content.get("Labels") or {})
    alerting = content.get("Alerting") or {}
    severities = alerting.get("Severities") or {}
    indicator, grouping = _indicator(content["Indicator"])
    usual = Alerting()
    return Objective(
        name=labels.pop("__name__", ""),
        labels=labels,
        annotations=content.get("Annotations") or {},
        description=content.get("Description") or "",
        description_as_label=bool(
            (content.get("RuleOutput") or {}).get("EnableDescriptionAsLabel")
            or content.get("DescriptionAsLabel")
        ),
        target=content["Target"],
        window_s=content["Window"],
        indicator=indicator,
        grouping=grouping,
        alerting=Alerting(
            burnrates=bool(alerting.get("Burnrates")) and not alerting.get("Disabled"),
            absent=bool(alerting.get("Absent")),
            name=alerting.get("Name") or usual.name,
            absent_name=alerting.get("AbsentName") or usual.absent_name,
            severities=tuple(severities.get(name, "") for name in _SEVERITIES),
            absent_severity=severities.get("Absent", ""),
        ),
        performance_over_accuracy=bool(content.get("PerformanceOverAccuracy")),
    )


def _indicator(content: Mapping[str, Any]) -> tuple[Indicator, tuple[str, ...]]:
    kind, parts = next((kind, parts) for kind, parts in content.items() if parts)
    grouping = tuple(parts.get("Grouping") or ())
    if kind == "Ratio":
        return Ratio(_selector(parts["Errors"]), _selector(parts["Total"])), grouping
    if kind == "Latency":
        return Latency(_selector(parts["Success"]), _selector(parts["Total"])), grouping
    if kind == "LatencyNative":
        return NativeLatency(parts["Latency"], _selector(parts["Total"])), grouping
    metric = {**parts, **(parts.get("Metric") or {})}
    return BoolGauge(_selector(metric)), grouping


def _selector(content: Mapping[str, Any]) -> Selector:
    matchers = tuple(_matcher(one) for one in content.get("LabelMatchers") or ())
    return Selector(content["Name"], tuple(one for one in matchers if one.name != "__name__"))


def _matcher(content: Mapping[str, Any]) -> Matcher:
    name = content["Name"]
    # The bucket's label is a constant of the library in some cases.
    return Matcher(name if isinstance(name, str) else "le", content["Type"], content["Value"])


SECTIONS = {
    "pyrra_rules": rules,
    "pyrra_queries": query,
    "pyrra_windows": scaled,
    "pyrra_le_matcher": bucket,
    "pyrra_validation": refusal,
}
