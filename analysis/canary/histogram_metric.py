"""One histogram metric: blocks of bucket counts in, evidence out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.blocks import Block, HistogramArm
from analysis.canary.config import CanaryConfig, MetricConfig
from analysis.canary.evidence import Effect, MetricLook, MetricState, in_bursts
from analysis.canary.intake import BlockFeed
from analysis.canary.sequential_metric import SequentialMetric
from analysis.canary.tuning import CERTIFY_LEARN_MIN_COUNT, rank_bets
from analysis.stats.confidence_sequence import quantile_ratio
from analysis.stats.dispersion import ENOUGH_FOR_DURATIONS, IndependentEvidence, tempered
from analysis.stats.layouts import bucket_quantile, count_surely_above
from analysis.stats.noninferiority import QuantileCertificate
from analysis.stats.past import PastCounts
from analysis.stats.rank_eprocess import Arm, RankProcess
from analysis.stats.ratio_eprocess import anytime_p_value

_S = 1e-9  # seconds per nanosecond
# Events above these quantiles are looked at for bursts.
_MARKS = (0.5, 0.9)
# Quantiles shown, with the events per arm before a point estimate of them means anything.
_QUANTILES = ((0.5, 30), (0.9, 60), (0.95, 400), (0.99, 3000))


class HistogramMetric(SequentialMetric):
    """State of one histogram metric (see :class:`CountMetric` for the roles)."""

    def __init__(
        self, key: str, config: MetricConfig, rule: CanaryConfig, *, split: str, weight: float
    ) -> None:
        self.config = config
        self.split = split
        self.weight = weight
        self._rule = rule
        self.feed = BlockFeed(key)
        self._worse = RankProcess(config.fail_margin, rank_bets(config.fail_margin))
        self._safe = {
            "p50": QuantileCertificate(
                0.5, config.pass_margin, config.pass_share_margin_p50, CERTIFY_LEARN_MIN_COUNT
            ),
            "p90": QuantileCertificate(
                0.9, config.pass_margin_p90, config.pass_share_margin_p90, CERTIFY_LEARN_MIN_COUNT
            ),
        }
        self._evidence = IndependentEvidence(len(_MARKS), ENOUGH_FOR_DURATIONS)
        self._recent = PastCounts()  # for bets, forgetting
        self._all = PastCounts()  # for intervals, remembering
        # For estimates: blocks weighted so that both arms cover the same time evenly. A ramping
        # split then cannot pass a drift of the system off as a difference between the arms.
        self._matched = PastCounts()
        self._group: list[tuple[Arm, Arm]] = []  # one pair per bucket layout
        self._group_start_unix_nano = 0
        self._group_blocks = 0
        self.blocks_used = 0

    @property
    def certificates(self) -> dict[str, float]:
        """Log evidence of each claim "safe within the margin"."""
        ratio = self.dispersion_ratio
        return {name: float(tempered(c.log_e, ratio)) for name, c in self._safe.items()}

    @property
    def requests(self) -> tuple[int, int]:
        """Events per arm in paired blocks: (baseline, canary)."""
        pending_a, pending_b = _totals(self._group)
        return round(self._all.total(0)) + pending_a, round(self._all.total(1)) + pending_b

    def learn(self, blocks: Sequence[Block]) -> None:
        """Baseline blocks from before the canary: they improve the bets and are not judged."""
        for block in blocks:
            if isinstance(block.baseline, HistogramArm) and block.baseline.readable:
                self._recent.add(0, *_arm(block.baseline))

    def take(self, blocks: Sequence[Block]) -> None:
        """Feed new closed blocks."""
        for block in self.feed.take(blocks):
            assert isinstance(block.baseline, HistogramArm)
            assert isinstance(block.canary, HistogramArm)
            if self.feed.is_warming_up(block, self._rule.warm_up_s):
                self._recent.add(0, *_arm(block.baseline))
                continue
            self._join(block, _arm(block.baseline), _arm(block.canary))

    def _join(self, block: Block, baseline: Arm, canary: Arm) -> None:
        """Collect blocks until both arms have enough events.

        Totals and time decide, never values: not even by the bucket layouts that follow them.
        """
        if not self._group:
            self._group_start_unix_nano = block.start_unix_nano
        last = self._group[-1] if self._group else None
        if last is not None and _same_layouts(last, (baseline, canary)):
            joined = (baseline[0], last[0][1] + baseline[1]), (canary[0], last[1][1] + canary[1])
            self._group[-1] = joined
        else:
            self._group.append((baseline, canary))
        self._group_blocks += 1
        enough = min(_totals(self._group)) >= self._rule.group_min_count
        seconds = (block.end_unix_nano - self._group_start_unix_nano) * _S
        if enough or seconds >= self._rule.group_max_s:
            self._close(seconds)

    def _close(self, seconds: float) -> None:
        """Score the group with the past that does not contain it, then learn from it."""
        n_a, n_b = _totals(self._group)
        if n_a > 0 and n_b > 0:
            self._worse.step(self._group, self._recent)
            for certificate in self._safe.values():
                certificate.step(self._group, self._recent)
            marked = [self._slower_than(p, n_a, n_b) for p in _MARKS]
            self._evidence.step(marked, self._worse.log_e)
            self.blocks_used += self._group_blocks
        self._recent.forget(0.5 ** (seconds / self._rule.history_half_life_s))
        for baseline, canary in self._group:
            for past in (self._recent, self._all):
                past.add(0, *baseline)
                past.add(1, *canary)
            if n_a > 0 and n_b > 0:
                share_b = n_b / (n_a + n_b)
                self._matched.add(0, baseline[0], share_b * baseline[1].astype(np.float64))
                self._matched.add(1, canary[0], (1.0 - share_b) * canary[1].astype(np.float64))
        self._group, self._group_blocks = [], 0

    def _slower_than(self, p: float, n_a: int, n_b: int) -> tuple[int, int, int, int]:
        """Events of the group above the baseline's past quantile, and all, per arm."""
        edge = self._recent.edge_near(0, p)
        if edge is None:
            return 0, n_a, 0, n_b
        k_a = sum(count_surely_above(*baseline, edge) for baseline, _ in self._group)
        k_b = sum(count_surely_above(*canary, edge) for _, canary in self._group)
        return k_a, n_a, k_b, n_b

    def bad_arms(self, now_unix_nano: int) -> tuple[bool, bool]:
        """Durations carry no objective of their own."""
        del now_unix_nano
        return False, False

    @property
    def certified(self) -> bool:
        """Whether "slower by less than the pass margins" is shown at p50 and at p90."""
        need = -math.log(self._rule.pass_alpha)
        return not self.constant and all(log_e >= need for log_e in self.certificates.values())

    @property
    def why_not_certified(self) -> str:
        """Nothing to add to its name."""
        return ""

    @property
    def practical(self) -> bool:
        """Whether some quantile known well enough is estimated slower by more than the margin."""
        worst = self._worst()
        return not self.constant and worst is not None and worst[1] > 1.0 + self.config.fail_margin

    @property
    def constant(self) -> bool:
        """Whether every value of both arms fell into one bucket."""
        both = self._all.counts.sum(axis=0)
        return bool(np.count_nonzero(both) <= 1)

    def state(self) -> MetricState:
        if self.feed.taken == 0:
            return MetricState.NO_DATA
        skipped = self.feed.skipped
        if self.blocks_used == 0:
            if skipped.get("incomparable", 0) or skipped.get("unreadable", 0):
                return MetricState.INCOMPARABLE
            one_sided = skipped.get("baseline_only", 0) or skipped.get("canary_only", 0)
            return MetricState.SILENT if one_sided else MetricState.LEARNING
        if min(self.requests) < self._rule.min_requests_fail:
            return MetricState.LEARNING
        if self.constant:
            return MetricState.CONSTANT
        if self.is_worse:
            return MetricState.WORSE
        if self.is_suspect:
            return MetricState.SUSPECT
        return MetricState.CERTIFIED if self.certified else MetricState.OBSERVING

    def _estimates(self) -> list[tuple[float, float]]:
        """(p, canary quantile / baseline quantile) for quantiles with enough events."""
        edges, counts = self._matched.edges, self._matched.counts
        least = min(self._all.total(0), self._all.total(1))
        found = []
        for p, enough in _QUANTILES:
            if least >= enough:
                low = bucket_quantile(edges, counts[0], p)
                high = bucket_quantile(edges, counts[1], p)
                if low > 0:
                    found.append((p, high / low))
        return found

    def _worst(self) -> tuple[float, float] | None:
        return _slowest(self._estimates())

    def _effect(self, p: float, estimate: float | None, *, with_intervals: bool) -> Effect:
        label = f"p{100 * p:g} ratio"
        if not with_intervals:
            return Effect(estimate, None, None, "ratio", label)
        low, high = quantile_ratio(
            (self._all.edges, self._all.counts[0]),
            (self._all.edges, self._all.counts[1]),
            p,
            self._rule.alpha,
        )
        return Effect(estimate, low, high, "ratio", label)

    def look(self, *, with_intervals: bool) -> MetricLook:
        """The findings so far."""
        estimates = self._estimates()
        effects = tuple(self._effect(p, v, with_intervals=with_intervals) for p, v in estimates)
        worst = _slowest(estimates)
        main = effects[estimates.index(worst)] if worst else Effect(None, None, None, "ratio", "")
        if effects and not (worst and worst[1] > 1.0 + self.config.fail_margin):
            main = effects[0]
        return MetricLook(
            name=self.config.name,
            kind=str(self.config.kind),
            split=self.split,
            state=self.state(),
            critical=self.config.critical,
            weight=self.weight,
            log_e_value=self.log_e,
            p_value=anytime_p_value(self.max_log_e),
            dispersion_ratio=self.dispersion_ratio,
            certificates=self.certificates,
            baseline=self._summary(0),
            canary=self._summary(1),
            effect=main,
            effects=effects,
            blocks_used=self.blocks_used,
            blocks_skipped=dict(self.feed.skipped),
        )

    def _summary(self, arm: int) -> dict[str, float | int | None]:
        counts = self._all.counts[arm]
        summary: dict[str, float | int | None] = {"total": self.requests[arm]}
        for p, _ in _QUANTILES:
            value = bucket_quantile(self._all.edges, counts, p)
            summary[f"p{100 * p:g}"] = value if math.isfinite(value) else None
        return summary

    def describe(self) -> str:
        """What is worse, in words, with counts and the effect's interval."""
        p, estimate = self._worst() or (0.5, math.nan)
        effect = self._effect(p, estimate, with_intervals=True)
        quantiles = [bucket_quantile(self._all.edges, self._all.counts[i], p) for i in (0, 1)]
        n_a, n_b = self.requests
        high = "unbounded" if not math.isfinite(effect.high or 0.0) else f"{effect.high:.2f}"
        return (
            f"{self.config.label}: p{100 * p:g} about {quantiles[1]:.3g} {self.config.unit} on "
            f"the canary against {quantiles[0]:.3g} {self.config.unit} on the baseline, "
            f"{estimate:.2f} times (interval {effect.low or 0.0:.2f} to {high}), "
            f"from {n_b} and {n_a} requests{in_bursts(self.dispersion_ratio)}"
        )

    def to_state(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "split": self.split,
            "feed": self.feed.to_state(),
            "worse": self._worse.to_state(),
            "safe": {name: c.to_state() for name, c in self._safe.items()},
            "evidence": self._evidence.to_state(),
            "recent": self._recent.to_state(),
            "all": self._all.to_state(),
            "matched": self._matched.to_state(),
            "group": [
                [[edges.tolist(), counts.tolist()] for edges, counts in pair]
                for pair in self._group
            ],
            "group_start_unix_nano": self._group_start_unix_nano,
            "group_blocks": self._group_blocks,
            "blocks_used": self.blocks_used,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`to_state` returned."""
        self.feed.restore(state["feed"])
        self._worse.restore(state["worse"])
        for name, certificate in self._safe.items():
            certificate.restore(state["safe"][name])
        self._evidence.restore(state["evidence"])
        self._recent.restore(state["recent"])
        self._all.restore(state["all"])
        self._matched.restore(state["matched"])
        self._group = [(_restored(a), _restored(b)) for a, b in state["group"]]
        self._group_start_unix_nano = int(state["group_start_unix_nano"])
        self._group_blocks = int(state["group_blocks"])
        self.blocks_used = int(state["blocks_used"])


def _slowest(estimates: list[tuple[float, float]]) -> tuple[float, float] | None:
    return max(estimates, key=lambda pair: pair[1], default=None)


def _totals(group: Sequence[tuple[Arm, Arm]]) -> tuple[int, int]:
    return (
        int(sum(baseline[1].sum() for baseline, _ in group)),
        int(sum(canary[1].sum() for _, canary in group)),
    )


def _same_layouts(first: tuple[Arm, Arm], second: tuple[Arm, Arm]) -> bool:
    return all(np.array_equal(a[0], b[0]) for a, b in zip(first, second, strict=True))


def _restored(arm: Sequence[Any]) -> Arm:
    return np.array(arm[0], dtype=float), np.array(arm[1], dtype=np.int64)


def _arm(arm: HistogramArm) -> Arm:
    return np.asarray(arm.bounds, dtype=float), np.asarray(arm.counts)
