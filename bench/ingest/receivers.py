"""Programs that take the load: us, Debian's prometheus and victoria-metrics, each in its folder."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
READY_TIMEOUT_S = 60.0


@dataclass
class Receiver:
    """A running program; ``path`` takes remote-write, ``data`` is what it keeps on disk."""

    name: str
    process: subprocess.Popen
    port: int
    path: str
    data: Path

    def cpu_s(self) -> float:
        """Processor time of the process so far, user and system."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def rss_mb(self) -> float:
        """The most memory it had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

    def disk_bytes(self) -> int:
        """What it keeps, once stopped.

        Of our store the parts in use: those that a merge has replaced stay for another 8 minutes.
        """
        if self.name == "davylamp":
            sql = (
                "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'davylamp'"
            )
            program = "import chdb, sys; print(chdb.connect(sys.argv[1]).query(sys.argv[2], 'TSV'))"
            command = [sys.executable, "-c", program, str(self.data), sql]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            return int(done.stdout.split()[0])
        return sum(path.stat().st_size for path in self.data.rglob("*") if path.is_file())

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def davylamp(folder: Path) -> Iterator[Receiver]:
    """The collector as it ships, but for its ports."""
    names = ("OTLP_GRPC_PORT", "OTLP_HTTP_PORT", "API_PORT")
    settings = {f"DAVYLAMP_COLLECTOR__{name}": "0" for name in names}
    # The load comes as fast as it is taken; the limits on series and rate are other tests' matter.
    settings |= {
        "DAVYLAMP_COLLECTOR__OVERLOAD__MAX_ITEMS_PER_S": "1e9",
        "DAVYLAMP_COLLECTOR__OVERLOAD__BURST_ITEMS": "1000000000",
        "DAVYLAMP_DAVYLAMP__STATE_DIR": str(folder),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "davylamp", "run", "collector"],
        cwd=ROOT,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready collector "), line
        ports = json.loads(line.removeprefix("ready collector "))
        yield Receiver("davylamp", process, ports["api_port"], "/api/v1/write", folder / "store")
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def prometheus(folder: Path) -> Iterator[Receiver]:
    """Debian's, as a remote-write receiver."""
    (folder / "prometheus.yml").write_text("global:\n  scrape_interval: 15s\n")
    port = free_port()
    command = [
        "prometheus", f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}", "--web.enable-remote-write-receiver",
        f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=10y",
        "--log.level=error",
    ]  # fmt: skip
    with _started(command, f"http://127.0.0.1:{port}/-/ready") as process:
        yield Receiver("prometheus", process, port, "/api/v1/write", folder / "data")


@contextlib.contextmanager
def victoria_metrics(folder: Path) -> Iterator[Receiver]:
    """Debian's single node."""
    port = free_port()
    command = [
        "victoria-metrics", f"-storageDataPath={folder / 'data'}", "-retentionPeriod=100y",
        f"-httpListenAddr=127.0.0.1:{port}", "-loggerLevel=ERROR",
    ]  # fmt: skip
    with _started(command, f"http://127.0.0.1:{port}/health") as process:
        yield Receiver("victoria-metrics", process, port, "/api/v1/write", folder / "data")


PEERS = {"prometheus": prometheus, "victoria-metrics": victoria_metrics}


def missing(name: str) -> str | None:
    """Why a peer cannot run here."""
    return None if shutil.which(name) else f"{name} is not installed (apt-get install {name})"


@contextlib.contextmanager
def _started(command: list[str], ready_url: str) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        ends_s = time.monotonic() + READY_TIMEOUT_S
        while True:
            try:
                urllib.request.urlopen(ready_url, timeout=1).close()
                break
            except OSError:
                if time.monotonic() > ends_s or process.poll() is not None:
                    raise
                time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()
