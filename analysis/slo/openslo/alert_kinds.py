"""Alert policies, their conditions and whom they tell."""

from __future__ import annotations

from analysis.slo.openslo.dialect import (
    DESCRIPTION,
    ONE_ITEM,
    Dialect,
    Kind,
    duration_rules,
    inline,
    op_field,
)
from analysis.slo.openslo.rules import Check, Each, Field, Rules, one_of
from analysis.slo.openslo.shapes import Duration, Flag, List, Number, Optional, Struct, Text


def alert_condition_spec(dialect: Dialect) -> Kind:
    """When to alert."""
    condition = Struct(
        {
            "kind": Text(),
            "op": Text(),
            "threshold": Optional(Number()),
            "lookbackWindow": Duration(),
            "alertAfter": Duration() if dialect.alert_after_required else Optional(Duration()),
        }
    )
    shape = Struct({"severity": Text(), "condition": condition, "description": Text()})
    durations = (duration_rules(dialect.duration_units),)
    burn_rate = Rules(
        (
            op_field(),
            Field("threshold", required=True),
            Field("lookbackWindow", inside=durations, required=True),
            Field("alertAfter", inside=durations, required=dialect.alert_after_required),
        ),
        when=lambda one: one["kind"] == "burnrate",
    )
    kind = Rules((Field("kind", (one_of("burnrate"),), required=True),))
    rules = Rules(
        (
            DESCRIPTION,
            Field("severity", required=True),
            Field("condition", inside=(kind, burn_rate), required=True),
        )
    )
    return Kind(shape, rules)


def target_spec() -> Kind:
    """Whom to tell."""
    shape = Struct({"description": Text(), "target": Text()})
    return Kind(shape, Rules((Field("target", required=True), DESCRIPTION)))


def alert_policy_spec(dialect: Dialect) -> Kind:
    """A condition, whom to tell, and on which changes."""
    condition_spec = alert_condition_spec(dialect)
    condition = inline(
        dialect, "AlertCondition", "conditionRef", condition_spec.shape, condition_spec.rules
    )
    target_kind = target_spec()
    target = inline(
        dialect, "AlertNotificationTarget", "targetRef", target_kind.shape, target_kind.rules
    )
    shape = Struct(
        {
            "description": Text(),
            "alertWhenNoData": Flag(),
            "alertWhenBreaching": Flag(),
            "alertWhenResolved": Flag(),
            "conditions": List(condition.shape),
            "notificationTargets": List(target.shape),
        }
    )
    some = Check("slice_min_length", "at least one item", lambda items: len(items) >= 1)
    rules = Rules(
        (
            DESCRIPTION,
            Each("conditions", (ONE_ITEM,), inside=(condition.rules,)),
            Each("notificationTargets", (some,), inside=(target.rules,)),
        )
    )
    return Kind(shape, rules)
