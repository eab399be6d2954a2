"""The steps rules are generated in: Sloth's plugins, the ones that come with it.

Each takes what the steps before it made and changes it. Steps of others are handed to the
generator by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from analysis.slo.openslo.errors import ConversionError
from analysis.slo.openslo.rule_groups import Rule, RuleGroup
from analysis.slo.openslo.rule_text import (
    label_filter,
    number,
    prometheus_duration,
    prometheus_seconds,
)
from analysis.slo.openslo.sloth import rules
from analysis.slo.openslo.sloth.checks import first_problem
from analysis.slo.openslo.sloth.rules import Subject

ALERT_FOR_DEFAULT_S: Final = 300


@dataclass(slots=True)
class Draft:
    """Rules of one objective in the making."""

    indicator: list[Rule] = field(default_factory=list)
    metadata: list[Rule] = field(default_factory=list)
    alerts: list[Rule] = field(default_factory=list)
    extra: list[RuleGroup] = field(default_factory=list)
    intervals: dict[str, str] = field(default_factory=dict)


#: Subject, settings, draft to change. Raises ConversionError.
Step = Callable[[Subject, Mapping[str, Any], Draft], None]


def _validate(subject: Subject, config: Mapping[str, Any], draft: Draft) -> None:
    del config, draft
    problem = first_problem(subject.slo, subject.period_s)
    if problem is not None:
        raise ConversionError(subject.slo.slo_id, problem)


def _nothing(subject: Subject, config: Mapping[str, Any], draft: Draft) -> None:
    del subject, config, draft


def _indicator(subject: Subject, config: Mapping[str, Any], draft: Draft) -> None:
    is_exact = bool(config.get("disableOptimized"))
    draft.indicator = rules.indicator_rules(subject, from_shortest=not is_exact)


def _metadata(subject: Subject, config: Mapping[str, Any], draft: Draft) -> None:
    del config
    draft.metadata = rules.metadata_rules(subject)


def _alerts(subject: Subject, config: Mapping[str, Any], draft: Draft) -> None:
    del config
    draft.alerts = rules.alert_rules(subject)


def info_labels(subject: Subject, config: Mapping[str, Any], draft: Draft) -> None:
    """More labels on the series that describes the objective."""
    name, labels = config.get("metricName") or rules.INFO, _texts(config.get("labels"))
    if not labels:
        raise ConversionError(subject.slo.slo_id, "info_labels needs at least one label")
    for index, rule in enumerate(draft.metadata):
        if rule.record == name:
            draft.metadata[index] = replace(rule, labels={**rule.labels, **labels})
            return


def _remove_labels(subject: Subject, config: Mapping[str, Any], draft: Draft) -> None:
    kept = {*subject.ids, *(config.get("preserveLabels") or ())}
    skipped = {rules.INFO, *(config.get("skipMetrics") or ())}

    def stripped(rule: Rule, names: set[str]) -> Rule:
        if rule.record in skipped:
            return rule
        return replace(rule, labels={k: v for k, v in rule.labels.items() if k in names})

    draft.indicator = [stripped(rule, kept | {rules.WINDOW_LABEL}) for rule in draft.indicator]
    draft.metadata = [stripped(rule, kept - {rules.WINDOW_LABEL}) for rule in draft.metadata]


def _intervals(subject: Subject, config: Mapping[str, Any], draft: Draft) -> None:
    wanted = config.get("interval") or {}
    if not wanted.get("default"):
        raise ConversionError(subject.slo.slo_id, "rule_intervals needs at least a default")
    for group, key in (("indicator", "sliError"), ("metadata", "metadata"), ("alerts", "alert")):
        draft.intervals[group] = _duration(subject, wanted.get(key) or wanted["default"])


def _events(subject: Subject) -> tuple[str, str]:
    if subject.slo.events is None or not all(subject.slo.events):
        raise ConversionError(subject.slo.slo_id, "this step needs an indicator of events")
    return subject.slo.events


def _denominator_corrected(subject: Subject, config: Mapping[str, Any], draft: Draft) -> None:
    """Each window's errors weighted by its share of the period's events."""
    bad, total = _events(subject)
    correction = "slo:numerator_correction:ratio"
    draft.indicator = []
    for window_s in subject.windows_s():
        over = prometheus_duration(window_s)
        bad_over, total_over = (rules.rendered(query, window_s) for query in (bad, total))
        expr = (
            f"(\n{correction}{over}{subject.matchers}\n* on()\n({bad_over})\n)\n/\n({total_over})\n"
        )
        if window_s == subject.period_s:
            is_exact = bool(config.get("disableOptimized"))
            expr = f"({bad_over})\n/\n({total_over})\n" if is_exact else rules.averaged(subject)
        draft.indicator.append(rules.window_rule(subject, window_s, expr))
    whole = rules.rendered(total, subject.period_s)
    draft.metadata += [
        Rule(
            record=f"{correction}{prometheus_duration(window_s)}",
            expr=f"({rules.rendered(total, window_s)})/({whole})",
            labels={**subject.ids, **subject.labels},
        )
        for window_s in subject.catalogue.windows_s()
    ]


def _exhausted_alert(subject: Subject, config: Mapping[str, Any], draft: Draft) -> None:
    """An alert for when nothing is left."""
    slo = subject.slo
    labels = {
        "sloth_slo": slo.name,
        "sloth_service": slo.service,
        "sloth_id": f"{slo.service}-{slo.name}",
        **subject.labels,
        **_texts(config.get("selector_labels")),
    }
    threshold = number(float(config.get("threshold") or 0))
    draft.alerts.append(
        Rule(
            alert=str(config.get("alert_name") or "ErrorBudgetExhausted"),
            expr=f"{rules.REMAINING}{label_filter(labels)} <= {threshold}",
            for_text=_duration(subject, config.get("for") or f"{ALERT_FOR_DEFAULT_S}s"),
            labels=_texts(config.get("alert_labels")),
            annotations=_texts(config.get("annotations")),
        )
    )


def _total_amount(subject: Subject, config: Mapping[str, Any], draft: Draft) -> None:
    """How many events each window had."""
    del config
    _, total = _events(subject)
    labels = {**subject.ids, **subject.labels}
    amounts = tuple(
        Rule(
            record=f"slo:sli_total:amount{prometheus_duration(window_s)}",
            expr=rules.rendered(total, window_s),
            labels=labels,
        )
        for window_s in subject.windows_s()
    )
    draft.extra.append(RuleGroup(f"sloth-slo-sli-total-amount-{subject.slo.slo_id}", amounts))


def _alert_for(subject: Subject, config: Mapping[str, Any], draft: Draft) -> None:
    del config
    waits = {"page": subject.slo.page.for_text, "ticket": subject.slo.ticket.for_text}
    draft.alerts = [
        replace(rule, for_text=_duration(subject, wait))
        if (wait := waits.get(rule.labels.get(rules.SEVERITY_LABEL, "")))
        else rule
        for rule in draft.alerts
    ]


def _duration(subject: Subject, text: object) -> str:
    seconds = prometheus_seconds(str(text))
    if not seconds:
        raise ConversionError(subject.slo.slo_id, f"{text!r}, accepted: a duration such as 5m")
    return prometheus_duration(seconds)


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {str(key): str(one) for key, one in value.items()}


#: What runs unless it is overridden, in this order.
DEFAULTS: Final = (
    "sloth.dev/core/validate/v1",
    "sloth.dev/core/sli_rules/v1",
    "sloth.dev/core/metadata_rules/v1",
    "sloth.dev/core/alert_rules/v1",
)
BUILT_IN: Final[Mapping[str, Step]] = {
    "sloth.dev/core/validate/v1": _validate,
    "sloth.dev/core/sli_rules/v1": _indicator,
    "sloth.dev/core/metadata_rules/v1": _metadata,
    "sloth.dev/core/alert_rules/v1": _alerts,
    "sloth.dev/core/noop/v1": _nothing,
    "sloth.dev/core/debug/v1": _nothing,
    "sloth.dev/contrib/info_labels/v1": info_labels,
    "sloth.dev/contrib/remove_labels/v1": _remove_labels,
    "sloth.dev/contrib/rule_intervals/v1": _intervals,
    "sloth.dev/contrib/denominator_corrected_rules/v1": _denominator_corrected,
    "sloth.dev/contrib/error_budget_exhausted_alert/v1": _exhausted_alert,
    "sloth.dev/contrib/sli_total_amount/v1": _total_amount,
    "sloth.dev/contrib/alert_for/v1": _alert_for,
    # Whether a query is MetricsQL is for its own server to say.
    "sloth.dev/contrib/validate_victoria_metrics/v1": _nothing,
}
