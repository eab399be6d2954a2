"""One lying instance of five: does it turn a verdict, with and without ``robust_to_one_instance``?

python -m bench.canary.byzantine --runs 1000 --seed 3

Every run is a canary of five instances per arm, healthy or really bad, seen twice: as it is, and
with one instance of one arm lying. It reports perfect data (no error, ten times faster) or terrible
data (every request an error, ten times slower), of its own traffic or a hundredfold of it. A
verdict is turned when the lie makes PASS of what was not PASS, or FAIL of what was not FAIL; it is
withheld when the lie leaves undecided what was decided. Objectives are off, so that nothing but
the setting stands in the way. The runs without a lie tell what the setting costs in time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from dataclasses import dataclass, replace
from itertools import product
from math import erf, log, sqrt
from typing import Final

import numpy as np
import numpy.typing as npt

from analysis.blocks import ArmData, Block, CountArm, HistogramArm
from analysis.canary.config import CanaryConfig, default_config_text, load_canary_config
from analysis.canary.judge import CanaryJudge
from bench.canary.replay import binomial_interval
from bench.canary.streams import ERRORS, SECOND, SERVER, SERVER_BOUNDS_S, START

INSTANCES: Final = 5
BLOCK_S: Final = 5
HORIZON_S: Final = 300
RATE_PER_S: Final = 2.4  # of one instance
MEDIAN_S, SIGMA, ERROR_RATIO = 0.06, 0.6, 0.002
BAD_ERROR_RATIO, BAD_FACTOR = 0.08, 1.6
ARMS: Final = ("baseline", "canary")

Told = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]
Stream = dict[str, list[Told]]  # arm -> per instance


@dataclass(frozen=True, slots=True)
class Lie:
    """What one instance of ``arm`` reports instead of the truth."""

    arm: str
    is_perfect: bool
    volume: int


#: Every kind of lie, on a healthy and on a bad release.
CASES: Final = tuple(
    (is_bad, Lie(arm, is_perfect, volume))
    for is_bad, arm, is_perfect, volume in product((False, True), ARMS, (True, False), (1, 100))
)


def byzantine_rule() -> CanaryConfig:
    """The shipped rule's two metrics of the service, both critical, without objectives."""
    rule = load_canary_config(default_config_text())
    metrics = tuple(
        replace(m, critical=True, required=True, weight=0.5, slo_bad_ratio=1.0)
        for m in rule.metrics
        if m.service_scoped
    )
    return replace(rule, metrics=metrics, horizon_s=float(HORIZON_S))


