"""From the rule to questions: metrics that come from the same series share one question."""

from __future__ import annotations

from dataclasses import dataclass, replace

from analysis.canary.config import CanaryConfig, MetricConfig
from analysis.reading.roster import IDENTITY, Roster
from telemetry import semconv


@dataclass(frozen=True, slots=True)
class Source:
    """One question to ``/api/v1/blocks`` and the metrics its answer feeds."""

    name: str  # stable, names the source in saved state
    metric: str
    matches: tuple[str, ...]
    group_by: tuple[str, ...]
    identity: tuple[str, ...]  # the part of group_by that says which arm a group counts for
    is_scoped: bool
    feeds: tuple[MetricConfig, ...]
    tells_instances: bool = False  # blocks hold what each instance reported beside the sums


def sources_of(rule: CanaryConfig, roster: Roster) -> tuple[Source, ...]:
    """The questions of one canary, in the order of the rule's metrics."""
    together: dict[tuple[str, tuple[str, ...], bool], list[MetricConfig]] = {}
    for metric in rule.metrics:
        key = (metric.source_metric, metric.match, metric.service_scoped)
        together.setdefault(key, []).append(metric)
    return tuple(
        replace(
            _source(name, match, tuple(feeds), roster, is_scoped=is_scoped),
            tells_instances=is_scoped and rule.robust_to_one_instance,
        )
        for (name, match, is_scoped), feeds in together.items()
    )


def _source(
    metric: str,
    match: tuple[str, ...],
    feeds: tuple[MetricConfig, ...],
    roster: Roster,
    *,
    is_scoped: bool,
) -> Source:
    matches = [f"{semconv.DEPLOYMENT_ID}={roster.deployment_id}", *match]
    identity = [semconv.CANARY_COHORT]
    if is_scoped:
        matches.append(f"{semconv.SERVICE_NAME}={roster.service}")
        identity.extend(IDENTITY)
    told = [a for feed in feeds for a in (feed.outcome_attribute, feed.split_by) if a]
    return Source(
        name="|".join((metric, *match, "service" if is_scoped else "everyone")),
        metric=metric,
        matches=tuple(matches),
        group_by=tuple(dict.fromkeys([*identity, *told])),
        identity=tuple(identity),
        is_scoped=is_scoped,
        feeds=feeds,
    )


def prime_matches(metric: MetricConfig, roster: Roster) -> tuple[str, ...]:
    """Conditions for the time before the canary: the baseline's version, wherever it ran.

    A source outside the service knows no versions; there everybody's past is the baseline's.
    """
    if not metric.service_scoped:
        return metric.match
    return (
        *metric.match,
        f"{semconv.SERVICE_NAME}={roster.service}",
        f"{semconv.SERVICE_VERSION}={roster.baseline.version}",
    )
