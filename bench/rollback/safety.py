"""``python -m bench.rollback.safety``: would anything be done for lack of evidence?

Seeded canaries go through the shipped rule and the policy in the mode ``act``, with a look every
five seconds. Two families: the ways in which evidence can be missing that made other judges pass
or roll back (twelve, by name), and causes that strike both arms alike, of random kind, strength
and onset. Counted are PASS verdicts and rollbacks that policy would have commanded; both must be
0 for missing evidence, rollbacks must be 0 for a common cause. Exits with 1 otherwise. There is no
peer here: the others' behaviour on the same twelve is documented, not run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from analysis.blocks import Block, CountArm, HistogramArm
from analysis.canary.config import CanaryConfig, default_config_text, load_canary_config
from analysis.canary.evidence import Look, VerdictKind
from analysis.canary.judge import CanaryJudge
from analysis.decisions.policy import decide
from analysis.decisions.records import Arm, CanaryRecord, Declaration
from analysis.decisions.states import Action, CanaryState
from analysis.runner import holds
from bench.canary.streams import HEALTHY, START, Release, Traffic, blocks_of_seconds

LOOK_EVERY_S: Final = 5
#: Beyond the rule's horizon of 300 s, so that every canary ends.
LENGTH_S: Final = 320
TRAFFIC: Final = Traffic(12.0, 12.0)
#: A canary that is truly bad, so that a rollback would be tempting; every second one is good.
BAD: Final = Release("bad", legacy_failure_ratio=0.3, server_factor=1.5)

#: second, key, block -> what is left of it.
Change = Callable[[int, str, Block], Block | None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way in which evidence is missing."""

    name: str
    change: Change = lambda _t, _key, block: block
    traffic: Traffic = TRAFFIC
    #: From this second on the collector cannot be read.
    unreadable_from_s: int = LENGTH_S + 1
    #: Where only a part is missing, the canary is bad in that part alone: else there is evidence.
    bad: Release = BAD


def _nothing(_t: int, _key: str, _block: Block) -> Block | None:
    return None


def _without(arm: str, *names: str) -> Change:
    def change(_t: int, key: str, block: Block) -> Block | None:
        if names and key.partition("{")[0] not in names:
            return block
        left = replace(block, baseline=None) if arm == "baseline" else replace(block, canary=None)
        return None if left.baseline is None and left.canary is None else left

    return change


def _no_metric(name: str) -> Change:
    return lambda _t, key, block: None if key.partition("{")[0] == name else block


def _nan_bounds(_t: int, _key: str, block: Block) -> Block:
    if not isinstance(block.canary, HistogramArm):
        return block
    bounds = block.canary.bounds.copy()
    bounds[0] = np.nan
    return replace(block, canary=HistogramArm(bounds, block.canary.counts))


def _no_requests(_t: int, _key: str, block: Block) -> Block:
    arms: list[CountArm | HistogramArm | None] = []
    for arm in (block.baseline, block.canary):
        if isinstance(arm, HistogramArm):
            arms.append(HistogramArm(arm.bounds, np.zeros(len(arm.counts), dtype=np.int64)))
        else:
            arms.append(None if arm is None else CountArm(0, 0))
    return Block(block.start_unix_nano, block.end_unix_nano, *arms)


def _constant(_t: int, _key: str, block: Block) -> Block:
    if not isinstance(block.canary, HistogramArm):
        return block
    arm = HistogramArm(np.array([1.0, 2.0]), np.array([0, 12, 0]))
    return replace(block, baseline=arm, canary=arm)


def _absurd(_t: int, _key: str, block: Block) -> Block:
    if isinstance(block.canary, CountArm):
        return replace(block, canary=CountArm(10**15, 10**15))
    if not isinstance(block.canary, HistogramArm):
        return block
    counts = np.full(len(block.canary.counts), 2**60, dtype=np.int64)
    return replace(block, canary=HistogramArm(block.canary.bounds, counts))


def _late(t: int, _key: str, block: Block) -> Block:
    if t == 0:
        return block
    return replace(block, start_unix_nano=block.start_unix_nano - (t + 1) * 10**9)


SCENARIOS: Final = (
    Scenario("no data at all", _nothing),
    Scenario("canary side empty", _without("canary")),
    Scenario("baseline side empty", _without("baseline")),
    Scenario(
        "error counter of the canary missing",
        _without("canary", "http.server.errors"),
        bad=Release("errors", error_ratio=0.3),
    ),
    Scenario(
        "one metric missing on both sides",
        _no_metric("playback.start.failures"),
        bad=Release("failures", legacy_failure_ratio=0.3),
    ),
    Scenario("NaN in the canary's buckets", _nan_bounds),
    Scenario("reports without any request", _no_requests),
    Scenario("low traffic", traffic=Traffic(0.2, 0.2)),
    Scenario(
        "every value the same", _constant, bad=Release("slow", start_factor=1.5, server_factor=1.5)
    ),
    Scenario("impossible counts", _absurd),
    Scenario("every block too late", _late),
    Scenario("collector unreachable from second 3", unreadable_from_s=3),
)


