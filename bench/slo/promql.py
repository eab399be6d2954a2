"""Replays PromQL cases: loads series, evaluates a query, compares with what Prometheus answers.

python -m bench.slo.promql FILE [--prometheus 2|3] [--failures 20]

FILE holds ``datasets`` (series in promtool's notation) and ``cases`` (query, time or range,
expected lines, expected annotations). Ends with "N passed, N failed"; the exit code says the same.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.slo.notation import parse_series, parse_values, source_of
from collector.promql.durations import parse_duration_ms
from collector.promql.engine import Engine, EngineConfig, Result
from collector.promql.errors import PromqlError
from collector.promql.labels import Labels, format_labels
from collector.promql.limits import QueryLimits
from collector.promql.memory import MemorySource
from collector.promql.nodes import ValueType
from collector.promql.selecting import QueryTimes
from collector.promql.semantics import PROMETHEUS_2, PROMETHEUS_3
from collector.promql.series import is_stale
from collector.promql.strings import unquoted
from telemetry.clock import SystemClock

#: Prometheus' own test suite compares with this relative tolerance (``promqltest``).
TOLERANCE = 1e-6
SMALLEST_NORMAL = sys.float_info.min
RANGE_VECTOR = re.compile(r"expect range vector from (\S+) to (\S+) step (\S+)")
LIMITS = QueryLimits(
    max_samples=50_000_000,
    max_series=100_000,
    max_steps=11_000,
    max_subquery_steps=1_000_000,
    timeout_s=120.0,
)
Points = dict[int, float]


def engine_of(source: MemorySource, prometheus: int) -> Engine:
    """An engine set up as Prometheus' test suite sets up its own."""
    semantics = PROMETHEUS_2 if prometheus == 2 else PROMETHEUS_3
    if prometheus == 3:
        semantics = replace(semantics, is_name_removal_delayed=True)
    config = EngineConfig(
        semantics=semantics, lookback_ms=300_000, default_step_ms=60_000, limits=LIMITS
    )
    return Engine(source, SystemClock(), config)


def replay(case: Mapping[str, Any], engine: Engine) -> str | None:
    """What is wrong with our answer; None if nothing is."""
    annotations = [str(line) for line in case["annotations"]]
    must_fail = any(line.startswith("expect fail") for line in annotations)
    try:
        result = evaluate(case, engine)
    except PromqlError as error:
        return wrong_failure(annotations, str(error)) if must_fail else f"error: {error}"
    if must_fail:
        return "no error, but one was expected"
    return wrong_annotations(annotations, result) or wrong_values(case, annotations, result)


def evaluate(case: Mapping[str, Any], engine: Engine) -> Result:
    if "at" in case:
        return engine.instant(case["query"], parse_duration_ms(case["at"]))
    asked = case["range"]
    return engine.range(
        case["query"],
        QueryTimes(*(parse_duration_ms(asked[key]) for key in ("from", "to", "step"))),
    )


def wrong_failure(annotations: Sequence[str], message: str) -> str | None:
    for line in annotations:
        match = re.match(r"expect fail (msg|regex):\s*(.*)", line)
        if match is None:
            continue
        found = match[2] in message if match[1] == "msg" else re.search(match[2], message)
        if not found:
            return f"fails with {message!r}, expected {match[2]!r}"
    return None


def wrong_annotations(annotations: Sequence[str], result: Result) -> str | None:
    for line in annotations:
        match = re.match(r"expect (no_)?(warn|info)\b(?: (msg|regex):\s*(.*))?$", line)
        if match is None:
            continue
        texts = result.warnings if match[2] == "warn" else result.infos
        if match[1]:
            if texts:
                return f"unexpected {match[2]}: {texts}"
        elif match[3] == "msg":
            if match[4] not in texts:
                return f"{match[2]} is {texts}, expected {match[4]!r}"
        elif match[3] == "regex":
            if not any(re.search(match[4], text) for text in texts):
                return f"{match[2]} is {texts}, expected one like {match[4]!r}"
        elif not texts:
            return f"no {match[2]}, but one was expected"
    return None


