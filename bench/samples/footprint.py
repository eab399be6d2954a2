"""What the sample stack costs: processor, memory, time to come up and to go, with a canary on.

python -m bench.samples.footprint [--profile demo] [--seconds 20] [--runs 2]

There is no peer of this size to alternate with, so the stack alternates with itself without
telemetry (OTEL_SDK_DISABLED): the difference is what being observed costs. Processor time is what
the kernel charged to the stack's processes, so a busy machine changes it little. The receiver of
the telemetry is a process of its own and not counted.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

from davylamp.config import load_settings, samples_config
from sample_services.stack import run

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
WARM_UP_S = 3.0


class Sink(BaseHTTPRequestHandler):
    """Takes OTLP/HTTP and forgets it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def serve_sink(port_to: Connection) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    port_to.send(server.server_address[1])
    server.serve_forever()


def serve_stack(folder: str, profile: str, otlp_port: int) -> None:
    """The stack with the project's defaults, on free ports, its canary declared to nobody."""
    defaults = samples_config(load_settings(environ={}))
    config = replace(
        defaults,
        controller_port=0,
        edge_port=0,
        profile=profile,
        otlp_endpoint=f"http://127.0.0.1:{otlp_port}",
        analysis_url="",
        state_dir=Path(folder),
    )
    sys.exit(run(config))


def tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(inner for child in children for inner in tree(int(child)))]


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def pss_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024


def ask(port: int, path: str, body: dict | None = None) -> dict:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        None if body is None else json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def measure(profile: str, otlp_port: int, seconds_s: float, *, silent: bool) -> dict:
    """One run of the stack, a canary of a good release on."""
    with tempfile.TemporaryDirectory() as folder:
        begun_s = time.monotonic()
        call = f"serve_stack({folder!r}, {profile!r}, {otlp_port})"
        program = f"from bench.samples.footprint import serve_stack; {call}"
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OTEL_SDK_DISABLED": str(silent).lower()},
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        ready_s = time.monotonic() - begun_s
        port = json.loads(line.removeprefix("ready samples "))["controller_port"]
        ask(port, "/v1/deployments", {"service": "playback", "build": "N5"})
        time.sleep(WARM_UP_S)
        pids = tree(process.pid)
        before, plays, from_s = list(map(cpu_s, pids)), ask(port, "/v1/traffic"), time.monotonic()
        time.sleep(seconds_s)
        over_s = time.monotonic() - from_s
        cores = (sum(map(cpu_s, pids)) - sum(before)) / over_s
        played = ask(port, "/v1/traffic")["plays_sent"] - plays["plays_sent"]
        memory_bytes = sum(map(pss_bytes, pids))
        begun_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        exit_code = process.wait(30)
        return {
            "ready_s": round(ready_s, 2),
            "cores": round(cores, 3),
            "pss_mb": round(memory_bytes / 1e6),
            "processes": len(pids),
            "plays_per_s": round(played / over_s, 1),
            "stop_s": round(time.monotonic() - begun_s, 2),
            "exit": exit_code,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", choices=("demo", "tiny"), default="demo")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    seconds_s, runs = (8.0, 1) if given.quick else (given.seconds, given.runs)
    ours, theirs = multiprocessing.Pipe()
    sink = multiprocessing.Process(target=serve_sink, args=(theirs,), daemon=True)
    sink.start()
    port = ours.recv()
    found: dict[str, list[dict]] = {"observed": [], "silent": []}
    for _ in range(runs):
        for name, rows in found.items():
            rows.append(measure(given.profile, port, seconds_s, silent=name == "silent"))
            print(name, rows[-1], flush=True)
    sink.terminate()
    observed, silent = (median(one["cores"] for one in found[name]) for name in found)
    figures = {
        "profile": given.profile,
        "telemetry_cores": round(observed - silent, 3),
        **{
            name: rows[-1] | {"cores": median(r["cores"] for r in rows)}
            for name, rows in found.items()
        },
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
