"""One row of the table: a scenario, a mode, how often and how soon it alarms within an hour.

python -m bench.canary.simulate --scenario +20% --mode sequential --seed 1 [--runs 200]
python -m bench.canary.simulate --list
python -m bench.canary.simulate --table [--runs 200] [--null-runs 2000]

Without ``--mode`` every mode of the tables that can judge the scenario, on the same streams.
``--table`` prints all scenarios. Runs are computed side by side in chunks; ``--workers 2`` uses two
cores. The same ``--seed`` and ``--runs`` give the same row.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat

import numpy as np

from bench.canary.modes import FAILURE_MODES, LAYOUTS, MODES, TABLE_MODES, Maker
from bench.canary.replay import binomial_interval
from bench.canary.scenarios import SCENARIOS, Scenario, at_rate, blocks

CHUNK = 100
QUICK = (
    "null-ramp-drift+40%",
    "+20%",
    "tail-2%x5",
    "null-failures-0.5%",
    "failures-0.5-2%",
)


def modes_of(scenario: Scenario) -> dict[str, Maker]:
    """Modes that can judge the scenario; all parts of a canary have those of the first."""
    if scenario.parts:
        return modes_of(SCENARIOS[scenario.parts[0]])
    return MODES if scenario.failures is None else FAILURE_MODES


def alarm_minutes(
    scenario: Scenario,
    names: list[str],
    layout: str,
    alpha: float,
    seed: np.random.SeedSequence,
    runs: int,
) -> np.ndarray:
    """Minutes to the first alarm (modes, runs) on the same streams; inf = never.

    A canary of several metrics alarms with its first one, each at its part of alpha.
    """
    if scenario.parts:
        parts = [at_rate(SCENARIOS[name], None) for name in scenario.parts]
        found = []
        for part, child in zip(parts, seed.spawn(len(parts)), strict=True):
            known = modes_of(part)
            some = [n if n in known else "sequential" for n in names]
            found.append(alarm_minutes(part, some, layout, alpha / len(parts), child, runs))
        return np.min(found, axis=0)
    streams, own = seed.spawn(2)
    makers = modes_of(scenario)
    judges = [makers[n](np.random.default_rng(own), LAYOUTS[layout], alpha, runs) for n in names]
    at = np.full((len(names), runs), np.inf)
    for block in blocks(scenario, np.random.default_rng(streams), runs):
        for minutes, judge in zip(at, judges, strict=True):
            if np.isinf(minutes).any():
                minutes[np.isinf(minutes) & judge.alarms(block)] = block.minute
        if np.isfinite(at).all():
            break
    return at


def rows_of(scenario: Scenario, names: list[str], args: argparse.Namespace, runs: int) -> list:
    """Rows of the modes, all on the same runs."""
    sizes = [min(CHUNK, runs - done) for done in range(0, runs, CHUNK)]
    seeds = np.random.SeedSequence([args.seed, *scenario.name.encode()]).spawn(len(sizes))
    tasks = (repeat(scenario), repeat(names), repeat(args.layout), repeat(args.alpha), seeds, sizes)
    if args.workers > 1:
        with ProcessPoolExecutor(args.workers) as pool:
            found = list(pool.map(alarm_minutes, *tasks))
    else:
        found = list(map(alarm_minutes, *tasks))
    at = np.concatenate(found, axis=1)
    return [row(scenario, name, args, at[i]) for i, name in enumerate(names)]


def expected_of(scenario: Scenario, mode: str) -> str:
    """ "quiet", "alarm", or "" where it is a matter of luck."""
    if "margin" in mode and scenario.within_margin is not None:
        return scenario.within_margin
    if "warm-up" in mode and scenario.effect.healing_ratio:
        return "quiet"
    return scenario.expected


def row(scenario: Scenario, mode: str, args: argparse.Namespace, at: np.ndarray) -> dict:
    """Median and p90 are over all runs: None where fewer than that share alarmed."""
    alarms, runs = int(np.isfinite(at).sum()), len(at)
    low, high = binomial_interval(alarms, runs)

    def quantile(p: float) -> float | None:
        value = float(np.quantile(at, p, method="higher"))
        return round(value, 2) if np.isfinite(value) else None

    expected = expected_of(scenario, mode)
    right = {"alarm": alarms, "quiet": runs - alarms}.get(expected)
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
        "expected": expected,
        "right_ratio": None if right is None else right / runs,
    }


HEAD = (
    f"{'scenario':26} {'mode':24} {'per min':>7} {'runs':>5} {'alarms':>7}  "
    f"{'95 % interval':16} {'median min':>10} {'p90 min':>8}  should be"
)


def line_of(found: dict) -> str:
    interval = f"{found['alarm_ratio_low']:.4f} to {found['alarm_ratio_high']:.4f}"
    times = [found[key] for key in ("median_min", "p90_min")]
    shown = ["never" if minutes is None else f"{minutes:.2f}" for minutes in times]
    return (
        f"{found['scenario']:26} {found['mode']:24} {found['per_min']:7.0f} {found['runs']:5d} "
        f"{found['alarm_ratio']:7.4f}  {interval:16} {shown[0]:>10} {shown[1]:>8}  "
        f"{found['expected'] or 'either'}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), action="append")
    parser.add_argument("--mode", choices=sorted({*MODES, *FAILURE_MODES}), action="append")
    parser.add_argument("--list", action="store_true", help="names of scenarios and modes")
    parser.add_argument("--table", action="store_true", help="all scenarios")
    parser.add_argument("--layout", choices=sorted(LAYOUTS), default="exponential-3")
    parser.add_argument("--per-min", type=float, default=None, help="requests a minute and arm")
    parser.add_argument("--alpha", type=float, default=0.01)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--null-runs", type=int, default=None, help="of scenarios named null-...")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, choices=(1, 2), default=1)
    parser.add_argument("--quick", action="store_true", help="5 scenarios, 20 runs each")
    args = parser.parse_args()
    if args.list:
        for name, scenario in SCENARIOS.items():
            print(f"{name:28} {', '.join(modes_of(scenario))}")
        return 0
    names = args.scenario or list(SCENARIOS if args.table or not args.quick else QUICK)
    started, rows = time.perf_counter(), []
    print(HEAD)
    for name in names:
        scenario = at_rate(SCENARIOS[name], args.per_min)
        modes = [m for m in args.mode or TABLE_MODES if m in modes_of(scenario)]
        is_null = name.startswith("null") and args.null_runs is not None
        runs = 20 if args.quick else args.null_runs if is_null else args.runs
        for found in rows_of(scenario, modes, args, runs):
            rows.append(found)
            print(line_of(found), flush=True)
    print(json.dumps({"took_s": time.perf_counter() - started, "rows": rows}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
