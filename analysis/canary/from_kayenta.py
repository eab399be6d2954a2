"""Kayenta's canary config as a rule of ours, and in words what a rule cannot say.

Kayenta compares series of numbers, whatever they are; a rule compares events: durations in
buckets, or good and bad outcomes. So only what is a distribution by its name is taken over, and
everything else is named. Source of the fields: kayenta/docs/canary-config.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from analysis.canary.errors import CanaryConfigError
from analysis.canary.rule_document import API_VERSION, KIND

#: Endings of Prometheus names behind which stands a histogram.
_DURATION: Final = re.compile(
    r"(.*(?:duration|latency|time|seconds|milliseconds))(?:_bucket|_sum|_count)?"
)
_DEFAULT_MARGIN: Final = 0.0905


@dataclass(frozen=True, slots=True)
class Imported:
    """``rule`` as its YAML says it; None when no metric could be taken over."""

    rule: Mapping[str, Any] | None
    notes: tuple[str, ...]


def from_kayenta(config: Any) -> Imported:
    """Raises CanaryConfigError for what is no canary config."""
    metrics = config.get("metrics") if isinstance(config, dict) else None
    if not isinstance(metrics, list) or not all(isinstance(one, dict) for one in metrics):
        raise CanaryConfigError("metrics", metrics, "Kayenta's canary config: a list of metrics")
    notes: list[str] = []
    weights = _weights(config, metrics)
    taken = [
        found
        for place, metric in enumerate(metrics)
        if (found := _metric(metric, weights[place], notes)) is not None
    ]
    if "judge" in config:
        notes.append(
            "judge: metrics are judged sequentially, or by Kayenta's test once where one says "
            "mode: kayenta; scores and their thresholds are gone"
        )
    if not taken:
        return Imported(None, tuple(notes))
    rule = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": str(config.get("name", "imported"))},
        "spec": {"metrics": taken},
    }
    return Imported(rule, tuple(notes))


def _metric(metric: Mapping[str, Any], weight: float, notes: list[str]) -> Mapping[str, Any] | None:
    name = str(metric.get("name", "?"))
    settings = (metric.get("analysisConfigurations") or {}).get("canary") or {}
    query = metric.get("query") or {}
    source = str(query.get("metricName") or "")
    found = _DURATION.fullmatch(source)
    if settings.get("muted"):
        notes.append(f"{name}: muted, so left out")
        return None
    if settings.get("direction") == "decrease":
        notes.append(f"{name}: left out, a rule has no metrics of which less is worse")
        return None
    if found is None:
        what = repr(source) if source else "its query"
        notes.append(
            f"{name}: left out, {what} is no distribution by its name; for failures write a metric "
            "of kind count with outcome_attribute, good_values and bad_values"
        )
        return None
    if settings.get("direction", "either") == "either":
        notes.append(f"{name}: only slower is worse, faster is not")
    notes += [
        f"{name}: {key} has no counterpart, nothing is replaced or dropped"
        for key in ("nanStrategy", "outliers")
        if key in settings
    ]
    notes += [
        f"{name}: {key} is not taken over; conditions on attributes go into match"
        for key in ("customInlineTemplate", "customFilterTemplate", "labelBindings")
        if query.get(key)
    ]
    notes.append(f"{name}: source_metric must be the name OpenTelemetry gives {found[1]!r}")
    margin = _margin(name, settings.get("effectSize") or {}, notes)
    return {
        "name": re.sub(r"[{}]", "_", name),
        "kind": "histogram",
        "source_metric": found[1],
        "critical": bool(settings.get("critical", False)),
        "required": bool(settings.get("mustHaveData", False)),
        "weight": weight,
        "fail_margin": margin,
        "pass_margin": round(max(0.25, 2 * margin), 4),
    }


def _margin(name: str, effect: Mapping[str, Any], notes: list[str]) -> float:
    """``allowedIncrease`` of the mean, taken as that of every quantile."""
    allowed = effect.get("allowedIncrease")
    if not isinstance(allowed, int | float) or not 1 < allowed <= 2:
        if allowed is not None:
            notes.append(f"{name}: allowedIncrease {allowed!r} is replaced by {_DEFAULT_MARGIN:g}")
        return _DEFAULT_MARGIN
    if effect.get("measure", "meanRatio") != "meanRatio":
        notes.append(f"{name}: {effect['measure']} is replaced by a ratio of quantiles")
        return _DEFAULT_MARGIN
    return round(allowed - 1.0, 4)


def _weights(config: Mapping[str, Any], metrics: list[Any]) -> list[float]:
    """A group's weight is shared by its metrics, as Kayenta shares it."""
    classifier = config.get("classifier")
    weights = (classifier.get("groupWeights") if isinstance(classifier, dict) else None) or {}
    groups = [str((metric.get("groups") or [""])[0]) for metric in metrics]
    left = max(100.0 - sum(map(float, weights.values())), 0.0)
    unweighted = {group for group in groups if group not in weights}
    return [
        max(float(weights.get(group, left / max(len(unweighted), 1))), 0.1)
        / groups.count(group)
        / 100.0
        for group in groups
    ]
