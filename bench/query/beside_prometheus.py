"""The same PromQL over the same remote-written data, asked of us and of Debian's Prometheus.

    python -m bench.query.beside_prometheus [--series 10000] [--scrapes 1920] [--rounds 5] [--quick]

Both take the same load (a sample every 15 s, by default 8 hours of 10,000 series), then each query
is asked of both in turn. Results are compared value by value, relative to 1e-9; latencies are
medians over the rounds, of the first byte asked to the last byte read. Ours evaluates by the edge
rule of Prometheus 2, which Debian's is. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.ingest.receivers import Receiver, davylamp, missing, prometheus
from bench.ingest.samples_load import SCRAPE_INTERVAL_MS, send

TOLERANCE = 1e-9
TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Question:
    """A range query over ``hours`` in steps of ``step_s``; an instant one at the end without."""

    name: str
    query: str
    hours: float = 8.0
    step_s: int = 60


QUESTIONS = (
    Question("rate of 1,250 series", 'rate({job="svc-0"}[5m])'),
    Question("rate of 1,250 series, summed", 'sum by (http_route) (rate({job="svc-0"}[5m]))'),
    Question("one metric by job", "sum by (job) (rate(playback_starts_total[5m]))"),
    Question(
        "p99 from buckets",
        "histogram_quantile(0.99, sum by (le) "
        "(rate(http_server_request_duration_seconds_bucket[5m])))",
    ),
    Question(
        "burn rate",
        'sum(rate(http_server_requests_total{region="region-1"}[1h])) '
        "/ sum(rate(http_server_requests_total[1h]))",
    ),
    Question("raw gauge", 'process_resident_memory_bytes{job="svc-1"}'),
    Question("gauge smoothed", "avg by (region) (avg_over_time(db_pool_in_use[5m]))"),
    Question("dashboard hour", 'sum(rate(cdn_bytes_total{job="svc-2"}[1m]))', 1.0, 15),
    Question("regular expression", 'count by (region) ({job=~"svc-[0-3]"})'),
    Question("top ten", "topk(10, rate(cdn_bytes_total[5m]))", 0.0),
    Question("hour's peak", "max by (job) (max_over_time(queue_depth[1h]))", 0.0),
)


def asked(receiver: Receiver, question: Question, end_s: int) -> tuple[float, Any]:
    """Seconds, and the result."""
    parameters = {"query": question.query}
    if question.hours:
        path = "query_range"
        start_s = end_s - round(question.hours * 3_600)
        parameters |= {"start": str(start_s), "end": str(end_s), "step": str(question.step_s)}
    else:
        path = "query"
        parameters["time"] = str(end_s)
    prefix = "/prometheus" if receiver.name == "davylamp" else ""
    url = f"http://127.0.0.1:{receiver.port}{prefix}/api/v1/{path}"
    began_s = time.perf_counter()
    with urllib.request.urlopen(
        f"{url}?{urllib.parse.urlencode(parameters)}", timeout=TIMEOUT_S
    ) as answer:
        raw = answer.read()
    took_s = time.perf_counter() - began_s
    return took_s, json.loads(raw)["data"]["result"]


def points(result: Any) -> Iterator[tuple[tuple[Any, float], float]]:
    """((labels, time), value) of every point."""
    for series in result:
        labels = tuple(sorted(series["metric"].items()))
        for at, value in series.get("values") or [series["value"]]:
            yield (labels, at), float(value)


def differences(ours: Any, theirs: Any) -> tuple[int, int]:
    """(points compared, points that differ or are missing on one side)."""
    mine: Mapping[Any, float] = dict(points(ours))
    other: Mapping[Any, float] = dict(points(theirs))
    wrong = len(mine.keys() ^ other.keys())
    for key in mine.keys() & other.keys():
        a, b = mine[key], other[key]
        same = a == b or (math.isnan(a) and math.isnan(b))
        wrong += not (same or abs(a - b) <= TOLERANCE * max(abs(a), abs(b)))
    return len(other), wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--scrapes", type=int, default=1_920)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--quick", action="store_true", help="5,000 series, 2 hours, 2 rounds")
    options = parser.parse_args()
    if options.quick:
        options.series, options.scrapes, options.rounds = 5_000, 480, 2
    if why := missing("prometheus"):
        print(f"skipped: {why}")
        print(json.dumps({"skipped": why}))
        return 0
    os.environ["DAVYLAMP_COLLECTOR__PROMQL__PROMETHEUS_VERSION"] = "2"
    # As long as the peer takes by default: on a busy machine the widest query needs over 10 s.
    for name in ("PROMQL__TIMEOUT_S", "STORE__QUERY_TIMEOUT_S"):
        os.environ[f"DAVYLAMP_COLLECTOR__{name}"] = str(TIMEOUT_S)
    end_ms = time.time_ns() // 1_000_000
    with (
        tempfile.TemporaryDirectory() as ours,
        tempfile.TemporaryDirectory() as theirs,
        davylamp(Path(ours)) as us,
        prometheus(Path(theirs)) as peer,
    ):
        for receiver in (us, peer):
            sent = send(
                receiver.port,
                receiver.path,
                series=options.series,
                scrapes=options.scrapes,
                seed=options.seed,
                end_ms=end_ms,
            )
            print(f"{receiver.name}: {sent.samples:,} samples, {dict(sent.statuses)}", flush=True)
        time.sleep(5.0)
        rows = compared(us, peer, end_ms, options)
    failed = sum(row["differ"] for row in rows)
    ratios = [row["times_as_fast"] for row in rows]
    print(f"{failed} points differ; {statistics.median(ratios):.2f} times as fast at the median")
    print(json.dumps({"series": options.series, "scrapes": options.scrapes, "rows": rows}))
    return 1 if failed else 0


def compared(
    us: Receiver, peer: Receiver, end_ms: int, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """One row a question."""
    end_s = (end_ms // 1_000 - 60) // 60 * 60
    length_h = options.scrapes * SCRAPE_INTERVAL_MS / 3_600_000
    print(f"{'':32}{'ours ms':>9}{'theirs ms':>11}{'ratio':>7}{'points':>10}{'differ':>8}")
    rows = []
    for question in QUESTIONS:
        fitting = Question(
            question.name, question.query, min(question.hours, length_h), question.step_s
        )
        took: dict[str, list[float]] = {"davylamp": [], "prometheus": []}
        results = {}
        for _ in range(options.rounds):
            for receiver in (us, peer):
                took_s, results[receiver.name] = asked(receiver, fitting, end_s)
                took[receiver.name].append(took_s)
        count, wrong = differences(results["davylamp"], results["prometheus"])
        ours_s, theirs_s = (statistics.median(took[name]) for name in took)
        row = {
            "name": question.name,
            "ours_ms": round(ours_s * 1e3, 1),
            "theirs_ms": round(theirs_s * 1e3, 1),
            "times_as_fast": round(theirs_s / ours_s, 2),
            "points": count,
            "differ": wrong,
        }
        rows.append(row)
        print(
            f"{row['name']:32}{row['ours_ms']:9}{row['theirs_ms']:11}{row['times_as_fast']:7}"
            f"{count:10,}{wrong:8}",
            flush=True,
        )
    return rows


if __name__ == "__main__":
    raise SystemExit(main())
