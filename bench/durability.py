"""Is anything lost that was acknowledged, or counted twice? The real process, ended in every way.

    python -m bench.durability --rounds 30 --power-cuts 5 --seed 1

*Kills*: kill -9 at random moments under load, the same folder again and again. *Power cuts*: the
folder lies on a file system in a file; the process is stopped, the file copied (what the kernel had
not been told to write is not in it), the copy mounted, its journal replayed, the collector started
on it. *Disk full*: the write-ahead log's file system fills up and gets room again. Mounting needs
root; where it is not allowed the part is skipped and says so.

There is no peer here: Debian's prometheus and victoria-metrics promise
nothing for the last seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np

from bench.collector.ledger_load import Sender, judged, stored_items
from bench.collector.process import Collector

SENDERS = 4
SETTINGS = {
    "WAL__TRACES_INTERVAL_S": 0.2,
    "WAL__METRICS_INTERVAL_S": 0.1,
    "WAL__MIN_FREE_BYTES": 0,
}
IMAGE_BYTES = 600_000_000


class CannotMountError(Exception):
    """Why."""


class Load:
    """Senders to whatever collector is there."""

    def __init__(self) -> None:
        self.collector: Collector | None = None
        self.senders = [Sender(number, lambda: self.collector) for number in range(SENDERS)]

    def __enter__(self) -> Self:
        for one in self.senders:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        for one in self.senders:
            one.is_stopping = True
        for one in self.senders:
            one.join(60)

    def verdict(self, state_dir: Path) -> dict[str, int]:
        return judged([one.ledger for one in self.senders], stored_items(state_dir))


def kills(folder: Path, rounds: int, rng: np.random.Generator) -> dict[str, Any]:
    state_dir, log = folder / "state", folder / "stderr.log"
    ready_s = []
    with Load() as load:
        load.collector = Collector(state_dir, log, **SETTINGS)
        for _ in range(rounds):
            # The wait is the moment of the crash, not a synchronisation.
            time.sleep(float(rng.uniform(0.05, 1.2)))
            load.collector.kill()
            load.collector = Collector(state_dir, log, **SETTINGS)
            ready_s.append(load.collector.ready_s)
        time.sleep(0.5)
        load.stop()
        load.collector.terminate()
        found = load.verdict(state_dir)
    return {
        "rounds": rounds,
        **found,
        "retries": sum(one.retries for one in load.senders),
        "ready_s_p50": round(float(np.median(ready_s)), 2),
        "ready_s_max": round(max(ready_s), 2),
        "tracebacks": log.read_text().count("Traceback"),
    }


@contextlib.contextmanager
def mounted(*arguments: str, at: Path) -> Iterator[Path]:
    at.mkdir(exist_ok=True)
    made = subprocess.run(
        ["mount", *arguments, str(at)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise CannotMountError(made.stderr.strip())
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)


def power_cuts(folder: Path, cuts: int, rng: np.random.Generator) -> dict[str, Any]:
    totals = {"acknowledged": 0, "lost": 0, "doubled": 0, "never_sent": 0}
    for number in range(cuts):
        one = folder / f"cut-{number}"
        one.mkdir()
        for name, value in power_cut(one, rng).items():
            totals[name] += value
        shutil.rmtree(one)
    return {"cuts": cuts, **totals}


def power_cut(folder: Path, rng: np.random.Generator) -> dict[str, int]:
    image, copy, log = folder / "image", folder / "copy", folder / "stderr.log"
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    made = subprocess.run(["mkfs.ext4", "-q", str(image)], capture_output=True, check=False)
    if made.returncode != 0:
        raise CannotMountError("mkfs.ext4 does not work here")
    with mounted("-o", "loop", str(image), at=folder / "before") as before, Load() as load:
        load.collector = Collector(before / "state", log, **SETTINGS)
        time.sleep(float(rng.uniform(2.0, 6.0)))
        load.collector.process.send_signal(signal.SIGSTOP)
        # What was acknowledged by now must be in the file.
        acknowledged = [set(one.ledger.acknowledged) for one in load.senders]
        subprocess.run(["cp", "--sparse=always", str(image), str(copy)], check=True)
        load.collector.kill()
        load.collector = None
        load.stop()
    for sender, known in zip(load.senders, acknowledged, strict=True):
        sender.ledger.acknowledged = known
    with mounted("-o", "loop", str(copy), at=folder / "after") as after:
        collector = Collector(after / "state", log, **SETTINGS)
        collector.terminate()
        return load.verdict(after / "state")


def disk_full(folder: Path) -> dict[str, Any]:
    state_dir, log = folder / "state", folder / "stderr.log"
    (state_dir).mkdir(parents=True)
    with mounted("-t", "tmpfs", "-o", "size=4m", "davylamp", at=state_dir / "wal") as wal:
        with Load() as load:
            load.collector = Collector(state_dir, log, **SETTINGS)
            time.sleep(1.0)
            ballast = wal / "ballast"
            with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
                while file.write(bytes(65_536)):
                    pass
            time.sleep(2.0)
            retries = sum(one.retries for one in load.senders)
            ballast.unlink()
            freed_s = time.monotonic()
            before = sum(len(one.ledger.acknowledged) for one in load.senders)
            while sum(len(one.ledger.acknowledged) for one in load.senders) == before:
                if time.monotonic() - freed_s > 30:
                    break
                time.sleep(0.01)
            resumed_s = time.monotonic() - freed_s
            time.sleep(0.5)
            load.stop()
            load.collector.terminate()
        found = load.verdict(state_dir)
    return {"refused": retries, "resumed_s": round(resumed_s, 2), **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--power-cuts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="5 kills and 1 power cut")
    options = parser.parse_args()
    rounds, cuts = (5, 1) if options.quick else (options.rounds, options.power_cuts)
    rng = np.random.default_rng(options.seed)
    figures: dict[str, Any] = {"seed": options.seed, "cpus": os.cpu_count()}
    with tempfile.TemporaryDirectory(prefix="davylamp-durability-") as name:
        folder = Path(name)
        for part, work in (
            ("kill_9", lambda: kills(folder / "kills", rounds, rng)),
            ("power_cut", lambda: power_cuts(folder / "cuts", cuts, rng)),
            ("disk_full", lambda: disk_full(folder / "full")),
        ):
            (folder / {"kill_9": "kills", "power_cut": "cuts", "disk_full": "full"}[part]).mkdir()
            try:
                figures[part] = work()
            except CannotMountError as error:
                figures[part] = {"skipped": str(error)}
            print(part, figures[part], file=sys.stderr)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
