"""The one answer of a mode that does not look again: from two lists of points to a named result.

``kayenta``: Kayenta's Mann-Whitney rule with its fixed confidence and tolerance, an increase being
bad, effect size 1 (its defaults). ``exact``: rank tests in closed form at the metric's share of
alpha, with the metric's own margins in the null hypotheses (:mod:`analysis.canary.exact`).

What cannot be compared has a name of its own and is neither passed nor failed; Kayenta, with the
same data, would say Pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from scipy.special import ndtr

from analysis.canary.config import POINTS_MIN, MetricConfig, MetricKind, Mode, Statistic
from analysis.canary.exact import ExactLabel, Floats, MovedControl, compare_at_margins
from analysis.canary.kayenta.classify import Direction, Label, MetricRule, classify
from analysis.canary.kayenta.errors import KayentaError
from analysis.canary.points import Interval, seeded

_KAYENTA: Final = MetricRule(
    Direction.INCREASE,
    is_nan_removed=True,
    is_critical=False,
    is_data_required=False,
    measure="meanRatio",
    allowed=(1.0, 1.0),
    critical=(1.0, 1.0),
)


class Classification(StrEnum):
    """Where a metric that answers once stands. Only PASS and HIGH decide anything."""

    WAITING = "waiting"  # its time has not come
    PASS = "pass"  # noqa: S105  # not a password
    HIGH = "high"
    UNDECIDED = "undecided"
    NO_DATA = "no_data"  # no points on one side at least
    TOO_FEW_POINTS = "too_few_points"
    CONSTANT = "constant"  # durations: every point of both sides is the same
    NOT_COMPARABLE = "not_comparable"  # bucket layouts, or the method itself gives an error


@dataclass(frozen=True, slots=True)
class Answer:
    """``figures`` are the method's own: z-values of exact, the shift interval of Kayenta."""

    classification: Classification
    reason: str
    p_value: float | None
    figures: Mapping[str, float | None]

    def to_json(self) -> dict[str, Any]:
        """For evidence and for saved state alike."""
        return {
            "classification": str(self.classification),
            "reason": self.reason,
            "p_value": self.p_value,
            "figures": dict(self.figures),
        }

    @staticmethod
    def of_json(raw: Mapping[str, Any]) -> Answer:
        """Of what :meth:`to_json` returned."""
        kind = Classification(raw["classification"])
        return Answer(kind, str(raw["reason"]), raw["p_value"], dict(raw["figures"]))


def waiting(horizon_s: float) -> Answer:
    """Before its time."""
    return _plain(Classification.WAITING, f"answers once, at {horizon_s:g} s")


def answer(
    key: str,
    config: MetricConfig,
    intervals: Sequence[Interval],
    *,
    alpha: float,
    pass_alpha: float,
) -> Answer:
    """Judge all points at once. ``alpha``: the metric's own share; exact mode only."""
    baseline, canary = points_of(intervals, 0), points_of(intervals, 1)
    for arm, points in (("baseline", baseline), ("canary", canary)):
        if not len(points):
            return _plain(Classification.NO_DATA, f"the {arm} has no points")
    least = min(len(baseline), len(canary))
    if least < POINTS_MIN:
        why = f"{least} points on the shorter side, fewer than {POINTS_MIN}"
        return _plain(Classification.TOO_FEW_POINTS, why)
    is_constant = len(np.unique(np.concatenate([baseline, canary]))) == 1
    if is_constant and config.kind is MetricKind.HISTOGRAM:
        return _plain(Classification.CONSTANT, "every point of both sides is the same")
    if config.mode is Mode.KAYENTA:
        return _by_kayenta(key, config, baseline, canary, intervals[-1].start_unix_nano)
    moved = _moved(key, config, intervals, baseline)
    found = compare_at_margins(moved, canary, alpha=alpha, pass_alpha=pass_alpha)
    figures = {"z_above": found.z_above, "z_below": found.z_below, "z_spread": found.z_spread}
    names = {ExactLabel.HIGH: Classification.HIGH, ExactLabel.PASS: Classification.PASS}
    kind = names.get(found.label, Classification.UNDECIDED)
    return Answer(kind, found.reason, float(ndtr(-found.z_above)), figures)


def not_comparable(reason: str) -> Answer:
    """Nothing of the two sides can be set against each other."""
    return _plain(Classification.NOT_COMPARABLE, reason)


def points_of(intervals: Sequence[Interval], arm: int) -> Floats:
    """One arm's points in time order, gaps left out."""
    found = (one.value[arm] for one in intervals)
    return np.array([value for value in found if value is not None], dtype=np.float64)


def pass_margin_of(config: MetricConfig) -> float:
    """What PASS rules out, for the metric's statistic."""
    is_tail = config.statistic in (Statistic.P90, Statistic.P99)
    return config.pass_margin_p90 if is_tail else config.pass_margin


def _by_kayenta(
    key: str, config: MetricConfig, baseline: Floats, canary: Floats, unix_nano: int
) -> Answer:
    try:
        rng = seeded(key, unix_nano, "noise")
        found = classify(config.name, baseline, canary, _KAYENTA, rng)
    except KayentaError as error:
        return not_comparable(f"Kayenta's method gives an error: {error}")
    figures: dict[str, float | None] = {"mean_ratio": _known(found.deviation)}
    if found.interval is not None:
        figures["shift_low"] = _known(found.interval.low)
        figures["shift_estimate"] = _known(found.interval.estimate)
        figures["shift_high"] = _known(found.interval.high)
    names = {Label.HIGH: Classification.HIGH, Label.PASS: Classification.PASS}
    kind = names.get(found.label, Classification.NOT_COMPARABLE)
    return Answer(kind, found.reason or f"classified as {found.label}", None, figures)


def _moved(
    key: str, config: MetricConfig, intervals: Sequence[Interval], baseline: Floats
) -> MovedControl:
    """Durations are slower by a ratio, so their points are; failures become more by a draw."""
    margins = config.fail_margin, pass_margin_of(config)
    if config.kind is MetricKind.HISTOGRAM:
        fail, safe = ((1.0 + margin) * baseline for margin in margins)
    else:
        fail, safe = (_with_more_failures(key, intervals, margin) for margin in margins)
    return MovedControl(baseline, fail, safe)


def _with_more_failures(key: str, intervals: Sequence[Interval], margin: float) -> Floats:
    """The baseline's shares, had it failed more often by ``margin``.

    Each good event is made bad with a chance that makes the expected share higher by the margin:
    so these points are distributed as those of a canary that is worse by just that much. Adding the
    margin to the shares would not do: shares of few events are skewed and stand on a lattice.
    """
    bad = sum(one.bad[0] for one in intervals)
    events = sum(one.events[0] for one in intervals)
    chance = min(1.0, margin * events / (events - bad)) if events > bad else 1.0
    found = []
    for one in intervals:
        if one.value[0] is None:
            continue
        rng = seeded(key, one.start_unix_nano, f"margin {margin!r}")
        more = int(rng.binomial(one.events[0] - one.bad[0], chance))
        found.append((one.bad[0] + more) / one.events[0])
    return np.array(found, dtype=np.float64)


def _plain(kind: Classification, reason: str) -> Answer:
    return Answer(kind, reason, None, {})


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
