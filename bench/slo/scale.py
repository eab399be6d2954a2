"""How long many objectives take: evaluation of all of them, and the budget of 30 days of one.

    python -m bench.slo.scale [--quick] [--slos 1000] [--slice-s 60] [--kind events]

Every objective has the Workbook's four window pairs and 30 full days of counts behind it. One round
takes a new slice for each and evaluates it, as the analysis does; a budget query is one sum over 30
days. Then one hour of the past is excluded from the first hundred objectives, beside a nightly
maintenance hour, and they are evaluated anew. ``--kind``: events of a rolling window, or of a
calendar month, or its time slices of five minutes by either method. The last line is JSON.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import resource
import time
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from analysis.slo.budget import error_budget
from analysis.slo.correction_book import KeptSpans, ScopedCorrection
from analysis.slo.objectives import load_objectives, shipped_text
from analysis.slo.openslo.corrections import Correction, Once, Recurring
from analysis.slo.openslo.model import BudgetingMethod
from analysis.slo.openslo.time_windows import CalendarWindow, Period
from analysis.slo.sliced_counts import SlicedCounts
from analysis.slo.tracker import SloTracker

PERIOD_S = 30 * 86_400
START_UNIX_S = 1_790_000_400
#: History is laid down in slices this far apart; those between are written as gaps.
FILL_S = 3_600
STALE_S = 600.0
ROUNDS, QUERIES = 20, 5_000
CORRECTED = 100
MONTHS = CalendarWindow(dt.datetime.fromisoformat("2026-01-01T00:00:00"), "Europe/Berlin", 1, "M")
KINDS: Mapping[str, dict[str, Any]] = {
    "events": {},
    "calendar": {"calendar": MONTHS},
    "timeslices": {
        "calendar": MONTHS,
        "method": BudgetingMethod.TIMESLICES,
        "slice_s": 300,
        "slice_target_ratio": Fraction(95, 100),
    },
    "shares": {
        "calendar": MONTHS,
        "method": BudgetingMethod.RATIO_TIMESLICES,
        "slice_s": 300,
    },
}


def main() -> None:
    """Fill, evaluate, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, under a minute")
    parser.add_argument("--slos", type=int, default=1_000)
    parser.add_argument("--slice-s", type=int, default=60)
    parser.add_argument("--kind", choices=sorted(KINDS), default="events")
    options = parser.parse_args()
    rounds = 3 if options.quick else ROUNDS
    objective, _ = load_objectives({"objectives.yaml": shipped_text()})
    objective = replace(objective, **KINDS[options.kind])
    trackers = [SloTracker(objective, options.slice_s, STALE_S) for _ in range(options.slos)]
    rng = np.random.default_rng(5)
    for tracker in trackers:
        bad = rng.integers(0, 3, PERIOD_S // FILL_S)
        for number, failures in enumerate(bad.tolist()):
            tracker.take(START_UNIX_S + number * FILL_S, 200, failures)
    took_s = evaluate_all(trackers, options.slice_s, rounds)
    corrected_s = evaluate_corrected(trackers[:CORRECTED])
    asked_s = budget_queries(options.slice_s)
    figures = {
        "bench": "slo.scale",
        "slos": options.slos,
        "kind": options.kind,
        "window_pairs": len(objective.policy.windows),
        "slice_s": options.slice_s,
        "evaluate_all_median_s": float(np.median(took_s)),
        "evaluate_all_max_s": max(took_s),
        "evaluate_100_after_exclusion_s": corrected_s,
        "budget_query_p50_ms": float(np.quantile(asked_s, 0.5)) * 1e3,
        "budget_query_p99_ms": float(np.quantile(asked_s, 0.99)) * 1e3,
        "max_resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(figures))


def evaluate_all(trackers: list[SloTracker], slice_s: int, rounds: int) -> list[float]:
    """Seconds per round: a slice taken and every pair judged, for each objective."""
    took_s = []
    at = START_UNIX_S + PERIOD_S
    for number in range(rounds):
        start_s = time.perf_counter()
        for tracker in trackers:
            tracker.take(at, 100, number % 40)
            tracker.evaluate((at + slice_s) * 1_000_000_000)
        took_s.append(time.perf_counter() - start_s)
        at += slice_s
    return took_s


def evaluate_corrected(trackers: list[SloTracker]) -> float:
    """Seconds until all stand without the excluded time: laid out, taken off, evaluated."""
    end_s = START_UNIX_S + PERIOD_S
    begins = dt.datetime.fromisoformat("2026-01-01T02:00:00")
    nightly = Recurring(begins, "Europe/Berlin", 3_600, "FREQ=DAILY")
    whens: tuple[Once | Recurring, ...] = (
        Once(end_s - 10 * 86_400, end_s - 10 * 86_400 + 3_600),
        nightly,
    )
    said = [
        ScopedCorrection(Correction(f"c{n}", "ada", "bench", "x", 0, when), frozenset())
        for n, when in enumerate(whens)
    ]
    begin_s = time.perf_counter()
    spans = KeptSpans()
    period = Period(end_s - PERIOD_S, end_s + 86_400)
    for number, tracker in enumerate(trackers):
        excluded = spans.of(f"slo-{number}", period, said)
        status = tracker.evaluate((tracker.end_unix_s or 0) * 1_000_000_000, excluded)
        assert status.budget.excluded_ratio > 0.04, "an hour of every night is out"
    return time.perf_counter() - begin_s


def budget_queries(slice_s: int) -> list[float]:
    """Seconds per budget of 30 days, every slice of which has counts."""
    counts = SlicedCounts(slice_s, PERIOD_S)
    for number in range(PERIOD_S // slice_s):
        counts.add(START_UNIX_S + number * slice_s, 100, number % 3)
    took_s = []
    for _ in range(QUERIES):
        start_s = time.perf_counter()
        error_budget(counts.window(PERIOD_S, START_UNIX_S + PERIOD_S), 0.001)
        took_s.append(time.perf_counter() - start_s)
    return took_s


if __name__ == "__main__":
    main()
