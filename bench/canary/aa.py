"""A/A canaries through the real judge, a look every second: how often does it cry wolf?

python -m bench.canary.aa --runs 200 --rate-per-s 12 --seconds 300 --alpha 0.005 --seed 7

Every canary is watched to the end: a PASS that would have ended it is noted and held back, so that
all looks get their chance to fail it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.stats import beta

from analysis.canary.config import CanaryConfig, default_config_text, load_canary_config
from analysis.canary.evidence import Look, Reason, VerdictKind
from analysis.canary.judge import CanaryJudge
from bench.canary.streams import HEALTHY, START, Release, Traffic, blocks_of_seconds


def run_canary(
    config: CanaryConfig,
    traffic: Traffic,
    release: Release,
    seconds: int,
    rng: np.random.Generator,
) -> Iterator[Look]:
    """The looks of one canary, one a second, until it is over."""
    judge = CanaryJudge(config, START)
    for now, blocks in blocks_of_seconds(traffic, release, seconds, rng):
        look = judge.look(blocks, now, with_intervals=False)
        yield look
        if look.final:
            return


def binomial_interval(k: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper-Pearson interval of a share."""
    tail = (1 - level) / 2
    low = beta.ppf(tail, k, n - k + 1) if k else 0.0
    high = beta.ppf(1 - tail, k + 1, n - k) if k < n else 1.0
    return float(low), float(high)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--rate-per-s", type=float, default=12.0, help="starts per second and arm")
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--alpha", type=float, default=0.005)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="20 runs of 120 s")
    args = parser.parse_args()
    runs, seconds = (20, 120) if args.quick else (args.runs, args.seconds)
    shipped = load_canary_config(default_config_text())
    end_s = float(seconds)
    config = replace(shipped, alpha=args.alpha, horizon_s=end_s, min_bake_s=end_s)
    traffic = Traffic(args.rate_per_s, args.rate_per_s)
    started = time.perf_counter()
    verdicts: Counter[str] = Counter()
    decided_s: dict[str, list[float]] = {}
    looks = 0
    for child in np.random.SeedSequence(args.seed).spawn(runs):
        rng = np.random.default_rng(child)
        name, at_s = "undecided", end_s
        for look in run_canary(config, traffic, HEALTHY, seconds, rng):
            looks += 1
            if look.verdict is not None and look.verdict.kind is VerdictKind.FAIL:
                name, at_s = "fail", look.elapsed_s
            if name == "undecided" and look.elapsed_s >= shipped.min_bake_s:
                if look.reason in (Reason.BAKING, Reason.CERTIFIED):
                    name, at_s = "would pass", look.elapsed_s
        verdicts[name] += 1
        decided_s.setdefault(name, []).append(at_s)
    print(f"{'verdict':45} {'runs':>5} {'share':>7} {'median s':>9} {'p95 s':>7}")
    for name, count in verdicts.most_common():
        at = decided_s[name]
        print(
            f"{name:45} {count:5d} {count / runs:7.3f} {np.median(at):9.1f} "
            f"{np.quantile(at, 0.95):7.1f}"
        )
    failed = sum(v for k, v in verdicts.items() if k == "fail")
    low, high = binomial_interval(failed, runs)
    took = time.perf_counter() - started
    print(
        json.dumps(
            {
                "runs": runs,
                "seconds": seconds,
                "rate_per_s": args.rate_per_s,
                "alpha": args.alpha,
                "seed": args.seed,
                "false_alarms": failed,
                "false_alarm_ratio": failed / runs,
                "false_alarm_ratio_low": low,
                "false_alarm_ratio_high": high,
                "would_pass": sum(v for k, v in verdicts.items() if k == "would pass"),
                "looks": looks,
                "ms_per_look": 1000 * took / looks,
                "rule_digest": config.digest(),
            }
        )
    )
    return 0 if failed <= max(4 * runs * args.alpha, 1) else 1


if __name__ == "__main__":
    raise SystemExit(main())
