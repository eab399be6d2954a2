"""The same remote-write load into us, Prometheus and VictoriaMetrics, alternately.

python -m bench.ingest.remote_write [--series 10000] [--scrapes 1920] [--rounds 1] [--quick]

Counted is processor time of the receiving process until it has settled, so that the sender beside
it does not matter; bytes on disk after it has stopped. Peers that are not installed are named.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.ingest.receivers import PEERS, Receiver, davylamp, missing
from bench.ingest.samples_load import send

SETTLE_S = 12.0
#: At least so many times the peer's samples per cpu-second.
GOALS = {"prometheus": 3.0, "victoria-metrics": 0.9}


def measure(receiver: Receiver, options: argparse.Namespace) -> dict[str, Any]:
    """One load into one receiver."""
    cpu_before_s = receiver.cpu_s()
    sent = send(
        receiver.port,
        receiver.path,
        series=options.series,
        scrapes=options.scrapes,
        seed=options.seed,
    )
    time.sleep(options.settle_s)
    cpu_s = receiver.cpu_s() - cpu_before_s
    rss_mb = receiver.rss_mb()
    receiver.stop()
    return {
        "samples": sent.samples,
        "statuses": dict(sent.statuses),
        "wall_s": round(sent.wall_s, 2),
        "samples_per_s": round(sent.samples / sent.wall_s),
        "cpu_s": round(cpu_s, 2),
        "samples_per_cpu_s": round(sent.samples / cpu_s),
        "disk_bytes_per_sample": round(receiver.disk_bytes() / sent.samples, 3),
        "rss_mb": round(rss_mb),
        "request_p99_ms": round(sent.latency_s(0.99) * 1e3, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--scrapes", type=int, default=1_920)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--settle-s", type=float, default=SETTLE_S)
    parser.add_argument("--only", action="append", help="us (davylamp) or a peer; repeat for more")
    parser.add_argument("--quick", action="store_true", help="40 scrapes, settled 3 s")
    options = parser.parse_args()
    if options.quick:
        options.scrapes, options.settle_s = 40, 3.0
    programs = {"davylamp": davylamp, **{n: p for n, p in PEERS.items() if not missing(n)}}
    for name in PEERS:
        if missing(name):
            print(f"skipped: {missing(name)}")
    rows: dict[str, list[dict[str, Any]]] = {}
    print(
        f"{'':18}{'samples/cpu-s':>15}{'samples/s':>12}{'B/sample':>10}{'RSS MB':>8}{'p99 ms':>8}"
    )
    for _ in range(options.rounds):
        for name, program in programs.items():
            if options.only and name not in options.only:
                continue
            with tempfile.TemporaryDirectory() as folder, program(Path(folder)) as receiver:
                row = measure(receiver, options)
            rows.setdefault(name, []).append(row)
            print(
                f"{name:18}{row['samples_per_cpu_s']:15,}{row['samples_per_s']:12,}"
                f"{row['disk_bytes_per_sample']:10.3f}{row['rss_mb']:8}{row['request_p99_ms']:8}"
                + ("" if set(row["statuses"]) <= {200, 204} else f"  {row['statuses']}"),
                flush=True,
            )
    ours = (
        statistics.median(r["samples_per_cpu_s"] for r in rows.get("davylamp", []))
        if rows.get("davylamp")
        else 0
    )
    ratios = {
        name: round(ours / statistics.median(r["samples_per_cpu_s"] for r in rows[name]), 2)
        for name in GOALS
        if name in rows
    }
    for name, ratio in ratios.items():
        print(f"{ratio} times {name}'s samples per cpu-second (goal {GOALS[name]})")
    print(
        json.dumps(
            {"series": options.series, "scrapes": options.scrapes, "ratios": ratios, "rows": rows}
        )
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
