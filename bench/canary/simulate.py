"""One row of the table: a scenario, a mode, how often and how soon it alarms within an hour.

python -m bench.canary.simulate --scenario +20% --mode sequential --runs 200 --seed 1

Without ``--scenario`` every scenario, without ``--mode`` every mode that can judge it, alternately
on the same streams. ``--workers 2`` uses two cores.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat

import numpy as np

from bench.canary.modes import FAILURE_MODES, LAYOUTS, MODES
from bench.canary.replay import binomial_interval
from bench.canary.scenarios import BLOCK_S, SCENARIOS, Scenario, at_rate, blocks

QUICK = (
    "null-ramp-drift+40%",
    "+20%",
    "tail-2%x5",
    "null-failures-0.5%",
    "failures-0.5-2%",
)


def modes_of(scenario: Scenario) -> dict:
    return MODES if scenario.failures is None else FAILURE_MODES


def alarm_times(
    scenario: Scenario,
    names: list[str],
    layout: str,
    alpha: float,
    seed: np.random.SeedSequence,
) -> list[float | None]:
    """Minutes to the first alarm of each mode on one stream; None = never."""
    streams, own = seed.spawn(2)
    makers = modes_of(scenario)
    judges = [makers[n](np.random.default_rng(own), LAYOUTS[layout], alpha) for n in names]
    at: list[float | None] = [None] * len(names)
    for block in blocks(scenario, np.random.default_rng(streams)):
        for i, judge in enumerate(judges):
            if at[i] is None and judge.alarms(block):
                at[i] = block.minute + BLOCK_S / 60
        if None not in at:
            break
    return at


def rows_of(scenario: Scenario, names: list[str], args: argparse.Namespace, runs: int) -> list:
    seeds = np.random.SeedSequence([args.seed, *scenario.name.encode()]).spawn(runs)
    tasks = (repeat(scenario), repeat(names), repeat(args.layout), repeat(args.alpha), seeds)
    if args.workers > 1:
        with ProcessPoolExecutor(args.workers) as pool:
            found = list(pool.map(alarm_times, *tasks, chunksize=4))
    else:
        found = list(map(alarm_times, *tasks))
    return [row(scenario, n, args, [one[i] for one in found]) for i, n in enumerate(names)]


def row(scenario: Scenario, mode: str, args: argparse.Namespace, at: list[float | None]) -> dict:
    """Median and p90 are over all runs: None where fewer than that share alarmed."""
    alarms, runs = sum(t is not None for t in at), len(at)
    low, high = binomial_interval(alarms, runs)
    times = np.array([np.inf if t is None else t for t in at])

    def quantile(p: float) -> float | None:
        value = float(np.quantile(times, p, method="higher"))
        return round(value, 2) if np.isfinite(value) else None

    return {
        "scenario": scenario.name,
        "mode": mode,
        "layout": args.layout,
        "per_min": scenario.baseline_per_min,
        "alpha": args.alpha,
        "seed": args.seed,
        "runs": runs,
        "alarms": alarms,
        "alarm_ratio": alarms / runs,
        "alarm_ratio_low": low,
        "alarm_ratio_high": high,
        "median_min": quantile(0.5),
        "p90_min": quantile(0.9),
        "expected": scenario.expected,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), action="append")
    parser.add_argument("--mode", choices=sorted({*MODES, *FAILURE_MODES}), action="append")
    parser.add_argument("--layout", choices=sorted(LAYOUTS), default="exponential-3")
    parser.add_argument("--per-min", type=float, default=None, help="requests a minute and arm")
    parser.add_argument("--alpha", type=float, default=0.01)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="5 scenarios, 10 runs each")
    args = parser.parse_args()
    names = args.scenario or (QUICK if args.quick else list(SCENARIOS))
    runs = 10 if args.quick else args.runs
    started, rows = time.perf_counter(), []
    print(f"{'scenario':26} {'mode':22} {'per min':>7} {'runs':>5} {'alarms':>7}  95 % interval")
    for name in names:
        scenario = at_rate(SCENARIOS[name], args.per_min)
        modes = [m for m in args.mode or modes_of(scenario) if m in modes_of(scenario)]
        for found in rows_of(scenario, modes, args, runs):
            rows.append(found)
            interval = f"{found['alarm_ratio_low']:.3f} to {found['alarm_ratio_high']:.3f}"
            times = f"median {found['median_min']} min, p90 {found['p90_min']} min"
            head = f"{name:26} {found['mode']:22} {found['per_min']:7.0f} {runs:5d}"
            print(f"{head} {found['alarm_ratio']:7.3f}  {interval}  {times}", flush=True)
    print(json.dumps({"took_s": time.perf_counter() - started, "rows": rows}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
