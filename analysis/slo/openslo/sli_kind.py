"""Indicators: what is measured, as a kind of its own and inside an SLO."""

from __future__ import annotations

from analysis.slo.openslo.conditions import DNS_LABEL
from analysis.slo.openslo.dialect import DESCRIPTION, Dialect, Kind, metadata_field
from analysis.slo.openslo.rules import Check, Field, Rules, at_most_one, exactly_one, one_of
from analysis.slo.openslo.shapes import Flag, Optional, Shape, Struct, Text


def sli_spec(dialect: Dialect) -> Kind:
    """Specification of an indicator: a threshold on one metric, or a ratio of metrics."""
    metric = Optional(dialect.metric_shape)
    ratio = Struct(
        {
            "counter": Flag(),
            "good": metric,
            "bad": metric,
            "total": metric,
            "rawType": Text(),
            "raw": metric,
        }
    )
    shape = Struct(
        {"description": Text(), "thresholdMetric": metric, "ratioMetric": Optional(ratio)}
    )
    of_metric = (dialect.metric_rules,)
    fraction = Rules(
        (
            Field(
                checks=(
                    Check(
                        "one_of_properties",
                        "good or bad beside total",
                        lambda one: one.has("good") or one.has("bad"),
                    ),
                )
            ),
            *(Field(name, inside=of_metric, stop=False) for name in ("total", "good", "bad")),
        ),
        when=lambda one: one.has("total"),
        stop=True,
    )
    raw = Rules(
        (
            Field("raw", inside=of_metric),
            Field("rawType", (one_of("success", "failure"),), required=True),
        ),
        when=lambda one: one.has("raw"),
    )
    parts = (exactly_one("total", "raw"), at_most_one("raw", "good", "bad"))
    rules = Rules(
        (
            DESCRIPTION,
            Field(checks=(exactly_one("thresholdMetric", "ratioMetric"),)),
            Field("thresholdMetric", inside=of_metric),
            Field(
                "ratioMetric",
                inside=(Rules((Field(checks=parts, inside=(fraction, raw), stop=True),)),),
            ),
        )
    )
    return Kind(shape, rules)


def indicator(dialect: Dialect) -> tuple[dict[str, Shape], Rules]:
    """Properties for an inline indicator or a reference, and their rules when either is there."""
    inline, ref = dialect.indicator, dialect.indicator_ref
    spec = sli_spec(dialect)
    shape = Struct({"metadata": dialect.metadata_shape, "spec": spec.shape})
    inside = Rules((metadata_field(dialect), Field("spec", inside=(spec.rules,))))
    rules = Rules(
        (
            Field(checks=(exactly_one(inline, ref),)),
            Field(inline, inside=(inside,), stop=False),
            Field(ref, (DNS_LABEL,)),
        ),
        when=lambda one: one.has(inline) or one.has(ref),
        stop=True,
    )
    return {inline: Optional(shape), ref: Optional(Text())}, rules
