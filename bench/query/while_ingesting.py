"""What the read API answers, and how soon, while spans come in.

    python -m bench.query.while_ingesting [--fill 2000000] [--per-s 20000] [--for-s 60] [--quick]

A store is filled with spans of the last hour, then a process of its own sends more at a fixed rate
over OTLP/gRPC, and meanwhile one client asks a dashboard's questions in turn, one at a time. Before
that the same questions are asked while nothing comes in. Two questions that no route answers are
asked of the same process in SQL. The senders, the client and the collector share the machine's
cores, whose load is printed; the collector's CPU per question, while nothing comes in, does not
depend on that load. The last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.ingest import payloads
from bench.ingest.spans import BUSY_REQUESTS, SPANS_PER_REQUEST, send

ROOT: Final = Path(__file__).parents[2]
HOUR_NS: Final = 3_600_000_000_000
MINUTE_NS: Final = 60_000_000_000
SETTLE_S: Final = 60.0
TRACE_COUNT: Final = 50
_RAW_P99: Final = """
    SELECT service_name, intDiv(start_unix_nano, {minute:Int64}) AS minute,
           quantile(0.99)(duration_ns) AS p99
    FROM spans WHERE start_unix_nano >= {from:Int64} AND start_unix_nano < {to:Int64}
    GROUP BY service_name, minute
"""
_SLOWEST: Final = """
    SELECT trace_id, span_id, service_name, duration_ns
    FROM spans WHERE start_unix_nano >= {from:Int64} AND start_unix_nano < {to:Int64}
    ORDER BY duration_ns DESC LIMIT 20
"""


@dataclass(frozen=True, slots=True)
class Question:
    """``aim_ms``: what its median should not pass while 20,000 spans/s come in."""

    name: str
    aim_ms: float
    ask: Callable[[], float]


class Collector:
    """A running one with its data in ``folder``; also takes SQL."""

    def __init__(self, folder: Path) -> None:
        ports = ("OTLP_GRPC_PORT", "OTLP_HTTP_PORT", "API_PORT")
        environment = {f"DAVYLAMP_COLLECTOR__{port}": "0" for port in ports}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.query.collector_with_sql"],
            cwd=ROOT,
            env={**os.environ, **environment, "DAVYLAMP_DAVYLAMP__STATE_DIR": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        found = json.loads(self._line().removeprefix("ready collector "))
        self.grpc_port: int = found["otlp_grpc_port"]
        self._api = f"http://127.0.0.1:{found['api_port']}"

    def get(self, path: str, **parameters: str) -> tuple[float, Any]:
        """Seconds to the last byte, and the answer."""
        url = f"{self._api}{path}?{urllib.parse.urlencode(parameters)}"
        began_s = time.perf_counter()
        with urllib.request.urlopen(url, timeout=60) as answer:
            raw = answer.read()
        return time.perf_counter() - began_s, json.loads(raw)

    def sql(self, sql: str, parameters: Mapping[str, int]) -> float:
        """Seconds the statement took in the collector."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"sql": sql, "parameters": parameters}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self._line().removeprefix("answer "))
        assert answer["rows"], sql
        return float(answer["took_s"])

    def cpu_s(self) -> float:
        """CPU seconds of all threads since the start, to the nanosecond."""
        # The process' clock by Linux' numbering, see clock_getcpuclockid(3).
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def stored(self) -> int:
        """Spans in the store."""
        return int(self.get("/api/v1/ingest")[1]["signals"]["traces"]["stored"])

    def settled(self, spans: int) -> None:
        """Wait until so many are stored. Raises TimeoutError."""
        ends_s = time.monotonic() + SETTLE_S
        while self.stored() < spans:
            if time.monotonic() > ends_s:
                raise TimeoutError(f"{self.stored():,} of {spans:,} spans stored")
            time.sleep(0.1)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(60)

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


