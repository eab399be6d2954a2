"""Pyrra's three groups of rules for one objective: burn rates, increases, and generic figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote_plus, urlencode, urlsplit, urlunsplit

from analysis.slo.openslo.errors import ConversionError
from analysis.slo.openslo.pyrra import names, queries
from analysis.slo.openslo.pyrra.objective import (
    BUCKET,
    DAY_S,
    BoolGauge,
    Latency,
    NativeLatency,
    Objective,
    Ratio,
    Selector,
    for_prometheus_3,
    summed,
)
from analysis.slo.openslo.pyrra.windows import absent_s, exhausts_s, windows
from analysis.slo.openslo.rule_groups import Rule, RuleGroup
from analysis.slo.openslo.rule_text import fixed, go_duration, number, prometheus_duration

#: What the period's sums are made of where speed is wanted more than accuracy.
_STEP_S: Final = 300
_RATE_S: Final = 300


@dataclass(frozen=True, slots=True)
class Options:
    """``external_url``: of Pyrra's pages, linked from alerts. ``prometheus_3``: both spellings of
    buckets.
    """

    external_url: str = ""
    prometheus_3: bool = False


def rule_groups(objective: Objective, options: Options) -> tuple[RuleGroup, ...]:
    """Increases and burn rates; generic figures as well if there is no grouping."""
    groups = [increase_group(objective, options), burnrate_group(objective, options)]
    if not objective.grouping:
        groups.append(generic_group(objective, options))
    return tuple(groups)


def burnrate_group(objective: Objective, options: Options) -> RuleGroup:
    """The share of errors over every window, and alerts on pairs of them."""
    pairs = windows(objective.window_s)
    total = objective.indicator.total
    labels = _labels(objective, total, set(objective.grouping))
    spans = sorted({span for pair in pairs for span in (pair.long_s, pair.short_s)})
    rules = [
        Rule(
            record=names.burnrate(total.metric, span),
            expr=_burnrate(objective, span, options),
            labels=labels,
        )
        for span in spans
    ]
    if objective.alerting.burnrates:
        rules += _burn_alerts(objective, labels, options)
    return RuleGroup(objective.name, tuple(rules), "30s")


def _burn_alerts(objective: Objective, labels: Mapping[str, str], options: Options) -> list[Rule]:
    total = objective.indicator.total
    series = Selector(
        total.metric,
        tuple(m for m in total.matchers if m.name in objective.grouping or not m.is_regex),
    ).where("slo", objective.name)
    alerts = []
    for index, pair in enumerate(windows(objective.window_s)):
        limit = f"({pair.factor} * (1-{fixed(objective.target)}))"
        short, long = (
            f"{series.named(names.burnrate(total.metric, span))} > {limit}"
            for span in (pair.short_s, pair.long_s)
        )
        is_ratio = isinstance(objective.indicator, Ratio)
        alerts.append(
            Rule(
                alert=objective.alerting.name,
                expr=f"{short} and {long}",
                # Both spellings are Pyrra's.
                for_text=go_duration(pair.for_s) if is_ratio else prometheus_duration(pair.for_s),
                labels={
                    **labels,
                    "short": prometheus_duration(pair.short_s),
                    "long": prometheus_duration(pair.long_s),
                    "severity": objective.alerting.severities[index] or pair.severity,
                    "exhaustion": prometheus_duration(exhausts_s(objective, pair.factor)),
                },
                annotations={**objective.rule_annotations(), **_link(objective, options)},
            )
        )
    return alerts


def _burnrate(objective: Objective, span_s: int, options: Options) -> str:
    indicator, grouping = objective.indicator, sorted(set(objective.grouping))

    def total(how: str, selector: Selector) -> str:
        return summed(grouping, f"{how}({selector.over(span_s)})")

    if isinstance(indicator, Ratio):
        return f"{total('rate', indicator.errors)} / {total('rate', indicator.total)}"
    if isinstance(indicator, Latency):
        every = total("rate", _bucketed(indicator.total, options))
        good = total("rate", _bucketed(indicator.success, options))
        return f"({every} - {good}) / {every}"
    if isinstance(indicator, NativeLatency):
        rates = total("rate", indicator.total)
        return f"1 - histogram_fraction(0, {number(indicator.latency_s)}, {rates})"
    counted = total("count_over_time", indicator.total)
    return f"({counted} - {total('sum_over_time', indicator.total)}) / {counted}"


def increase_group(objective: Objective, options: Options) -> RuleGroup:
    """Events of the whole period, and alerts for metrics that are gone."""
    short, long = _increases(objective, options)
    interval = prometheus_duration(_interval_s(objective.window_s))
    return RuleGroup(f"{objective.name}-increase", (*short, *long), interval)


@dataclass(frozen=True, slots=True)
class _Counted:
    """One series of counts to record: what of, how, under which name and labels."""

    selector: Selector
    function: str
    stem: str  # of its name, up to the window
    labels: Mapping[str, str]
    bucket: str | None = None  # what tells the short series from another of its name


def _increases(objective: Objective, options: Options) -> tuple[list[Rule], list[Rule]]:
    """Rules for the raw series, and rules for what these recorded."""
    if isinstance(objective.indicator, NativeLatency):
        return [], _native_increases(objective, objective.indicator)
    grouping = _increase_grouping(objective)
    counted = _counted(objective, grouping, options)
    is_split = objective.performance_over_accuracy
    raw, long = [], []
    for one in counted:
        span_s = _STEP_S if is_split else objective.window_s
        inside = f"{one.function}({one.selector.over(span_s)})"
        record = f"{one.stem}{prometheus_duration(span_s)}"
        raw.append(Rule(record=record, expr=summed(grouping, inside), labels=one.labels))
        if is_split:
            series = one.selector.named(record)
            series = series if one.bucket is None else series.where(BUCKET, one.bucket)
            step, period = (prometheus_duration(span) for span in (_STEP_S, objective.window_s))
            inside = f"sum_over_time({series}[{period}:{step}])"
            record = f"{one.stem}{period}"
            long.append(Rule(record=record, expr=summed(grouping, inside), labels=one.labels))
    alerts = [_absent(objective, one) for one in counted] if objective.alerting.absent else []
    if isinstance(objective.indicator, BoolGauge):
        alerts = alerts[:1]  # both of its series are of one metric
    if isinstance(objective.indicator, Ratio) and alerts:
        # Each metric's alert follows its rule.
        return [rule for pair in zip(raw, alerts, strict=True) for rule in pair], long
    return [*raw, *alerts], long


def _counted(objective: Objective, grouping: list[str], options: Options) -> list[_Counted]:
    indicator, total = objective.indicator, objective.indicator.total
    labels = _labels(objective, total, set(grouping))

    def increase(selector: Selector, **more: str) -> _Counted:
        stem = names.increase_stem(selector.metric)
        return _Counted(selector, "increase", stem, {**labels, **more})

    if isinstance(indicator, Ratio):
        is_one = indicator.errors.metric == total.metric
        return [increase(total)] if is_one else [increase(total), increase(indicator.errors)]
    if isinstance(indicator, Latency):
        every = increase(_bucketed(total, options))
        le = next((one.value for one in indicator.success.matchers if one.name == BUCKET), "")
        # Both are recorded under one name; the one of everything has no bucket.
        everything = _Counted(every.selector, every.function, every.stem, labels, bucket="")
        return [everything, increase(_bucketed(indicator.success, options), le=le)]
    return [
        _Counted(total, "count_over_time", f"{total.metric}:count", labels),
        _Counted(total, "sum_over_time", f"{total.metric}:sum", labels),
    ]


def _increase_grouping(objective: Objective) -> list[str]:
    """Labels that are kept: asked for, telling errors from the rest, or matched by a pattern."""
    indicator, total = objective.indicator, objective.indicator.total
    kept = {*objective.grouping, *(one.name for one in total.matchers if one.is_regex)}
    if isinstance(indicator, Ratio):
        kept.update(queries.split_labels(indicator.errors, total))
    elif isinstance(indicator, Latency):
        kept.update(queries.split_labels(indicator.success, total))
    else:
        kept.update(total.names())
    return sorted(kept)


def _native_increases(objective: Objective, indicator: NativeLatency) -> list[Rule]:
    total = indicator.total
    labels = _labels(objective, total, set())
    record = names.increase(total.metric, objective.window_s)
    grown = summed(objective.grouping, f"increase({total.over(objective.window_s)})")
    le = number(indicator.latency_s)
    fast = f"histogram_fraction(0, {le}, {grown}) * histogram_count({grown})"
    return [
        Rule(record=record, expr=f"histogram_count({grown})", labels=labels),
        Rule(record=record, expr=fast, labels={**labels, BUCKET: le}),
    ]


def _absent(objective: Objective, one: _Counted) -> Rule:
    return Rule(
        alert=objective.alerting.absent_name,
        expr=f"absent({one.selector}) == 1",
        for_text=prometheus_duration(absent_s(objective)),
        labels={**one.labels, "severity": objective.alerting.absent_severity or "critical"},
        annotations=objective.rule_annotations(),
    )


def _interval_s(window_s: float) -> int:
    """How often: half a minute for the first week, and half a minute more for every other."""
    weeks = int(window_s // (7 * DAY_S))
    return 30 * (min(weeks, 7) + 1)


def generic_group(objective: Objective, options: Options) -> RuleGroup:
    """The same figures under the same names for every objective. Raises ConversionError."""
    if objective.grouping and not isinstance(objective.indicator, NativeLatency):
        raise ConversionError(objective.name, "generic rules have no grouping")
    labels = objective.rule_labels()
    if objective.description_as_label:
        labels["description"] = objective.description
    figures = {
        "pyrra_objective": fixed(objective.target),
        "pyrra_window": str(int(objective.window_s)),
        **_generic(objective, options),
    }
    rules = tuple(Rule(record=name, expr=expr, labels=labels) for name, expr in figures.items())
    return RuleGroup(f"{objective.name}-generic", rules, "30s")


def _generic(objective: Objective, options: Options) -> dict[str, str]:
    indicator, total = objective.indicator, objective.indicator.total
    every, other = queries.recorded(objective, objective.window_s)
    availability, requests, errors = (
        "pyrra_availability",
        "pyrra_requests:rate5m",
        "pyrra_errors:rate5m",
    )
    if isinstance(indicator, Ratio):
        return {
            availability: f"1 - sum({other} or vector(0)) / sum({every})",
            requests: f"sum(rate({total.over(_RATE_S)}))",
            errors: f"sum(rate({indicator.errors.over(_RATE_S)})) or vector(0)",
        }
    if isinstance(indicator, BoolGauge):
        return {
            availability: f"sum({other}) / sum({every})",
            requests: f"sum({every})",
            errors: f"sum({every}) - sum({other})",
        }
    every, other = _bucketed(every, options), _bucketed(other, options)
    share = f"sum({other} or vector(0)) / sum({every})"
    if isinstance(indicator, NativeLatency):
        return {"pyrra_availability": share}
    rate = f"sum(rate({_bucketed(total, options).over(_RATE_S)}))"
    good = f"sum(rate({_bucketed(indicator.success, options).over(_RATE_S)}))"
    return _figures(share, rate, f"{rate} - {good}")


def _figures(availability: str, requests: str, errors: str) -> dict[str, str]:
    return {
        "pyrra_availability": availability,
        "pyrra_requests:rate5m": requests,
        "pyrra_errors:rate5m": errors,
    }


def _labels(objective: Objective, total: Selector, dropped: set[str]) -> dict[str, str]:
    """Labels that every event has, but for those that are kept in the series anyway."""
    labels = objective.rule_labels()
    labels.update({one.name: one.value for one in total.matchers if one.op == "="})
    return {name: value for name, value in labels.items() if name not in dropped}


def _bucketed(selector: Selector, options: Options) -> Selector:
    return for_prometheus_3(selector) if options.prometheus_3 else selector


def _link(objective: Objective, options: Options) -> dict[str, str]:
    """Where to look at the objective. Prometheus fills in the group's labels."""
    if not options.external_url:
        return {}
    base = urlsplit(options.external_url)
    expr = f'{{__name__="{objective.name}"}}'
    query = urlencode({"expr": expr, "from": "now-1h", "to": "now"})
    if objective.grouping:
        parts = [
            f"{quote_plus(name + '=' + chr(34))}{{{{$labels.{name}}}}}%22"
            for name in objective.grouping
        ]
        query += f"&grouping=%7B{'%2C'.join(parts)}%7D"
    return {"pyrra_url": urlunsplit((base.scheme, base.netloc, "/objectives", query, ""))}
