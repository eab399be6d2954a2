"""One metric, or one split of it, in a mode that answers once: blocks in, one answer at the end.

Until :meth:`FixedTimeMetric.decide` it only collects, whatever the points look like: a fixed-time
test asked at every look would be wrong ever more often.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.blocks import Block, CountArm, HistogramArm
from analysis.canary.config import CanaryConfig, MetricConfig, MetricKind, Mode
from analysis.canary.evidence import Effect, MetricLook, MetricState
from analysis.canary.fixed_time import (
    Answer,
    Classification,
    answer,
    not_comparable,
    points_of,
    waiting,
)
from analysis.canary.intake import BlockFeed
from analysis.canary.objective_window import ObjectiveWindow
from analysis.canary.points import PointCollector

_STATES = {
    Classification.WAITING: MetricState.WAITING,
    Classification.PASS: MetricState.CERTIFIED,
    Classification.HIGH: MetricState.WORSE,
    Classification.UNDECIDED: MetricState.UNDECIDED,
    Classification.NO_DATA: MetricState.NO_DATA,
    Classification.TOO_FEW_POINTS: MetricState.TOO_FEW_POINTS,
    Classification.CONSTANT: MetricState.CONSTANT,
    Classification.NOT_COMPARABLE: MetricState.INCOMPARABLE,
}


class FixedTimeMetric:
    """State of one metric in a fixed-time mode (see :class:`CountMetric` for the roles)."""

    #: No evidence is kept between looks, so there is none to show or to add up.
    log_e = -math.inf
    max_log_e = -math.inf
    #: Dependence inside an interval does not matter to its point.
    dispersion_ratio = 1.0

    def __init__(
        self, key: str, config: MetricConfig, rule: CanaryConfig, *, split: str, weight: float
    ) -> None:
        self.config = config
        self.split = split
        self.weight = weight
        self._key = key
        self._rule = rule
        self.feed = BlockFeed(key)
        self._points = PointCollector(key, config, rule.horizon_s)
        self._bad, self._events = [0, 0], [0, 0]
        self._window = ObjectiveWindow(
            config.slo_bad_ratio, rule.slo_window_s, rule.slo_min_requests
        )
        self.blocks_used = 0
        self._answer = waiting(rule.horizon_s)

    @property
    def requests(self) -> tuple[int, int]:
        """Events per arm in paired blocks: (baseline, canary)."""
        return self._events[0], self._events[1]

    def take(self, blocks: Sequence[Block]) -> None:
        """Feed new closed blocks."""
        for block in self.feed.take(blocks):
            if self.feed.is_warming_up(block, self._rule.warm_up_s):
                continue
            bad, events = _counted(block)
            if self.config.kind is MetricKind.COUNT:
                self._window.add(block.end_unix_nano, (bad[0], events[0], bad[1], events[1]))
            if not self._points.take(block):
                continue
            self._bad = [x + y for x, y in zip(self._bad, bad, strict=True)]
            self._events = [x + y for x, y in zip(self._events, events, strict=True)]
            self.blocks_used += 1

    def decide(self) -> None:
        """Judge what was collected; the first answer stays."""
        if self._answer.classification is not Classification.WAITING:
            return
        skipped = self.feed.skipped
        unusable = skipped.get("incomparable", 0) + skipped.get("unreadable", 0)
        if not self._points.intervals and unusable:
            self._answer = not_comparable(f"{unusable} blocks have layouts that cannot be compared")
            return
        self._answer = answer(
            self._key,
            self.config,
            self._points.intervals,
            alpha=self._rule.alpha * self.weight,
            pass_alpha=self._rule.pass_alpha,
        )

    def bad_arms(self, now_unix_nano: int) -> tuple[bool, bool]:
        """Whether (baseline, canary) miss their objective over the recent window."""
        return self._window.bad_arms(now_unix_nano)

    @property
    def is_waiting(self) -> bool:
        """Whether its one answer is still to come."""
        return self._answer.classification is Classification.WAITING

    @property
    def is_worse(self) -> bool:
        """Whether the answer is HIGH."""
        return self._answer.classification is Classification.HIGH

    @property
    def is_suspect(self) -> bool:
        """HIGH holds PASS, whether it suffices for FAIL or not."""
        return self.is_worse

    @property
    def accuses(self) -> bool:
        """Whether HIGH is FAIL: for Kayenta always; else the estimate is above the margin too."""
        if not self.is_worse:
            return False
        if self.config.mode is Mode.KAYENTA:
            return True
        effect = self._effect().estimate
        enough = self.config.kind is not MetricKind.COUNT or self._bad[1] >= self.config.min_bad
        if effect is None or not enough:
            return False
        allowed = self.config.fail_margin
        return effect > (allowed if self.config.kind is MetricKind.COUNT else 1.0 + allowed)

    @property
    def certified(self) -> bool:
        """Whether the mode's own method says it is safe."""
        return self._answer.classification is Classification.PASS

    @property
    def why_not_certified(self) -> str:
        """Words for behind its name."""
        return f" ({self.config.mode}: {self._answer.reason})"

    def state(self) -> MetricState:
        if self.feed.taken == 0:
            return MetricState.NO_DATA
        return _STATES[self._answer.classification]

    def _effect(self) -> Effect:
        """From interval to interval, so that a ramping split passes nothing off as a difference."""
        both = [one for one in self._points.intervals if None not in one.value]
        if self.config.kind is MetricKind.COUNT:
            label = f"difference of shares in intervals of {self.config.point_s} s"
            weights = [min(one.events) for one in both]
            gaps = [(one.value[1] or 0.0) - (one.value[0] or 0.0) for one in both]
            total = sum(weights)
            mean = math.fsum(g * w for g, w in zip(gaps, weights, strict=True)) / max(total, 1)
            return Effect(mean if total else None, None, None, "1", label)
        what = f"{self.config.statistic} of {self.config.point_s} s"
        middles = [float(np.median(points_of(both, arm))) if both else 0.0 for arm in (0, 1)]
        estimate = middles[1] / middles[0] if middles[0] > 0 else None
        return Effect(estimate, None, None, "ratio", f"{what}, ratio of medians")

    def look(self, *, with_intervals: bool) -> MetricLook:
        """The findings so far. No interval is shown: none of these holds at every look."""
        del with_intervals
        p_value = self._answer.p_value
        points = [len(points_of(self._points.intervals, arm)) for arm in (0, 1)]
        return MetricLook(
            name=self.config.name,
            kind=str(self.config.kind),
            split=self.split,
            state=self.state(),
            critical=self.config.critical and not self.split,
            weight=self.weight,
            log_e_value=self.log_e,
            p_value=math.nan if p_value is None else p_value,
            dispersion_ratio=self.dispersion_ratio,
            certificates={},
            baseline=self._summary(0),
            canary=self._summary(1),
            effect=self._effect(),
            effects=(),
            blocks_used=self.blocks_used,
            blocks_skipped=dict(self.feed.skipped),
            fixed_time={
                "mode": str(self.config.mode),
                "point_s": self.config.point_s,
                "statistic": str(self.config.statistic),
                "points": {"baseline": points[0], "canary": points[1]},
                "intervals": self._points.over,
                "gaps": {
                    "baseline": self._points.over - points[0],
                    "canary": self._points.over - points[1],
                },
                **self._answer.to_json(),
            },
        )

    def _summary(self, arm: int) -> dict[str, float | int | None]:
        events, bad = self._events[arm], self._bad[arm]
        if self.config.kind is MetricKind.COUNT:
            return {"bad": bad, "total": events, "bad_ratio": bad / events if events else None}
        points = points_of(self._points.intervals, arm)
        middle = float(np.median(points)) if len(points) else None
        return {"total": events, str(self.config.statistic): middle}

    def describe(self) -> str:
        """The answer in words, with counts."""
        where = f" for {self.split}" if self.split else ""
        a, b = self._summary(0), self._summary(1)
        if self.config.kind is MetricKind.COUNT:
            canary, baseline = (
                f"{one['bad']} of {one['total']} ({one['bad_ratio'] or 0.0:.2%})" for one in (b, a)
            )
        else:
            name = str(self.config.statistic)
            canary, baseline = (f"{one[name] or 0.0:.3g} {self.config.unit}" for one in (b, a))
            canary = f"{name} about {canary}"
        points = f"{len(points_of(self._points.intervals, 1))} and " + str(
            len(points_of(self._points.intervals, 0))
        )
        return (
            f"{self.config.label}{where}: {canary} on the canary against {baseline} on the "
            f"baseline, {self.config.mode}: {self._answer.classification} from {points} points of "
            f"{self.config.point_s} s"
        )

    def to_state(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "split": self.split,
            "feed": self.feed.to_state(),
            "points": self._points.to_state(),
            "bad": self._bad,
            "events": self._events,
            "window": self._window.to_state(),
            "blocks_used": self.blocks_used,
            "answer": self._answer.to_json(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`to_state` returned."""
        self.feed.restore(state["feed"])
        self._points.restore(state["points"])
        self._bad = [int(v) for v in state["bad"]]
        self._events = [int(v) for v in state["events"]]
        self._window.restore(state["window"])
        self.blocks_used = int(state["blocks_used"])
        self._answer = Answer.of_json(state["answer"])


def _counted(block: Block) -> tuple[list[int], list[int]]:
    """Bad and all events per arm; durations are never bad."""
    bad, events = [], []
    for arm in (block.baseline, block.canary):
        assert isinstance(arm, CountArm | HistogramArm)
        bad.append(arm.total - arm.good if isinstance(arm, CountArm) else 0)
        events.append(arm.total)
    return bad, events
