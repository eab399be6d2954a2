"""The objectives that run: OpenSLO v1 files in, checked frozen objects out.

Files are read and judged by ``analysis.slo.openslo`` under the strict profile. What OpenSLO allows
and is not watched here (metric sources of other types, say) is refused by name, so
that nothing in a file is silently without effect.

An alert policy holds one condition with one window, the long one; its short window is a twelfth of
it (SRE Workbook, chapter 5). All policies an SLO refers to together are its window pairs. The guard
against noise is ``Guard`` below unless the SLO's annotations say otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from fractions import Fraction
from importlib import resources
from typing import Any, Final

from analysis.slo.errors import SloFileError
from analysis.slo.openslo import model
from analysis.slo.openslo.annotations import PREFIX
from analysis.slo.openslo.burn_math import SHORT_WINDOW_PARTS, is_reachable
from analysis.slo.openslo.durations import UNIT_S
from analysis.slo.openslo.model import BudgetingMethod
from analysis.slo.openslo.time_windows import (
    CalendarWindow,
    Period,
    TimeWindow,
    TimeWindowError,
)
from analysis.slo.openslo.validate import validate

#: One bad event in a billion; below, binary fractions say nothing.
_LEAST_BUDGET: Final = Fraction(1, 10**9)
SEVERITIES: Final = ("page", "ticket")
#: The longest calendar period: what is remembered of an objective grows with it.
CALENDAR_MAX_S: Final = UNIT_S["Y"]
#: More than any calendar period differs from its nominal length: a quarter of 92 days, a leap year,
#: a zone that moved across the date line.
_CALENDAR_SLACK_S: Final = 4 * 86_400
#: The metric source that is counted, and whom an alert tells.
SOURCE_TYPE: Final = "davylamp"
TARGET: Final = "timeline"
#: Of one of several objectives, whose name it is part of; names are kept with 256 characters.
DISPLAY_NAME_CHARS_MAX: Final = 100
#: How an indicator may be measured.
_RATIOS: Final = (model.IndicatorKind.GOOD_TOTAL, model.IndicatorKind.BAD_TOTAL)
MIN_FAILURES: Final = f"{PREFIX}min-failures"
P_VALUE: Final = f"{PREFIX}p-value"


@dataclass(frozen=True, slots=True)
class BurnWindow:
    """Fires while the burn rate of both windows is above ``factor``."""

    severity: str
    factor: float
    long_window_s: int
    short_window_s: int


@dataclass(frozen=True, slots=True)
class Guard:
    """What the bad events of the long window must show before anyone is woken.

    Two failures, since one is nobody's incident; a third would cost minutes at low traffic and
    prevent nothing that the binomial tail lets through (``python -m bench.slo.low_traffic``).
    """

    min_failures: int = 2
    p_value: float = 1e-4


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """The window pairs of one SLO and the guard they share."""

    guard: Guard
    windows: tuple[BurnWindow, ...]


@dataclass(frozen=True, slots=True)
class EventSource:
    """Events of a counter whose ``attribute`` has one of ``values``."""

    metric: str
    attribute: str
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class CompositePart:
    """The composite that an objective is part of, and its weight in the budget of all."""

    composite: str
    display_name: str
    weight: Fraction


@dataclass(frozen=True, slots=True)
class Objective:
    """One SLO: at least ``target_ratio`` of the ``total`` events are ``good``, over the window.

    ``window_s``: length of the rolling window, or nominally of a period of the ``calendar``.
    """

    name: str
    service: str
    display_name: str
    target_ratio: float
    window_s: int
    good: EventSource
    total: EventSource
    policy: AlertPolicy
    calendar: CalendarWindow | None = None
    method: BudgetingMethod = BudgetingMethod.OCCURRENCES
    slice_s: int | None = None
    slice_target_ratio: Fraction | None = None
    part: CompositePart | None = None

    def period(self, at_unix_s: int) -> Period | None:
        """What the budget of this moment is of; ``None`` before the first period of a calendar.

        A rolling window over time slices ends with the last one that is over.
        """
        if self.calendar is None:
            end = at_unix_s if self.slice_s is None else at_unix_s // self.slice_s * self.slice_s
            return Period(end - self.window_s, end)
        try:
            return self.calendar.period(at_unix_s)
        except TimeWindowError:
            return None

    @property
    def memory_s(self) -> int:
        """How far back counts bear on the budget or an alert, at any time."""
        longest = self.window_s + (0 if self.calendar is None else _CALENDAR_SLACK_S)
        # What ends with a time slice that is over began up to one slice earlier.
        back_s = self.slice_s or 0
        return max([longest, *(one.long_window_s for one in self.policy.windows)]) + back_s

    def bearing(self, now_unix_s: int) -> Period:
        """All time whose exclusion bears on the numbers: a calendar's period to its end."""
        period = None if self.calendar is None else self.period(now_unix_s)
        end = now_unix_s if period is None else period.end_unix_s
        return Period(now_unix_s - self.memory_s, end)

    @property
    def budget_ratio(self) -> float:
        """Share of events that may be bad, without the dust of binary fractions in 1 - 0.999."""
        return round(1.0 - self.target_ratio, 12)

    def definition(self) -> dict[str, Any]:
        """Everything it is, in plain JSON: equal for equal objectives."""
        return {one.name: _described(getattr(self, one.name)) for one in fields(self)}

    def outcome(self, value: str) -> str | None:
        """``"good"``, ``"bad"`` or ``None`` (says nothing) for a value of the attribute."""
        if value in self.good.values:
            return "good"
        return "bad" if value in self.total.values else None


