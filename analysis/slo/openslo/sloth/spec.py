"""Sloth's objectives, read from its three kinds of documents.

``version: prometheus/v1``, the Kubernetes object ``PrometheusServiceLevel``, and OpenSLO v1alpha as
far as Sloth understands it: one objective each, no alerts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from analysis.slo.openslo.document import Node, read_documents
from analysis.slo.openslo.errors import DefinitionError
from analysis.slo.openslo.findings import Finding, Level, Path, path_text
from analysis.slo.openslo.rule_text import number
from analysis.slo.openslo.shapes import (
    Anything,
    Flag,
    List,
    Map,
    Number,
    Optional,
    Record,
    Refuse,
    Shape,
    Struct,
    Text,
    decode,
)

DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class AlertMeta:
    """What an alert is called and carries; ``for_text``: how long it must hold."""

    disabled: bool = False
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    for_text: str = ""


@dataclass(frozen=True, slots=True)
class PluginCall:
    """A step of rule generation by name; lower priorities come first."""

    plugin_id: str
    priority: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SliPluginCall:
    """A query that somebody's plugin writes."""

    plugin_id: str
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SlothSlo:
    """One objective. An indicator is either ``events`` (bad and all) or ``raw`` (share of bad)."""

    slo_id: str
    name: str
    service: str
    objective_percent: float
    period_s: int | None  # None: the generator's default
    events: tuple[str, str] | None = None
    raw: str | None = None
    sli_plugin: SliPluginCall | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    page: AlertMeta = AlertMeta(disabled=True)
    ticket: AlertMeta = AlertMeta(disabled=True)
    plugins: tuple[PluginCall, ...] = ()
    override_plugins: bool = False
    description: str = ""
    mode: str = "cli-gen-prom"
    spec: str = "prometheus/v1"


@dataclass(frozen=True, slots=True)
class _LooseText(Text):
    """Text, or what YAML took for a number or a flag."""

    def decode(self, node: Node, path: Path, refuse: Refuse) -> str:
        if isinstance(node.value, bool):
            return "true" if node.value else "false"
        if isinstance(node.value, int | float):
            return number(node.value)
        return Text.decode(self, node, path, refuse)


_LABELS: Final = Map(_LooseText())
_CHAIN: Final = List(Struct({"id": Text(), "priority": Number(whole=True), "config": Anything()}))


def _shapes(camel: bool) -> Struct:
    """The objective in the spelling of either document."""

    def named(*words: str) -> str:
        return words[0] + "".join(map(str.title, words[1:])) if camel else "_".join(words)

    override = named("override", "previous")
    alert = Struct({"disable": Flag(), "labels": _LABELS, "annotations": _LABELS, "for": Text()})
    sli = Struct(
        {
            "events": Optional(
                Struct({named("error", "query"): Text(), named("total", "query"): Text()})
            ),
            "raw": Optional(Struct({named("error", "ratio", "query"): Text()})),
            "plugin": Optional(Struct({"id": Text(), "options": _LABELS})),
        }
    )
    alerting = Struct(
        {
            "name": Text(),
            "labels": _LABELS,
            "annotations": _LABELS,
            named("page", "alert"): alert,
            named("ticket", "alert"): alert,
        }
    )
    plugins = Struct({"chain": _CHAIN, override: Flag()})
    slo = Struct(
        {
            "name": Text(),
            "objective": Number(),
            "description": Text(),
            "labels": _LABELS,
            "sli": sli,
            "alerting": alerting,
            "plugins": plugins,
        }
    )
    return Struct(
        {
            "service": Text(),
            "labels": _LABELS,
            named("slo", "plugins"): plugins,
            "slos": List(slo),
        }
    )


_SNAKE, _CAMEL = _shapes(camel=False), _shapes(camel=True)
_PROMETHEUS: Final = Struct({"version": Text(), **_SNAKE.fields})
_KUBERNETES: Final = Struct(
    {
        "apiVersion": Text(),
        "kind": Text(("PrometheusServiceLevel",)),
        "metadata": Anything(),
        "spec": _CAMEL,
        "status": Anything(),
    }
)
_SOURCE: Final = Struct({"source": Text(), "queryType": Text(), "query": Text()})
_OPENSLO: Final = Struct(
    {
        "apiVersion": Text(),
        "kind": Text(("SLO",)),
        "metadata": Struct({"name": Text(), "displayName": Text()}),
        "spec": Struct(
            {
                "service": Text(),
                "description": Text(),
                "budgetingMethod": Text(("Occurrences",)),
                "indicator": Anything(),
                "objectives": List(
                    Struct(
                        {
                            "displayName": Text(),
                            "op": Text(),
                            "value": Number(),
                            "target": Number(),
                            "timeSliceTarget": Number(),
                            "ratioMetrics": Optional(
                                Struct(
                                    {
                                        "incremental": Flag(),
                                        "counter": Flag(),
                                        "good": _SOURCE,
                                        "total": _SOURCE,
                                    }
                                )
                            ),
                        }
                    )
                ),
                "timeWindows": List(
                    Struct(
                        {
                            "count": Number(whole=True),
                            "unit": Text(("Day",)),
                            "isRolling": Flag(),
                            "calendar": Anything(),
                        }
                    )
                ),
            }
        ),
    }
)


