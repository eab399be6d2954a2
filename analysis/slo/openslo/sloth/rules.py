"""The rules Sloth generates for one objective: indicator, figures about it, alerts.

All in its names and labels, so that its dashboards and routing keep working.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from analysis.slo.openslo.errors import ConversionError
from analysis.slo.openslo.rule_groups import Rule
from analysis.slo.openslo.rule_text import fixed, label_filter, number, prometheus_duration
from analysis.slo.openslo.sloth.catalogue import Catalogue, WindowPair
from analysis.slo.openslo.sloth.checks import WINDOW
from analysis.slo.openslo.sloth.spec import AlertMeta, SlothSlo

REMAINING: Final = "slo:period_error_budget_remaining:ratio"
INFO: Final = "sloth_slo_info"
WINDOW_LABEL: Final = "sloth_window"
SEVERITY_LABEL: Final = "sloth_severity"


@dataclass(frozen=True, slots=True)
class Subject:
    """An objective with everything that is settled about it: period, windows, labels, version."""

    slo: SlothSlo
    period_s: int
    catalogue: Catalogue
    labels: Mapping[str, str]
    version: str

    @property
    def ids(self) -> dict[str, str]:
        """Labels that tell it from all others."""
        slo = self.slo
        return {"sloth_id": slo.slo_id, "sloth_service": slo.service, "sloth_slo": slo.name}

    @property
    def matchers(self) -> str:
        """The same as a selector's matchers."""
        return label_filter(self.ids)

    def windows_s(self) -> list[int]:
        """Windows of alerts, then the period."""
        return [*self.catalogue.windows_s(), self.period_s]


def error_metric(window_s: int) -> str:
    """The share of bad events over a window."""
    return f"slo:sli_error:ratio_rate{prometheus_duration(window_s)}"


def rendered(query: str, window_s: int) -> str:
    """A query over one window."""
    return WINDOW.sub(prometheus_duration(window_s), query)


def window_rule(subject: Subject, window_s: int, expr: str) -> Rule:
    """The indicator over one window."""
    window = {WINDOW_LABEL: prometheus_duration(window_s)}
    labels = {**subject.ids, **window, **subject.labels}
    return Rule(record=error_metric(window_s), expr=expr, labels=labels)


def indicator_rules(subject: Subject, *, from_shortest: bool = True) -> list[Rule]:
    """The indicator over each window; over the period from the shortest one's samples."""
    found = []
    for window_s in subject.windows_s():
        is_period = window_s == subject.period_s
        expr = averaged(subject) if is_period and from_shortest else _ratio(subject, window_s)
        found.append(window_rule(subject, window_s, expr))
    return found


def averaged(subject: Subject) -> str:
    """The mean of the shortest window's ratio over the period."""
    short_s, period = subject.catalogue.page_quick.short_s, prometheus_duration(subject.period_s)
    if short_s == subject.period_s:
        raise ConversionError(subject.slo.slo_id, "the shortest window is the period itself")
    series = f"{error_metric(short_s)}{subject.matchers}[{period}]"
    return f"sum_over_time({series})\n/ ignoring ({WINDOW_LABEL})\ncount_over_time({series})\n"


def _ratio(subject: Subject, window_s: int) -> str:
    if subject.slo.events is not None:
        bad, total = (rendered(query, window_s) for query in subject.slo.events)
        return f"({bad})\n/\n({total})\n"
    if subject.slo.raw is None:
        raise ConversionError(subject.slo.slo_id, "an objective without an indicator")
    return f"({rendered(subject.slo.raw, window_s)})"


def metadata_rules(subject: Subject) -> list[Rule]:
    """Objective, budget, burn rates and what is left, as series."""
    slo, matchers = subject.slo, subject.matchers
    labels = {**subject.ids, **subject.labels}
    ratio = number(slo.objective_percent / 100)
    budget = "slo:error_budget:ratio"
    joined = f"/ on(sloth_id, sloth_slo, sloth_service) group_left\n{budget}{matchers}\n"
    short = error_metric(subject.catalogue.page_quick.short_s)
    expressions = {
        "slo:objective:ratio": f"vector({ratio})",
        budget: f"vector(1-{ratio})",
        "slo:time_period:days": f"vector({number(subject.period_s / 86_400)})",
        "slo:current_burn_rate:ratio": f"{short}{matchers}\n{joined}",
        "slo:period_burn_rate:ratio": f"{error_metric(subject.period_s)}{matchers}\n{joined}",
        REMAINING: f"1 - slo:period_burn_rate:ratio{matchers}",
    }
    info = {
        "sloth_version": subject.version,
        "sloth_mode": slo.mode,
        "sloth_spec": slo.spec,
        "sloth_objective": fixed(slo.objective_percent),
    }
    return [
        *(Rule(record=name, expr=expr, labels=labels) for name, expr in expressions.items()),
        Rule(record=INFO, expr="vector(1)", labels={**labels, **info}),
    ]


def alert_rules(subject: Subject) -> list[Rule]:
    """One alert per severity, each for its two pairs of windows."""
    windows = subject.catalogue
    return [
        _alert(subject, severity, meta, (quick, slow))
        for severity, meta, quick, slow in (
            ("page", subject.slo.page, windows.page_quick, windows.page_slow),
            ("ticket", subject.slo.ticket, windows.ticket_quick, windows.ticket_slow),
        )
        if not meta.disabled
    ]


def _alert(
    subject: Subject, severity: str, meta: AlertMeta, pairs: tuple[WindowPair, WindowPair]
) -> Rule:
    budget = number((100 - subject.slo.objective_percent) / 100)
    terms = []
    for pair in pairs:
        limit = f"({number(subject.catalogue.factor(pair))} * {budget})"
        short, long = (
            f"max({error_metric(span)}{subject.matchers} > {limit}) without ({WINDOW_LABEL})"
            for span in (pair.short_s, pair.long_s)
        )
        terms.append(f"(\n    {short}\n    and\n    {long}\n)")
    who = "{{$labels.sloth_service}} {{$labels.sloth_slo}}"
    return Rule(
        alert=meta.name,
        expr="\nor\n".join(terms) + "\n",
        labels={SEVERITY_LABEL: severity, **meta.labels},
        annotations={
            "title": f"({severity}) {who} SLO error budget burn rate is too fast.",
            "summary": f"{who} SLO error budget burn rate is over expected.",
            **meta.annotations,
        },
    )
