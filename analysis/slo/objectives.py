"""Objectives and alert policies as data: OpenSLO-shaped YAML in, checked frozen objects out.

Read are ``kind: SLO`` documents with an inline ratio indicator, one rolling window, the budgeting
method ``Occurrences`` and one objective. Everything else of OpenSLO is refused by name, so that
nothing in a file is silently without effect.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import yaml

from analysis.slo.errors import SloFileError

_DURATION = re.compile(r"([1-9][0-9]*)(s|m|h|d|w)")
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1123 label, as OpenSLO asks
_LEAST_BUDGET: Final = 1e-9  # one bad event in a billion; below, binary fractions say nothing
SEVERITIES: Final = ("page", "ticket")


@dataclass(frozen=True, slots=True)
class BurnWindow:
    """Fires while the burn rate of both windows is above ``factor``."""

    severity: str
    factor: float
    long_window_s: int
    short_window_s: int


@dataclass(frozen=True, slots=True)
class Guard:
    """What the bad events of the long window must show before anyone is woken."""

    min_failures: int
    p_value: float


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """Windows for budgets of one period."""

    name: str
    period_s: int
    guard: Guard
    windows: tuple[BurnWindow, ...]


@dataclass(frozen=True, slots=True)
class EventSource:
    """Events of a counter whose ``attribute`` has one of ``values``."""

    metric: str
    attribute: str
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class Objective:
    """One SLO: at least ``target_ratio`` of the ``total`` events are ``good``, over the window."""

    name: str
    service: str
    display_name: str
    target_ratio: float
    window_s: int
    good: EventSource
    total: EventSource
    policy: AlertPolicy

    @property
    def budget_ratio(self) -> float:
        """Share of events that may be bad, without the dust of binary fractions in 1 - 0.999."""
        return round(1.0 - self.target_ratio, 12)

    def outcome(self, value: str) -> str | None:
        """``"good"``, ``"bad"`` or ``None`` (says nothing) for a value of the attribute."""
        if value in self.good.values:
            return "good"
        return "bad" if value in self.total.values else None


def shipped_text(name: str) -> str:
    """A file of this package: ``objectives.yaml`` or ``alerting.yaml``."""
    return resources.files("analysis.slo").joinpath(name).read_text("utf-8")


def load_policies(text: str) -> dict[str, AlertPolicy]:
    """Alert policies by name. Raises SloFileError."""
    document = _one("alert policies", _documents(text, "alert policies"))
    if not isinstance(document, list) or not document:
        raise SloFileError("alert policies", document, "a list of policies")
    policies = [_policy(raw, f"policies[{i}]") for i, raw in enumerate(document)]
    names = [policy.name for policy in policies]
    if len(set(names)) != len(names):
        raise SloFileError("policies.name", names, "every name once")
    return {policy.name: policy for policy in policies}


def load_objectives(text: str, policies: Mapping[str, AlertPolicy]) -> tuple[Objective, ...]:
    """All SLOs of a file with one or more documents. Raises SloFileError."""
    documents = _documents(text, "objectives")
    found = [_objective(raw, f"document {i}", policies) for i, raw in enumerate(documents)]
    names = [objective.name for objective in found]
    if not found or len(set(names)) != len(names):
        raise SloFileError("metadata.name", names, "at least one SLO, every name once")
    return tuple(found)


def duration_s(where: str, value: Any) -> int:
    """``5m``, ``1h``, ``30d`` in seconds; ``s`` is ours, OpenSLO's M, Q and Y vary in length."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise SloFileError(where, value, "a whole number and s, m, h, d or w, such as 30d")
    return int(found[1]) * _UNIT_S[found[2]]


# --- alert policies -----------------------------------------------------------------------------


