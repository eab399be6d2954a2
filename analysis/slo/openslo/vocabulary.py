"""The seven kinds of OpenSLO v1 and of v2alpha."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from analysis.slo.openslo.alert_kinds import alert_condition_spec, alert_policy_spec, target_spec
from analysis.slo.openslo.conditions import (
    ANNOTATION_KEY,
    DNS_LABEL,
    KUBERNETES_NAME,
    LABEL_KEY,
    LABEL_VALUE,
)
from analysis.slo.openslo.dialect import DESCRIPTION, Dialect, Kind, top_level
from analysis.slo.openslo.rules import Check, Field, Names, Rules, chars_max, exactly_one
from analysis.slo.openslo.shapes import Anything, Map, OneOrMore, Optional, Struct, Text
from analysis.slo.openslo.sli_kind import sli_spec
from analysis.slo.openslo.slo_kind import slo

_SOURCE_SHAPE: Final = Struct(
    {"description": Text(), "type": Text(), "connectionDetails": Anything()}
)
_SOURCE_RULES: Final = Rules(
    (DESCRIPTION, Field("type", required=True), Field("connectionDetails", required=True))
)

_V1: Final = Dialect(
    version="openslo/v1",
    service="service",
    indicator="indicator",
    duration_units=("m", "h", "d", "w", "M", "Q", "Y"),
    spec_required=frozenset(("SLO", "AlertCondition")),
    alert_after_required=False,
    metadata_shape=Struct(
        {
            "name": Text(),
            "displayName": Text(),
            "labels": Map(OneOrMore()),
            "annotations": Map(Text()),
        }
    ),
    metadata_rules=(
        Field("name", (DNS_LABEL,), required=True),
        Field("displayName", (chars_max(63),), optional=True),
        Names("labels", keys=(LABEL_KEY,)),
        Names("annotations", keys=(ANNOTATION_KEY,)),
    ),
    metric_shape=Struct(
        {
            "metricSource": Struct(
                {"metricSourceRef": Text(), "type": Text(), "spec": Map(Anything())}
            )
        }
    ),
    metric_rules=Rules(
        (
            Field(
                "metricSource",
                inside=(
                    Rules(
                        (
                            Field("metricSourceRef", (DNS_LABEL,), optional=True),
                            Field(
                                "spec",
                                (
                                    Check(
                                        "map_min_length",
                                        "at least one property",
                                        lambda spec: len(spec) >= 1,
                                    ),
                                ),
                                required=True,
                            ),
                        )
                    ),
                ),
                required=True,
            ),
        )
    ),
)

_V2ALPHA: Final = Dialect(
    version="openslo.com/v2alpha",
    service="serviceRef",
    indicator="sli",
    duration_units=("m", "h", "d", "w"),
    spec_required=frozenset(("SLO", "AlertCondition", "DataSource", "AlertNotificationTarget")),
    alert_after_required=True,
    metadata_shape=Struct({"name": Text(), "labels": Map(Text()), "annotations": Map(Text())}),
    metadata_rules=(
        Field("name", (DNS_LABEL,), required=True),
        Names("labels", keys=(KUBERNETES_NAME,), values=(LABEL_VALUE,)),
        Names("annotations", keys=(KUBERNETES_NAME,)),
    ),
    metric_shape=Struct(
        {
            "dataSourceRef": Text(),
            "dataSourceSpec": Optional(_SOURCE_SHAPE),
            "spec": Map(Anything()),
        }
    ),
    metric_rules=Rules(
        (
            Field(checks=(exactly_one("dataSourceRef", "dataSourceSpec"),)),
            Field("dataSourceRef", (DNS_LABEL,), optional=True),
            Field("dataSourceSpec", inside=(_SOURCE_RULES,)),
        )
    ),
)


def _kinds(dialect: Dialect) -> Mapping[str, Kind]:
    service = Struct({"description": Text()})
    sli, policy = sli_spec(dialect), alert_policy_spec(dialect)
    condition, target = alert_condition_spec(dialect), target_spec()
    return {
        "SLO": slo(dialect),
        "SLI": top_level(dialect, "SLI", sli.shape, sli.rules),
        "DataSource": top_level(dialect, "DataSource", _SOURCE_SHAPE, _SOURCE_RULES),
        "Service": top_level(dialect, "Service", service, Rules((DESCRIPTION,))),
        "AlertPolicy": top_level(dialect, "AlertPolicy", policy.shape, policy.rules),
        "AlertCondition": top_level(dialect, "AlertCondition", condition.shape, condition.rules),
        "AlertNotificationTarget": top_level(
            dialect, "AlertNotificationTarget", target.shape, target.rules
        ),
    }


V1: Final = _kinds(_V1)
V2ALPHA: Final = _kinds(_V2ALPHA)
