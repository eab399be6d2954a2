"""The error budget after an outage: exactly, ours, and Sloth's, for the same counters.

    python -m bench.slo.outages [--quick]

A target of 99.9 % over 30 days at 1,000 requests a minute by day and 10 by night. *Exact*: a
fraction of the whole numbers that happened. *Ours*: the counters through the collector's increments
and the tracker that runs live. *Sloth*: its own generated rules in ``promtool test rules``, scraped
every minute and evaluated every five: 30 days of results a minute apart are more samples than
promtool loads for one query. *Unoptimized*: the same with ``--disable-optimized-rules``, where
Prometheus reads 30 days of every counter. Prints a table and one JSON line; ends with status 1 if
ours is off by more than 1e-9 of the exact answer anywhere.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np

from analysis.slo.budget import ErrorBudget
from analysis.slo.objectives import Objective, load_objectives, shipped_text
from analysis.slo.tracker import SloTracker
from bench.slo.outage_sloth import (
    Rules,
    sloth_budget,
    sloth_budget_unoptimized,
    sloth_rules,
)
from bench.slo.outage_streams import (
    DAY_MIN,
    STREAMS,
    Counters,
    Stream,
    counters,
    exact_remaining,
)
from bench.slo.promtool_values import promtool
from collector.query.increments import cumulative_increments, interval_index, sum_by_key

TARGET_RATIO: Final = 0.999
BUDGET: Final = Fraction(1, 1_000)
DAYS: Final = 30
WINDOW_S: Final = DAYS * 86_400
SLICE_S: Final = 60
SECOND_NS: Final = 1_000_000_000
#: Ours may differ from the exact fraction by this share of it.
TOLERANCE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Row:
    """One stream: shares of the budget that are left, of requests that failed, of time seen.

    ``relative_error``: the larger of those of our two numbers. ``sloth_*`` may be NaN.
    """

    stream: str
    exact_error_ratio: float
    exact_remaining_ratio: float
    our_error_ratio: float
    our_remaining_ratio: float
    our_covered_ratio: float
    relative_error: float
    sloth_error_ratio: float
    sloth_remaining_ratio: float
    sloth_unoptimized_remaining_ratio: float

    @property
    def is_ours_right(self) -> bool:
        return self.relative_error <= TOLERANCE

    def line(self) -> str:
        """Of the table."""
        return (
            f"{self.stream:<50}{self.exact_remaining_ratio:>+16.8%}"
            f"{self.our_remaining_ratio:>+16.8%}{self.relative_error:>10.1e}"
            f"{_percent(self.sloth_remaining_ratio):>12}"
            f"{_percent(self.sloth_unoptimized_remaining_ratio):>16}"
        )

    def plain(self) -> dict[str, Any]:
        """For JSON, which has no NaN."""
        return {
            key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in asdict(self).items()
        }


def _percent(ratio: float) -> str:
    return "NaN" if math.isnan(ratio) else f"{ratio:+.4%}"


def compared(stream: Stream, days: int, rules: Rules, folder: Path) -> Row:
    """One stream by all three. Raises PromtoolError."""
    error_ratio, remaining = exact_remaining(stream, days, BUDGET)
    seen = counters(stream, days)
    ours = our_budget(seen)
    if ours.error_ratio is None or ours.remaining_ratio is None:
        raise ValueError(f"{stream.name}: no events")
    sloth_ratio, sloth_remaining = sloth_budget(seen, rules, folder)
    return Row(
        stream=stream.name,
        exact_error_ratio=float(error_ratio),
        exact_remaining_ratio=float(remaining),
        our_error_ratio=ours.error_ratio,
        our_remaining_ratio=ours.remaining_ratio,
        our_covered_ratio=ours.covered_ratio,
        relative_error=max(
            relative_error(ours.error_ratio, error_ratio),
            relative_error(ours.remaining_ratio, remaining),
        ),
        sloth_error_ratio=sloth_ratio,
        sloth_remaining_ratio=sloth_remaining,
        sloth_unoptimized_remaining_ratio=sloth_budget_unoptimized(seen, rules, folder)[1],
    )


def relative_error(found: float, exact: Fraction) -> float:
    """How far a number is off, as a share of what is right; infinite where that is 0."""
    if not math.isfinite(found):
        return math.inf
    off = abs(Fraction(found) - exact)
    if exact == 0:
        return 0.0 if off == 0 else math.inf
    return float(off / abs(exact))


def our_budget(seen: Counters) -> ErrorBudget:
    """From the counters to the budget by the code that runs live."""
    tracker = SloTracker(objective(), SLICE_S, stale_after_s=600.0)
    for start_s, good, bad in slices(seen):
        tracker.take(start_s, good, bad)
    end_s = tracker.end_unix_s or 0
    return tracker.evaluate(end_s * SECOND_NS).budget


def objective() -> Objective:
    """The shipped objective of 30 days with the target of the examples."""
    first, *_ = load_objectives({"objectives.yaml": shipped_text()})
    return replace(first, target_ratio=TARGET_RATIO, window_s=WINDOW_S)


def slices(seen: Counters) -> list[tuple[int, int, int]]:
    """Start, good and bad requests of every slice in which a scrape says what was added.

    In one go: objectives ask for what was added since a series' last point, however old, so the
    windows of the live reading add up to the same.
    """
    at = np.flatnonzero(~np.isnan(seen.good))
    time = np.tile(at * SLICE_S * SECOND_NS, 2)
    series = np.repeat([0, 1], len(at))
    unknown = np.zeros(len(series), dtype=np.int64)
    values = np.concatenate((seen.good[at], seen.bad[at]))[:, None]
    gained = cumulative_increments(series, unknown, unknown, values, count_from_unix_nano=0)
    index, _ = interval_index(
        time,
        from_unix_nano=0,
        to_unix_nano=len(seen.good) * SLICE_S * SECOND_NS,
        step_ns=SLICE_S * SECOND_NS,
    )
    counted = gained.is_counted
    by_outcome = np.where(series[:, None] == np.array([0, 1]), gained.values, 0.0)
    keys, sums = sum_by_key(index[counted], by_outcome[counted])
    return [
        (number * SLICE_S, round(good), round(bad))
        for number, (good, bad) in zip(keys.tolist(), sums.tolist(), strict=True)
    ]


def main() -> int:
    """Compare, print, judge ours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="accepted; the whole takes seconds")
    parser.parse_args()
    if promtool() is None:
        parser.error("promtool is not installed (Debian: apt-get install prometheus)")
    rules, source = sloth_rules()
    rows = []
    columns = f"{'exact':>16}{'ours':>16}{'off by':>10}{'Sloth':>12}{'unoptimized':>16}"
    print(f"{'budget left after':<50}{columns}")
    with tempfile.TemporaryDirectory() as folder:
        for stream in STREAMS:
            row = compared(stream, DAYS, rules, Path(folder))
            rows.append(row)
            print(row.line(), flush=True)
    figures = {
        "bench": "slo.outages",
        "days": DAYS,
        "samples": DAYS * DAY_MIN + 1,
        "rules_from": source,
        "relative_error_max": max(row.relative_error for row in rows),
        "rows": [row.plain() for row in rows],
    }
    print(json.dumps(figures))
    return 0 if all(row.is_ours_right for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
