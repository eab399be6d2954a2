"""``davylamp canary plan``: what it takes to find a regression, or to show there is none.

``plan durations`` and ``plan failures`` say by when, and after how many requests, half and nine
tenths of such canaries fail; with ``--certify MARGIN`` by when they are shown not to be worse than
that. The figures come from running the judge on simulated traffic, seeded.
"""

from __future__ import annotations

import argparse
import json
import sys

import numpy as np

from analysis.canary.config import default_config_text, load_canary_config
from analysis.canary.errors import CanaryInputError
from analysis.canary.planner import (
    Durations,
    Failures,
    Plan,
    Traffic,
    plan_certificate,
    plan_detection,
)


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``canary`` and what it can do to the program's commands."""
    canary = subparsers.add_parser("canary", help="plan a canary")
    commands = canary.add_subparsers(dest="canary_command", required=True)
    rule = load_canary_config(default_config_text())
    plan = commands.add_parser("plan", help="requests and minutes to find or rule out a difference")
    kinds = plan.add_subparsers(dest="plan_kind", required=True)
    durations = kinds.add_parser("durations", help="of a latency")
    durations.add_argument("--median-s", type=float, required=True)
    durations.add_argument("--p99-s", type=float, required=True)
    durations.add_argument("--slower-ratio", type=float, default=0.0, help="0.2 = 20 %% slower")
    durations.add_argument("--tail-share", type=float, default=0.0, help="0.02 = 2 %% of requests")
    durations.add_argument("--tail-times", type=float, default=1.0, help="that much slower")
    durations.add_argument("--margin", type=float, default=0.0905, help="accepted (default 0.0905)")
    durations.add_argument("--quantile", type=float, default=0.5, help="to certify (default 0.5)")
    failures = kinds.add_parser("failures", help="of a share of failed requests")
    failures.add_argument("--baseline-ratio", type=float, required=True)
    failures.add_argument("--canary-ratio", type=float, help="default: as the baseline")
    failures.add_argument("--margin", type=float, default=0.0, help="accepted, absolute")
    for kind in (durations, failures):
        kind.add_argument("--requests-per-min", type=float, required=True, help="of the canary")
        kind.add_argument("--baseline-requests-per-min", type=float, help="default: the same")
        kind.add_argument("--certify", type=float, metavar="MARGIN", help="show it is not worse")
        kind.add_argument("--horizon-min", type=float, default=60.0)
        kind.add_argument("--alpha", type=float, default=rule.alpha, help="of this metric")
        kind.add_argument("--pass-alpha", type=float, default=rule.pass_alpha)
        kind.add_argument("--runs", type=int, default=400)
        kind.add_argument("--seed", type=int, default=1)
        kind.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    """0 = planned, 1 = not within the horizon, 2 = a value that cannot be planned with."""
    try:
        found = _plan(options)
    except CanaryInputError as error:
        print(f"davylamp canary plan: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(found.to_json()))
    else:
        print(_told(found, options))
    return 0 if found.minutes[0.5] is not None else 1


def _plan(options: argparse.Namespace) -> Plan:
    traffic = Traffic(
        options.baseline_requests_per_min or options.requests_per_min,
        options.requests_per_min,
        options.horizon_min,
        options.alpha,
        options.pass_alpha,
    )
    what: Durations | Failures
    if options.plan_kind == "durations":
        what = Durations(
            options.median_s,
            options.p99_s,
            options.margin,
            options.slower_ratio,
            options.tail_share,
            options.tail_times,
        )
    else:
        canary = options.canary_ratio
        base = options.baseline_ratio
        what = Failures(base, base if canary is None else canary, options.margin)
    rng = np.random.default_rng(options.seed)
    if options.certify is None:
        return plan_detection(what, traffic, rng, options.runs)
    quantile = getattr(options, "quantile", 0.5)
    return plan_certificate(what, options.certify, traffic, rng, options.runs, quantile=quantile)


def _told(found: Plan, options: argparse.Namespace) -> str:
    does = "FAIL" if options.certify is None else "are shown safe"
    lines = []
    for p, minutes in found.minutes.items():
        if minutes is None:
            lines.append(f"{p:.0%} do not {does} within {options.horizon_min:g} min.")
        else:
            canary, baseline = found.canary_requests[p], found.baseline_requests[p]
            lines.append(
                f"{p:.0%} {does} within {minutes:.1f} min: {canary} requests on the canary, "
                f"{baseline} on the baseline."
            )
    lines.append(f"{found.decided_ratio:.1%} of {found.runs} within {options.horizon_min:g} min.")
    return "\n".join(lines)