def common_cause(rng: np.random.Generator) -> tuple[str, Traffic]:
    """A cause that strikes both arms alike."""
    strength = float(rng.uniform(0.05, 0.6))
    kinds = {
        "starts fail": Traffic(12.0, 12.0, failure_ratio=strength),
        "server errors": Traffic(12.0, 12.0, error_ratio=strength),
        "all is slow": Traffic(12.0, 12.0, startup_median_s=0.8 + 5 * strength,
                               server_median_s=0.06 + strength),
        "it gets worse": Traffic(12.0, 12.0, drift_per_minute=strength,
                                 failure_drift_per_minute=2 * strength),
    }  # fmt: skip
    name = list(kinds)[int(rng.integers(len(kinds)))]
    return name, kinds[name]


def looks_of(rule: CanaryConfig, scenario: Scenario, release: Release, seed: int) -> Iterator[Look]:
    """What is said every five seconds, until the end."""
    judge = CanaryJudge(rule, START)
    waiting: dict[str, list[Block]] = {}
    rng = np.random.default_rng(seed)
    stream = blocks_of_seconds(scenario.traffic, release, LENGTH_S, rng)
    for t, (now, blocks) in enumerate(stream):
        for key, new in blocks.items():
            kept = [b for one in new if (b := scenario.change(t, key, one)) is not None]
            if kept:
                waiting.setdefault(key, []).extend(kept)
        if (t + 1) % LOOK_EVERY_S:
            continue
        if t >= scenario.unreadable_from_s:
            look = holds.on_hold(judge, t, now, "collector_unreachable", "connection refused")
        else:
            look = judge.look(waiting, now, with_intervals=False)
            waiting = {}
        yield look
        if look.final:
            return


def outcome(looks: Iterator[Look]) -> tuple[bool, bool, str]:
    """(was there a PASS, would policy have rolled back, the last word)."""
    passed = rolled_back = False
    last = "observing"
    for look in looks:
        if look.verdict is None:
            continue
        last = f"{look.verdict.kind} {look.reason}"
        passed |= look.verdict.kind is VerdictKind.PASS
        draft = decide(_RECORD, look.verdict, "act").draft
        rolled_back |= draft is not None and draft.action is Action.ROLLBACK
    return passed, rolled_back, last


_ARMS: Final = (Arm("1", "sha256:a", ("b-1",)), Arm("2", "sha256:b", ("c-1",)))
_RECORD: Final = CanaryRecord(
    Declaration("d-1", "prod", "playback", *_ARMS, START, START + 10**12),
    START, CanaryState.OBSERVING, "observing", "", 0, None, "", "", None,
)  # fmt: skip


def missing_evidence(rule: CanaryConfig, seed: int, repeats: int) -> list[dict[str, object]]:
    """Per scenario: runs, passes, rollbacks, how they ended. Good and bad canaries alternate."""
    rows: list[dict[str, object]] = []
    for number, scenario in enumerate(SCENARIOS):
        passes = rollbacks = 0
        ends: Counter[str] = Counter()
        for repeat in range(repeats):
            release = scenario.bad if repeat % 2 == 0 else HEALTHY
            one = seed * 1_000_003 + number * 1_009 + repeat
            passed, rolled_back, last = outcome(looks_of(rule, scenario, release, one))
            passes, rollbacks = passes + passed, rollbacks + rolled_back
            ends[last] += 1
        rows.append({"scenario": scenario.name, "runs": repeats, "passes": passes,
                     "rollbacks": rollbacks, "ends": dict(ends)})  # fmt: skip
    return rows


def common_causes(rule: CanaryConfig, seed: int, count: int) -> dict[str, object]:
    """Of ``count`` common causes: rollbacks, and how they ended."""
    rng = np.random.default_rng(seed)
    rollbacks = 0
    ends: Counter[str] = Counter()
    for number in range(count):
        name, traffic = common_cause(rng)
        looks = looks_of(rule, Scenario(name, traffic=traffic), HEALTHY, seed * 7_919 + number)
        _, rolled_back, last = outcome(looks)
        rollbacks += rolled_back
        ends[f"{name}: {last}"] += 1
    return {"runs": count, "rollbacks": rollbacks, "ends": dict(sorted(ends.items()))}


def main() -> int:
    """0 = nothing was done for lack of evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2 repeats, 20 common causes")
    parser.add_argument("--repeats", type=int, default=10, help="runs of each of the twelve")
    parser.add_argument("--common", type=int, default=1_000, help="common causes")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    repeats, common = (2, 20) if options.quick else (options.repeats, options.common)
    rule = load_canary_config(default_config_text())
    started_s = time.perf_counter()
    rows = missing_evidence(rule, options.seed, repeats)
    for row in rows:
        print(f"{row['passes']} passes, {row['rollbacks']} rollbacks of {row['runs']}: "
              f"{row['scenario']} {row['ends']}")  # fmt: skip
    causes = common_causes(rule, options.seed, common)
    print(f"{causes['rollbacks']} rollbacks of {common} common causes {causes['ends']}")
    is_safe = not causes["rollbacks"] and not any(r["passes"] or r["rollbacks"] for r in rows)
    took_s = round(time.perf_counter() - started_s, 1)
    figures = {"seed": options.seed, "missing_evidence": rows, "common_cause": causes,
               "is_safe": is_safe, "took_s": took_s}  # fmt: skip
    print(json.dumps(figures))
    return 0 if is_safe else 1


if __name__ == "__main__":
    sys.exit(main())