def _described(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [_described(one) for one in value]
    if is_dataclass(value):
        return {one.name: _described(getattr(value, one.name)) for one in fields(value)}
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)


def shipped_text() -> str:
    """``objectives.yaml`` of this package."""
    return resources.files("analysis.slo").joinpath("objectives.yaml").read_text("utf-8")


def load_objectives(files: Mapping[str, str]) -> tuple[Objective, ...]:
    """All SLOs of some files, read together. Raises SloFileError or DefinitionError."""
    report = validate(files)
    slos = model.build(report)
    names = [slo.name for slo in slos]
    if not names or len(set(names)) != len(names):
        raise SloFileError("metadata.name", names, "at least one SLO, every name once")
    return tuple(one for slo in slos for one in _objectives(slo))


def _objectives(slo: model.Slo) -> tuple[Objective, ...]:
    """Each target of an SLO is watched under a name of its own, ``slo/target``.

    Those with indicators of their own are a composite (``composites``), under the SLO's name.
    """
    if len(slo.objectives) == 1:
        return (_objective(slo, 0),)
    if slo.is_composite and slo.method is BudgetingMethod.TIMESLICES:
        where = f"SLO {slo.name}: spec.budgetingMethod of a composite"
        raise SloFileError(where, str(slo.method), "Occurrences or RatioTimeslices")
    found = tuple(_named(slo, number) for number in range(len(slo.objectives)))
    names = [one.name for one in found]
    if len(set(names)) != len(names):
        where = f"SLO {slo.name}: spec.objectives: displayName"
        raise SloFileError(where, names, "every name once; without one, an objective's place is it")
    return found


def _named(slo: model.Slo, number: int) -> Objective:
    own = slo.objectives[number].display_name
    if len(own) > DISPLAY_NAME_CHARS_MAX:
        where = f"SLO {slo.name}: spec.objectives[{number}].displayName"
        raise SloFileError(where, f"{len(own)} characters", f"at most {DISPLAY_NAME_CHARS_MAX}")
    one = _objective(slo, number)
    weight = slo.objectives[number].weight
    return replace(
        one,
        part=CompositePart(slo.name, slo.display_name, weight) if slo.is_composite else None,
        name=f"{slo.name}/{own or number}",
        display_name=f"{slo.display_name}: {own or f'{one.target_ratio:.4%}'}",
    )