def _policy(raw: Any, where: str) -> AlertPolicy:
    table = _table(raw, where, ("name", "period", "guard", "windows"))
    period = duration_s(f"{where}.period", table["period"])
    guard = _table(table["guard"], f"{where}.guard", ("min_failures", "p_value"))
    windows = table["windows"]
    if not isinstance(windows, list) or not windows:
        raise SloFileError(f"{where}.windows", windows, "a list of windows")
    return AlertPolicy(
        name=_name(f"{where}.name", table["name"]),
        period_s=period,
        guard=Guard(
            _count(f"{where}.guard.min_failures", guard["min_failures"]),
            _number(f"{where}.guard.p_value", guard["p_value"], 0, 1),
        ),
        windows=tuple(
            _window(one, f"{where}.windows[{i}]", period) for i, one in enumerate(windows)
        ),
    )


def _window(raw: Any, where: str, period_s: int) -> BurnWindow:
    keys = ("severity", "budget_share_ratio", "long_window", "short_window", "factor")
    table = _table(raw, where, keys)
    if table["severity"] not in SEVERITIES:
        raise SloFileError(f"{where}.severity", table["severity"], " or ".join(SEVERITIES))
    long_s = duration_s(f"{where}.long_window", table["long_window"])
    short_s = duration_s(f"{where}.short_window", table["short_window"])
    if short_s >= long_s:
        raise SloFileError(f"{where}.short_window", table["short_window"], "less than long_window")
    share = _number(f"{where}.budget_share_ratio", table["budget_share_ratio"], 0, 1)
    factor = _number(f"{where}.factor", table["factor"], 0, math.inf)
    wanted = share * period_s / long_s
    if not math.isclose(factor, wanted, rel_tol=1e-9):
        raise SloFileError(f"{where}.factor", factor, f"share * period / long window = {wanted:g}")
    return BurnWindow(str(table["severity"]), factor, long_s, short_s)


# --- objectives ---------------------------------------------------------------------------------


def _objective(raw: Any, where: str, policies: Mapping[str, AlertPolicy]) -> Objective:
    table = _table(raw, where, ("apiVersion", "kind", "metadata", "spec"))
    _only(f"{where}.apiVersion", table["apiVersion"], "openslo/v1")
    _only(f"{where}.kind", table["kind"], "SLO")
    meta = _table(table["metadata"], f"{where}.metadata", ("name", "displayName"))
    where = f"{where}.spec"
    keys = ("service", "indicator", "timeWindow", "budgetingMethod", "objectives", "alertPolicies")
    spec = _table(table["spec"], where, keys, optional=("description",))
    _only(f"{where}.budgetingMethod", spec["budgetingMethod"], "Occurrences")
    target = _table(
        _one(f"{where}.objectives", spec["objectives"]), f"{where}.objectives[0]", ("target",)
    )
    target_ratio = _number(f"{where}.objectives[0].target", target["target"], 0, 1 - _LEAST_BUDGET)
    policy_name = _one(f"{where}.alertPolicies", spec["alertPolicies"])
    if not isinstance(policy_name, str) or policy_name not in policies:
        raise SloFileError(f"{where}.alertPolicies[0]", policy_name, ", ".join(sorted(policies)))
    policy = policies[policy_name]
    good, total = _indicator(spec["indicator"], f"{where}.indicator")
    objective = Objective(
        name=_name("metadata.name", meta["name"]),
        service=_text(f"{where}.service", spec["service"]),
        display_name=_text("metadata.displayName", meta["displayName"]),
        target_ratio=target_ratio,
        window_s=_rolling_s(spec["timeWindow"], f"{where}.timeWindow"),
        good=good,
        total=total,
        policy=policy,
    )
    _check_reachable(objective, f"{where}.alertPolicies[0]")
    return objective


def _check_reachable(objective: Objective, where: str) -> None:
    """A factor of 1 / budget or more can never be passed, not even by a total outage."""
    if objective.policy.period_s != objective.window_s:
        raise SloFileError(where, objective.policy.name, f"a policy of {objective.window_s} s")
    for window in objective.policy.windows:
        if window.factor >= 1.0 / objective.budget_ratio:
            raise SloFileError(
                where,
                f"factor {window.factor:g}",
                f"less than {1.0 / objective.budget_ratio:g}, the burn rate of a total outage",
            )


