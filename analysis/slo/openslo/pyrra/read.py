"""Pyrra's objects: ``apiVersion: pyrra.dev/v1alpha1``, ``kind: ServiceLevelObjective``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from analysis.slo.openslo.document import Node, read_documents
from analysis.slo.openslo.errors import ConversionError, DefinitionError
from analysis.slo.openslo.findings import Finding, Level, Path, path_text
from analysis.slo.openslo.promql_text import selector_of
from analysis.slo.openslo.pyrra.checks import judge
from analysis.slo.openslo.pyrra.draft import Draft, IndicatorDraft
from analysis.slo.openslo.pyrra.objective import (
    Alerting,
    BoolGauge,
    Indicator,
    Latency,
    Matcher,
    NativeLatency,
    Objective,
    Ratio,
    Selector,
)
from analysis.slo.openslo.rule_text import number, prometheus_seconds
from analysis.slo.openslo.shapes import (
    Anything,
    Flag,
    List,
    Map,
    Optional,
    Record,
    Refuse,
    Shape,
    Struct,
    Text,
    decode,
)

VERSION: Final = "pyrra.dev/v1alpha1"
KIND: Final = "ServiceLevelObjective"
_KINDS: Final = ("ratio", "latency", "latencyNative", "bool_gauge")
_SEVERITIES: Final = ("fastBurn", "mediumBurn", "slowBurn", "longTermBurn")


class _Target(Text):
    """A text, or the number some write instead."""

    __slots__ = ()

    def decode(self, node: Node, path: Path, refuse: Refuse) -> str:
        if isinstance(node.value, int | float) and not isinstance(node.value, bool):
            return number(node.value)
        return Text.decode(self, node, path, refuse)


_QUERY: Final = Struct({"metric": Text()})
_GROUPING: Final = {"grouping": List(Text())}
_META: Final[Mapping[str, Shape]] = {
    "name": Text(),
    "namespace": Text(),
    "labels": Map(Text()),
    "annotations": Map(Text()),
    "generation": Anything(),
    "creationTimestamp": Anything(),
    "resourceVersion": Anything(),
    "uid": Anything(),
    "managedFields": Anything(),
    "ownerReferences": Anything(),
    "finalizers": Anything(),
}
_SHAPE: Final = Struct(
    {
        "apiVersion": Text((VERSION,)),
        "kind": Text((KIND,)),
        "metadata": Struct(_META),
        "status": Anything(),
        "spec": Struct(
            {
                "description": Text(),
                "target": _Target(),
                "window": Text(),
                "partial_response_strategy": Text(),
                "performanceOverAccuracy": Flag(),
                "performance_over_accuracy": Flag(),
                "ruleOutput": Struct({"enableDescriptionAsLabel": Flag()}),
                "indicator": Struct(
                    {
                        "ratio": Optional(Struct({"errors": _QUERY, "total": _QUERY, **_GROUPING})),
                        "latency": Optional(
                            Struct({"success": _QUERY, "total": _QUERY, **_GROUPING})
                        ),
                        "latencyNative": Optional(
                            Struct({"latency": Text(), "total": _QUERY, **_GROUPING})
                        ),
                        "bool_gauge": Optional(Struct({"metric": Text(), **_GROUPING})),
                    }
                ),
                "alerting": Struct(
                    {
                        "disabled": Flag(),
                        "burnrates": Optional(Flag()),
                        "absent": Optional(Flag()),
                        "name": Text(),
                        "absentName": Text(),
                        "severities": Struct({name: Text() for name in (*_SEVERITIES, "absent")}),
                    }
                ),
            }
        ),
    }
)


def is_pyrra(node: Node) -> bool:
    """Whether a document is one of Pyrra's."""
    api = node.get("apiVersion")
    return api is not None and api.value == VERSION


def read(file: str, text: str) -> tuple[Objective, ...]:
    """Every objective of a file. Raises DocumentError, and DefinitionError with every finding."""
    findings: list[Finding] = []
    objectives = []
    for index, node in enumerate(read_documents(text)):
        draft = _draft(file, index, node, findings)
        if draft is None:
            continue
        problem, _ = judge(draft)
        if problem is not None:
            place = (file, index, "$", node.line, node.column)
            findings.append(Finding(Level.ERROR, "pyrra", *place, node.given(), problem))
            continue
        objectives.append(objective_of(draft))
    if findings:
        raise DefinitionError(tuple(findings))
    return tuple(objectives)


