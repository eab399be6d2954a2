"""Objectives: the kind SLO."""

from __future__ import annotations

from typing import Final

from analysis.slo.openslo.alert_kinds import alert_policy_spec
from analysis.slo.openslo.conditions import (
    DATE_TIME,
    FORBIDDEN,
    TIME_ZONE,
    above,
    at_least,
    at_most,
    below,
)
from analysis.slo.openslo.dialect import (
    DESCRIPTION,
    ONE_ITEM,
    Dialect,
    Kind,
    duration_rules,
    inline,
    op_field,
    top_level,
)
from analysis.slo.openslo.rules import Check, Each, Field, Predicate, Rules, exactly_one, one_of
from analysis.slo.openslo.shapes import (
    Duration,
    Flag,
    List,
    Number,
    Optional,
    Record,
    Struct,
    Text,
)
from analysis.slo.openslo.sli_kind import indicator

BUDGETING_METHODS: Final = ("Occurrences", "Timeslices", "RatioTimeslices")


def time_window_rules(*length: Field) -> Rules:
    """Either rolling, or by the calendar with a start and a zone."""
    agree = Check(
        "",
        "isRolling: true without calendar, or isRolling: false with calendar",
        lambda one: one["isRolling"] != one.has("calendar"),
    )
    in_calendar = Rules((Field("startTime", (DATE_TIME,)), Field("timeZone", (TIME_ZONE,))))
    return Rules(
        (Field(checks=(agree,)), *length, Field("calendar", inside=(in_calendar,))),
    )


CALENDAR_SHAPE: Final = Optional(Struct({"startTime": Text(), "timeZone": Text()}))


def _slice_rules(dialect: Dialect, method: str) -> Rules:
    """What objectives must say about slices under one budgeting method."""
    fields: list[Field] = []
    if method == "Timeslices":
        fields.append(Field("timeSliceTarget", (above(0), at_most(1)), required=True))
    fields.append(
        Field("timeSliceWindow", inside=(duration_rules(dialect.duration_units),), required=True)
    )
    return Rules(
        (Each("objectives", inside=(Rules(tuple(fields)),)),),
        when=lambda spec: spec["budgetingMethod"] == method,
    )


def _has_metric(dialect: Dialect, name: str) -> Predicate:
    """Whether the SLO's own indicator is inline and has a metric of this name."""

    def has(spec: Record) -> bool:
        own = spec[dialect.indicator]
        return own is not None and own["spec"].has(name)

    return has


def _is_composite(dialect: Dialect, spec: Record) -> bool:
    return any(
        one.has(dialect.indicator) or one.has(dialect.indicator_ref)
        for one in spec["objectives"] or ()
    )


def slo(dialect: Dialect) -> Kind:
    """The kind SLO."""
    indicator_fields, indicator_rules = indicator(dialect)
    objective_shape = Struct(
        {
            "displayName": Text(),
            "op": Text(),
            **{
                name: Optional(Number())
                for name in (
                    "value",
                    "target",
                    "targetPercent",
                    "timeSliceTarget",
                    "compositeWeight",
                )
            },
            "timeSliceWindow": Optional(Duration()),
            **indicator_fields,
        }
    )
    policy_spec = alert_policy_spec(dialect)
    policy = inline(dialect, "AlertPolicy", "alertPolicyRef", policy_spec.shape, policy_spec.rules)
    window_shape = Struct({"duration": Duration(), "isRolling": Flag(), "calendar": CALENDAR_SHAPE})
    shape = Struct(
        {
            "description": Text(),
            dialect.service: Text(),
            **indicator_fields,
            "budgetingMethod": Text(),
            "timeWindow": List(window_shape),
            "objectives": List(objective_shape),
            "alertPolicies": List(policy.shape),
        }
    )
    window_rules = time_window_rules(
        Field("duration", inside=(duration_rules(dialect.duration_units),), required=True)
    )
    rules = Rules(
        (
            Field(
                checks=(_one_level_of_indicators(dialect),),
                inside=(
                    indicator_rules,
                    _slice_rules(dialect, "Timeslices"),
                    _slice_rules(dialect, "RatioTimeslices"),
                ),
            ),
            DESCRIPTION,
            Field(dialect.service, required=True),
            Field("budgetingMethod", (one_of(*BUDGETING_METHODS),), required=True),
            Each("timeWindow", (ONE_ITEM,), inside=(window_rules,)),
            Each("alertPolicies", inside=(policy.rules,)),
            *_objective_rules(dialect, indicator_rules),
        )
    )
    return top_level(dialect, "SLO", shape, rules)


def _one_level_of_indicators(dialect: Dialect) -> Check:
    names = f"{dialect.indicator} or {dialect.indicator_ref}"

    def holds(spec: Record) -> bool:
        own = spec.has(dialect.indicator) or spec.has(dialect.indicator_ref)
        return own != _is_composite(dialect, spec)

    return Check(
        "mutually_exclusive",
        f"{names} either in spec (plain SLO) or in every one of spec.objectives (composite SLO)",
        holds,
    )


def _objective_rules(dialect: Dialect, indicator_rules: Rules) -> tuple[Each, ...]:
    targets = Rules(
        (
            Field(checks=(exactly_one("target", "targetPercent"),)),
            Field("target", (at_least(0), below(1))),
            Field("targetPercent", (at_least(0), below(100))),
        )
    )
    of_ratio = Rules((Field("value", (FORBIDDEN,)), Field("op", (FORBIDDEN,))))
    of_threshold = Rules((Field("value", required=True), op_field()))
    of_composite = Rules((Field(inside=(indicator_rules,)), Field("compositeWeight", (above(0),))))
    return (
        Each("objectives", inside=(targets,)),
        Each("objectives", inside=(of_ratio,), when=_has_metric(dialect, "ratioMetric")),
        Each("objectives", inside=(of_threshold,), when=_has_metric(dialect, "thresholdMetric")),
        Each(
            "objectives",
            inside=(of_composite,),
            when=lambda spec: _is_composite(dialect, spec),
        ),
    )
