"""An objective over counts of its past: how its numbers come about, and what another would say.

Pure: counts in (:class:`SlicedPast`), values and the words for them out. Formulas are those of the
SRE Workbook, ch. 5 (burn rate = error ratio / (1 - target)); the alerts replayed are the running
ones (:mod:`analysis.slo.openslo.policy_replay`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final

from analysis.slo.budget_numbers import has_projection, number_of, numbers_of, optional_float
from analysis.slo.burn_rate import BurnState, evaluate
from analysis.slo.objectives import BurnWindow, Objective
from analysis.slo.openslo.budgets import BudgetTerms, DataRules, Missing, budget
from analysis.slo.openslo.exact import exact
from analysis.slo.openslo.model import BudgetingMethod
from analysis.slo.openslo.policy_replay import episodes, firing
from analysis.slo.openslo.sliced_past import CountsError, Flags, SlicedPast, touched
from analysis.slo.openslo.time_windows import Period
from analysis.slo.sliced_alerts import SHARE_UNITS, AlertCounts, counts_for_alerts
from analysis.slo.sliced_counts import WindowSum

#: Less of the window seen than this is a gap, and said so.
COVERED_MIN: Final = Fraction(9, 10)
#: Targets among which one is suggested.
LADDER: Final = (0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999)
#: A suggested target would have left at least this share of its budget.
SUGGESTED_REMAINING: Final = Fraction(1, 4)
#: Alerts told one by one; more are only counted.
MAX_TOLD: Final = 200


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert that was, or would have been, sent."""

    severity: str
    start_unix_s: int
    end_unix_s: int
    window: BurnWindow

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "severity": self.severity,
            "from_unix_nano": self.start_unix_s * 1_000_000_000,
            "to_unix_nano": self.end_unix_s * 1_000_000_000,
            "long_window_s": self.window.long_window_s,
            "short_window_s": self.window.short_window_s,
            "factor": self.window.factor,
        }


def slices_that_fit(
    length_s: int,
    windows: Sequence[BurnWindow],
    steps_s: Sequence[int],
    slices_max: int,
    time_slice_s: int | None = None,
) -> int | None:
    """The finest slice that divides every window and cuts the length into few enough."""
    lengths_s = [0 if time_slice_s is None else time_slice_s]
    for window in windows:
        lengths_s += [window.long_window_s, window.short_window_s]
    for step_s in sorted(steps_s):
        divides = all(one % step_s == 0 for one in lengths_s)
        if divides and length_s // step_s <= slices_max:
            return step_s
    return None


@dataclass(frozen=True, slots=True)
class Past:
    """Counts, and the spans of them that do not count."""

    counts: SlicedPast
    excluded: tuple[Period, ...] = ()

    def marks(self, period: Period) -> Flags:
        """Slices of a period that an excluded span touches."""
        return touched(self.counts.over(period), self.excluded)

    def seen_by_alerts(self) -> SlicedPast:
        """What is excluded is time nobody reported for, so without failures."""
        counts = self.counts
        period = Period(counts.start_unix_s, counts.end_unix_s)
        kept = ~self.marks(period)
        return replace(
            counts,
            good=counts.good * kept,
            bad=counts.bad * kept,
            reported=counts.reported & kept,
        )


def explained(objective: Objective, past: Past, now_unix_s: int) -> dict[str, Any]:
    """Every number of the objective with its formula and what stands in it."""
    end = min(past.counts.end_unix_s, now_unix_s)
    period = objective.period(end if objective.calendar is None else now_unix_s)
    if period is None:
        raise CountsError(f"{objective.name}: the first period has not begun")
    found = _budget(objective, past, period, min(now_unix_s, max(end, period.start_unix_s)))
    seen = past.seen_by_alerts()
    told = counts_for_alerts(objective, seen.over(Period(past.counts.start_unix_s, end)))
    until = min(period.end_unix_s, max(end, period.start_unix_s))
    whole = seen.over(Period(period.start_unix_s, until))
    return {
        "name": objective.name,
        "display_name": objective.display_name,
        "service": objective.service,
        "objective_ratio": objective.target_ratio,
        "from_unix_nano": period.start_unix_s * 1_000_000_000,
        "to_unix_nano": period.end_unix_s * 1_000_000_000,
        "slice_s": past.counts.slice_s,
        "inputs": {
            "metric": objective.total.metric,
            "attribute": objective.total.attribute,
            "good_values": sorted(objective.good.values),
            "total_values": sorted(objective.total.values),
        },
        "data_state": str(found.state),
        "slices": len(whole.good),
        "slices_reported": int(whole.reported.sum()),
        "covered_ratio": float(found.covered_ratio),
        "excluded_s": found.excluded_s,
        "excluded": _spans_json(past, period),
        "numbers": numbers_of(objective, found),
        "budgeting_method": str(objective.method),
        "time_zone": None if objective.calendar is None else objective.calendar.time_zone,
        "alerts": [_alert(objective, told, window) for window in objective.policy.windows],
    }


