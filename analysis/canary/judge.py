"""The judge: new blocks in, a look out, every time. Deterministic; saved and resumed as JSON.

Error control. Each metric, and each of its splits, carries an e-process E of "the canary is worse
than the margin allows" and a weight w of the error budget (fixed in the rule and summing to one; a
split takes one of ``splits_max`` equal parts when it first appears). FAIL needs one of them above
``1 / (alpha w)``: by Ville its chance of ever getting there is alpha w while its null holds, and
by the union bound the chance that a canary within all margins is ever failed is at most alpha, for
all looks and metrics together and whatever their dependence. The sharper weighted *average* of
E would not do: metrics join blocks into groups of their own, and a sum of processes that step at
different times is stopped by knowledge that a half-filled group already gives about its next step.
PASS needs every critical metric's own proof of safety above ``1 / pass_alpha``: a canary beyond a
margin must fool that very proof, so no correction for their number is needed.

A metric in a mode that answers once (``exact``, ``kayenta``) has no e-process. It is silent until
the horizon, where every look is the last one, and answers there: ``exact`` with a chance of alpha w
to call a canary within the margin worse, so the union bound covers it; ``kayenta`` with the error
of Kayenta's rule, which no budget of ours bounds.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.blocks import Block, CountArm, HistogramArm
from analysis.canary.config import CanaryConfig, MetricConfig, MetricKind, Mode, parse_key
from analysis.canary.count_metric import CountMetric
from analysis.canary.errors import CanaryInputError, CanaryStateError
from analysis.canary.evidence import Look, Reason, Verdict, VerdictKind
from analysis.canary.fixed_time_metric import FixedTimeMetric
from analysis.canary.gates import (
    Gate,
    Metric,
    comparable_gate,
    instances_gate,
    objective_gate,
    silence_gate,
    split_gate,
)
from analysis.canary.histogram_metric import HistogramMetric
from analysis.stats.srm import log_e_split

# Names the code in evidence; a change of any rule in this package changes it.
CODE_VERSION = "2026.11.0/sequential-3"

_S = 1e-9  # seconds per nanosecond

# Share of the whole's surplus of bad events from which a split is named as the place of the harm.
_MAIN_PART_RATIO = 0.5
_ARM_KINDS = {MetricKind.COUNT: CountArm, MetricKind.HISTOGRAM: HistogramArm}


class CanaryJudge:
    """Judges one canary. One instance per canary, fed in time order.

    ``started_unix_nano``: when the canary was declared; the horizon counts from there. ``None``
    means the time of the first look.
    """

    def __init__(self, config: CanaryConfig, started_unix_nano: int | None = None) -> None:
        self.config = config
        self._rule_digest = config.digest()
        self._started_unix_nano = started_unix_nano
        self._looks = 0
        self._verdict: Verdict | None = None  # final ones only
        self._skipped_splits: dict[str, int] = {}
        total = sum(m.weight for m in config.metrics)
        self._shares = {m.name: m.weight / total for m in config.metrics}
        self._overall: dict[str, Metric] = {m.name: self._new(m, "") for m in config.metrics}
        self._splits: dict[str, Metric] = {}

    def prime(self, blocks: Mapping[str, Sequence[Block]]) -> None:
        """Baseline blocks from before the canary (histograms): sharpen the bets, judge nothing."""
        for key in sorted(blocks):
            metric = self._overall.get(key)
            if isinstance(metric, HistogramMetric):
                metric.learn(blocks[key])

    def look(
        self,
        blocks: Mapping[str, Sequence[Block]],
        now_unix_nano: int,
        *,
        with_intervals: bool = True,
    ) -> Look:
        """Take the blocks closed since the last look and say what is known now.

        ``blocks``: metric name or ``name{attribute=value}`` -> new blocks of any order. Blocks
        already taken are ignored. After a final verdict nothing changes any more: blocks are
        not taken, the verdict is repeated. Raises :class:`CanaryInputError` for an unknown metric
        or arms of the wrong kind; nothing is taken then.
        """
        if self._started_unix_nano is None:
            self._started_unix_nano = now_unix_nano
        for key, new in blocks.items():
            self._check(key, new)
        if self._verdict is None:
            for key in sorted(blocks):
                metric = self._metric(key)
                if metric is not None:
                    metric.take(blocks[key])
        self._looks += 1
        if self._verdict is not None:
            return self._evidence(
                now_unix_nano,
                self._verdict,
                self._verdict.reason,
                self._verdict.summary,
                with_intervals=with_intervals,
            )
        verdict, reason, summary = self._judge(now_unix_nano)
        if verdict is not None and verdict.final:
            self._verdict = verdict
        return self._evidence(
            now_unix_nano, verdict, reason, summary, with_intervals=with_intervals
        )

    # --- deciding ---------------------------------------------------------------------------

    def _judge(self, now: int) -> tuple[Verdict | None, Reason, str]:
        assert self._started_unix_nano is not None
        elapsed_s = (now - self._started_unix_nano) * _S
        over = elapsed_s >= self.config.horizon_s
        if over:
            for metric in self._answering_once():
                metric.decide()
        gate = self._gate(now)
        if gate is not None:
            verdict = Verdict(
                gate.kind, gate.reason, gate.summary, now, gate.final or over, gate.metric, None
            )
            return verdict, gate.reason, gate.summary
        waiting = self._unheard()
        failed = self._failed(now) if waiting is None else (Reason.WARMING, waiting)
        if isinstance(failed, Verdict):
            return failed, failed.reason, failed.summary
        reason, summary = failed or self._open_question(now)
        if reason is Reason.CERTIFIED:
            verdict = Verdict(VerdictKind.PASS, reason, summary, now, True, None, None)
            return verdict, reason, summary
        if over:
            text = f"Undecided after {elapsed_s:.0f} s: {summary[0].lower()}{summary[1:]}"
            why = Reason.UNDECIDED_AT_HORIZON
            return Verdict(VerdictKind.INCONCLUSIVE, why, text, now, True, None, None), why, text
        return None, reason, summary

    def _gate(self, now: int) -> Gate | None:
        assert self._started_unix_nano is not None
        metrics = list(self._overall.values())
        return (
            silence_gate(metrics, self.config, self._started_unix_nano, now)
            or split_gate(self._split_log_e(), self._traffic(), self.config)
            or instances_gate(metrics, self.config)
            or comparable_gate(metrics, self.config)
            or objective_gate(metrics, now)
        )

    def _unheard(self) -> str | None:
        """Who has not reported a required metric yet. Nothing is decided without them."""
        for metric in self._overall.values():
            silent = [a for a in ("baseline", "canary") if a not in metric.feed.heard_unix_nano]
            if metric.config.required and silent:
                who = " and ".join(silent)
                return f"Waiting for the first report of {metric.config.name} from the {who}."
        return None

    def _failed(self, now: int) -> Verdict | tuple[Reason, str] | None:
        enough = [m for m in self._all() if m.is_worse and min(m.requests) >= self._need_fail(m)]
        if not enough or self._looks < self.config.min_looks:
            return None
        enough.sort(key=lambda m: -(math.log(m.weight) + m.log_e))
        culprit = next((m for m in enough if m.accuses), None)
        if culprit is None:
            text = f"Different beyond doubt, but small: {enough[0].describe()}."
            return Reason.SMALL_EFFECT, text
        part = None if culprit.split else self._main_part(culprit)
        mostly = f", most of it in {part}" if part else ""
        summary = f"The canary is worse: {culprit.describe()}{mostly}."
        return Verdict(
            VerdictKind.FAIL,
            Reason.REGRESSION,
            summary,
            now,
            True,
            culprit.config.name,
            culprit.split or part,
        )

    def _main_part(self, culprit: Metric) -> str | None:
        """The split that holds most of the harm a whole metric failed for, if one does.

        It is not proven by itself: it says where to look, FAIL rests on the whole.
        """
        if not isinstance(culprit, CountMetric):
            return None
        for part in self._splits.values():
            if not isinstance(part, CountMetric) or part.config.name != culprit.config.name:
                continue
            if part.is_suspect and part.excess_bad >= _MAIN_PART_RATIO * culprit.excess_bad:
                return part.split
        return None

    def _need_fail(self, metric: Metric) -> int:
        """A split is smaller than its whole; its min_bad events are its gate."""
        return metric.config.min_bad if metric.split else self.config.min_requests_fail

    def _open_question(self, now: int) -> tuple[Reason, str]:
        """Why there is no FAIL, as the reason of the look; CERTIFIED when nothing is missing."""
        config = self.config
        critical = [m for m in self._overall.values() if m.config.critical]
        least = min((min(m.requests) for m in critical), default=0)
        if self._looks < config.min_looks or least < config.min_requests_fail:
            return Reason.WARMING, f"Warming up: {least} requests on the quieter arm so far."
        suspects = [m for m in self._all() if m.is_suspect]
        if suspects:
            worst = max(suspects, key=lambda m: m.log_e)
            return Reason.SUSPECT, f"Looks worse, not yet beyond doubt: {worst.describe()}."
        missing = [m for m in critical if not m.certified]
        started = [m.feed.first_paired_unix_nano for m in critical]
        first = max((s for s in started if s is not None), default=now)
        baked_s = (now - first) * _S
        if missing:
            names = ", ".join(f"{m.config.name}{m.why_not_certified}" for m in missing)
            if all(m.is_waiting for m in missing):
                return Reason.WAITING, f"No harm found; waiting for the one answer of {names}."
            reason = Reason.OBSERVING if baked_s < config.min_bake_s else Reason.NOT_CERTIFIED
            return reason, f"No harm found; not yet shown safe: {names}."
        if baked_s < config.min_bake_s or least < config.min_requests_pass:
            text = (
                f"Shown safe; baking: {baked_s:.0f} of {config.min_bake_s:.0f} s, "
                f"{least} of {config.min_requests_pass} requests per arm."
            )
            return Reason.BAKING, text
        parts = "; ".join(m.describe() for m in critical)
        return Reason.CERTIFIED, f"The canary is not worse within the margins: {parts}."

    # --- evidence ---------------------------------------------------------------------------

    def _evidence(
        self,
        now: int,
        verdict: Verdict | None,
        reason: Reason,
        summary: str,
        *,
        with_intervals: bool,
    ) -> Look:
        assert self._started_unix_nano is not None
        baseline, canary = self._traffic()
        declared = self.config.declared_canary_share_ratio
        total = baseline + canary
        return Look(
            index=self._looks - 1,
            unix_nano=now,
            elapsed_s=(now - self._started_unix_nano) * _S,
            verdict=verdict,
            reason=reason,
            summary=summary,
            log_e_value=max(math.log(m.weight) + m.log_e for m in self._all()),
            max_log_e_value=max(math.log(m.weight) + m.max_log_e for m in self._all()),
            threshold_log_e=-math.log(self.config.alpha),
            certify_threshold_log_e=-math.log(self.config.pass_alpha),
            metrics=tuple(m.look(with_intervals=with_intervals) for m in self._all()),
            traffic={
                "baseline_requests": baseline,
                "canary_requests": canary,
                "canary_share_ratio": canary / total if total else None,
                "declared_canary_share_ratio": declared or None,
                "checked": bool(declared),
                "log_e_value": self._split_log_e(),
                "threshold_log_e": -math.log(self.config.share_alpha),
                "instances": self._instances(),
                "min_instances_per_arm": self.config.min_instances_per_arm,
                "splits_not_judged": dict(self._skipped_splits),
            },
            inputs_digest=self.inputs_digest(),
            rule_digest=self._rule_digest,
            code_version=CODE_VERSION,
        )

    def inputs_digest(self) -> str:
        """SHA-256 over every block taken, per key in order: same blocks, same digest."""
        chains = {key: m.feed.digest for key, m in [*self._overall.items(), *self._splits.items()]}
        return hashlib.sha256(json.dumps(chains, sort_keys=True).encode()).hexdigest()

    def _traffic(self) -> tuple[int, int]:
        """Events per arm of the first count metric that is not service-scoped, else the first."""
        metrics = list(self._overall.values())
        counts = [m for m in metrics if m.config.kind is MetricKind.COUNT]
        outside = [m for m in counts if not m.config.service_scoped]
        return (outside or counts or metrics)[0].requests

    def _instances(self) -> dict[str, int]:
        """Most instances per arm that reported a metric in its last paired block."""
        found: dict[str, int] = {}
        for metric in self._overall.values():
            for arm, count in metric.feed.instances.items():
                found[arm] = max(found.get(arm, 0), count)
        return found

    def _split_log_e(self) -> float:
        declared = self.config.declared_canary_share_ratio
        if not declared:
            return 0.0
        baseline, canary = self._traffic()
        return log_e_split(baseline, canary, declared, self.config.share_tolerance_ratio)

    # --- metrics and splits -----------------------------------------------------------------

    def _answering_once(self) -> list[FixedTimeMetric]:
        return [m for m in self._all() if isinstance(m, FixedTimeMetric)]

    def _all(self) -> list[Metric]:
        return [*self._overall.values(), *self._splits.values()]

    def _check(self, key: str, blocks: Sequence[Block]) -> None:
        name, split = parse_key(key)
        if name not in self._overall:
            raise CanaryInputError(f"blocks of {key!r}: the rule has no metric {name!r}")
        config = self._overall[name].config
        if split and not (config.split_by and split.startswith(config.split_by + "=")):
            raise CanaryInputError(f"blocks of {key!r}: {name!r} is split by {config.split_by!r}")
        kind = _ARM_KINDS[config.kind]
        for arm in (arm for block in blocks for arm in (block.baseline, block.canary)):
            if arm is not None and not isinstance(arm, kind):
                raise CanaryInputError(f"{key}: need {kind.__name__}, got {type(arm).__name__}")

    def _metric(self, key: str) -> Metric | None:
        """The metric or split of a block key; ``None`` for a split beyond ``splits_max``."""
        name, split = parse_key(key)
        if not split:
            return self._overall[name]
        if key in self._splits:
            return self._splits[key]
        config = self._overall[name].config
        taken = sum(1 for m in self._splits.values() if m.config.name == name)
        if taken >= config.splits_max:
            self._skipped_splits[key] = self._skipped_splits.get(key, 0) + 1
            return None
        self._splits[key] = self._new(config, split)
        return self._splits[key]

    def _new(self, config: MetricConfig, split: str) -> Metric:
        share, overall = self._shares[config.name], config.overall_weight_ratio
        if not config.split_by:
            overall = 1.0
        weight = share * ((1.0 - overall) / config.splits_max if split else overall)
        key = f"{config.name}{{{split}}}" if split else config.name
        kind: type[Metric] = CountMetric if config.kind is MetricKind.COUNT else HistogramMetric
        if config.mode is not Mode.SEQUENTIAL:
            kind = FixedTimeMetric
        return kind(key, config, self.config, split=split, weight=weight)

    # --- state ------------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        """Everything needed to go on after a kill, as JSON-able values."""
        return {
            "code_version": CODE_VERSION,
            "rule_digest": self._rule_digest,
            "started_unix_nano": self._started_unix_nano,
            "looks": self._looks,
            "verdict": None if self._verdict is None else self._verdict.to_json(),
            "skipped_splits": dict(self._skipped_splits),
            "overall": {name: m.to_state() for name, m in self._overall.items()},
            "splits": [[key, m.to_state()] for key, m in self._splits.items()],
        }

    @classmethod
    def from_state(cls, config: CanaryConfig, state: Mapping[str, Any]) -> CanaryJudge:
        """Go on where :meth:`to_state` stopped.

        Raises :class:`CanaryStateError` when the state belongs to another rule or code version.
        """
        if state.get("code_version") != CODE_VERSION:
            raise CanaryStateError(f"state of {state.get('code_version')}, code {CODE_VERSION}")
        judge = cls(config, state["started_unix_nano"])
        if state.get("rule_digest") != judge._rule_digest:
            raise CanaryStateError(f"state of rule {state.get('rule_digest')}")
        judge._looks = int(state["looks"])
        judge._verdict = None if state["verdict"] is None else _verdict(state["verdict"])
        judge._skipped_splits = {str(k): int(v) for k, v in state["skipped_splits"].items()}
        for name, saved in state["overall"].items():
            judge._overall[name].restore(saved)
        for key, saved in state["splits"]:
            metric = judge._metric(key)
            assert metric is not None
            metric.restore(saved)
        return judge


def _verdict(raw: Mapping[str, Any]) -> Verdict:
    return Verdict(
        VerdictKind(raw["kind"]),
        Reason(raw["reason"]),
        str(raw["summary"]),
        int(raw["unix_nano"]),
        bool(raw["final"]),
        raw["culprit_metric"],
        raw["culprit_split"],
    )