def wrong_values(case: Mapping[str, Any], annotations: Sequence[str], result: Result) -> str | None:
    for line in annotations:
        if line.startswith("expect string"):
            wanted = unquoted(line.removeprefix("expect string").strip())
            if result.type is ValueType.STRING and result.text == wanted:
                return None
            return f"is {result.type} {result.text!r}, expected string {wanted!r}"
    expected = list(expectations(case, annotations))
    given = [
        (one.labels, dict(zip(one.times_ms.tolist(), one.values.tolist(), strict=True)))
        for one in result.series
    ]
    is_scalar_expected = any(not line.lstrip().startswith(("{",)) and is_number(line)
                             for line in case["expected"])  # fmt: skip
    if "at" in case and is_scalar_expected is not (result.type is ValueType.SCALAR):
        return f"is a {result.type}"
    if case["ordered"] or "expect ordered" in annotations:
        pairs = list(zip(expected, given, strict=False))
        if len(expected) != len(given) or any(want[0] != got[0] for want, got in pairs):
            return f"order is {[format_labels(labels) for labels, _ in given]}"
    return differences(expected, given)


def is_number(line: str) -> bool:
    try:
        return len(parse_values(line)) == 1
    except ValueError:
        return False


def expectations(
    case: Mapping[str, Any], annotations: Sequence[str]
) -> Iterator[tuple[Labels, Points]]:
    times = expected_times(case, annotations)
    for line in case["expected"]:
        labels, values = ((), parse_values(line)) if is_number(line) else parse_series(line)
        yield (
            labels,
            {time: value for time, value in zip(times, values, strict=False) if value is not None},
        )


def expected_times(case: Mapping[str, Any], annotations: Sequence[str]) -> Sequence[int]:
    for line in annotations:
        match = RANGE_VECTOR.match(line)
        if match:
            start, end, step = (parse_duration_ms(text) for text in match.groups())
            return range(start, end + 1, step)
    if "at" in case:
        return [parse_duration_ms(case["at"])]
    start, end, step = (parse_duration_ms(case["range"][key]) for key in ("from", "to", "step"))
    return range(start, end + 1, step)


def differences(
    expected: Sequence[tuple[Labels, Points]], given: Sequence[tuple[Labels, Points]]
) -> str | None:
    wanted, found = dict(expected), dict(given)
    if len(found) != len(given):
        return "two series have the same labels"
    if wanted.keys() != found.keys():
        missing = [format_labels(labels) for labels in wanted.keys() - found.keys()]
        extra = [format_labels(labels) for labels in found.keys() - wanted.keys()]
        return f"missing {missing}, unexpected {extra}"
    for labels, points in wanted.items():
        got = found[labels]
        if points.keys() != got.keys():
            return f"{format_labels(labels)} has samples at {list(got)}, expected {list(points)}"
        for time, value in points.items():
            if not almost_equal(value, got[time]):
                return f"{format_labels(labels)} at {time} ms is {got[time]!r}, expected {value!r}"
    return None


def almost_equal(a: float, b: float) -> bool:
    """Prometheus' ``almost.Equal``."""
    if math.isnan(a) or math.isnan(b):
        import numpy as np

        stale = is_stale(np.array([a, b]))
        return math.isnan(a) and math.isnan(b) and bool(stale[0] == stale[1])
    if a == b:
        return True
    total, difference = abs(a) + abs(b), abs(a - b)
    if a == 0 or b == 0 or total < SMALLEST_NORMAL:
        return difference < TOLERANCE * SMALLEST_NORMAL
    return difference / min(total, sys.float_info.max) < TOLERANCE


def default_file() -> Path:
    root = Path(__file__).parents[2]
    data = Path(os.environ.get("DAVYLAMP_REFERENCE_DATA", root.parent / "shared" / "data"))
    return data / "slo" / "promql_open.json"


def run(path: Path, prometheus: int) -> Iterator[tuple[str, str, str | None]]:
    """(id, query, what is wrong) of every case."""
    document = json.loads(path.read_text(encoding="utf-8"))
    engines = {
        name: engine_of(
            source_of([(parse_duration_ms(load["interval"]), load["series"]) for load in loads]),
            prometheus,
        )
        for name, loads in document["datasets"].items()
    }
    for case in document["cases"]:
        yield case["id"], case["query"], replay(case, engines[case["dataset"]])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=None)
    parser.add_argument("--prometheus", type=int, choices=(2, 3), default=3)
    parser.add_argument("--failures", type=int, default=20, help="failures to show")
    parser.add_argument("--quick", action="store_true", help="accepted, changes nothing")
    args = parser.parse_args()
    path = args.file or default_file()
    if not path.is_file():
        print(f"no cases: {path} does not exist; name a file", file=sys.stderr)
        print("0 passed, 0 failed")
        return 0 if args.file is None else 1
    outcomes = list(run(path, args.prometheus))
    failed = [outcome for outcome in outcomes if outcome[2] is not None]
    for name, query, problem in failed[: args.failures]:
        print(f"{name}: {query}\n    {problem}")
    print(f"{len(outcomes) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