def _objective(slo: model.Slo, number: int) -> Objective:
    window_s = _window_s(slo.name, slo.window)
    target = slo.objectives[number]
    if not 0 < target.target_ratio <= 1 - _LEAST_BUDGET:
        where = f"SLO {slo.name}: spec.objectives[{number}].target"
        raise SloFileError(where, float(target.target_ratio), "more than 0, at most 1 - 1e-9")
    if target.slice_s is not None and slo.method is not BudgetingMethod.OCCURRENCES:
        _check_slices(slo, target.slice_s, window_s)
    good, total = _indicator(slo.name, target.indicator)
    return Objective(
        name=slo.name,
        service=slo.service,
        display_name=slo.display_name,
        target_ratio=float(target.target_ratio),
        window_s=window_s,
        good=good,
        total=total,
        policy=AlertPolicy(
            _guard(slo),
            tuple(_window(slo, policy, target, window_s) for policy in slo.alert_policies),
        ),
        calendar=slo.window if isinstance(slo.window, CalendarWindow) else None,
        method=slo.method,
        **_slice_terms(slo.method, target),
    )


def _slice_terms(method: BudgetingMethod, target: model.Objective) -> dict[str, Any]:
    """What the method does not use (the checks warn of it) is left out."""
    if method is BudgetingMethod.OCCURRENCES:
        return {}
    if method is BudgetingMethod.RATIO_TIMESLICES:
        return {"slice_s": target.slice_s}
    return {"slice_s": target.slice_s, "slice_target_ratio": target.slice_target_ratio}


def _check_slices(slo: model.Slo, slice_s: int, window_s: int) -> None:
    """A rolling window and both windows of an alert are whole numbers of time slices."""
    if not isinstance(slo.window, CalendarWindow) and window_s % slice_s:
        where = f"SLO {slo.name}: spec.timeWindow[0].duration"
        raise SloFileError(where, window_s, f"a whole number of time slices of {slice_s} s")
    for policy in slo.alert_policies:
        lookback_s = policy.condition.lookback_s
        if lookback_s % (SHORT_WINDOW_PARTS * slice_s):
            where = f"SLO {slo.name}: AlertPolicy {policy.name}: lookbackWindow"
            parts = f"{SHORT_WINDOW_PARTS} times a whole number of time slices of {slice_s} s"
            raise SloFileError(where, lookback_s, parts)


def check_steps(objectives: Iterable[Objective], step_s: int) -> None:
    """Whether counts of so many seconds make up whole time slices. Raises SloFileError."""
    for one in objectives:
        if one.slice_s is not None and one.slice_s % step_s:
            where = f"SLO {one.name}: timeSliceWindow"
            raise SloFileError(where, one.slice_s, f"a multiple of fleet_step_s, {step_s} s")


def _window_s(name: str, window: TimeWindow) -> int:
    if not isinstance(window, CalendarWindow):
        return window.duration_s
    length_s = window.value * UNIT_S[window.unit]
    if length_s > CALENDAR_MAX_S:
        where, given = f"SLO {name}: spec.timeWindow[0].duration", f"{window.value}{window.unit}"
        raise SloFileError(where, given, "calendar periods of at most a year")
    return length_s


# --- alert policies -----------------------------------------------------------------------------


