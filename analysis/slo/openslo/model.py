"""Definitions as typed, frozen objects with exact numbers: what is evaluated, converted, exported.

Built from a report without errors of version v1; other versions are converted first
(``conversion``). References are resolved, defaults of the specification filled in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from typing import Any

from analysis.slo.openslo.definition import Definition
from analysis.slo.openslo.document import Node
from analysis.slo.openslo.durations import duration_s
from analysis.slo.openslo.errors import DefinitionError
from analysis.slo.openslo.exact import exact, exact_target
from analysis.slo.openslo.findings import Level
from analysis.slo.openslo.references import References
from analysis.slo.openslo.shapes import Record
from analysis.slo.openslo.time_windows import CalendarWindow, RollingWindow, TimeWindow
from analysis.slo.openslo.validate import Report


class BudgetingMethod(StrEnum):
    """What is counted: events, slices of time that are good, or the mean ratio of slices."""

    OCCURRENCES = "Occurrences"
    TIMESLICES = "Timeslices"
    RATIO_TIMESLICES = "RatioTimeslices"


class IndicatorKind(StrEnum):
    """How an indicator is measured."""

    GOOD_TOTAL = "good/total"
    BAD_TOTAL = "bad/total"
    RAW_SUCCESS = "raw success ratio"
    RAW_FAILURE = "raw failure ratio"
    THRESHOLD = "threshold"


@dataclass(frozen=True, slots=True)
class MetricSource:
    """Where a metric comes from. ``spec`` is what its type understands, as plain data."""

    type: str
    source_name: str  # of the DataSource, "" for none
    connection: Any  # the DataSource's connectionDetails as plain data, None for none
    spec: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Indicator:
    """What is measured. ``metric``: good, bad, raw or the one with a threshold."""

    name: str
    kind: IndicatorKind
    is_counter: bool
    metric: MetricSource
    total: MetricSource | None


@dataclass(frozen=True, slots=True)
class Objective:
    """One target on one indicator."""

    display_name: str
    target_ratio: Fraction
    indicator: Indicator
    op: str  # with a threshold, else ""
    value: float | None
    slice_s: int | None
    slice_target_ratio: Fraction | None
    weight: Fraction  # in a composite SLO

    @property
    def budget_ratio(self) -> Fraction:
        """What may be bad."""
        return 1 - self.target_ratio


@dataclass(frozen=True, slots=True)
class BurnCondition:
    """Alert when the burn rate over ``lookback_s`` compares so with ``threshold`` for a while."""

    name: str
    severity: str
    op: str
    threshold: Fraction
    lookback_s: int
    alert_after_s: int


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """A condition, the changes it tells of, and the names of whom it tells."""

    name: str
    when_breaching: bool
    when_resolved: bool
    when_no_data: bool
    condition: BurnCondition
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Slo:
    """One service level objective with everything it refers to.

    ``generation`` is the SHA-256 of all that bears on its numbers: history is kept by generation,
    and a new label or description does not begin a new one.
    """

    name: str
    display_name: str
    description: str
    service: str
    labels: Mapping[str, tuple[str, ...]]
    annotations: Mapping[str, str]
    method: BudgetingMethod
    window: TimeWindow
    objectives: tuple[Objective, ...]
    is_composite: bool
    alert_policies: tuple[AlertPolicy, ...]
    generation: str


def build(report: Report) -> tuple[Slo, ...]:
    """Every SLO of a report. Raises DefinitionError if anything in it is wrong."""
    errors = tuple(one for one in report.findings if one.level is not Level.WARNING)
    if errors:
        raise DefinitionError(errors)
    builder = _Builder(References(report.definitions))
    slos = [one for one in report.definitions if one.kind == "SLO"]
    others = [one for one in slos if one.version != "openslo/v1"]
    if others:
        raise DefinitionError(
            tuple(one.error("version", ("apiVersion",), "openslo/v1") for one in others)
        )
    return tuple(builder.slo(one) for one in slos)


class _Builder:
    """Turns records into objects; the rules have made sure that everything is there."""

    def __init__(self, references: References) -> None:
        self._references = references

    def slo(self, definition: Definition) -> Slo:
        meta, spec = definition.record["metadata"], definition.spec
        objectives: Sequence[Record] = spec["objectives"]
        is_composite = any(one.has("indicator") or one.has("indicatorRef") for one in objectives)
        built = tuple(self._objective(one, one if is_composite else spec) for one in objectives)
        method = BudgetingMethod(spec["budgetingMethod"])
        window = _window(spec["timeWindow"][0])
        return Slo(
            name=definition.name,
            display_name=meta["displayName"] or definition.name,
            description=spec["description"],
            service=spec["service"],
            labels={key: value or () for key, value in (meta["labels"] or {}).items()},
            annotations=dict(meta["annotations"] or {}),
            method=method,
            window=window,
            objectives=built,
            is_composite=is_composite,
            alert_policies=tuple(self._policy(one) for one in spec["alertPolicies"] or ()),
            generation=_generation(method, window, built),
        )

    def _objective(self, record: Record, owner: Record) -> Objective:
        target = exact_target(record["target"], record["targetPercent"])
        assert target is not None, "exactly one of target and targetPercent"
        weight, slice_target = record["compositeWeight"], record["timeSliceTarget"]
        return Objective(
            display_name=record["displayName"],
            target_ratio=target,
            indicator=self._indicator(owner),
            op=record["op"],
            value=record["value"],
            slice_s=duration_s(record["timeSliceWindow"]),
            slice_target_ratio=None if slice_target is None else exact(slice_target),
            weight=Fraction(1) if weight is None else exact(weight),
        )

    def _indicator(self, owner: Record) -> Indicator:
        name, spec = owner["indicatorRef"], None
        if owner["indicator"] is not None:
            name, spec = owner["indicator"]["metadata"]["name"], owner["indicator"]["spec"]
        else:
            found = self._references.find("openslo/v1", "SLI", name)
            assert found is not None, "references were checked"
            spec = found.spec
        if spec["thresholdMetric"] is not None:
            metric = self._metric(spec["thresholdMetric"])
            return Indicator(name, IndicatorKind.THRESHOLD, False, metric, None)
        ratio = spec["ratioMetric"]
        counter = ratio["counter"]
        if ratio["raw"] is not None:
            kind = (
                IndicatorKind.RAW_SUCCESS
                if ratio["rawType"] == "success"
                else IndicatorKind.RAW_FAILURE
            )
            return Indicator(name, kind, counter, self._metric(ratio["raw"]), None)
        total = self._metric(ratio["total"])
        if ratio["good"] is not None:
            good = self._metric(ratio["good"])
            return Indicator(name, IndicatorKind.GOOD_TOTAL, counter, good, total)
        bad = self._metric(ratio["bad"])
        return Indicator(name, IndicatorKind.BAD_TOTAL, counter, bad, total)

    def _metric(self, record: Record) -> MetricSource:
        source = record["metricSource"]
        name, kind, connection = source["metricSourceRef"], source["type"], None
        found = self._references.find("openslo/v1", "DataSource", name)
        if found is not None:
            kind = kind or found.spec["type"]
            details: Node = found.spec["connectionDetails"]
            connection = details.plain()
        spec = {key: node.plain() for key, node in source["spec"].items()}
        return MetricSource(kind, name, connection, spec)

    def _policy(self, record: Record) -> AlertPolicy:
        name, spec = record["alertPolicyRef"], record["spec"]
        if record.has("a reference"):
            found = self._references.find("openslo/v1", "AlertPolicy", name)
            assert found is not None, "references were checked"
            spec = found.spec
        else:
            name = record["metadata"]["name"]
        return AlertPolicy(
            name=name,
            when_breaching=spec["alertWhenBreaching"],
            when_resolved=spec["alertWhenResolved"],
            when_no_data=spec["alertWhenNoData"],
            condition=self._condition(spec["conditions"][0]),
            targets=tuple(self._target(one) for one in spec["notificationTargets"]),
        )

    def _condition(self, record: Record) -> BurnCondition:
        name, spec = record["conditionRef"], record["spec"]
        if record.has("a reference"):
            found = self._references.find("openslo/v1", "AlertCondition", name)
            assert found is not None, "references were checked"
            spec = found.spec
        else:
            name = record["metadata"]["name"]
        condition = spec["condition"]
        lookback_s = duration_s(condition["lookbackWindow"])
        assert lookback_s is not None, "durations were checked"
        return BurnCondition(
            name=name,
            severity=spec["severity"],
            op=condition["op"],
            threshold=exact(condition["threshold"]),
            lookback_s=lookback_s,
            alert_after_s=duration_s(condition["alertAfter"]) or 0,
        )

    def _target(self, record: Record) -> str:
        if not record.has("a reference"):
            return str(record["spec"]["target"])
        found = self._references.find("openslo/v1", "AlertNotificationTarget", record["targetRef"])
        assert found is not None, "references were checked"
        return str(found.spec["target"])


def _window(record: Record) -> TimeWindow:
    duration = record["duration"]
    if record["isRolling"]:
        seconds = duration_s(duration)
        assert seconds is not None, "durations were checked"
        return RollingWindow(seconds)
    calendar = record["calendar"]
    start = datetime.fromisoformat(calendar["startTime"])
    return CalendarWindow(start, calendar["timeZone"], duration["value"], duration["unit"])


def _generation(
    method: BudgetingMethod, window: TimeWindow, objectives: Sequence[Objective]
) -> str:
    parts = [method.value, repr(window), [_bearing(one) for one in objectives]]
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _bearing(objective: Objective) -> list[Any]:
    indicator = objective.indicator
    metrics = [
        None if one is None else [one.type, one.connection, one.spec]
        for one in (indicator.metric, indicator.total)
    ]
    return [
        objective.target_ratio,
        objective.op,
        objective.value,
        objective.slice_s,
        objective.slice_target_ratio,
        objective.weight,
        indicator.kind.value,
        indicator.is_counter,
        metrics,
    ]
