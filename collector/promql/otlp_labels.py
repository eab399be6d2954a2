"""Label sets of OTLP series: attributes, the target, promoted resource attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from collector.promql.labels import EMPTY, NAME, Labels, make_labels
from collector.promql.otlp_names import label_name

__all__ = ["TARGET_INFO", "series_labels", "target_info_labels", "target_labels"]

TARGET_INFO: Final = "target_info"
_SERVICE: Final = "service.name"
_NAMESPACE: Final = "service.namespace"
_INSTANCE: Final = "service.instance.id"
_IDENTIFYING: Final = frozenset({_SERVICE, _NAMESPACE, _INSTANCE})


def series_labels(
    attributes: Mapping[str, str], resource: Mapping[str, str], promoted: Iterable[str]
) -> Labels:
    """A series' labels without its name.

    A data point's attribute wins over a promoted resource attribute of the same label, the target's
    own labels win over both.
    """
    extra = {name: resource[name] for name in promoted if name in resource}
    return make_labels({**_named(extra), **_named(attributes), **dict(target_labels(resource))})


def target_labels(resource: Mapping[str, str]) -> Labels:
    """``job`` and ``instance``, as far as the resource says who it is."""
    service, namespace = resource.get(_SERVICE, ""), resource.get(_NAMESPACE, "")
    job = f"{namespace}/{service}" if service and namespace else service
    return make_labels({"job": job, "instance": resource.get(_INSTANCE, "")})


def target_info_labels(resource: Mapping[str, str]) -> Labels:
    """Labels of the target's ``target_info``; none where it would say nothing, or of nobody."""
    target = target_labels(resource)
    rest = {name: value for name, value in resource.items() if name not in _IDENTIFYING}
    described = make_labels(_named(rest))
    if not target or not described:
        return EMPTY
    return make_labels({**dict(described), **dict(target), NAME: TARGET_INFO})


def _named(attributes: Mapping[str, str]) -> dict[str, str]:
    """Attributes by label name; those that fall together are joined by ``;`` in order of names."""
    labels: dict[str, str] = {}
    for attribute in sorted(attributes):
        name = label_name(attribute)
        value = attributes[attribute]
        labels[name] = f"{labels[name]};{value}" if name in labels else value
    return labels
