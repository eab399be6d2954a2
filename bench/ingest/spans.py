"""Spans over OTLP/gRPC: into us, stored durably; into rotel, discarded; into a plain collector.

python -m bench.ingest.spans [--quick] [--spans 1000000] [--rounds 3] [--no-rotel]

Requests hold 512 spans with ten attributes each, of eight services, and never repeat. The senders
run on the same cores, so spans per CPU second of the receiver are comparable between machines and
spans per second of wall time are not. Ours counts everything until the spans are in the store and
its merges have settled; its books must close. rotel (PyPI, installed into a temporary folder) drops
what it receives. The plain collector parses with protobuf and inserts with SQLAlchemy into SQLite.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np

from bench.ingest import payloads
from collector.sockets import listening

METHOD: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
SPANS_PER_REQUEST: Final = 512
#: Requests under way when the receiver is kept busy: fewer bytes than ours takes at once.
BUSY_REQUESTS: Final = 128
CHANNELS: Final = 2
START_TIMEOUT_S: Final = 60.0
ANSWER_TIMEOUT_S: Final = 120.0
#: CPU of an interval below which background work has settled.
SETTLED_CPU_S: Final = 0.03


@dataclass(frozen=True, slots=True)
class Receiver:
    """A running receiver of OTLP/gRPC."""

    process: subprocess.Popen[Any]
    grpc_port: int
    #: Spans stored so far; None where an answer means as much as there is to know.
    stored: Callable[[], int] | None
    folder: Path


def cpu_s(pid: int) -> float:
    """CPU seconds of all threads since the start."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_rss_bytes(pid: int) -> int:
    """The most memory the process had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def free_port() -> int:
    """A port of the loopback that nobody uses right now."""
    with listening("127.0.0.1", 0, "port") as found:
        port: int = found.getsockname()[1]
        return port


def send(port: int, bodies: list[bytes], *, under_way: int, per_s: float | None) -> list[float]:
    """Send all bodies; seconds each took to be acknowledged. Raises grpc.RpcError."""
    channels = [
        grpc.insecure_channel(f"127.0.0.1:{port}", options=(("grpc.use_local_subchannel_pool", 1),))
        for _ in range(CHANNELS)
    ]
    exports: list[Any] = [channel.unary_unary(METHOD) for channel in channels]
    slots = threading.Semaphore(under_way)
    took_s: list[float] = []
    failures: queue.SimpleQueue[grpc.RpcError] = queue.SimpleQueue()
    began_s = time.monotonic()
    calls = []
    for number, body in enumerate(bodies):
        if per_s is not None:
            time.sleep(max(0.0, began_s + number / per_s - time.monotonic()))
        slots.acquire()
        asked_s = time.monotonic()
        call = exports[number % CHANNELS].future(body, timeout=ANSWER_TIMEOUT_S)

        def answered(done: Any, asked_s: float = asked_s) -> None:
            took_s.append(time.monotonic() - asked_s)
            if done.exception() is not None:
                failures.put(done.exception())
            slots.release()

        call.add_done_callback(answered)
        calls.append(call)
    for call in calls:
        with contextlib.suppress(grpc.RpcError):
            call.result()
    for channel in channels:
        channel.close()
    if not failures.empty():
        raise failures.get()
    return took_s


def until(is_true: Callable[[], bool], what: str, timeout_s: float = START_TIMEOUT_S) -> None:
    """Wait; raises TimeoutError."""
    ends_s = time.monotonic() + timeout_s
    while not is_true():
        if time.monotonic() > ends_s:
            raise TimeoutError(what)
        time.sleep(0.05)


def settle(pid: int, timeout_s: float) -> None:
    """Until merges and the like are done, at most ``timeout_s``."""
    ends_s = time.monotonic() + timeout_s
    before_s = cpu_s(pid)
    while time.monotonic() < ends_s:
        time.sleep(1.0)
        now_s = cpu_s(pid)
        if now_s - before_s < SETTLED_CPU_S:
            return
        before_s = now_s


@contextlib.contextmanager
def ours() -> Iterator[Receiver]:
    """Our collector with its default settings on free ports and a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        ports = ("OTLP_GRPC_PORT", "OTLP_HTTP_PORT", "API_PORT")
        environment = {f"DAVYLAMP_COLLECTOR__{port}": "0" for port in ports}
        with _ended(
            subprocess.Popen(
                [sys.executable, "-m", "davylamp", "run", "collector"],
                env={**os.environ, **environment, "DAVYLAMP_DAVYLAMP__STATE_DIR": name},
                stdout=subprocess.PIPE,
                text=True,
            )
        ) as process:
            assert process.stdout is not None
            found = json.loads(process.stdout.readline().split(" ", 2)[2])

            def stored() -> int:
                url = f"http://127.0.0.1:{found['api_port']}/api/v1/ingest"
                with urllib.request.urlopen(url) as answer:
                    books = json.load(answer)["signals"]["traces"]
                return int(books["stored"])

            yield Receiver(process, found["otlp_grpc_port"], stored, Path(name))