def _draft(file: str, index: int, node: Node, findings: list[Finding]) -> Draft | None:
    def refuse(path: Path, wrong: Node, accepted: str) -> None:
        place = (file, index, path_text(path), wrong.line, wrong.column)
        findings.append(Finding(Level.DECODE, "decode", *place, wrong.given(), accepted))

    before = len(findings)
    record: Record = decode(_SHAPE, node, refuse)
    if len(findings) > before:
        return None
    meta, spec = record["metadata"], record["spec"]
    alerting = spec["alerting"]
    burnrates, absent = alerting["burnrates"], alerting["absent"]
    return Draft(
        name=meta["name"],
        namespace=meta["namespace"],
        labels=meta["labels"] or {},
        annotations=meta["annotations"] or {},
        target=spec["target"],
        window=spec["window"],
        description=spec["description"],
        indicators={
            kind: _indicator(spec["indicator"][kind])
            for kind in _KINDS
            if spec["indicator"][kind] is not None
        },
        alert_burnrates=(burnrates is None or burnrates) and not alerting["disabled"],
        alert_absent=absent is None or absent,
        alert_name=alerting["name"],
        absent_name=alerting["absentName"],
        severities=tuple(alerting["severities"][name] for name in _SEVERITIES),
        absent_severity=alerting["severities"]["absent"],
        performance_over_accuracy=spec["performanceOverAccuracy"]
        or spec["performance_over_accuracy"],
        description_as_label=spec["ruleOutput"]["enableDescriptionAsLabel"],
    )


def _indicator(record: Record) -> IndicatorDraft:
    texts = {
        name: value["metric"] if isinstance(value, Record) else value
        for name, value in record.values.items()
        if name != "grouping"
    }
    return IndicatorDraft(texts, tuple(record["grouping"] or ()))


def objective_of(draft: Draft) -> Objective:
    """A draft that ``judge`` found nothing wrong with. Raises ConversionError if two are in it."""
    if len(draft.indicators) != 1:
        raise ConversionError(draft.name, f"{len(draft.indicators)} indicators instead of one")
    ((kind, indicator),) = draft.indicators.items()
    window_s = prometheus_seconds(draft.window)
    if not window_s:
        raise ConversionError(draft.name, f"a window of {draft.window!r}")
    return Objective(
        name=draft.name,
        namespace=draft.namespace,
        labels=draft.labels,
        annotations=draft.annotations,
        description=draft.description,
        description_as_label=draft.description_as_label,
        target=float(draft.target) / 100,
        window_s=window_s,
        indicator=_of_kind(kind, indicator),
        grouping=indicator.grouping,
        alerting=Alerting(
            burnrates=draft.alert_burnrates,
            absent=draft.alert_absent,
            name=draft.alert_name or Alerting().name,
            absent_name=draft.absent_name or Alerting().absent_name,
            severities=draft.severities,
            absent_severity=draft.absent_severity,
        ),
        performance_over_accuracy=draft.performance_over_accuracy,
    )


def _of_kind(kind: str, indicator: IndicatorDraft) -> Indicator:
    texts = indicator.texts
    if kind == "bool_gauge":
        return BoolGauge(selector(texts["metric"]))
    total = selector(texts["total"])
    if kind == "ratio":
        return Ratio(selector(texts["errors"]), total)
    if kind == "latency":
        return Latency(selector(texts["success"]), total)
    return NativeLatency(prometheus_seconds(texts["latency"]) or 0, total)


def selector(query: str) -> Selector:
    """A plain selector of one metric. Raises ConversionError, ValueError if it is no PromQL."""
    found = selector_of(query)
    if found is None:
        raise ConversionError(query, "not a selector of one metric")
    metric, matchers = found
    return Selector(metric, tuple(Matcher(*one) for one in matchers if one[0] != "__name__"))