def what_if(
    objective: Objective, past: Past, period: Period, changed: Objective, now_unix_s: int
) -> dict[str, Any]:
    """The alerts and the budget the objective had in the period, and would have had.

    ``changed``: the same under other terms (``other_terms.under``).
    """
    return {
        "name": objective.name,
        "from_unix_nano": period.start_unix_s * 1_000_000_000,
        "to_unix_nano": period.end_unix_s * 1_000_000_000,
        "as_it_is": outcome_of(objective, past, period, now_unix_s),
        "what_if": outcome_of(changed, past, period, now_unix_s),
        "suggested_objective_ratio": suggested(objective, past, period, now_unix_s),
    }


def suggested(objective: Objective, past: Past, period: Period, now_unix_s: int) -> float | None:
    """The strictest target of the ladder that would have left a quarter of its budget and paged
    nobody; None when there is none, or too little was seen to say.
    """
    for target in reversed(LADDER):
        outcome = outcome_of(replace(objective, target_ratio=target), past, period, now_unix_s)
        remaining = outcome["budget_remaining_ratio"]
        if outcome["data_state"] != "covered" or remaining is None:
            return None
        if remaining >= SUGGESTED_REMAINING and not outcome["alert_counts"].get("page", 0):
            return target
    return None


def report_row(objective: Objective, past: Past, period: Period, now_unix_s: int) -> dict[str, Any]:
    """One objective in one period, for a report."""
    return {
        "name": objective.name,
        "display_name": objective.display_name,
        "service": objective.service,
        **outcome_of(objective, past, period, now_unix_s),
    }


def outcome_of(objective: Objective, past: Past, period: Period, now_unix_s: int) -> dict[str, Any]:
    """Budget and alerts of one objective in one period."""
    found = _budget(objective, past, _in_slices(objective, period), now_unix_s)
    alerts = list(_alerts(objective, past, period))
    counts: dict[str, int] = {}
    for alert in alerts:
        counts[alert.severity] = counts.get(alert.severity, 0) + 1
    return {
        "objective_ratio": objective.target_ratio,
        "window_s": objective.window_s,
        "budgeting_method": str(objective.method),
        "total": found.counted,
        "bad": number_of(found.bad),
        "sli_ratio": optional_float(found.sli_ratio),
        "budget_remaining_ratio": optional_float(found.remaining_ratio),
        "budget_projected_remaining_ratio": (
            optional_float(found.projected_remaining_ratio) if has_projection(objective) else None
        ),
        "covered_ratio": float(found.covered_ratio),
        "excluded_s": found.excluded_s,
        "data_state": str(found.state),
        "alert_counts": counts,
        "alerts": [alert.to_json() for alert in alerts[:MAX_TOLD]],
    }


