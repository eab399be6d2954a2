"""The whole judge: a canary config and pairs in, the judge result as Kayenta writes it out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.canary.kayenta import statistics
from analysis.canary.kayenta.classify import (
    Classification,
    Direction,
    Floats,
    Label,
    MetricRule,
    classify,
)
from analysis.canary.kayenta.errors import KayentaError, KayentaInputError
from analysis.canary.kayenta.metric_sets import MetricSetPair
from analysis.canary.kayenta.score import MetricResult, Score, label_of_score, score

JUDGE_NAME = "NetflixACAJudge-v1.0"


@dataclass(frozen=True, slots=True)
class MetricConfig:
    """One metric of a canary config, as far as the judge reads it."""

    name: str
    groups: tuple[str, ...]
    rule: MetricRule
    is_muted: bool
    are_outliers_removed: bool
    outlier_factor: float


@dataclass(frozen=True, slots=True)
class JudgedMetric:
    """One pair's classification with the summaries of both sides."""

    pair: MetricSetPair
    config: MetricConfig
    classification: Classification
    control: statistics.Summary
    experiment: statistics.Summary


@dataclass(frozen=True, slots=True)
class JudgeResult:
    """All metrics, the score and its label."""

    metrics: tuple[JudgedMetric, ...]
    score: Score
    label: str

    def to_json(self) -> dict[str, Any]:
        """The body Kayenta answers with."""
        return {
            "judgeName": JUDGE_NAME,
            "results": [_metric_json(metric) for metric in self.metrics],
            "groupScores": [
                {
                    "name": group.name,
                    "score": group.score,
                    "classification": "",
                    "classificationReason": "",
                }
                for group in self.score.groups
            ],
            "score": {
                "score": self.score.value,
                "classification": self.label,
                "classificationReason": self.score.override or "",
            },
        }


def get_path(tree: Any, path: Sequence[str]) -> Any:
    """Value at ``path``; a list answers with what each of its members has; None when absent."""
    if not path:
        return tree
    if isinstance(tree, Mapping):
        return get_path(tree[path[0]], path[1:]) if path[0] in tree else None
    if isinstance(tree, list):
        found = [get_path(member, path) for member in tree]
        return [value for value in found if value is not None] or None
    return None


def metric_config(raw: Mapping[str, Any]) -> MetricConfig:
    """One entry of ``metrics`` of a canary config. Raises KayentaInputError."""
    canary = get_path(raw, ["analysisConfigurations", "canary"]) or {}
    measure = str(get_path(canary, ["effectSize", "measure"]) or "meanRatio")
    usual = 0.5 if measure == "cles" else 1.0

    def effect(key: str) -> float:
        value = get_path(canary, ["effectSize", key])
        return usual if value is None else _number(key, value)

    direction = str(canary.get("direction", "either")).lower()
    outliers = canary.get("outliers") or {}
    rule = MetricRule(
        # Unknown words mean the default, as in Kayenta.
        direction=Direction(direction) if direction in set(Direction) else Direction.EITHER,
        is_nan_removed=canary.get("nanStrategy") != "replace",
        is_critical=bool(canary.get("critical", False)),
        is_data_required=bool(canary.get("mustHaveData", False)),
        measure=measure,
        allowed=(effect("allowedDecrease"), effect("allowedIncrease")),
        critical=(effect("criticalDecrease"), effect("criticalIncrease")),
    )
    return MetricConfig(
        name=str(raw["name"]),
        groups=tuple(raw.get("groups") or ()),
        rule=rule,
        is_muted=bool(canary.get("muted", False)),
        are_outliers_removed=outliers.get("strategy") == "remove",
        outlier_factor=_number("outlierFactor", outliers.get("outlierFactor", 3.0)),
    )


def judge(
    metrics: Sequence[MetricConfig],
    group_weights: Mapping[str, float],
    pairs: Sequence[MetricSetPair],
    *,
    pass_at: float,
    marginal_at: float,
    rng: np.random.Generator,
) -> JudgeResult:
    """Classify every pair and score them. ``rng``: noise for constant sides, nothing else.

    Raises KayentaInputError for a pair the config does not know.
    """
    by_name = {metric.name: metric for metric in metrics}
    judged = []
    for pair in pairs:
        if pair.name not in by_name:
            raise KayentaInputError(f"Could not find metric config for {pair.name}")
        judged.append(_judged(pair, by_name[pair.name], rng))
    return scored(judged, group_weights, pass_at=pass_at, marginal_at=marginal_at)


def scored(
    judged: Sequence[JudgedMetric],
    group_weights: Mapping[str, float],
    *,
    pass_at: float,
    marginal_at: float,
) -> JudgeResult:
    """The score of metrics that are classified."""
    results = [
        MetricResult(
            one.pair.name,
            one.classification.label,
            one.config.groups,
            one.classification.is_critical,
            one.config.is_muted,
            one.classification.reason,
        )
        for one in judged
    ]
    total = score(results, group_weights)
    return JudgeResult(tuple(judged), total, label_of_score(total.value, pass_at, marginal_at))


def _judged(pair: MetricSetPair, config: MetricConfig, rng: np.random.Generator) -> JudgedMetric:
    control, experiment = (_prepared(side, config) for side in (pair.control, pair.experiment))
    try:
        found = classify(pair.name, control, experiment, config.rule, rng)
    except KayentaError:
        reason = "Metric Classification Failed"
        found = Classification(Label.ERROR, reason, math.nan, is_critical=False)
    return JudgedMetric(
        pair, config, found, statistics.summary(control), statistics.summary(experiment)
    )


def _prepared(values: Floats, config: MetricConfig) -> Floats:
    is_removed = config.rule.is_nan_removed
    values = statistics.without_nan(values) if is_removed else statistics.nan_replaced(values)
    if config.are_outliers_removed:
        factor = config.outlier_factor
        values = values[~statistics.is_outlier_by_quartiles(values, factor, is_guarded=True)]
    return values


def _metric_json(metric: JudgedMetric) -> dict[str, Any]:
    found = metric.classification
    answer: dict[str, Any] = {
        "name": metric.pair.name,
        "tags": dict(metric.pair.tags),
        "classification": str(found.label),
        "classificationReason": found.reason,
        "groups": list(metric.config.groups),
        "experimentMetadata": {"stats": metric.experiment.to_json()},
        "controlMetadata": {"stats": metric.control.to_json()},
        "critical": found.is_critical,
        "muted": metric.config.is_muted,
    }
    if found.label is not Label.ERROR:
        ratio = found.deviation
        answer["resultMetadata"] = {"ratio": "NaN" if math.isnan(ratio) else ratio}
    return answer


def _number(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise KayentaInputError(f"{key} must be a number, got {value!r}")
    return float(value)
