"""How fast pages of Prometheus' text formats are read: ours and prometheus-client's, in turn.

    python -m bench.exposition [--quick]

One page of 10,000 series with five labels each, in both formats. *First* reads it when no series is
known, *again* when all are, which is every scrape but the first. The peer keeps nothing between
pages, so it has one figure.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as om_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from collector.scrape.openmetrics import parse_openmetrics
from collector.scrape.text_format import parse_text

SERIES = 10_000


def text_page(series: int) -> bytes:
    lines = ["# HELP http_requests_total Requests.", "# TYPE http_requests_total counter"]
    lines += [
        f'http_requests_total{{method="GET",route="/api/v1/{n % 50}",code="{200 + n % 5}",'
        f'instance="host-{n}",zone="eu-west-1a"}} {n * 1.5}'
        for n in range(series)
    ]
    return ("\n".join(lines) + "\n").encode()


def openmetrics_page(series: int) -> bytes:
    text = text_page(series).replace(b"http_requests_total Requests", b"http_requests Requests")
    return text.replace(b"http_requests_total counter", b"http_requests counter") + b"# EOF\n"


def cpu_s(work: Callable[[], object]) -> float:
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def measured(page: bytes, parse: Any, families: Any, rounds: int) -> dict[str, int]:
    text = page.decode()
    known = parse(page, ()).new
    took_s: dict[str, list[float]] = {"first": [], "again": [], "prometheus_client": []}
    for _ in range(rounds):
        took_s["first"].append(cpu_s(lambda: parse(page, ())))
        took_s["again"].append(cpu_s(lambda: parse(page, known)))
        took_s["prometheus_client"].append(cpu_s(lambda: list(families(text))))
    return {
        f"{what}_samples_per_cpu_s": round(SERIES / median(found)) for what, found in took_s.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="3 rounds")
    options = parser.parse_args()
    rounds = 3 if options.quick else options.rounds
    figures = {
        "text": measured(text_page(SERIES), parse_text, text_families, rounds),
        "openmetrics": measured(openmetrics_page(SERIES), parse_openmetrics, om_families, rounds),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
