"""How soon does the judge see a bad release, and how soon does it let a good one pass?

python -m bench.canary.detect --runs 100 --rate-per-s 12 [--release F01-legacy-tv-30%-fail]

The way of the blocks and the peers are those of ``bench.canary.aa``. A peer has no PASS: it is
shown with its first alarm within the same horizon. ``--mode exact`` or ``kayenta`` judges every
metric once, at the horizon.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import replace

import numpy as np

from analysis.canary.config import CanaryConfig, Mode, default_config_text, load_canary_config
from analysis.canary.evidence import VerdictKind
from bench.canary.replay import binomial_interval, looks_of, peers_on, seeds, streams
from bench.canary.streams import HEALTHY, RELEASES, Release, Traffic, events_of_seconds

#: What a release must end with, within how many seconds, in at least this share of runs.
GOALS = {
    HEALTHY.name: (VerdictKind.PASS, 150.0, 0.95),
    "F01-legacy-tv-30%-fail": (VerdictKind.FAIL, 60.0, 0.95),
    "F03-slow-50%": (VerdictKind.FAIL, 60.0, 0.95),
    "F04-10%-fail-on-device": (VerdictKind.FAIL, 60.0, 0.95),
}


def run_release(
    rule: CanaryConfig, release: Release, args: argparse.Namespace, runs: int, stream_of
) -> dict:
    """All runs of one release: verdicts, times, culprits, peers."""
    traffic = Traffic(args.baseline_rate_per_s or args.rate_per_s, args.rate_per_s)
    kinds: Counter[str] = Counter()
    culprits: Counter[str] = Counter()
    at: dict[str, list[float]] = {}
    alarms: dict[str, list[int]] = {}
    for rng in seeds(args.seed, runs):
        events = list(events_of_seconds(traffic, release, int(rule.horizon_s), rng))
        *_, last = looks_of(rule, stream_of(rule, events))
        kind = str(last.verdict.kind) if last.verdict else "none"
        kinds[kind] += 1
        at.setdefault(kind, []).append(last.elapsed_s)
        if last.verdict and last.verdict.culprit_metric:
            split = last.verdict.culprit_split
            culprits[last.verdict.culprit_metric + (f"{{{split}}}" if split else "")] += 1
        for alarm in peers_on(events, rule.alpha) if args.peers else ():
            found = alarms.setdefault(alarm.name, [])
            found += [] if alarm.at_s is None else [alarm.at_s]
    return {
        "release": release.name,
        "runs": runs,
        "fail": kinds["fail"],
        "pass": kinds["pass"],
        "other": runs - kinds["fail"] - kinds["pass"],
        "times_s": {kind: _times(values) for kind, values in at.items()},
        "culprits": dict(culprits.most_common(3)),
        "peers": {name: {"alarms": len(v), **_times(v)} for name, v in alarms.items()},
        **_goal(release.name, at, runs),
    }


def _times(values: list) -> dict:
    if not values:
        return {"median_s": None, "p95_s": None}
    return {
        "median_s": round(float(np.median(values)), 1),
        "p95_s": round(float(np.quantile(values, 0.95)), 1),
    }


def _goal(name: str, at: dict[str, list[float]], runs: int) -> dict:
    if name not in GOALS:
        return {}
    kind, within_s, share = GOALS[name]
    reached = sum(1 for s in at.get(str(kind), []) if s <= within_s + 1e-6)
    low, high = binomial_interval(reached, runs)
    return {
        "goal": f"{kind} within {within_s:g} s in {share:.0%}",
        "reached_ratio": reached / runs,
        "reached_ratio_low": low,
        "reached_ratio_high": high,
        "is_reached": reached >= share * runs,
    }


def print_row(row: dict) -> None:
    times = row["times_s"]
    main = times.get("pass" if row["pass"] >= row["fail"] else "fail", {})
    print(
        f"{row['release']:24} {row['fail']:5d} {row['pass']:5d} {row['other']:5d} "
        f"{main.get('median_s') or 0:7.1f} {main.get('p95_s') or 0:6.1f}  {row['culprits']}",
        flush=True,
    )
    for name, found in row["peers"].items():
        told = f"median {found['median_s']} s, p95 {found['p95_s']} s" if found["alarms"] else ""
        print(f"    {name:45} {found['alarms']:4d} alarms  {told}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--rate-per-s", type=float, default=12.0, help="starts per second, canary")
    parser.add_argument("--baseline-rate-per-s", type=float, default=0.0, help="0 = as the canary")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--release", choices=sorted(RELEASES), action="append")
    parser.add_argument("--direct", action="store_true", help="blocks from events, no store")
    parser.add_argument("--mode", choices=list(Mode), default=Mode.SEQUENTIAL)
    parser.add_argument("--no-peers", dest="peers", action="store_false")
    parser.add_argument("--quick", action="store_true", help="5 runs of the four main releases")
    args = parser.parse_args()
    rule = load_canary_config(default_config_text())
    mode = Mode(args.mode)
    rule = replace(rule, metrics=tuple(replace(m, mode=mode) for m in rule.metrics))
    names = args.release or (list(GOALS) if args.quick else list(RELEASES))
    runs = 5 if args.quick else args.runs
    started = time.perf_counter()
    print(
        f"{'release':24} {'fail':>5} {'pass':>5} {'other':>5} {'median':>7} {'p95 s':>6}  culprits"
    )
    rows = []
    with streams(is_direct=args.direct) as stream_of:
        for name in names:
            rows.append(run_release(rule, RELEASES[name], args, runs, stream_of))
            print_row(rows[-1])
    wrong = sum(row["fail"] for row in rows if row["release"] == HEALTHY.name)
    figures = {
        "mode": str(mode),
        "rate_per_s": args.rate_per_s,
        "seed": args.seed,
        "through": "blocks" if args.direct else "otlp, store, read api",
        "wrong_rollbacks": wrong,
        "took_s": time.perf_counter() - started,
        "rows": rows,
    }
    # A mode that answers once cannot be soon.
    is_soon = mode is Mode.SEQUENTIAL
    missed = [row["release"] for row in rows if is_soon and not row.get("is_reached", True)]
    if missed and not args.quick:
        print(f"goals missed: {', '.join(missed)}", file=sys.stderr)
    print(json.dumps(figures))
    return 1 if wrong or (missed and not args.quick) else 0


if __name__ == "__main__":
    raise SystemExit(main())
