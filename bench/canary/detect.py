"""How soon does the judge see a bad release, and how soon does it let a good one pass?

python -m bench.canary.detect --runs 40 --rate-per-s 12 --release F01-legacy-tv-30%-fail
"""

from __future__ import annotations

import argparse
import json
from collections import Counter

import numpy as np

from analysis.canary.config import default_config_text, load_canary_config
from bench.canary.aa import run_canary
from bench.canary.streams import RELEASES, Traffic


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--rate-per-s", type=float, default=12.0, help="starts per second, canary")
    parser.add_argument("--baseline-rate-per-s", type=float, default=0.0, help="0 = as the canary")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--release", choices=sorted(RELEASES), action="append")
    args = parser.parse_args()
    config = load_canary_config(default_config_text())
    traffic = Traffic(args.baseline_rate_per_s or args.rate_per_s, args.rate_per_s)
    print(f"{'release':24} {'fail':>6} {'pass':>6} {'other':>6} {'median':>7} {'p95':>6}  culprits")
    rows = []
    for name in args.release or RELEASES:
        kinds, culprits, at = Counter(), Counter(), []
        for child in np.random.SeedSequence(args.seed).spawn(args.runs):
            rng = np.random.default_rng(child)
            *_, last = run_canary(config, traffic, RELEASES[name], int(config.horizon_s), rng)
            kinds[str(last.verdict.kind) if last.verdict else "none"] += 1
            at.append(last.elapsed_s)
            if last.verdict and last.verdict.culprit_metric:
                culprits[
                    f"{last.verdict.culprit_metric}{{{last.verdict.culprit_split or ''}}}"
                ] += 1
        row = {
            "release": name,
            "fail": kinds["fail"],
            "pass": kinds["pass"],
            "other": args.runs - kinds["fail"] - kinds["pass"],
            "median_s": float(np.median(at)),
            "p95_s": float(np.quantile(at, 0.95)),
        }
        rows.append(row)
        print(
            f"{name:24} {row['fail']:6d} {row['pass']:6d} {row['other']:6d} "
            f"{row['median_s']:7.1f} {row['p95_s']:6.1f}  {dict(culprits.most_common(3))}",
            flush=True,
        )
    print(json.dumps({"runs": args.runs, "rate_per_s": args.rate_per_s, "rows": rows}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