def told(rng: np.random.Generator, volume: float, error_ratio: float, factor: float) -> Told:
    """Events, errors (blocks,) and bucket counts (blocks, buckets) of one instance."""
    edges = [
        0.5 * (1 + erf(log(b / (MEDIAN_S * factor)) / SIGMA / sqrt(2))) for b in SERVER_BOUNDS_S
    ]
    shares = np.diff([0.0, *edges, 1.0])
    events = rng.poisson(RATE_PER_S * BLOCK_S * volume, HORIZON_S // BLOCK_S + 1)
    return events, rng.binomial(events, error_ratio), rng.multinomial(events, shares)


def honest_stream(rng: np.random.Generator, *, is_bad: bool) -> Stream:
    """Five instances per arm that say what they saw."""
    healthy, worse = (1.0, ERROR_RATIO, 1.0), (1.0, BAD_ERROR_RATIO, BAD_FACTOR)
    of_canary = worse if is_bad else healthy
    return {
        arm: [told(rng, *values) for _ in range(INSTANCES)]
        for arm, values in zip(ARMS, (healthy, of_canary), strict=True)
    }


def with_liar(stream: Stream, lie: Lie, rng: np.random.Generator) -> Stream:
    """The same stream but for the first instance of one arm."""
    error_ratio, factor = (0.0, 0.1) if lie.is_perfect else (1.0, 10.0)
    lies = told(rng, lie.volume, error_ratio, factor)
    return {**stream, lie.arm: [lies, *stream[lie.arm][1:]]}


def _arms(instances: list[Told], at: int) -> dict[str, ArmData]:
    names = [f"i-{number}" for number in range(len(instances))]
    errors = {
        name: CountArm(int(events[at] - bad[at]), int(events[at]))
        for name, (events, bad, _) in zip(names, instances, strict=True)
    }
    rows = {name: one[2][at] for name, one in zip(names, instances, strict=True)}
    good, total = (sum(getattr(p, of) for p in errors.values()) for of in ("good", "total"))
    counts = np.sum(list(rows.values()), axis=0)
    return {
        ERRORS: CountArm(good, total, len(names), errors),
        SERVER: HistogramArm(SERVER_BOUNDS_S, counts, len(names), rows),
    }


def verdict_of(rule: CanaryConfig, stream: Stream) -> tuple[str, float]:
    """The final verdict and when it came, in s."""
    judge = CanaryJudge(rule, START)
    for at in range(HORIZON_S // BLOCK_S + 1):
        start, end = START + at * BLOCK_S * SECOND, START + (at + 1) * BLOCK_S * SECOND
        arms = {arm: _arms(stream[arm], at) for arm in ARMS}
        blocks = {
            key: [Block(start, end, arms["baseline"][key], arms["canary"][key])]
            for key in (ERRORS, SERVER)
        }
        look = judge.look(blocks, end, with_intervals=False)
        if look.final and look.verdict is not None:
            return str(look.verdict.kind), look.elapsed_s
    raise AssertionError("the horizon ends every canary")


def outcome(without: str, lied: str) -> str:
    """``turned``, ``withheld`` or ``same``: what the lie did to a verdict."""
    decided = ("pass", "fail")
    if lied in decided and lied != without:
        return "turned"
    return "withheld" if without in decided and lied not in decided else "same"


def one_run(rule: CanaryConfig, number: int, seed: int) -> list[dict[str, object]]:
    """The run with the setting off and on, each with and without its lie."""
    is_bad, lie = CASES[number % len(CASES)]
    rng = np.random.default_rng([seed, number])
    honest = honest_stream(rng, is_bad=is_bad)
    lied = with_liar(honest, lie, rng)
    rows: list[dict[str, object]] = []
    for is_on in (False, True):
        own = replace(rule, robust_to_one_instance=is_on)
        (kind, at_s), (kind_lied, _) = verdict_of(own, honest), verdict_of(own, lied)
        what = outcome(kind, kind_lied)
        rows.append({"on": is_on, "bad": is_bad, "kind": kind, "at_s": at_s, "lie": what})
    return rows


def summary(rows: list[dict[str, object]], *, is_on: bool) -> dict[str, object]:
    """Of one side: what lies did, and when honest canaries were decided."""
    mine = [row for row in rows if row["on"] is is_on]
    lies = Counter(str(row["lie"]) for row in mine)
    low, high = binomial_interval(lies["turned"], len(mine))
    found: dict[str, object] = {
        "robust_to_one_instance": is_on,
        "runs": len(mine),
        **{name: lies[name] for name in ("turned", "withheld", "same")},
        "turned_ratio_low": low,
        "turned_ratio_high": high,
    }
    for is_bad, right in ((False, "pass"), (True, "fail")):
        times = [row["at_s"] for row in mine if row["bad"] is is_bad and row["kind"] == right]
        of_all = sum(row["bad"] is is_bad for row in mine)
        found[f"honest_{right}"] = f"{len(times)} of {of_all}"
        found[f"median_{right}_s"] = float(np.median(np.array(times))) if times else None
    return found


def both(rows: list[dict[str, object]], began_cpu_s: float) -> str:
    """Off and on, as one line of JSON."""
    found = [summary(rows, is_on=is_on) for is_on in (False, True)]
    return json.dumps({"took_cpu_s": time.process_time() - began_cpu_s, "rows": found})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="every kind of lie once")
    args = parser.parse_args()
    rule, rows, began = byzantine_rule(), [], time.process_time()
    for number in range(len(CASES) if args.quick else args.runs):
        rows += one_run(rule, number, args.seed)
        if number % len(CASES) == len(CASES) - 1:
            print(both(rows, began), flush=True)
    print(both(rows, began))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
