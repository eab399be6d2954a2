"""One histogram metric: blocks of bucket counts in, evidence out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.blocks import Block, HistogramArm
from analysis.canary.config import CanaryConfig, MetricConfig
from analysis.canary.evidence import Effect, MetricLook, MetricState
from analysis.canary.intake import BlockFeed
from analysis.canary.tuning import CERTIFY_LEARN_MIN_COUNT, RANK_BETS
from analysis.stats.confidence_sequence import quantile_ratio
from analysis.stats.layouts import Floats, Ints, bucket_quantile
from analysis.stats.noninferiority import QuantileCertificate
from analysis.stats.past import PastCounts
from analysis.stats.rank_eprocess import RankProcess
from analysis.stats.ratio_eprocess import anytime_p_value

_S = 1e-9  # seconds per nanosecond
# Quantiles shown, with the events per arm before a point estimate of them means anything.
_QUANTILES = ((0.5, 30), (0.9, 60), (0.95, 400), (0.99, 3000))

_Arm = tuple[Floats, Ints]


class HistogramMetric:
    """State of one histogram metric (see :class:`CountMetric` for the roles)."""

    def __init__(
        self, key: str, config: MetricConfig, rule: CanaryConfig, *, split: str, weight: float
    ) -> None:
        self.config = config
        self.split = split
        self.weight = weight
        self._rule = rule
        self.feed = BlockFeed(key, HistogramArm)
        self._worse = RankProcess(config.fail_margin, RANK_BETS)
        self._safe = {
            "p50": QuantileCertificate(
                0.5, config.pass_margin, config.pass_share_margin_p50, CERTIFY_LEARN_MIN_COUNT
            ),
            "p90": QuantileCertificate(
                0.9, config.pass_margin_p90, config.pass_share_margin_p90, CERTIFY_LEARN_MIN_COUNT
            ),
        }
        self._recent = PastCounts()  # for bets, forgetting
        self._all = PastCounts()  # for estimates, remembering
        self._group: tuple[_Arm, _Arm] | None = None
        self._group_start_unix_nano = 0
        self._group_end_unix_nano = 0
        self._group_blocks = 0
        self.blocks_used = 0

    @property
    def log_e(self) -> float:
        return self._worse.log_e

    @property
    def requests(self) -> tuple[int, int]:
        """Events per arm in paired blocks: (baseline, canary)."""
        pending = self._group
        extra = (0, 0) if pending is None else (pending[0][1].sum(), pending[1][1].sum())
        return (
            round(self._all.total(0)) + int(extra[0]),
            round(self._all.total(1)) + int(extra[1]),
        )

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
            self._join(block, _arm(block.baseline), _arm(block.canary))

    def _join(self, block: Block, baseline: _Arm, canary: _Arm) -> None:
        """Collect blocks of one layout until both arms have enough events (see CountMetric)."""
        group = self._group
        if group is not None and not (
            np.array_equal(group[0][0], baseline[0]) and np.array_equal(group[1][0], canary[0])
        ):
            self._close()
            group = None
        if group is None:
            self._group, self._group_start_unix_nano = (baseline, canary), block.start_unix_nano
        else:
            joined_a = (baseline[0], group[0][1] + baseline[1])
            self._group = (joined_a, (canary[0], group[1][1] + canary[1]))
        self._group_end_unix_nano = block.end_unix_nano
        self._group_blocks += 1
        assert self._group is not None
        enough = min(self._group[0][1].sum(), self._group[1][1].sum()) >= self._rule.group_min_count
        seconds = (block.end_unix_nano - self._group_start_unix_nano) * _S
        if enough or seconds >= self._rule.group_max_s:
            self._close()

    def _close(self) -> None:
        """Score the group with the past that does not contain it, then learn from it."""
        assert self._group is not None
        baseline, canary = self._group
        seconds = (self._group_end_unix_nano - self._group_start_unix_nano) * _S
        if baseline[1].sum() > 0 and canary[1].sum() > 0:
            self._worse.step(baseline, canary, self._recent)
            for certificate in self._safe.values():
                certificate.step(baseline, canary, self._recent)
            self.blocks_used += self._group_blocks
        self._recent.forget(0.5 ** (seconds / self._rule.history_half_life_s))
        for past in (self._recent, self._all):
            past.add(0, *baseline)
            past.add(1, *canary)
        self._group, self._group_blocks = None, 0

    def bad_arms(self, now_unix_nano: int) -> tuple[bool, bool]:
        """Durations carry no objective of their own."""
        del now_unix_nano
        return False, False

    @property
    def certified(self) -> bool:
        """Whether "slower by less than the pass margins" is shown at p50 and at p90."""
        need = -math.log(self._rule.pass_alpha)
        return not self.constant and all(c.max_log_e >= need for c in self._safe.values())

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
        if self._worse.max_log_e >= -math.log(self._rule.alpha * self.weight):
            return MetricState.WORSE
        if self.log_e >= self._rule.suspect_log_e:
            return MetricState.SUSPECT
        return MetricState.CERTIFIED if self.certified else MetricState.OBSERVING

    def _estimates(self) -> list[tuple[float, float]]:
        """(p, canary quantile / baseline quantile) for quantiles with enough events."""
        edges, counts = self._all.edges, self._all.counts
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
            p_value=anytime_p_value(self._worse.max_log_e),
            certificates={name: c.max_log_e for name, c in self._safe.items()},
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
            f"from {n_b} and {n_a} requests"
        )

    def to_state(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "split": self.split,
            "feed": self.feed.to_state(),
            "worse": self._worse.to_state(),
            "safe": {name: c.to_state() for name, c in self._safe.items()},
            "recent": self._recent.to_state(),
            "all": self._all.to_state(),
            "group": None
            if self._group is None
            else [[edges.tolist(), counts.tolist()] for edges, counts in self._group],
            "group_start_unix_nano": self._group_start_unix_nano,
            "group_end_unix_nano": self._group_end_unix_nano,
            "group_blocks": self._group_blocks,
            "blocks_used": self.blocks_used,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`to_state` returned."""
        self.feed.restore(state["feed"])
        self._worse.restore(state["worse"])
        for name, certificate in self._safe.items():
            certificate.restore(state["safe"][name])
        self._recent.restore(state["recent"])
        self._all.restore(state["all"])
        if state["group"] is not None:
            arms = [(np.array(e, dtype=float), np.array(c, dtype=int)) for e, c in state["group"]]
            self._group = (arms[0], arms[1])
        self._group_start_unix_nano = int(state["group_start_unix_nano"])
        self._group_end_unix_nano = int(state["group_end_unix_nano"])
        self._group_blocks = int(state["group_blocks"])
        self.blocks_used = int(state["blocks_used"])


def _slowest(estimates: list[tuple[float, float]]) -> tuple[float, float] | None:
    return max(estimates, key=lambda pair: pair[1], default=None)


def _arm(arm: HistogramArm) -> _Arm:
    return np.asarray(arm.bounds, dtype=float), np.asarray(arm.counts)
