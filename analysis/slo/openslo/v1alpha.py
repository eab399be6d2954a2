"""The two kinds of OpenSLO v1alpha that were ever used: Service and SLO."""

from __future__ import annotations

import re
from typing import Final

from analysis.slo.openslo.conditions import (
    DNS_LABEL,
    FORBIDDEN,
    OPERATORS,
    above,
    at_least,
    at_most,
    below,
)
from analysis.slo.openslo.dialect import DESCRIPTION, KIND_SHAPE, ONE_ITEM, Kind
from analysis.slo.openslo.rules import Check, Each, Field, Rules, chars_max, equal_to, one_of
from analysis.slo.openslo.shapes import Flag, List, Number, Optional, Record, Struct, Text
from analysis.slo.openslo.slo_kind import CALENDAR_SHAPE, time_window_rules

VERSION: Final = "openslo/v1alpha"
TIME_UNITS: Final = ("Second", "Day", "Week", "Month", "Quarter")

_LETTERS = re.compile(r"[a-zA-Z]*")
_ALPHA: Final = Check(
    "string_alpha", "letters only", lambda text: _LETTERS.fullmatch(text) is not None
)

_METADATA_SHAPE: Final = Struct({"name": Text(), "displayName": Text()})
_METADATA: Final = Field(
    "metadata",
    inside=(
        Rules(
            (
                Field("name", (DNS_LABEL,), required=True),
                Field("displayName", (chars_max(63),), optional=True),
            )
        ),
    ),
    required=True,
)

_SOURCE_SHAPE: Final = Struct({"source": Text(), "queryType": Text(), "query": Text()})
_SOURCE_RULES: Final = Rules(
    (
        Field("source", (_ALPHA,), required=True),
        Field("queryType", (_ALPHA,), required=True),
        Field(
            "query",
            (Check("string_not_empty", "a query", lambda text: bool(text.strip())),),
            required=True,
        ),
    )
)


def _kind(name: str, spec: Struct, spec_field: Field) -> Kind:
    shape = Struct(
        {"apiVersion": Text(), "kind": KIND_SHAPE, "metadata": _METADATA_SHAPE, "spec": spec}
    )
    rules = Rules(
        (
            Field("apiVersion", (equal_to(VERSION),), required=True),
            Field("kind", (equal_to(name),), required=True),
            _METADATA,
            spec_field,
        )
    )
    return Kind(shape, rules)


def _service() -> Kind:
    spec = Struct({"description": Text()})
    return _kind("Service", spec, Field("spec", inside=(Rules((DESCRIPTION,)),)))


def _objective_rules() -> Rules:
    sources = Rules(
        (
            Field("good", inside=(_SOURCE_RULES,), required=True),
            Field("total", inside=(_SOURCE_RULES,), required=True),
        )
    )
    return Rules(
        (
            Field("displayName", (chars_max(1050),)),
            Field("ratioMetrics", inside=(sources,)),
            Field("value", required=True),
            Field("target", (at_least(0), below(1)), required=True),
            Field(
                "op",
                (one_of(*OPERATORS),),
                required=True,
                when=lambda one: one["ratioMetrics"] is None,
            ),
            Field("op", (FORBIDDEN,), when=lambda one: one["ratioMetrics"] is not None),
        )
    )


def _has_either_metric(spec: Record) -> bool:
    has_ratio = any(one["ratioMetrics"] is not None for one in spec["objectives"] or ())
    return has_ratio != spec.has("indicator")


def _slo_spec_rules() -> Rules:
    slices = Rules((Field("timeSliceTarget", (at_least(0), at_most(1)), required=True),))
    indicator = Rules((Field("thresholdMetric", inside=(_SOURCE_RULES,), required=True),))
    unit = Field("unit", (one_of(*TIME_UNITS),), required=True)
    window = time_window_rules(unit, Field("count", (above(0),)))
    return Rules(
        (
            Each(
                "objectives",
                inside=(slices,),
                when=lambda spec: spec["budgetingMethod"] == "Timeslices",
            ),
            DESCRIPTION,
            Field("service", required=True),
            Field("indicator", inside=(indicator,)),
            Field("budgetingMethod", (one_of("Occurrences", "Timeslices"),), required=True),
            # The SDK calls the property timeWindow in its findings, and timeWindows in documents.
            Each("timeWindows", (ONE_ITEM,), inside=(window,), reported="timeWindow"),
            Each("objectives", inside=(_objective_rules(),)),
        )
    )


def _slo() -> Kind:
    source = _SOURCE_SHAPE
    objective = Struct(
        {
            "displayName": Text(),
            "value": Optional(Number()),
            "ratioMetrics": Optional(
                Struct({"good": source, "total": source, "incremental": Flag()})
            ),
            "target": Optional(Number()),
            "timeSliceTarget": Optional(Number()),
            "op": Text(),
        }
    )
    window = Struct(
        {
            "unit": Text(),
            "count": Number(whole=True),
            "isRolling": Flag(),
            "calendar": CALENDAR_SHAPE,
        }
    )
    spec = Struct(
        {
            "timeWindows": List(window),
            "budgetingMethod": Text(),
            "description": Text(),
            "indicator": Optional(Struct({"thresholdMetric": source})),
            "service": Text(),
            "objectives": List(objective),
        }
    )
    either = Check(
        "mutually_exclusive", "either indicator or objectives[*].ratioMetrics", _has_either_metric
    )
    return _kind(
        "SLO",
        spec,
        Field("spec", (either,), inside=(_slo_spec_rules(),), required=True, stop=True),
    )


V1ALPHA: Final = {"Service": _service(), "SLO": _slo()}
