"""The queries Pyrra's pages ask: over its recorded series, and over the raw ones for graphs."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.slo.openslo.errors import ConversionError
from analysis.slo.openslo.pyrra import names
from analysis.slo.openslo.pyrra.objective import (
    BUCKET,
    BoolGauge,
    Latency,
    Matcher,
    NativeLatency,
    Objective,
    Ratio,
    Selector,
    summed,
)
from analysis.slo.openslo.rule_text import fixed, number


def increased(objective: Objective, selector: Selector, window_s: float) -> Selector:
    """The recorded events of a selector's metric over a window."""
    return selector.named(names.increase(selector.metric, window_s)).where("slo", objective.name)


def recorded(objective: Objective, window_s: float) -> tuple[Selector, Selector]:
    """All events of a window, and the errors (ratio) or the good ones (all others)."""
    indicator, total = objective.indicator, objective.indicator.total
    if isinstance(indicator, Ratio):
        errors = increased(objective, indicator.errors, window_s)
        return increased(objective, total, window_s), errors
    if isinstance(indicator, BoolGauge):
        counted = total.named(names.count(total.metric, window_s))
        good = total.named(names.total(total.metric, window_s))
        return counted.where("slo", objective.name), good.where("slo", objective.name)
    every = increased(objective, total, window_s)
    if isinstance(indicator, Latency):
        return every.where(BUCKET, ""), increased(objective, indicator.success, window_s)
    return every.where(BUCKET, ""), every.where(BUCKET, number(indicator.latency_s))


def total_query(objective: Objective, window_s: float) -> str:
    """Events of a window."""
    return summed(objective.grouping, str(recorded(objective, window_s)[0]))


def errors_query(objective: Objective, window_s: float) -> str:
    """Errors of a window."""
    total, other = (summed(objective.grouping, str(one)) for one in recorded(objective, window_s))
    return other if isinstance(objective.indicator, Ratio) else f"{total} - {other}"


def budget_query(objective: Objective) -> str:
    """What is left of the budget, over all groups."""
    budget = f"(1 - {fixed(objective.target)})"
    total, other = recorded(objective, objective.window_s)
    if isinstance(objective.indicator, BoolGauge):
        every, good = (summed(objective.grouping, str(one)) for one in (total, other))
        share = f"({every} - {good}) / {every}"
    else:
        share = f"sum({other} or vector(0)) / sum({total})"
        if not isinstance(objective.indicator, Ratio):
            share = f"1 - {share}"
    return f"({budget} - ({share})) / {budget}"


def burnrate_query(objective: Objective, window_s: float, groups: Sequence[Matcher] = ()) -> str:
    """The recorded burn rate over a window, of one group if its labels are given.

    Raises ConversionError.
    """
    total = objective.indicator.total
    matchers = {
        one.name: one
        for one in total.matchers
        if one.op == "=" and one.name not in objective.grouping
    }
    for group in groups:
        if group.op != "=":
            raise ConversionError(group.name, f"a group is told by =, not by {group.op}")
        matchers[group.name] = group
    matchers["slo"] = Matcher("slo", "=", objective.name)
    return f"sum({Selector(names.burnrate(total.metric, window_s), tuple(matchers.values()))})"


def requests_range(objective: Objective, window_s: float) -> str:
    """Requests per second."""
    indicator, total = objective.indicator, objective.indicator.total
    if isinstance(indicator, Ratio):
        split = split_labels(indicator.errors, total)
        return f"{summed(split, f'rate({total.over(window_s)})')} > 0"
    if isinstance(indicator, Latency):
        return f"sum(rate({total.over(window_s)}))"
    if isinstance(indicator, NativeLatency):
        return summed(objective.grouping, f"histogram_count(rate({total.over(window_s)}))")
    counted = summed(objective.grouping, f"count_over_time({total.over(window_s)})")
    return f"{counted} / {number(window_s)}"


def errors_range(objective: Objective, window_s: float) -> str:
    """The share of errors."""
    indicator, total = objective.indicator, objective.indicator.total
    every = f"sum(rate({total.over(window_s)}))"
    if isinstance(indicator, Ratio):
        errors = indicator.errors
        bad = summed(split_labels(errors, total), f"rate({errors.over(window_s)})")
        return f"{bad} / scalar({every}) > 0"
    if isinstance(indicator, Latency):
        return f"({every} - sum(rate({indicator.success.over(window_s)}))) / {every}"
    if isinstance(indicator, NativeLatency):
        rates = summed(sorted(set(objective.grouping)), f"rate({total.over(window_s)})")
        return f"1 - histogram_fraction(0, {number(indicator.latency_s)}, {rates})"
    counted, good = (f"{how}_over_time({total.over(window_s)})" for how in ("count", "sum"))
    return f"sum({counted} - {good}) / sum({counted})"


def duration_range(objective: Objective, window_s: float, percentile: float) -> str:
    """A quantile of the latency; nothing for indicators without one."""
    indicator, share = objective.indicator, number(percentile)
    if isinstance(indicator, Latency):
        buckets = indicator.success.without(BUCKET)
        rates = summed((BUCKET,), f"rate({buckets.over(window_s)})")
        return f"histogram_quantile({share}, {rates})"
    if isinstance(indicator, NativeLatency):
        rates = summed(objective.grouping, f"rate({indicator.total.over(window_s)})")
        return f"histogram_quantile({share}, {rates})"
    return ""


def split_labels(errors: Selector, total: Selector) -> list[str]:
    """Labels that tell errors from the rest, but for the bucket."""
    return sorted(errors.names() - total.names() - {BUCKET})
