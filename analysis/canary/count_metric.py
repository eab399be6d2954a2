"""One count metric or one split of it: blocks of (good, total) in, evidence out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.blocks import Block, CountArm
from analysis.canary.config import CanaryConfig, MetricConfig
from analysis.canary.evidence import Effect, MetricLook, MetricState, in_bursts
from analysis.canary.intake import BlockFeed
from analysis.canary.objective_window import ObjectiveWindow
from analysis.canary.sequential_metric import SequentialMetric
from analysis.canary.tuning import share_bets
from analysis.stats.confidence_sequence import compare_shares
from analysis.stats.dispersion import ENOUGH_FOR_COUNTS, IndependentEvidence, tempered
from analysis.stats.ratio_eprocess import ShareProcess, anytime_p_value, rest_to_horizon

_S = 1e-9  # seconds per nanosecond


class CountMetric(SequentialMetric):
    """State of one count metric: accumulators, the test that it is worse, the proof that it is not.

    Splits (``split != ""``) carry only the first: they are too small to be proven safe in a bake.
    """

    def __init__(
        self, key: str, config: MetricConfig, rule: CanaryConfig, *, split: str, weight: float
    ) -> None:
        self.config = config
        self.split = split
        self.weight = weight
        self._rule = rule
        self.feed = BlockFeed(key)
        bets = share_bets(
            config.expected_bad_ratio,
            margin=config.fail_margin,
            is_split=bool(split),
            goal_log_e=-math.log(rule.alpha * weight),
        )
        self._worse = ShareProcess(config.fail_margin, +1, bets)
        self._safe = None if split else ShareProcess(config.pass_margin, -1, bets)
        self._evidence = IndependentEvidence(1, ENOUGH_FOR_COUNTS)
        self._totals = [0, 0, 0, 0]  # bad, n of the baseline, bad, n of the canary
        # Difference of shares, each group weighted by n_a n_b / n (Mantel-Haenszel): under a
        # ramping split the pooled shares of a drifting system differ without any cause.
        self._excess, self._excess_weight = 0.0, 0.0
        self._group = [0, 0, 0, 0]
        self._group_start_unix_nano: int | None = None
        self._group_blocks = 0
        self.blocks_used = 0
        self._window = ObjectiveWindow(
            config.slo_bad_ratio, rule.slo_window_s, rule.slo_min_requests
        )

    @property
    def _safe_log_e(self) -> float:
        found = -math.inf if self._safe is None else self._safe.log_e
        return float(tempered(found, self.dispersion_ratio))

    @property
    def certificates(self) -> dict[str, float]:
        """Log evidence of each claim "safe within the margin"."""
        return {} if self._safe is None else {"share": self._safe_log_e}

    @property
    def requests(self) -> tuple[int, int]:
        """Events per arm in paired blocks: (baseline, canary)."""
        return self._totals[1], self._totals[3]

    def take(self, blocks: Sequence[Block]) -> None:
        """Feed new closed blocks."""
        for block in self.feed.take(blocks):
            assert isinstance(block.baseline, CountArm)
            assert isinstance(block.canary, CountArm)
            if self.feed.is_warming_up(block, self._rule.warm_up_s):
                continue
            a, b = block.baseline, block.canary
            new = [a.total - a.good, a.total, b.total - b.good, b.total]
            self._totals = [x + y for x, y in zip(self._totals, new, strict=True)]
            self._window.add(block.end_unix_nano, new)
            self._join(block, new)

    def _join(self, block: Block, new: list[int]) -> None:
        """Collect blocks until both arms have enough events (totals decide, never outcomes)."""
        if self._group_start_unix_nano is None:
            self._group_start_unix_nano = block.start_unix_nano
        self._group = [x + y for x, y in zip(self._group, new, strict=True)]
        self._group_blocks += 1
        seconds = (block.end_unix_nano - self._group_start_unix_nano) * _S
        enough = min(self._group[1], self._group[3]) >= self._rule.group_min_count
        if not enough and seconds < self._rule.group_max_s:
            return
        keep = 0.5 ** (seconds / self._rule.history_half_life_s)
        bad_a, n_a, bad_b, n_b = self._group
        if n_a > 0 and n_b > 0:
            left = rest_to_horizon(self._elapsed_s(), self._rule.horizon_s)
            self._worse.step(bad_a, n_a, bad_b, n_b, keep, left_ratio=left)
            if self._safe is not None:
                self._safe.step(bad_a, n_a, bad_b, n_b, keep)
            self._evidence.step([(bad_a, n_a, bad_b, n_b)], self._worse.log_e)
            self._excess += (bad_b * n_a - bad_a * n_b) / (n_a + n_b)
            self._excess_weight += n_a * n_b / (n_a + n_b)
            self.blocks_used += self._group_blocks
        self._group = [0, 0, 0, 0]
        self._group_start_unix_nano, self._group_blocks = None, 0

    def _elapsed_s(self) -> float:
        """From the first block to the start of this group: known before the group is."""
        first, start = self.feed.first_paired_unix_nano, self._group_start_unix_nano
        return 0.0 if first is None or start is None else (start - first) * _S

    def bad_arms(self, now_unix_nano: int) -> tuple[bool, bool]:
        """Whether (baseline, canary) miss their objective over the recent window."""
        return self._window.bad_arms(now_unix_nano)

    @property
    def certified(self) -> bool:
        """Whether "bad share higher by less than the pass margin" is shown."""
        return self._safe_log_e >= -math.log(self._rule.pass_alpha)

    @property
    def why_not_certified(self) -> str:
        """Nothing to add to its name."""
        return ""

    @property
    def practical(self) -> bool:
        """Whether the estimated harm is above the margin, on enough bad events to look at."""
        if self._excess_weight == 0 or self._totals[2] < self.config.min_bad:
            return False
        return self._excess > self.config.fail_margin * self._excess_weight

    @property
    def excess_bad(self) -> float:
        """Surplus of bad events on the canary, block by block, on a common scale for splits."""
        return self._excess

    @property
    def constant(self) -> bool:
        """Counts are never too constant to compare: no failure at all is an answer."""
        return False

    def state(self) -> MetricState:
        if self.feed.taken == 0:
            return MetricState.NO_DATA
        if self.blocks_used == 0:
            skipped = self.feed.skipped
            if skipped.get("baseline_only", 0) or skipped.get("canary_only", 0):
                return MetricState.SILENT if self.requests == (0, 0) else MetricState.LEARNING
            return MetricState.LEARNING
        if self.is_worse:
            return MetricState.WORSE
        if self.is_suspect:
            return MetricState.SUSPECT
        return MetricState.CERTIFIED if self.certified else MetricState.OBSERVING

    def look(self, *, with_intervals: bool) -> MetricLook:
        """The findings so far; ``with_intervals`` costs about a millisecond."""
        bad_a, n_a, bad_b, n_b = self._totals
        alpha = self._rule.alpha
        difference = Effect(_ratio(bad_b, n_b, bad_a, n_a), None, None, "1", "difference of shares")
        effects: tuple[Effect, ...] = ()
        sides = ({"bad": bad_a, "total": n_a}, {"bad": bad_b, "total": n_b})
        arms: list[dict[str, float | int | None]] = [{**side} for side in sides]
        for arm in arms:
            total = arm["total"]
            arm["bad_ratio"] = (arm["bad"] or 0) / total if total else None
        if with_intervals and n_a and n_b:
            found = compare_shares(bad_a, n_a, bad_b, n_b, alpha)
            difference = Effect(*found.difference, "1", "difference of shares")
            effects = (Effect(*found.ratio, "ratio", "ratio of shares"),)
            for arm, low, high in zip(arms, found.low, found.high, strict=True):
                arm["bad_ratio_low"], arm["bad_ratio_high"] = low, high
        return MetricLook(
            name=self.config.name,
            kind=str(self.config.kind),
            split=self.split,
            state=self.state(),
            critical=self.config.critical and not self.split,
            weight=self.weight,
            log_e_value=self.log_e,
            p_value=anytime_p_value(self.max_log_e),
            dispersion_ratio=self.dispersion_ratio,
            certificates=self.certificates,
            baseline=arms[0],
            canary=arms[1],
            effect=difference,
            effects=effects,
            blocks_used=self.blocks_used,
            blocks_skipped=dict(self.feed.skipped),
        )

    def describe(self) -> str:
        """What is worse, in words, with counts and the effect's interval."""
        bad_a, n_a, bad_b, n_b = self._totals
        found = compare_shares(bad_a, n_a, bad_b, n_b, self._rule.alpha)
        estimate, low, high = found.difference
        where = f" for {self.split}" if self.split else ""
        return (
            f"{self.config.label}{where}: {bad_b} of {n_b} ({bad_b / max(n_b, 1):.2%}) on the "
            f"canary against {bad_a} of {n_a} ({bad_a / max(n_a, 1):.2%}) on the baseline, "
            f"{100 * estimate:+.1f} points (interval {100 * low:+.1f} to {100 * high:+.1f})"
            f"{in_bursts(self.dispersion_ratio)}"
        )

    def to_state(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "split": self.split,
            "feed": self.feed.to_state(),
            "worse": self._worse.to_state(),
            "safe": None if self._safe is None else self._safe.to_state(),
            "evidence": self._evidence.to_state(),
            "totals": self._totals,
            "excess": [self._excess, self._excess_weight],
            "group": self._group,
            "group_start_unix_nano": self._group_start_unix_nano,
            "group_blocks": self._group_blocks,
            "blocks_used": self.blocks_used,
            "window": self._window.to_state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`to_state` returned."""
        self.feed.restore(state["feed"])
        self._worse.restore(state["worse"])
        if self._safe is not None:
            self._safe.restore(state["safe"])
        self._evidence.restore(state["evidence"])
        self._totals = [int(v) for v in state["totals"]]
        self._excess, self._excess_weight = (float(v) for v in state["excess"])
        self._group = [int(v) for v in state["group"]]
        start = state["group_start_unix_nano"]
        self._group_start_unix_nano = None if start is None else int(start)
        self._group_blocks = int(state["group_blocks"])
        self.blocks_used = int(state["blocks_used"])
        self._window.restore(state["window"])


def _ratio(bad_b: int, n_b: int, bad_a: int, n_a: int) -> float | None:
    return bad_b / n_b - bad_a / n_a if n_a and n_b else None
