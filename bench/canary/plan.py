"""Does the planner say what it takes? Its requests beside those measured on other streams.

python -m bench.canary.plan [--runs 400] [--quick]
python -m bench.canary.plan --wrong-claims [--runs 400]

The second asks how often a canary that is worse by just the pass margin is called safe within an
hour: at most ``pass_alpha`` of them may be.

Detection is measured with ``bench.canary.simulate`` (raw latencies, its own seeds and blocks),
certificates with the judge's metrics one canary at a time. Fixed-sample formulas stand beside:
the two-proportion z-test, and the z-test of mean logarithms, at the same alpha and power 0.5.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from analysis.blocks import Block, CountArm, HistogramArm
from analysis.canary.config import default_config_text, load_canary_config
from analysis.canary.count_metric import CountMetric
from analysis.canary.histogram_metric import HistogramMetric
from analysis.canary.planner import (
    Durations,
    Failures,
    Traffic,
    plan_certificate,
    plan_detection,
)
from bench.canary.modes import LAYOUTS, MARGIN
from bench.canary.replay import binomial_interval
from bench.canary.scenarios import BLOCK_S, MEDIAN_S, SCENARIOS, SIGMA, Scenario, blocks, history
from bench.canary.simulate import CHUNK, alarm_minutes

ALPHA = 0.01
P99_S = MEDIAN_S * float(np.exp(SIGMA * ndtri(0.99)))
WITHIN = 0.15
STEP = BLOCK_S * 10**9


@dataclass(frozen=True, slots=True)
class Case:
    """``certify``: the pass margin (durations at p50), else detection in ``mode``."""

    scenario: str
    what: Durations | Failures
    mode: str = "sequential"
    certify: float = 0.0


def durations(margin: float = 0.0, **effect: float) -> Durations:
    return Durations(MEDIAN_S, P99_S, margin, **effect)


CASES = (
    Case("+10%", durations(slower_ratio=0.1)),
    Case("+20%", durations(slower_ratio=0.2)),
    Case("+20%", durations(MARGIN, slower_ratio=0.2), "sequential-margin-9%"),
    Case("tail-2%x5", durations(tail_share=0.02, tail_times=5.0)),
    Case("failures-0.5-1%", Failures(0.005, 0.01, 0.0)),
    Case("failures-0.5-2%", Failures(0.005, 0.02, 0.0)),
    Case("failures-2-3%", Failures(0.02, 0.03, 0.0)),
    Case("null", durations(), certify=0.1),
    Case("null", durations(), certify=0.25),
    Case("null-failures-0.5%", Failures(0.005, 0.005, 0.0), certify=0.01),
)


#: Worse by exactly the margin that is certified.
UNSAFE = (
    Case("+20%", durations(), certify=0.2),
    Case("failures-0.5-1%", Failures(0.005, 0.01, 0.0), certify=0.005),
)


def measured(case: Case, seed: int, runs: int) -> np.ndarray:
    """Minutes to the decision of each run; inf = never."""
    sizes = [min(CHUNK, runs - done) for done in range(0, runs, CHUNK)]
    children = np.random.SeedSequence([seed, *case.scenario.encode()]).spawn(len(sizes))
    scenario = SCENARIOS[case.scenario]
    found = []
    for child, size in zip(children, sizes, strict=True):
        if case.certify:
            found.append(certified_minutes(scenario, case, child, size))
        else:
            some = alarm_minutes(scenario, [case.mode], "exponential-3", ALPHA, child, size)
            found.append(some[0])
    return np.concatenate(found)


def certified_minutes(
    scenario: Scenario, case: Case, seed: np.random.SeedSequence, runs: int
) -> np.ndarray:
    """Through the judge's metrics: block by block until the p50 or the share is certified."""
    streams, own = seed.spawn(2)
    edges = LAYOUTS["exponential-3"]
    metrics = _metrics(scenario, case, np.random.default_rng(own), runs)
    at = np.full(runs, np.inf)
    for block in blocks(scenario, np.random.default_rng(streams), runs):
        for run in np.flatnonzero(np.isinf(at)):
            arms = [_arm(arm, run, edges) for arm in (block.baseline, block.canary)]
            start = block.index * STEP
            metrics[run].take([Block(start, start + STEP, *arms)])
            shown = metrics[run].look(with_intervals=False).certificates
            if shown["p50" if "p50" in shown else "share"] >= -np.log(ALPHA):
                at[run] = block.minute
        if np.isfinite(at).all():
            break
    return at