def read(file: str, text: str) -> tuple[SlothSlo, ...]:
    """Every objective of a file. Raises DocumentError, and DefinitionError with every finding."""
    found: list[SlothSlo] = []
    findings: list[Finding] = []
    for index, node in enumerate(read_documents(text)):
        found += _document(file, index, node, findings)
    if findings:
        raise DefinitionError(tuple(findings))
    return tuple(found)


def is_sloth(node: Node) -> bool:
    """Whether a document is one of Sloth's own."""
    version, api = node.get("version"), node.get("apiVersion")
    return (version is not None and version.value == "prometheus/v1") or (
        api is not None and api.value == "sloth.slok.dev/v1"
    )


def _document(file: str, index: int, node: Node, findings: list[Finding]) -> list[SlothSlo]:
    def refuse(path: Path, wrong: Node, accepted: str) -> None:
        place = (file, index, path_text(path), wrong.line, wrong.column)
        findings.append(Finding(Level.DECODE, "decode", *place, wrong.given(), accepted))

    def decoded(shape: Shape) -> Record | None:
        before = len(findings)
        record: Record = decode(shape, node, refuse)
        return record if len(findings) == before else None

    api = node.get("apiVersion")
    if api is not None and api.value == "sloth.slok.dev/v1":
        record = decoded(_KUBERNETES)
        return [] if record is None else _slos(record["spec"], True)
    if api is not None and api.value == "openslo/v1alpha":
        record = decoded(_OPENSLO)
        return [] if record is None else _openslo(record, node, refuse)
    version = node.get("version")
    if version is not None and version.value == "prometheus/v1":
        record = decoded(_PROMETHEUS)
        return [] if record is None else _slos(record, False)
    accepted = "version: prometheus/v1, or apiVersion: sloth.slok.dev/v1 or openslo/v1alpha"
    refuse((), version or api or node, accepted)
    return []


def _slos(spec: Record, camel: bool) -> list[SlothSlo]:
    """Objectives of one service; what stands above them is handed down."""
    keys = {
        name: "".join([name.split("_")[0], *map(str.title, name.split("_")[1:])]) if camel else name
        for name in (
            "error_query",
            "total_query",
            "error_ratio_query",
            "page_alert",
            "ticket_alert",
            "slo_plugins",
            "override_previous",
        )
    }
    above = spec[keys["slo_plugins"]]
    found = []
    for one in spec["slos"] or ():
        sli, alerting, own = one["sli"], one["alerting"], one["plugins"]
        events, raw, plugin = sli["events"], sli["raw"], sli["plugin"]
        overrides = own[keys["override_previous"]]
        chains = [own] if overrides else [above, own]
        found.append(
            SlothSlo(
                slo_id=f"{spec['service']}-{one['name']}",
                name=one["name"],
                service=spec["service"],
                objective_percent=one["objective"],
                period_s=None,
                events=events and (events[keys["error_query"]], events[keys["total_query"]]),
                raw=raw and raw[keys["error_ratio_query"]],
                sli_plugin=plugin and SliPluginCall(plugin["id"], plugin["options"] or {}),
                labels={**(spec["labels"] or {}), **(one["labels"] or {})},
                page=_alert(alerting, keys["page_alert"]),
                ticket=_alert(alerting, keys["ticket_alert"]),
                plugins=tuple(_call(call) for chain in chains for call in chain["chain"] or ()),
                override_plugins=overrides or above[keys["override_previous"]],
                description=one["description"],
                mode="cli-gen-k8s" if camel else "cli-gen-prom",
                spec="sloth.slok.dev/v1" if camel else "prometheus/v1",
            )
        )
    return found


def _alert(alerting: Record, key: str) -> AlertMeta:
    own = alerting[key]
    return AlertMeta(
        disabled=own["disable"],
        name=alerting["name"],
        labels={**(alerting["labels"] or {}), **(own["labels"] or {})},
        annotations={**(alerting["annotations"] or {}), **(own["annotations"] or {})},
        for_text=own["for"],
    )


def _call(record: Record) -> PluginCall:
    config = record["config"]
    plain = config.plain() if isinstance(config, Node) else None
    return PluginCall(record["id"], record["priority"], plain if isinstance(plain, dict) else {})


def _openslo(record: Record, node: Node, refuse: Refuse) -> list[SlothSlo]:
    """OpenSLO v1alpha: one objective of Sloth per objective, numbered."""
    spec, name = record["spec"], record["metadata"]["name"]
    windows = spec["timeWindows"] or ()
    if len(windows) > 1:
        refuse(("spec", "timeWindows"), node, "one time window")
        return []
    days = windows[0]["count"] if windows else 0
    found = []
    for index, one in enumerate(spec["objectives"] or ()):
        ratio = one["ratioMetrics"]
        good, total = (ratio["good"], ratio["total"]) if ratio else (_SOURCE.zero(),) * 2
        for which, source in (("good", good), ("total", total)):
            if source["source"] not in ("prometheus", "sloth") or source["queryType"] != "promql":
                path = ("spec", "objectives", index, "ratioMetrics", which)
                refuse(path, node, "source prometheus with queryType promql")
                return []
        found.append(
            SlothSlo(
                slo_id=f"{spec['service']}-{name}-{index}",
                name=f"{name}-{index}",
                service=spec["service"],
                objective_percent=one["target"] * 100,
                period_s=days * DAY_S or None,
                raw=f"1 - (({good['query']}) / ({total['query']}))",
                description=spec["description"],
                mode="cli-gen-openslo",
                spec="openslo/v1alpha",
            )
        )
    return found
