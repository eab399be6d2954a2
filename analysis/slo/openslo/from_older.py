"""Definitions of the other OpenSLO versions as v1: what v1 says otherwise is said otherwise.

Documents are plain data (dicts, lists, texts, numbers), one or more for each definition. What v1
cannot say is refused by name, nothing is dropped silently.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from analysis.slo.openslo.canonical import canonical
from analysis.slo.openslo.definition import Definition
from analysis.slo.openslo.errors import ConversionError

V1: Final = "openslo/v1"
Document = dict[str, Any]

_UNITS: Final = {"Day": "d", "Week": "w", "Month": "M", "Quarter": "Q"}


def to_v1(definition: Definition, time_slice_window: str | None = None) -> list[Document]:
    """The same in v1. ``time_slice_window``: for v1alpha, which has none.

    Raises ConversionError.
    """
    content = canonical(definition.record)
    if definition.version == V1:
        return [content]
    if definition.version == "openslo/v1alpha":
        return _from_v1alpha(content, time_slice_window)
    return _from_v2alpha(content)


def _from_v1alpha(content: Document, time_slice_window: str | None) -> list[Document]:
    if content["kind"] == "Service":
        return [{**content, "apiVersion": V1, "spec": content.get("spec") or {}}]
    spec, name = content["spec"], content["metadata"]["name"]
    common = {
        "description": spec.get("description"),
        "service": spec["service"],
        "budgetingMethod": spec["budgetingMethod"],
        "timeWindow": [_window(name, one) for one in spec.get("timeWindows") or ()],
    }
    if spec.get("indicator"):
        metric = spec["indicator"]["thresholdMetric"]
        common["indicator"] = _indicator(name, {"thresholdMetric": _v1alpha_metric(metric)})
        objectives = [_objective(name, spec, one, time_slice_window) for one in spec["objectives"]]
        return [_slo(content["metadata"], {**common, "objectives": objectives})]
    # A ratio stands in each objective there; here an SLO has one indicator for all of them.
    groups: list[tuple[Any, list[Document]]] = []
    for one in spec["objectives"]:
        ratio = one.get("ratioMetrics")
        if ratio is None:
            raise ConversionError(name, "an objective without ratioMetrics, and no indicator")
        made = _objective(name, spec, one, time_slice_window)
        made.pop("op", None)
        made.pop("value", None)
        if groups and groups[-1][0] == ratio:
            groups[-1][1].append(made)
        else:
            groups.append((ratio, [made]))
    documents = []
    for index, (ratio, objectives) in enumerate(groups):
        own = name if len(groups) == 1 else f"{name}-{index}"
        counter = bool(ratio.get("incremental") or ratio.get("counter"))
        metrics = {which: _v1alpha_metric(ratio[which]) for which in ("good", "total")}
        indicator = _indicator(own, {"ratioMetric": {"counter": counter, **metrics}})
        metadata = {**content["metadata"], "name": own}
        spec_v1 = {**common, "indicator": indicator, "objectives": objectives}
        documents.append(_slo(metadata, spec_v1))
    return documents


def _slo(metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> Document:
    kept = {key: value for key, value in spec.items() if value not in (None, "")}
    return {"apiVersion": V1, "kind": "SLO", "metadata": dict(metadata), "spec": kept}


def _indicator(name: str, spec: Mapping[str, Any]) -> Document:
    return {"metadata": {"name": name}, "spec": dict(spec)}


def _v1alpha_metric(metric: Mapping[str, Any]) -> Document:
    spec = {"query": metric["query"], "queryType": metric["queryType"]}
    return {"metricSource": {"type": metric["source"], "spec": spec}}


def _objective(
    name: str, spec: Mapping[str, Any], one: Mapping[str, Any], time_slice_window: str | None
) -> Document:
    names = ("displayName", "op", "value", "target", "timeSliceTarget")
    made = {key: one[key] for key in names if one.get(key) is not None}
    if spec["budgetingMethod"] == "Timeslices":
        if time_slice_window is None:
            raise ConversionError(name, "v1alpha does not say how long a time slice is; v1 must")
        made["timeSliceWindow"] = time_slice_window
    return made


def _window(name: str, window: Mapping[str, Any]) -> Document:
    count, unit = window["count"], window["unit"]
    if unit == "Second":
        if count % 60:
            raise ConversionError(name, f"a window of {count} s; v1 counts whole minutes")
        count, letter = count // 60, "m"
    else:
        letter = _UNITS[unit]
    made: Document = {"duration": f"{count}{letter}"}
    calendar = window.get("calendar")
    if calendar:
        return {**made, "isRolling": False, "calendar": calendar}
    return {**made, "isRolling": bool(window.get("isRolling", True))}


def _from_v2alpha(content: Document) -> list[Document]:
    sources: list[Document] = []
    name = content["metadata"]["name"]
    spec = _renamed(content.get("spec") or {}, name, sources)
    if content["kind"] == "DataSource":
        spec = content["spec"]  # free-form connection details keep their names
    made = {
        "apiVersion": V1,
        "kind": content["kind"],
        "metadata": content["metadata"],
        "spec": spec,
    }
    return [*sources, made]


_RENAMED: Final[Mapping[str, str]] = {
    "serviceRef": "service",
    "sli": "indicator",
    "sliRef": "indicatorRef",
}
_METRICS: Final = ("thresholdMetric", "good", "bad", "total", "raw")


def _renamed(value: Any, name: str, sources: list[Document]) -> Any:
    """Properties under their names in v1; metrics with their source in one place."""
    if isinstance(value, list):
        return [_renamed(one, name, sources) for one in value]
    if not isinstance(value, dict):
        return value
    made: Document = {}
    for key, one in value.items():
        if key == "metadata":
            made[key] = one
        elif key in _METRICS and isinstance(one, dict):
            made[key] = _v2alpha_metric(one, name, sources)
        else:
            made[_RENAMED.get(str(key), str(key))] = _renamed(one, name, sources)
    return made


def _v2alpha_metric(metric: Mapping[str, Any], name: str, sources: list[Document]) -> Document:
    source: Document = {"spec": metric.get("spec") or {}}
    inline = metric.get("dataSourceSpec")
    if metric.get("dataSourceRef"):
        source["metricSourceRef"] = metric["dataSourceRef"]
    elif inline:
        # v1 has no inline sources: an object of its own, once for equal ones.
        specs = [one["spec"] for one in sources]
        number = specs.index(inline) if inline in specs else len(specs)
        own = f"{name}-source-{number}"
        source["metricSourceRef"] = own
        if number == len(specs):
            sources.append(
                {"apiVersion": V1, "kind": "DataSource", "metadata": {"name": own}, "spec": inline}
            )
    return {"metricSource": source}
