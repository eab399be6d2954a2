"""What the guard against noise saves and costs: false pages and detection at few requests.

    python -m bench.slo.low_traffic [--quick]

Target 99.9 % of 30 days, the Workbook's two page pairs, slices of 30 s. *Quiet*: a service that
meets its objective at half its budget, for so many periods of 30 days. *Outage*: two hours, after
eight healthy ones. Each stream is judged by every guard: none (what rule generators write), ours,
and ours with a third failure asked for. Streams are Poisson arrivals with independent failures.
"""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from typing import Any

import numpy as np

from analysis.slo.objectives import BurnWindow, Guard
from analysis.slo.openslo.policy_replay import episodes, firing
from analysis.slo.openslo.sliced_past import Flags, SlicedPast, sliced_past

SLICE_S = 30
PERIOD_S = 30 * 86_400
BUDGET = Fraction(1, 1_000)
TRUE_ERROR_RATIO = 0.0005
PAGES = (BurnWindow("page", 14.4, 3_600, 300), BurnWindow("page", 6.0, 21_600, 1_800))
GUARDS = {
    "none": Guard(min_failures=0, p_value=1.0),
    "ours": Guard(),
    "three_failures": Guard(min_failures=3),
}
#: Requests an hour and the share of failures of the outage.
TRAFFIC = ((10, 1.0), (10, 0.5), (30, 0.5), (60, 0.5), (600, 0.1), (6_000, 0.1), (6_000, 0.02))
HEALTHY_S, OUTAGE_S = 8 * 3_600, 2 * 3_600
SEED = 11


def main() -> None:
    """Simulate, print a line per traffic, and all figures as one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer runs, under a minute")
    quick = parser.parse_args().quick
    periods, outages = (20, 200) if quick else (100, 1_000)
    rows = []
    for per_hour, ratio in TRAFFIC:
        row = {
            "requests_per_hour": per_hour,
            "outage_error_ratio": ratio,
            "false_pages_per_30d": quiet(per_hour, periods),
            "outage": outage(per_hour, ratio, outages),
        }
        print(json.dumps(row), flush=True)
        rows.append(row)
    print(
        json.dumps(
            {"bench": "slo.low_traffic", "periods": periods, "outages": outages, "rows": rows}
        )
    )


def quiet(per_hour: float, periods: int) -> dict[str, float]:
    """Pages per 30 days of a service that meets its objective."""
    rng = np.random.default_rng([SEED, int(per_hour)])
    pages = dict.fromkeys(GUARDS, 0)
    for _ in range(periods):
        past = traffic(rng, per_hour, np.full(PERIOD_S // SLICE_S, TRUE_ERROR_RATIO))
        for name, guard in GUARDS.items():
            pages[name] += len(episodes(paged(past, guard)))
    return {name: count / periods for name, count in pages.items()}


def outage(per_hour: float, ratio: float, outages: int) -> dict[str, dict[str, Any]]:
    """How many outages are paged while they last, and after how many minutes in the median."""
    rng = np.random.default_rng([SEED, int(per_hour), 1])
    shares = np.repeat([0.0, ratio], [HEALTHY_S // SLICE_S, OUTAGE_S // SLICE_S])
    minutes: dict[str, list[float]] = {name: [] for name in GUARDS}
    for _ in range(outages):
        past = traffic(rng, per_hour, shares)
        for name, guard in GUARDS.items():
            fired = np.flatnonzero(paged(past, guard)[HEALTHY_S // SLICE_S :])
            if len(fired):
                minutes[name].append((int(fired[0]) + 1) * SLICE_S / 60)
    return {
        name: {
            "recall": len(found) / outages,
            "median_min": float(np.median(found)) if found else None,
        }
        for name, found in minutes.items()
    }


def traffic(
    rng: np.random.Generator, per_hour: float, error_ratios: np.ndarray[Any, np.dtype[np.float64]]
) -> SlicedPast:
    """Requests and failures per slice."""
    total = rng.poisson(per_hour * SLICE_S / 3_600, len(error_ratios))
    bad = rng.binomial(total, error_ratios)
    return sliced_past(0, SLICE_S, total - bad, bad)


def paged(past: SlicedPast, guard: Guard) -> Flags:
    """Slices at whose end a page is on."""
    return np.asarray(np.logical_or.reduce([firing(past, one, BUDGET, guard) for one in PAGES]))


if __name__ == "__main__":
    main()