def questions(collector: Collector, rng: np.random.Generator) -> list[Question]:
    """Of the last hour; services and traces by turns."""
    hour = {"from": "now-1h", "to": "now"}
    _, found = collector.get("/api/v1/traces", limit=str(TRACE_COUNT), **hour)
    traces = [one["trace_id"] for one in found["traces"]]

    def service() -> str:
        return str(rng.choice(payloads.SERVICES))

    def route(path: str, *, by_service: bool, **more: str) -> Callable[[], float]:
        def ask() -> float:
            named = {"service": service()} if by_service else {}
            return collector.get(path, **named, **hour, **more)[0]

        return ask

    def sql(text: str, **more: int) -> Callable[[], float]:
        def ask() -> float:
            now = time.time_ns()
            return collector.sql(text, {"from": now - HOUR_NS, "to": now, **more})

        return ask

    def trace() -> float:
        return collector.get(f"/api/v1/traces/{rng.choice(traces)}")[0]

    return [
        Question("services, 1 h", 25, route("/api/v1/services", by_service=False)),
        Question("requests by minute, 1 h", 25, route("/api/v1/red", by_service=True, step_s="60")),
        Question("heat map, 1 h", 25, route("/api/v1/heatmap", by_service=True, step_s="60")),
        Question("operations, 1 h", 25, route("/api/v1/operations", by_service=True)),
        Question("topology, 1 h", 25, route("/api/v1/topology", by_service=False)),
        Question("trace by id", 25, trace),
        Question(
            "20 newest slower than 100 ms",
            25,
            route("/api/v1/traces", by_service=True, min_duration_s="0.1", limit="20"),
        ),
        Question("20 slowest spans, 1 h (SQL)", 25, sql(_SLOWEST)),
        Question("raw p99 by minute, 1 h (SQL)", 400, sql(_RAW_P99, minute=MINUTE_NS)),
    ]


def ingest(port: int, bodies: int, per_s: float, seed: int) -> None:
    """Send requests of the present at a fixed rate; in a process of its own."""
    rng = np.random.default_rng(seed)
    made = list(payloads.bodies(rng, time.time_ns(), count=bodies, span_count=SPANS_PER_REQUEST))
    send(port, made, under_way=BUSY_REQUESTS, per_s=per_s / SPANS_PER_REQUEST)


