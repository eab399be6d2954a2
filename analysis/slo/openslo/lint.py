"""What is allowed and probably not meant: warnings.

Alerts that fire on a slow burn, can never fire or tell nobody of anything; thresholds, weights and
slices without effect; windows whose length is a convention or whose start the clocks skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from analysis.slo.openslo.conditions import DATE_TIME, is_time_zone
from analysis.slo.openslo.definition import Definition, Property, walk
from analysis.slo.openslo.durations import duration_s
from analysis.slo.openslo.exact import exact, exact_target
from analysis.slo.openslo.findings import Finding, Path
from analysis.slo.openslo.references import References
from analysis.slo.openslo.shapes import Record

_RESERVED: Final = "openslo.com/"
_FLAGS: Final = ("alertWhenNoData", "alertWhenBreaching", "alertWhenResolved")


def check(definitions: Sequence[Definition]) -> Iterator[Finding]:
    """Every warning about objects that were read together."""
    references = References(definitions)
    for definition in definitions:
        for one in walk(definition.record):
            yield from _anywhere(definition, one)
        if definition.kind == "SLO" and definition.version != "openslo/v1alpha":
            yield from _slo(definition, references)


def _anywhere(definition: Definition, one: Property) -> Iterator[Finding]:
    """Whatever stands in a policy, a condition or an indicator, inside an SLO or on its own."""
    if one.name == "annotations":
        for key in one.value or ():
            if key.startswith(_RESERVED):
                accepted = f"a prefix of your own: {_RESERVED} is reserved for OpenSLO"
                yield definition.warning("reserved_prefix", (*one.path, key), accepted)
    if not isinstance(one.value, Record):
        return
    fields = one.value.shape.fields
    if "lookbackWindow" in fields:
        yield from _condition(definition, one.value, one.path)
    if "notificationTargets" in fields and not any(one.value[flag] for flag in _FLAGS):
        accepted = f"true for at least one of {', '.join(_FLAGS)}, or it never tells anybody"
        yield definition.warning("never_alerts", one.path, accepted)
    if "rawType" in fields and one.value["good"] is not None:
        good, total = one.value["good"], one.value["total"]
        if total is not None and _query(good) == _query(total):
            accepted = "another query than total's, or everything is good"
            yield definition.warning("same_query", (*one.path, "good"), accepted)


def _query(metric: Record) -> object:
    """What is asked, as plain data; free-form content stays as nodes."""
    return {
        name: {key: node.plain() for key, node in value.items()}
        if isinstance(value, dict)
        else _query(value)
        if isinstance(value, Record)
        else value
        for name, value in metric.values.items()
    }


def _condition(definition: Definition, condition: Record, path: Path) -> Iterator[Finding]:
    if condition["op"] in ("lt", "lte"):
        accepted = "gt or gte: this alerts while the budget burns slowly"
        yield definition.warning("op_direction", (*path, "op"), accepted)
    threshold = condition["threshold"]
    if threshold is not None and threshold <= 0:
        accepted = "more than 0, the burn rate of a perfect service"
        yield definition.warning("threshold", (*path, "threshold"), accepted)


# --- an SLO with what it refers to ---------------------------------------------------------------


def _slo(definition: Definition, references: References) -> Iterator[Finding]:
    spec = definition.spec
    name = "serviceRef" if definition.version.endswith("v2alpha") else "service"
    kind = "Service"
    if references.has_any(definition.version, kind) and not references.find(
        definition.version, kind, spec[name]
    ):
        accepted = "the name of a Service: others are defined here"
        yield definition.warning("unknown_service", ("spec", name), accepted)
    yield from _windows(definition)
    for number, objective in enumerate(spec["objectives"] or ()):
        yield from _objective(definition, objective, ("spec", "objectives", number))
    for path, condition in _conditions(definition, references):
        yield from _reach(definition, condition, path)


def _windows(definition: Definition) -> Iterator[Finding]:
    for number, window in enumerate(definition.spec["timeWindow"] or ()):
        path = ("spec", "timeWindow", number)
        unit, value = window["duration"]["unit"], window["duration"]["value"]
        if window["isRolling"] and unit in ("M", "Q", "Y"):
            days = (duration_s(window["duration"]) or 0) // 86_400
            accepted = f"{days}d: {value}{unit} of a rolling window counts as that"
            yield definition.warning("vague_duration", (*path, "duration"), accepted)
        calendar = window["calendar"]
        if calendar is not None and _is_skipped(calendar["startTime"], calendar["timeZone"]):
            accepted = "a time the clocks of the zone show: they were put forward over this one"
            yield definition.warning("skipped_start", (*path, "calendar", "startTime"), accepted)


def _is_skipped(start_time: str, time_zone: str) -> bool:
    if not DATE_TIME.holds(start_time) or not is_time_zone(time_zone):
        return False
    zone = ZoneInfo(time_zone)
    try:
        local = datetime.fromisoformat(start_time).replace(tzinfo=zone)
        return local.astimezone(ZoneInfo("UTC")).astimezone(zone).replace(fold=0) != local
    except (ValueError, OverflowError):  # spelled in a way only the SDK reads, or the year 0
        return False


def _objective(definition: Definition, objective: Record, path: Path) -> Iterator[Finding]:
    spec = definition.spec
    method = spec["budgetingMethod"]
    unused = {
        "timeSliceTarget": method != "Timeslices",
        "timeSliceWindow": method == "Occurrences",
        "compositeWeight": method == "Timeslices" or len(spec["objectives"]) < 2,
    }
    for name, is_unused in unused.items():
        if is_unused and objective.has(name):
            accepted = f"nothing: it has no effect with {method}"
            if name == "compositeWeight" and method != "Timeslices":
                accepted = "nothing: it has no effect on a single objective"
            yield definition.warning("no_effect", (*path, name), accepted)
    if 0 in (objective["target"], objective["targetPercent"]):
        name = "target" if objective["target"] == 0 else "targetPercent"
        accepted = "more than 0: this is met by a total outage"
        yield definition.warning("target", (*path, name), accepted)
    slice_s = duration_s(objective["timeSliceWindow"])
    for window in spec["timeWindow"] or ():
        window_s = duration_s(window["duration"])
        if window["isRolling"] and window_s and slice_s and window_s % slice_s:
            accepted = f"a whole part of the time window, {window_s} s"
            yield definition.warning("slice_window", (*path, "timeSliceWindow"), accepted)


def _conditions(definition: Definition, references: References) -> Iterator[tuple[Path, Record]]:
    """The burn rate conditions that watch an SLO, each with the place to complain at."""
    version = definition.version
    for number, policy in enumerate(definition.spec["alertPolicies"] or ()):
        path: Path = ("spec", "alertPolicies", number)
        inner: Path = (*path, "spec")
        spec = policy["spec"]
        if policy.has("a reference"):
            found = references.find(version, "AlertPolicy", policy["alertPolicyRef"])
            if found is None:
                continue
            spec, inner = found.spec, (*path, "alertPolicyRef")
        for place, condition in enumerate(spec["conditions"] or ()):
            if condition.has("a reference"):
                found = references.find(version, "AlertCondition", condition["conditionRef"])
                if found is not None:
                    yield inner, found.spec["condition"]
            elif inner[-1] == "spec":
                yield (
                    (*inner, "conditions", place, "spec", "condition"),
                    condition["spec"]["condition"],
                )
            else:
                yield inner, condition["spec"]["condition"]


def _reach(definition: Definition, condition: Record, path: Path) -> Iterator[Finding]:
    """A burn rate of 1 / budget is that of a total outage; nothing is above it."""
    threshold, op = condition["threshold"], condition["op"]
    for objective in definition.spec["objectives"] or ():
        target = exact_target(objective["target"], objective["targetPercent"])
        if threshold is None or target is None or not 0 <= target < 1:
            continue
        most = 1 / (1 - target)
        if (op == "gt" and exact(threshold) >= most) or (op == "gte" and exact(threshold) > most):
            accepted = f"less than {float(most):g}, the burn rate of a total outage"
            yield definition.warning("unreachable", path, accepted)
    lookback_s = duration_s(condition["lookbackWindow"])
    for window in definition.spec["timeWindow"] or ():
        window_s = duration_s(window["duration"])
        if lookback_s and window_s and lookback_s > window_s:
            accepted = f"at most the time window, {window_s} s"
            yield definition.warning("lookback_window", path, accepted)