def _in_slices(objective: Objective, period: Period) -> Period:
    """Any period in the time slices that run, which follow the clock; not a calendar's own."""
    slice_s = objective.slice_s
    if slice_s is None or period == objective.period(period.start_unix_s):
        return period
    end = -(-period.end_unix_s // slice_s) * slice_s
    return Period(period.start_unix_s // slice_s * slice_s, end)


def _alerts(objective: Objective, past: Past, period: Period) -> Iterator[Alert]:
    """In order; pairs of one severity that fire together are one alert, as they are told."""
    budget_ratio = 1 - exact(objective.target_ratio)
    seen = counts_for_alerts(objective, past.seen_by_alerts())
    counts, guard = seen.rates, objective.policy.guard
    found: list[Alert] = []
    for window in objective.policy.windows:
        flags = firing(counts, window, budget_ratio, guard, evidence=seen.evidence)
        for one in episodes(flags):
            start = counts.start_unix_s + (one.first + 1) * counts.slice_s
            end = counts.start_unix_s + (one.last + 2) * counts.slice_s
            if start < period.end_unix_s and end > period.start_unix_s:
                found.append(Alert(window.severity, start, end, window))
    found.sort(key=lambda alert: (alert.severity, alert.start_unix_s))
    joined: list[Alert] = []
    for alert in found:
        last = joined[-1] if joined else None
        if last and last.severity == alert.severity and alert.start_unix_s <= last.end_unix_s:
            joined[-1] = replace(last, end_unix_s=max(last.end_unix_s, alert.end_unix_s))
        else:
            joined.append(alert)
    yield from sorted(joined, key=lambda alert: alert.start_unix_s)


def _budget(objective: Objective, past: Past, period: Period, now_unix_s: int) -> Any:
    terms = BudgetTerms(
        objective.method,
        exact(objective.target_ratio),
        objective.slice_s,
        objective.slice_target_ratio,
    )
    stale_s = max(60, 3 * past.counts.slice_s)
    rules = DataRules(Missing.IGNORED, Missing.IGNORED, COVERED_MIN, stale_s)
    return budget(past.counts, terms, rules, period, now_unix_s, past.marks(period))


def _spans_json(past: Past, period: Period) -> list[dict[str, int]]:
    return [
        {
            "from_unix_nano": span.start_unix_s * 1_000_000_000,
            "to_unix_nano": span.end_unix_s * 1_000_000_000,
        }
        for span in past.excluded
        if span.start_unix_s < period.end_unix_s and span.end_unix_s > period.start_unix_s
    ]


def _alert(objective: Objective, counts: AlertCounts, window: BurnWindow) -> dict[str, Any]:
    end = counts.rates.end_unix_s
    long, short = (
        _sum(counts.rates, Period(end - length_s, end))
        for length_s in (window.long_window_s, window.short_window_s)
    )
    guard, evidence = objective.policy.guard, None
    if counts.evidence is not None:
        evidence = _sum(counts.evidence, Period(end - window.long_window_s, end))
    burn = evaluate(window, long, short, objective.budget_ratio, guard, evidence=evidence)
    return {
        "severity": window.severity,
        "factor": window.factor,
        "long": _burn(window.long_window_s, long, burn.long_burn, objective),
        "short": _burn(window.short_window_s, short, burn.short_burn, objective),
        "guard": {
            "min_failures": guard.min_failures,
            "p_value": guard.p_value,
            "noise_chance": burn.noise_chance,
        },
        "fires": burn.firing,
        "why": _why(burn, objective),
    }


def _why(burn: BurnState, objective: Objective) -> str:
    if burn.firing:
        return f"both windows burn faster than {burn.window.factor:g}x, beyond noise"
    guard = objective.policy.guard
    if burn.guarded:
        return (
            f"held back as possible noise: {burn.long_bad} failures, needed are "
            f"{guard.min_failures} and a chance of at most {guard.p_value:g}"
        )
    if burn.long_burn is None:
        return "no events in the long window"
    return f"not both windows burn faster than {burn.window.factor:g}x"


def _burn(
    window_s: int, counts: WindowSum, burn: float | None, objective: Objective
) -> dict[str, Any]:
    unit = SHARE_UNITS if objective.method is BudgetingMethod.RATIO_TIMESLICES else 1
    bad = counts.bad if unit == 1 else counts.bad / unit
    total = counts.total // unit
    inserted = "no events"
    if total:
        shown = bad if unit == 1 else f"{bad:.8g}"
        inserted = f"({shown} / {total}) / {objective.budget_ratio:g}"
        if counts.covered_ratio < 1:
            inserted += f"; seen {counts.covered_ratio:.1%} of the window"
    return {
        "window_s": window_s,
        "bad": bad,
        "total": total,
        "covered_ratio": counts.covered_ratio,
        "burn_rate": burn,
        "formula": "(bad / total) / (1 - objective)",
        "inserted": inserted,
    }


def _sum(past: SlicedPast, period: Period) -> WindowSum:
    part = past.over(period)
    seen = float(part.reported.mean()) if len(part.reported) else 0.0
    return WindowSum(int(part.good.sum()), int(part.bad.sum()), seen)
