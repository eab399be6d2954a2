"""What must hold before any evidence counts. A gate that closes names itself; it never guesses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.canary.config import CanaryConfig
from analysis.canary.count_metric import CountMetric
from analysis.canary.evidence import Reason, VerdictKind
from analysis.canary.fixed_time_metric import FixedTimeMetric
from analysis.canary.histogram_metric import HistogramMetric

_S = 1e-9  # seconds per nanosecond
_COMPARABLE_MIN_BLOCKS = 10

Metric = CountMetric | HistogramMetric | FixedTimeMetric


@dataclass(frozen=True, slots=True)
class Gate:
    """A closed gate. ``final`` ones end the canary, the others hold it while they last."""

    kind: VerdictKind
    reason: Reason
    summary: str
    final: bool
    metric: str | None


def silence_gate(
    metrics: Sequence[Metric], config: CanaryConfig, started_unix_nano: int, now_unix_nano: int
) -> Gate | None:
    """No data at all, or one arm of a required metric quiet while the other reports."""
    first_s = (now_unix_nano - started_unix_nano) * _S
    if not any(m.feed.heard_unix_nano for m in metrics):
        if first_s <= config.silence_s:
            return None
        text = f"No data of either arm arrived in {first_s:.0f} s."
        return Gate(VerdictKind.INCONCLUSIVE, Reason.NO_DATA, text, False, None)
    for metric in metrics:
        if metric.config.required:
            quiet_s = {
                arm: _quiet_s(metric, arm, config, started_unix_nano, now_unix_nano)
                for arm in ("baseline", "canary")
            }
            gate = _one_sided(metric, quiet_s, config)
            if gate is not None:
                return gate
    return None


def _quiet_s(metric: Metric, arm: str, config: CanaryConfig, started: int, now: int) -> float:
    heard = metric.feed.heard_unix_nano.get(arm)
    if heard is None:
        # Instances need time to start: silence begins after the time allowed for it.
        return (now - started) * _S - config.first_report_s + config.silence_s
    return (now - heard) * _S


def _one_sided(metric: Metric, quiet_s: dict[str, float], config: CanaryConfig) -> Gate | None:
    silent = {arm: s for arm, s in quiet_s.items() if s > config.silence_s}
    if not silent:
        return None
    name = metric.config.name
    if len(silent) == 2:
        text = f"Neither arm has reported {name} for {min(quiet_s.values()):.0f} s."
        return Gate(VerdictKind.INCONCLUSIVE, Reason.NO_DATA, text, False, name)
    arm, seconds = next(iter(silent.items()))
    reason = Reason.CANARY_SILENT if arm == "canary" else Reason.BASELINE_SILENT
    other = "baseline" if arm == "canary" else "canary"
    text = f"The {arm} has not reported {name} for {seconds:.0f} s while the {other} does."
    return Gate(VerdictKind.INCONCLUSIVE, reason, text, False, name)


def split_gate(log_e: float, traffic: tuple[int, int], config: CanaryConfig) -> Gate | None:
    """The traffic split is not the declared one, so the arms are not fair samples."""
    if log_e < -math.log(config.share_alpha):
        return None
    baseline, canary = traffic
    seen = canary / (baseline + canary)
    text = (
        f"The canary received {seen:.1%} of the traffic ({canary} of {baseline + canary}), "
        f"declared {config.declared_canary_share_ratio:.1%}: the arms are not comparable."
    )
    return Gate(VerdictKind.INVALID, Reason.SAMPLE_RATIO_MISMATCH, text, True, None)


def instances_gate(metrics: Sequence[Metric], config: CanaryConfig) -> Gate | None:
    """Fewer instances than the rule asks for: one bad machine would pass for the release."""
    for metric in metrics:
        for arm, count in sorted(metric.feed.instances.items()):
            if metric.config.required and count < config.min_instances_per_arm:
                text = (
                    f"The {arm} reports {metric.config.name} from {count} instances, the rule asks "
                    f"for {config.min_instances_per_arm}: one machine's fault could not be told "
                    "from the release's."
                )
                why = Reason.TOO_FEW_INSTANCES
                return Gate(VerdictKind.INCONCLUSIVE, why, text, False, metric.config.name)
    return None


def comparable_gate(metrics: Sequence[Metric], config: CanaryConfig) -> Gate | None:
    """Most blocks of a critical metric have layouts that cannot be compared."""
    for metric in metrics:
        skipped = metric.feed.skipped
        bad = skipped.get("incomparable", 0) + skipped.get("unreadable", 0)
        if not metric.config.critical or metric.feed.taken < _COMPARABLE_MIN_BLOCKS:
            continue
        if bad > config.incomparable_max_ratio * metric.feed.taken:
            text = (
                f"{bad} of {metric.feed.taken} blocks of {metric.config.name} have bucket layouts "
                "that cannot be compared."
            )
            why = Reason.INCOMPARABLE_LAYOUTS
            return Gate(VerdictKind.INVALID, why, text, True, metric.config.name)
    return None


def objective_gate(metrics: Sequence[Metric], now_unix_nano: int) -> Gate | None:
    """The baseline misses its objective: a common cause, or no healthy yardstick."""
    for metric in metrics:
        baseline_bad, canary_bad = metric.bad_arms(now_unix_nano)
        if baseline_bad:
            name, who = (
                metric.config.name,
                "Both arms miss" if canary_bad else "The baseline misses",
            )
            reason = Reason.BOTH_BAD if canary_bad else Reason.BASELINE_BAD
            text = (
                f"{who} the objective of {name} (at most {metric.config.slo_bad_ratio:.1%} bad): "
                "neither promoting nor rolling back would be founded."
            )
            return Gate(VerdictKind.INCONCLUSIVE, reason, text, False, name)
    return None