def _rolling_s(raw: Any, where: str) -> int:
    window = _table(_one(where, raw), f"{where}[0]", ("duration", "isRolling"))
    if window["isRolling"] is not True:
        raise SloFileError(f"{where}[0].isRolling", window["isRolling"], "true")
    return duration_s(f"{where}[0].duration", window["duration"])


def _indicator(raw: Any, where: str) -> tuple[EventSource, EventSource]:
    table = _table(raw, where, ("metadata", "spec"))
    _name(
        f"{where}.metadata.name", _table(table["metadata"], f"{where}.metadata", ("name",))["name"]
    )
    ratio = _table(table["spec"], f"{where}.spec", ("ratioMetric",))["ratioMetric"]
    where = f"{where}.spec.ratioMetric"
    metric = _table(ratio, where, ("counter", "good", "total"))
    if metric["counter"] is not True:
        raise SloFileError(f"{where}.counter", metric["counter"], "true")
    good = _source(metric["good"], f"{where}.good")
    total = _source(metric["total"], f"{where}.total")
    same = (good.metric, good.attribute) == (total.metric, total.attribute)
    if not same or not good.values < total.values:
        raise SloFileError(f"{where}.good", sorted(good.values), "some of total's values")
    return good, total


def _source(raw: Any, where: str) -> EventSource:
    source = _table(raw, where, ("metricSource",))["metricSource"]
    where = f"{where}.metricSource"
    table = _table(source, where, ("type", "spec"))
    _only(f"{where}.type", table["type"], "davylamp")
    spec = _table(table["spec"], f"{where}.spec", ("metric", "attribute", "values"))
    values = spec["values"]
    if not isinstance(values, list) or not values or not all(isinstance(v, str) for v in values):
        raise SloFileError(f"{where}.spec.values", values, "a list of texts")
    return EventSource(
        _text(f"{where}.spec.metric", spec["metric"]),
        _text(f"{where}.spec.attribute", spec["attribute"]),
        frozenset(values),
    )


# --- strict reading -----------------------------------------------------------------------------


class _StrictLoader(yaml.SafeLoader):
    """A key given twice is an error: YAML forbids it, PyYAML lets the last one win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [(key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for (_, name), count in Counter(keys).items():
            if count > 1:
                raise yaml.constructor.ConstructorError(
                    problem=f"key {name!r} is given {count} times", problem_mark=node.start_mark
                )
        return super().construct_mapping(node, deep)


def _documents(text: str, what: str) -> list[Any]:
    try:
        return list(yaml.load_all(text, _StrictLoader))
    # ValueError: a date such as 2026-13-45. RecursionError: brackets by the thousand.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SloFileError(what, str(error).replace("\n", " "), "YAML") from error


def _table(
    raw: Any, where: str, keys: Sequence[str], *, optional: Sequence[str] = ()
) -> Mapping[str, Any]:
    """A table with exactly these keys."""
    if not isinstance(raw, dict):
        raise SloFileError(where, raw, "a table")
    for key in raw:
        if key not in (*keys, *optional):
            raise SloFileError(
                f"{where}.{key}", raw[key], f"one of {', '.join((*keys, *optional))}"
            )
    for key in keys:
        if key not in raw:
            raise SloFileError(f"{where}.{key}", None, "a value: it is missing")
    return raw


def _one(where: str, raw: Any) -> Any:
    if not isinstance(raw, list) or len(raw) != 1:
        raise SloFileError(where, raw, "a list of one")
    return raw[0]


def _only(where: str, value: Any, accepted: str) -> None:
    if value != accepted:
        raise SloFileError(where, value, accepted)


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise SloFileError(where, value, "1 to 200 characters")
    return value


def _name(where: str, value: Any) -> str:
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise SloFileError(where, value, "lower-case letters, digits and dashes (RFC 1123)")
    return value


def _number(where: str, value: Any, low: float, high: float) -> float:
    """A number strictly between ``low`` and ``high`` (``low`` itself when it is 1)."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not (low < value < high or value == low == 1):
        raise SloFileError(where, value, f"a number between {low:g} and {high:g}")
    return float(value)


def _count(where: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SloFileError(where, value, "a whole number, at least 1")
    return value
