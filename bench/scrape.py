"""What scraping costs: ours and Debian's prometheus on the same targets, one after the other.

    python -m bench.scrape [--targets 10 --series 2000 --seconds 20 --runs 2] [--quick]

Every target shows so many counters with five labels, whose values rise with time, and is asked once
a second. Printed for each: processor time of the whole process per million samples stored, and the
samples it counted. The targets run in a process of their own, which is not counted.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

from bench.collector.process import Collector

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
WARM_UP_S = 4.0


def serve(series: int, ready: Connection) -> None:
    names = [
        f'bench_requests_total{{method="GET",route="/api/{n % 40}",code="{200 + n % 3}",'
        f'host="h{n}",zone="z{n % 3}"}} '
        for n in range(series)
    ]

    class Page(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            now = int(time.time())
            lines = (f"{name}{now + n}\n" for n, name in enumerate(names))
            body = ("# TYPE bench_requests_total counter\n" + "".join(lines)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.request_queue_size = 128
    ready.send(server.server_address[1])
    server.serve_forever()


def config(folder: Path, port: int, targets: int) -> Path:
    """Each target is the same server under another path."""
    path = folder / "scrape.yml"
    jobs = "".join(
        f"- job_name: j{n}\n  metrics_path: /{n}\n"
        f"  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
        for n in range(targets)
    )
    path.write_text(f"global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n{jobs}")
    return path


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def rss_mb(pid: int) -> int:
    return round(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4_096 / 1e6)


def measured(pid: int, stored: Any, seconds: float) -> dict[str, Any]:
    time.sleep(WARM_UP_S)
    first_s, first = cpu_s(pid), stored()
    time.sleep(seconds)
    spent_s, samples = cpu_s(pid) - first_s, stored() - first
    return {
        "samples": samples,
        "cpu_s_per_million": round(spent_s / samples * 1e6, 2),
        "rss_mb": rss_mb(pid),
    }


def ours(folder: Path, path: Path, seconds: float) -> dict[str, Any]:
    collector = Collector(
        folder / "state",
        folder / "stderr.log",
        SCRAPE__CONFIG_PATH=path,
        OVERLOAD__MAX_SERIES_PER_METRIC=1_000_000,
        OVERLOAD__MAX_SERIES=1_000_000,
    )
    try:
        return measured(
            collector.process.pid,
            lambda: _json(f"{collector.api_url}/api/v1/ingest")["stored"],
            seconds,
        )
    finally:
        collector.terminate()


def theirs(folder: Path, path: Path, seconds: float) -> dict[str, Any]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={path}",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        return measured(process.pid, lambda: _appended(port), seconds)
    finally:
        process.terminate()
        process.wait(30)


def _appended(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    name = "prometheus_tsdb_head_samples_appended_total"
    return round(sum(float(one.rpartition(" ")[2]) for one in lines if one.startswith(name)))


def _json(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", type=int, default=10)
    parser.add_argument("--series", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one run of 8 seconds")
    options = parser.parse_args()
    runs, seconds = (1, 8.0) if options.quick else (options.runs, options.seconds)
    here, there = multiprocessing.Pipe()
    targets = multiprocessing.Process(target=serve, args=(options.series, there), daemon=True)
    targets.start()
    port = here.recv()
    found: dict[str, list[dict[str, Any]]] = {"davylamp": [], "prometheus": []}
    for _ in range(runs):
        for name, work in (("davylamp", ours), ("prometheus", theirs)):
            if name == "prometheus" and shutil.which("prometheus") is None:
                print("prometheus is not installed", file=sys.stderr)
                continue
            with tempfile.TemporaryDirectory(prefix="davylamp-scrape-") as folder:
                path = config(Path(folder), port, options.targets)
                found[name].append(work(Path(folder), path, seconds))
                print(name, found[name][-1], file=sys.stderr)
    targets.terminate()
    print(
        json.dumps(
            {
                name: {key: median(one[key] for one in rows) for key in rows[0]}
                for name, rows in found.items()
                if rows
            }
        )
    )


if __name__ == "__main__":
    main()