@contextlib.contextmanager
def plain() -> Iterator[Receiver]:
    """A collector as one would write it first: bench.ingest.plain_collector."""
    with tempfile.TemporaryDirectory() as name:
        port = free_port()
        script = (
            "from pathlib import Path; from bench.ingest.plain_collector import serve; "
            f"serve({port}, Path({name!r}))"
        )
        command = [sys.executable, "-c", script]
        with _ended(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as process:
            assert process.stdout is not None
            process.stdout.readline()
            yield Receiver(process, port, None, Path(name))


@contextlib.contextmanager
def rotel(venv: Path) -> Iterator[Receiver]:
    """rotel, receiving and dropping."""
    port, other = free_port(), free_port()
    command = [
        str(venv / "bin" / "rotel"),
        *("start", "--otlp-grpc-endpoint", f"127.0.0.1:{port}"),
        *("--otlp-http-endpoint", f"127.0.0.1:{other}", "--exporter", "blackhole"),
    ]
    with _ended(
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ) as process:
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        grpc.channel_ready_future(channel).result(START_TIMEOUT_S)
        channel.close()
        # The command is a launcher that may stay in front of the program.
        yield Receiver(process, port, None, venv)


@contextlib.contextmanager
def _ended(process: subprocess.Popen[Any]) -> Iterator[subprocess.Popen[Any]]:
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def installed_rotel(folder: Path) -> tuple[Path | None, str]:
    """A virtual environment with rotel, or None and the reason."""
    venv = folder / "venv"
    made = subprocess.run(
        [sys.executable, "-m", "venv", str(venv)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        return None, f"no virtual environment: {made.stderr.strip()[-200:]}"
    pip = subprocess.run(
        [str(venv / "bin" / "pip"), "install", "-q", "rotel"],
        capture_output=True,
        text=True,
        check=False,
    )
    if pip.returncode or not (venv / "bin" / "rotel").exists():
        return None, f"rotel cannot be installed: {pip.stderr.strip()[-200:]}"
    return venv, ""


def tree_cpu_s(pid: int) -> float:
    """CPU seconds of a process and its living children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return cpu_s(pid) + sum(tree_cpu_s(int(child)) for child in children)


def measured(receiver: Receiver, bodies: list[bytes], settle_s: float) -> dict[str, float]:
    """One run as fast as the receiver takes it."""
    pid = receiver.process.pid
    count = len(bodies) * SPANS_PER_REQUEST
    before_s, began_s = tree_cpu_s(pid), time.monotonic()
    took_s = send(receiver.grpc_port, bodies, under_way=BUSY_REQUESTS, per_s=None)
    if receiver.stored is not None:
        stored = receiver.stored
        until(lambda: stored() >= count, "stored", ANSWER_TIMEOUT_S)
    wall_s = time.monotonic() - began_s
    settle(pid, settle_s)
    used_s = tree_cpu_s(pid) - before_s
    p50_s, p99_s = np.quantile(took_s, (0.5, 0.99)).tolist()
    return {
        "spans_per_cpu_s": count / used_s,
        "spans_per_s_wall": count / wall_s,
        "ack_p50_s": p50_s,
        "ack_p99_s": p99_s,
        "peak_rss_mb": peak_rss_bytes(pid) / 1e6,
    }


def stored_bytes_per_span(receiver: Receiver) -> float:
    """Everything the store keeps of a span: columns, indexes, rollups. Ends the receiver."""
    receiver.process.send_signal(signal.SIGTERM)
    receiver.process.wait(30)
    script = (
        "from davylamp.config import collector_config, load_settings\n"
        "from collector.store.engine import open_store\n"
        "store = open_store(collector_config(load_settings()).store)\n"
        "table = store.query('''SELECT sum(bytes_on_disk) AS size, sumIf(rows, table = 'spans') "
        "AS spans FROM system.parts WHERE active AND database = 'davylamp' ''')\n"
        "row = table.to_pylist()[0]\n"
        "print(row['size'] / row['spans'])\n"
        "store.close()\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "DAVYLAMP_DAVYLAMP__STATE_DIR": str(receiver.folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(found.stdout)


def at_half_load(receiver: Receiver, bodies: list[bytes], full_per_s: float) -> dict[str, float]:
    """How long acknowledgements take at half of the rate that was reached."""
    per_s = full_per_s / SPANS_PER_REQUEST / 2
    took_s = send(receiver.grpc_port, bodies, under_way=BUSY_REQUESTS, per_s=per_s)
    p50_s, p99_s = np.quantile(took_s, (0.5, 0.99)).tolist()
    return {"half_load_ack_p50_s": p50_s, "half_load_ack_p99_s": p99_s}


def median_of(runs: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure."""
    return {name: round(statistics.median(run[name] for run in runs), 4) for name in runs[0]}


def main() -> int:
    """Print the figures, as one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute")
    parser.add_argument("--spans", type=int, default=1_000_000, help="per run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-rotel", action="store_true")
    args = parser.parse_args()
    spans = 200_000 if args.quick else args.spans
    rounds, settle_s = (1, 4.0) if args.quick else (args.rounds, 20.0)
    rng = np.random.default_rng(11)
    with tempfile.TemporaryDirectory() as folder:
        venv, reason = (None, "left out") if args.no_rotel else installed_rotel(Path(folder))
        figures = _rounds(rng, spans, rounds, settle_s, venv)
    if venv is None:
        figures["rotel"] = {"skipped": reason}
    for name, found in figures.items():
        print(f"{name:10} {found}")
    print(json.dumps({"spans_per_run": spans, "rounds": rounds, **figures}))
    return 0


def _rounds(
    rng: np.random.Generator, spans: int, rounds: int, settle_s: float, venv: Path | None
) -> dict[str, Any]:
    runs: dict[str, list[dict[str, float]]] = {"ours": [], "rotel": [], "plain": []}
    count = spans // SPANS_PER_REQUEST
    for _ in range(rounds):
        bodies = _bodies(rng, count)
        with ours() as receiver:
            run = measured(receiver, bodies, settle_s)
            half = _bodies(rng, max(64, count // 4))
            run |= at_half_load(receiver, half, run["spans_per_s_wall"])
            run["bytes_per_span"] = stored_bytes_per_span(receiver)
            runs["ours"].append(run)
        if venv is not None:
            with rotel(venv) as receiver:
                runs["rotel"].append(measured(receiver, bodies, settle_s))
        with plain() as receiver:
            # A tenth: it takes about ten times as long.
            runs["plain"].append(measured(receiver, bodies[: max(16, count // 10)], settle_s))
    return {name: median_of(found) for name, found in runs.items() if found}


def _bodies(rng: np.random.Generator, count: int) -> list[bytes]:
    return list(payloads.bodies(rng, time.time_ns(), count=count, span_count=SPANS_PER_REQUEST))


if __name__ == "__main__":
    raise SystemExit(main())
