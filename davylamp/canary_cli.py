"""``davylamp canary``: check and import the rule canaries are judged by, and plan one.

``validate`` names every problem of a rule with line and column, ``schema`` prints its JSON Schema,
``default`` the shipped rule, and ``import-kayenta`` makes a rule of Kayenta's canary config.

``plan durations`` and ``plan failures`` say by when, and after how many requests, half and nine
tenths of such canaries fail; with ``--certify MARGIN`` by when they are shown not to be worse than
that. The figures come from running the judge on simulated traffic, seeded.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import yaml

from analysis.canary.config import (
    MetricConfig,
    Mode,
    default_config_text,
    load_canary_config,
)
from analysis.canary.errors import CanaryConfigError, CanaryInputError
from analysis.canary.from_kayenta import from_kayenta
from analysis.canary.planner import (
    Durations,
    Failures,
    Plan,
    Traffic,
    plan_certificate,
    plan_detection,
)
from analysis.canary.rule_schema import rule_schema
from davylamp.errors import DavylampError


class CanaryCommandError(DavylampError):
    """The command cannot be carried out; one sentence says why."""


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``canary`` and what it can do to the program's commands."""
    canary = subparsers.add_parser("canary", help="the rule of canaries: check, import, plan")
    commands = canary.add_subparsers(dest="canary_command", required=True)
    validate = commands.add_parser("validate", help="every problem of a rule, with its place")
    validate.add_argument("file", type=Path)
    commands.add_parser("schema", help="the JSON Schema of a rule, for editors")
    commands.add_parser("default", help="the shipped rule")
    kayenta = commands.add_parser("import-kayenta", help="a rule from Kayenta's canary config")
    kayenta.add_argument("file", type=Path)
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
    """0 = done; 1 = a wrong rule, or not within the horizon; 2 = nothing can be done with it."""
    if options.canary_command == "validate":
        return _validate(options.file)
    if options.canary_command == "import-kayenta":
        return _import(options.file)
    if options.canary_command == "schema":
        print(json.dumps(rule_schema(), indent=1))
        return 0
    if options.canary_command == "default":
        print(default_config_text(), end="")
        return 0
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


def _name(metric: MetricConfig, horizon_s: float) -> str:
    if metric.mode is Mode.SEQUENTIAL:
        return metric.name
    return f"{metric.name} ({metric.mode}, once, at {horizon_s:g} s)"


def _validate(path: Path) -> int:
    try:
        rule = load_canary_config(_text(path))
    except CanaryConfigError as error:
        for one in error.problems:
            print(f"{path}: {one}", file=sys.stderr)
        return 1
    names = ", ".join(_name(metric, rule.horizon_s) for metric in rule.metrics)
    print(f"{path}: a good rule, {rule.digest()[:12]}; it judges {names}")
    if any(metric.mode is Mode.KAYENTA for metric in rule.metrics):
        print("The error of Kayenta's test is its own and not part of alpha.")
    return 0


def _import(path: Path) -> int:
    try:
        found = from_kayenta(json.loads(_text(path)))
    except json.JSONDecodeError as error:
        print(f"{path}: not JSON: {error}", file=sys.stderr)
        return 2
    except CanaryConfigError as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 2
    for note in found.notes:
        print(note, file=sys.stderr)
    if found.rule is None:
        print(f"{path}: no metric of it can be a rule's", file=sys.stderr)
        return 1
    print(yaml.safe_dump(found.rule, sort_keys=False), end="")
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CanaryCommandError(f"{path} cannot be read: {error}") from None


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
