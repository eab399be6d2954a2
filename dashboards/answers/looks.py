"""One look of the judge, as its evidence says it; see analysis/canary/evidence.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashboards.answers.reading import Fields


@dataclass(frozen=True, slots=True)
class Effect:
    """A difference with an interval that holds at every look at once; None = not computable yet.

    ``unit``: ``ratio`` (canary / baseline, 1 = no difference) or ``1`` (difference of shares).
    """

    estimate: float | None
    low: float | None
    high: float | None
    unit: str
    label: str

    @property
    def is_ratio(self) -> bool:
        return self.unit == "ratio"


@dataclass(frozen=True, slots=True)
class OneAnswer:
    """How a metric stands that is judged once, at the horizon; ``mode`` is exact or kayenta."""

    mode: str
    reason: str


@dataclass(frozen=True, slots=True)
class MetricLook:
    """One metric, or one split of it, at one look. Logs are natural.

    ``one_answer`` is None for what is judged at every look.
    """

    name: str
    kind: str
    split: str
    state: str
    critical: bool
    weight: float
    log_e_value: float | None
    p_value: float | None
    certificates: Mapping[str, float | None]
    baseline: Mapping[str, float | None]
    canary: Mapping[str, float | None]
    effect: Effect
    effects: tuple[Effect, ...]
    blocks_used: int
    blocks_skipped: Mapping[str, float | None]
    one_answer: OneAnswer | None = None

    @property
    def key(self) -> str:
        """``name`` or ``name{attribute=value}``."""
        return f"{self.name}{{{self.split}}}" if self.split else self.name


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests per arm, and whether their split was checked."""

    baseline_requests: float
    canary_requests: float
    canary_share_ratio: float | None
    declared_canary_share_ratio: float | None
    checked: bool


@dataclass(frozen=True, slots=True)
class Look:
    """One evaluation of a whole canary; ``verdict`` is ``observing`` while there is none."""

    index: int
    unix_nano: int
    elapsed_s: float
    verdict: str
    final: bool
    reason: str
    summary: str
    culprit_metric: str | None
    culprit_split: str | None
    log_e_value: float | None
    max_log_e_value: float | None
    threshold_log_e: float
    certify_threshold_log_e: float
    metrics: tuple[MetricLook, ...]
    traffic: Traffic
    inputs_digest: str
    rule_digest: str
    code_version: str


def looks(body: Any) -> tuple[Look, ...]:
    """/api/v1/canaries/{deployment_id}/looks, oldest first."""
    return Fields(body).objects("looks", read_look)


def read_look(item: Fields) -> Look:
    """One look, wherever it stands."""
    return Look(
        index=item.integer("index"),
        unix_nano=item.integer("unix_nano"),
        elapsed_s=item.number("elapsed_s"),
        verdict=item.text("verdict"),
        final=item.boolean("final"),
        reason=item.text("reason"),
        summary=item.text("summary"),
        culprit_metric=item.text_or_none("culprit_metric"),
        culprit_split=item.text_or_none("culprit_split"),
        log_e_value=item.number_or_none("log_e_value"),
        max_log_e_value=item.number_or_none("max_log_e_value"),
        threshold_log_e=item.number("threshold_log_e"),
        certify_threshold_log_e=item.number("certify_threshold_log_e"),
        metrics=item.objects("metrics", _metric),
        traffic=_traffic(item.inner("traffic")),
        inputs_digest=item.text("inputs_digest"),
        rule_digest=item.text("rule_digest"),
        code_version=item.text("code_version"),
    )


def _metric(item: Fields) -> MetricLook:
    return MetricLook(
        name=item.text("name"),
        kind=item.text("kind"),
        split=item.text("split"),
        state=item.text("state"),
        critical=item.boolean("critical"),
        weight=item.number("weight"),
        log_e_value=item.number_or_none("log_e_value"),
        p_value=item.number_or_none("p_value"),
        certificates=item.number_map("certificates"),
        baseline=item.number_map("baseline"),
        canary=item.number_map("canary"),
        effect=_effect(item.inner("effect")),
        effects=item.objects("effects", _effect),
        blocks_used=item.integer("blocks_used"),
        blocks_skipped=item.number_map("blocks_skipped"),
        one_answer=_one_answer(item.inner_or_none("fixed_time")),
    )


def _one_answer(item: Fields | None) -> OneAnswer | None:
    return None if item is None else OneAnswer(item.text("mode"), item.text("reason"))


def _effect(item: Fields) -> Effect:
    return Effect(
        estimate=item.number_or_none("estimate"),
        low=item.number_or_none("low"),
        high=item.number_or_none("high"),
        unit=item.text("unit"),
        label=item.text("label"),
    )


def _traffic(item: Fields) -> Traffic:
    return Traffic(
        baseline_requests=item.number("baseline_requests"),
        canary_requests=item.number("canary_requests"),
        canary_share_ratio=item.number_or_none("canary_share_ratio"),
        declared_canary_share_ratio=item.number_or_none("declared_canary_share_ratio"),
        checked=item.boolean("checked"),
    )
