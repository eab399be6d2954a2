"""A/A canaries through the real judge, a look every second: how often does it cry wolf?

python -m bench.canary.aa --runs 200 --rate-per-s 12 --seconds 300 --alpha 0.005 --seed 7

Every canary is generated as OTLP exports, stored, read back and judged second by second
(``--direct`` skips the store; the first canaries run both ways and must give the same evidence).
Each is watched to the end: a PASS that would have ended it is noted and held back, so that all
looks get their chance to fail it. Peers see the same seconds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from analysis.canary.config import CanaryConfig, default_config_text, load_canary_config
from analysis.canary.evidence import Reason, VerdictKind
from bench.canary.replay import (
    Seconds,
    Stream,
    binomial_interval,
    direct_stream,
    evidence_of,
    looks_of,
    peers_on,
    seeds,
    streams,
)
from bench.canary.streams import HEALTHY, Traffic, events_of_seconds

OURS = "davylamp, every second"


@dataclass
class Tally:
    """What became of the canaries, and how long looks took."""

    verdicts: Counter[str] = field(default_factory=Counter)
    decided_s: dict[str, list[float]] = field(default_factory=dict)
    alarms: Counter[str] = field(default_factory=Counter)
    looks: int = 0
    judged_s: float = 0.0
    same_as_direct: int = 0

    def note(self, verdict: str, at_s: float) -> None:
        """One canary's end."""
        self.verdicts[verdict] += 1
        self.decided_s.setdefault(verdict, []).append(at_s)
        self.alarms[OURS] += verdict == "fail"


def judge_one(rule: CanaryConfig, stream: Stream, bake_s: float, tally: Tally) -> list[dict]:
    """Watch one canary to its end; returns the evidence of its last look per ten seconds."""
    name, at_s, kept = "undecided", rule.horizon_s, []
    stream = iter(list(stream))  # making the blocks is not the judge's time
    began = time.perf_counter()
    for look in looks_of(rule, stream):
        tally.looks += 1
        if look.verdict is not None and look.verdict.kind is VerdictKind.FAIL:
            name, at_s = "fail", look.elapsed_s
        is_safe = look.reason in (Reason.BAKING, Reason.CERTIFIED)
        if name == "undecided" and look.elapsed_s >= bake_s and is_safe:
            name, at_s = "would pass", look.elapsed_s
        if look.index % 10 == 9 or look.final:
            kept.append(evidence_of(look))
    tally.judged_s += time.perf_counter() - began
    tally.note(name, at_s)
    return kept


def check_same(rule: CanaryConfig, seconds: Seconds, bake_s: float, kept: list[dict]) -> int:
    """1 when the direct way gives the same evidence; raises otherwise."""
    again = judge_one(rule, direct_stream(rule, seconds), bake_s, Tally())
    if again != kept:
        raise AssertionError("blocks through the store and direct blocks differ in evidence")
    return 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--rate-per-s", type=float, default=12.0, help="starts per second and arm")
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--alpha", type=float, default=0.005)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--direct", action="store_true", help="blocks from events, no store")
    parser.add_argument("--compare", type=int, default=3, help="canaries judged both ways")
    parser.add_argument("--quick", action="store_true", help="20 runs of 120 s")
    args = parser.parse_args()
    runs, seconds = (20, 120) if args.quick else (args.runs, args.seconds)
    shipped = load_canary_config(default_config_text())
    end_s = float(seconds)
    rule = replace(shipped, alpha=args.alpha, horizon_s=end_s, min_bake_s=end_s)
    traffic = Traffic(args.rate_per_s, args.rate_per_s)
    tally = Tally()
    started = time.perf_counter()
    with streams(is_direct=args.direct) as stream_of:
        for number, rng in enumerate(seeds(args.seed, runs)):
            events = list(events_of_seconds(traffic, HEALTHY, seconds, rng))
            kept = judge_one(rule, stream_of(rule, events), shipped.min_bake_s, tally)
            if not args.direct and number < args.compare:
                tally.same_as_direct += check_same(rule, events, shipped.min_bake_s, kept)
            for alarm in peers_on(events, args.alpha):
                tally.alarms[alarm.name] += alarm.at_s is not None
    return report(args, rule, runs, seconds, tally, time.perf_counter() - started)


def report(args, rule: CanaryConfig, runs: int, seconds: int, tally: Tally, took_s: float) -> int:
    """The tables, then one line of JSON; 0 when false alarms keep to the promise."""
    print(f"{'verdict':45} {'runs':>5} {'share':>7} {'median s':>9} {'p95 s':>7}")
    for name, count in tally.verdicts.most_common():
        at = tally.decided_s[name]
        line = f"{name:45} {count:5d} {count / runs:7.3f}"
        print(f"{line} {np.median(at):9.1f} {np.quantile(at, 0.95):7.1f}")
    print(f"\n{'false alarms, no difference':45} {'runs':>5} {'share':>7}   95 % interval")
    for name, count in tally.alarms.items():
        low, high = binomial_interval(count, runs)
        print(f"{name:45} {count:5d} {count / runs:7.3f}   {low:.3f} to {high:.3f}")
    failed = tally.alarms[OURS]
    low, high = binomial_interval(failed, runs)
    figures = {
        "runs": runs,
        "seconds": seconds,
        "rate_per_s": args.rate_per_s,
        "alpha": args.alpha,
        "seed": args.seed,
        "through": "blocks" if args.direct else "otlp, store, read api",
        "same_as_direct": tally.same_as_direct,
        "false_alarms": failed,
        "false_alarm_ratio": failed / runs,
        "false_alarm_ratio_low": low,
        "false_alarm_ratio_high": high,
        "peer_false_alarms": {k: v for k, v in tally.alarms.items() if k != OURS},
        "would_pass": tally.verdicts["would pass"],
        "looks": tally.looks,
        "ms_per_look": 1000 * tally.judged_s / tally.looks,
        "took_s": took_s,
        "rule_digest": rule.digest(),
    }
    print(json.dumps(figures))
    return 0 if failed <= max(4 * runs * args.alpha, 1) else 1


if __name__ == "__main__":
    raise SystemExit(main())