def _metrics(scenario: Scenario, case: Case, rng: np.random.Generator, runs: int) -> list:
    rule = replace(
        load_canary_config(default_config_text()),
        alpha=ALPHA,
        pass_alpha=ALPHA,
        horizon_s=3600.0,
        history_half_life_s=1800.0,
    )
    if scenario.failures is not None:
        config = replace(rule.metric("http.server.errors"), pass_margin=case.certify)
        config = replace(config, fail_margin=0.0, expected_bad_ratio=scenario.failures[0])
        return [CountMetric("f", config, rule, split="", weight=1.0) for _ in range(runs)]
    config = replace(rule.metric("http.server.request.duration"), pass_margin=case.certify)
    metrics = [HistogramMetric("d", config, rule, split="", weight=1.0) for _ in range(runs)]
    edges = LAYOUTS["exponential-3"]
    for metric, counts in zip(metrics, history(edges, 5000, rng, runs), strict=True):
        metric.learn([Block(-STEP, 0, HistogramArm(edges, counts.astype(np.int64)), None)])
    return metrics


def _arm(arm, run: int, edges: np.ndarray) -> CountArm | HistogramArm:
    if len(arm.bad):
        return CountArm(int(arm.n[run] - arm.bad[run]), int(arm.n[run]))
    at = np.searchsorted(edges, arm.values[arm.run == run], side="left")
    return HistogramArm(edges, np.bincount(at, minlength=len(edges) + 1))


def fixed_sample(case: Case) -> float | None:
    """Requests per arm of a one-look test with power 0.5; ``None`` where no formula is usual."""
    z = float(ndtri(1 - ALPHA))
    what = case.what
    if isinstance(what, Failures):
        gap = case.certify or what.canary_ratio - what.baseline_ratio
        spread = sum(p * (1 - p) for p in (what.baseline_ratio, what.canary_ratio))
        return spread * (z / gap) ** 2
    if what.tail_share or case.certify:
        return None
    shift = np.log((1 + what.slower_ratio) / (1 + what.margin))
    return float(2 * (SIGMA * z / shift) ** 2)


def wrong_claims(args: argparse.Namespace) -> int:
    rows = []
    for case in UNSAFE:
        wrong = int(np.isfinite(measured(case, args.seed, args.runs)).sum())
        low, high = binomial_interval(wrong, args.runs)
        rows.append({"scenario": case.scenario, "claim": case.certify, "wrong": wrong})
        print(
            f"{case.scenario:22} called safe within {case.certify:g}: {wrong} of {args.runs}, "
            f"{wrong / args.runs:.4f} (95 % interval {low:.4f} to {high:.4f})",
            flush=True,
        )
    print(json.dumps({"runs": args.runs, "pass_alpha": ALPHA, "rows": rows}))
    return 0 if all(row["wrong"] <= 2 * ALPHA * args.runs for row in rows) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--wrong-claims", action="store_true")
    parser.add_argument("--quick", action="store_true", help="60 runs of three cases")
    args = parser.parse_args()
    if args.wrong_claims:
        return wrong_claims(args)
    cases, runs = (CASES[1:6:2], 60) if args.quick else (CASES, args.runs)
    began, rows = time.perf_counter(), []
    print(
        f"{'scenario':22} {'question':26} {'planned':>8} {'measured':>9} {'off':>7} {'one look':>9}"
        "   requests per arm until half are decided"
    )
    for case in cases:
        per_min = SCENARIOS[case.scenario].canary_per_min
        traffic = Traffic(per_min, per_min, 60.0, ALPHA, ALPHA)
        rng = np.random.default_rng(args.seed + 1)
        if case.certify:
            some = min(runs, 200)
            plan = plan_certificate(case.what, case.certify, traffic, rng, some)
        else:
            some, plan = runs, plan_detection(case.what, traffic, rng, runs)
        minutes = float(np.quantile(measured(case, args.seed, some), 0.5, method="higher"))
        planned, need = plan.minutes[0.5], minutes * per_min
        off = np.inf if planned is None else planned * per_min / need - 1
        question = f"safe within {case.certify:g}" if case.certify else case.mode
        fixed = fixed_sample(case)
        row = {
            "scenario": case.scenario,
            "question": question,
            "planned_requests": None if planned is None else planned * per_min,
            "measured_requests": need,
            "off_ratio": off,
            "one_look_requests": fixed,
        }
        rows.append(row)
        print(
            f"{case.scenario:22} {question:26} {row['planned_requests'] or 0:8.0f} {need:9.0f} "
            f"{off:+7.1%} {fixed or 0:9.0f}",
            flush=True,
        )
    is_met = all(abs(row["off_ratio"]) <= WITHIN for row in rows)
    print(json.dumps({"took_s": time.perf_counter() - began, "is_met": is_met, "rows": rows}))
    return 0 if is_met or args.quick else 1


if __name__ == "__main__":
    raise SystemExit(main())