def _window(
    slo: model.Slo, policy: model.AlertPolicy, target: model.Objective, window_s: int
) -> BurnWindow:
    where = f"SLO {slo.name}: AlertPolicy {policy.name}"
    condition = policy.condition
    for name, value, accepted in (
        ("alertWhenBreaching", policy.when_breaching, True),
        ("alertWhenResolved", policy.when_resolved, True),
        ("alertWhenNoData", policy.when_no_data, False),
        ("notificationTargets", policy.targets, (TARGET,)),
        ("condition.op", condition.op, "gt"),
        ("condition.alertAfter", condition.alert_after_s, 0),
    ):
        if value != accepted:
            raise SloFileError(f"{where}: {name}", value, repr(accepted))
    if condition.severity not in SEVERITIES:
        raise SloFileError(f"{where}: severity", condition.severity, " or ".join(SEVERITIES))
    if condition.lookback_s > window_s:
        accepted_s = f"at most the time window, {window_s} s"
        raise SloFileError(f"{where}: lookbackWindow", condition.lookback_s, accepted_s)
    if condition.threshold <= 0 or not is_reachable(condition.threshold, target.budget_ratio):
        most = f"above 0 and less than {float(1 / target.budget_ratio):g}, that of a total outage"
        raise SloFileError(f"{where}: threshold", float(condition.threshold), most)
    return BurnWindow(
        condition.severity,
        float(condition.threshold),
        condition.lookback_s,
        # Whole seconds: lookback windows are whole minutes.
        condition.lookback_s // SHORT_WINDOW_PARTS,
    )


def _guard(slo: model.Slo) -> Guard:
    """From the annotations, which OpenSLO leaves free."""
    for name in slo.annotations:
        if name.startswith(PREFIX) and name not in (MIN_FAILURES, P_VALUE):
            raise SloFileError(
                f"SLO {slo.name}: annotation", name, f"{MIN_FAILURES} or {P_VALUE} after {PREFIX}"
            )
    given = Guard()
    failures = slo.annotations.get(MIN_FAILURES, str(given.min_failures))
    if not failures.isascii() or not failures.isdigit() or not 1 <= int(failures) <= 10**6:
        raise SloFileError(f"SLO {slo.name}: {MIN_FAILURES}", failures, "1 to 1000000")
    chance = slo.annotations.get(P_VALUE, str(given.p_value))
    try:
        p_value = float(chance)
    except ValueError:
        p_value = 0.0
    if not 0 < p_value <= 1:
        raise SloFileError(f"SLO {slo.name}: {P_VALUE}", chance, "above 0, at most 1 (no test)")
    return Guard(int(failures), p_value)


# --- indicators ---------------------------------------------------------------------------------


def _indicator(name: str, indicator: model.Indicator) -> tuple[EventSource, EventSource]:
    where = f"SLO {name}: indicator {indicator.name}"
    kind = indicator.kind
    if kind not in _RATIOS or indicator.total is None:
        raise SloFileError(where, str(kind), " or ".join(_RATIOS))
    if not indicator.is_counter:
        raise SloFileError(f"{where}: counter", False, "true")
    part = "bad" if kind is model.IndicatorKind.BAD_TOTAL else "good"
    given = _source(f"{where}: {part}", indicator.metric)
    total = _source(f"{where}: total", indicator.total)
    same = (given.metric, given.attribute) == (total.metric, total.attribute)
    if not same or not given.values < total.values:
        raise SloFileError(f"{where}: {part}", sorted(given.values), "some of total's values")
    return (given if part == "good" else replace(given, values=total.values - given.values)), total


def _source(where: str, source: model.MetricSource) -> EventSource:
    if source.type != SOURCE_TYPE:
        raise SloFileError(f"{where}.metricSource.type", source.type, SOURCE_TYPE)
    keys = {"metric", "attribute", "values"}
    if source.spec.keys() != keys:
        raise SloFileError(f"{where}.metricSource.spec", sorted(source.spec), str(sorted(keys)))
    metric, attribute, values = (source.spec[key] for key in ("metric", "attribute", "values"))
    for key, text in (("metric", metric), ("attribute", attribute)):
        if not isinstance(text, str) or not 0 < len(text) <= 200:
            raise SloFileError(f"{where}.metricSource.spec.{key}", text, "1 to 200 characters")
    if not isinstance(values, list) or not values or not all(isinstance(v, str) for v in values):
        raise SloFileError(f"{where}.metricSource.spec.values", values, "a list of texts")
    return EventSource(metric, attribute, frozenset(values))