def fill(collector: Collector, spans: int, seed: int) -> int:
    """Spans spread over the last hour; how many."""
    rng = np.random.default_rng(seed)
    count = -(-spans // SPANS_PER_REQUEST)
    templates = [
        payloads.template(rng, span_count=SPANS_PER_REQUEST, number=number)
        for number in range(min(count, 8 * len(payloads.SERVICES)))
    ]
    now = time.time_ns()
    for first in range(0, count, BUSY_REQUESTS):
        bodies = [
            payloads.fresh(
                templates[number % len(templates)], rng, now - HOUR_NS * (count - number) // count
            )
            for number in range(first, min(first + BUSY_REQUESTS, count))
        ]
        send(collector.grpc_port, bodies, under_way=16, per_s=None)
    return count * SPANS_PER_REQUEST


@dataclass
class Asked:
    """Of each question, by name: seconds of every answer, and the collector's CPU of all."""

    took_s: dict[str, list[float]]
    cpu_s: dict[str, float]


def asked(all_questions: list[Question], collector: Collector, is_on: Callable[[], bool]) -> Asked:
    """Every question in turn, once at least, until it is over."""
    names = [question.name for question in all_questions]
    found = Asked({name: [] for name in names}, dict.fromkeys(names, 0.0))
    while True:
        for question in all_questions:
            before_s = collector.cpu_s()
            found.took_s[question.name].append(question.ask())
            found.cpu_s[question.name] += collector.cpu_s() - before_s
        if not is_on():
            return found


def rounds(count: int) -> Callable[[], bool]:
    """True for ``count`` - 1 times."""
    left = iter(range(count - 1))
    return lambda: next(left, None) is not None


@contextlib.contextmanager
def ingesting(collector: Collector, options: argparse.Namespace) -> Iterator[Any]:
    """The sending process, once its first spans are stored."""
    before = collector.stored()
    bodies = round(options.per_s * options.for_s / SPANS_PER_REQUEST)
    process = multiprocessing.get_context("spawn").Process(
        target=ingest, args=(collector.grpc_port, bodies, options.per_s, options.seed + 1)
    )
    process.start()
    try:
        while collector.stored() == before and process.is_alive():
            time.sleep(0.05)
        yield process
    finally:
        process.join()
    assert process.exitcode == 0, "the sender failed"
    collector.settled(before + bodies * SPANS_PER_REQUEST)


def table(all_questions: list[Question], quiet: Asked, busy: Asked) -> list[dict[str, Any]]:
    """One row a question, printed too."""
    heads = ("quiet CPU", "quiet p50", "busy p50", "busy p99", "aim", "asked")
    print(f"{'ms':32}" + "".join(f"{head:>10}" for head in heads))
    rows = []
    for question in all_questions:
        still, mine = (np.array(one.took_s[question.name]) * 1e3 for one in (quiet, busy))
        row = {
            "name": question.name,
            "quiet_cpu_ms": round(quiet.cpu_s[question.name] / len(still) * 1e3, 1),
            "quiet_p50_ms": round(float(np.median(still)), 1),
            "p50_ms": round(float(np.median(mine)), 1),
            "p99_ms": round(float(np.quantile(mine, 0.99)), 1),
            "aim_ms": question.aim_ms,
            "asked": len(mine),
        }
        rows.append(row)
        name, *figures = row.values()
        print(f"{name:32}" + "".join(f"{figure:10}" for figure in figures), flush=True)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fill", type=int, default=2_000_000)
    parser.add_argument("--per-s", type=float, default=20_000.0)
    parser.add_argument("--for-s", type=float, default=60.0)
    parser.add_argument("--quiet-rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--quick", action="store_true", help="200,000 spans, 10 s, 5 rounds")
    options = parser.parse_args()
    if options.quick:
        options.fill, options.for_s, options.quiet_rounds = 200_000, 10.0, 5
    with tempfile.TemporaryDirectory() as name:
        collector = Collector(Path(name))
        try:
            figures = measured(collector, options)
        finally:
            collector.end()
    print(json.dumps(figures))
    return 0


def measured(collector: Collector, options: argparse.Namespace) -> dict[str, Any]:
    """All figures of one run."""
    filled = fill(collector, options.fill, options.seed)
    collector.settled(filled)
    all_questions = questions(collector, np.random.default_rng(options.seed))
    quiet = asked(all_questions, collector, rounds(options.quiet_rounds))
    with ingesting(collector, options) as process:
        before, began_s, began_cpu_s = (
            collector.stored(),
            time.monotonic(),
            collector.cpu_s(),
        )
        busy = asked(all_questions, collector, process.is_alive)
        wall_s = time.monotonic() - began_s
        per_s = (collector.stored() - before) / wall_s
        cores = (collector.cpu_s() - began_cpu_s) / wall_s
    load = os.getloadavg()[0]
    print(
        f"{filled:,} spans stored before; {per_s:,.0f} of {options.per_s:,.0f} spans/s stored "
        f"meanwhile, by {cores:.2f} cores of {os.cpu_count()}; load of the machine {load:.1f}"
    )
    return {
        "filled_spans": filled,
        "aimed_spans_per_s": options.per_s,
        "stored_spans_per_s": round(per_s),
        "collector_cores": round(cores, 2),
        "machine_cores": os.cpu_count(),
        "machine_load_1_min": round(load, 1),
        "rows": table(all_questions, quiet, busy),
    }


if __name__ == "__main__":
    raise SystemExit(main())
