"""Decisions under faults: none lost, none sent late, none by two at once, each one's end known.

python -m bench.rollback.faults --seconds S --seed N [--lifetime-s 20] [--folder DIR]

A real process with a real ledger (SQLite) and deliverer commits decisions and sends their commands
to a real receiver, while it is killed, stopped, its database locked, its file not allowed to grow,
its disk writes made to fail (strace, where installed), and while the receiver refuses, hangs,
resets, throttles, answers slowly, redirects or lies. A quiet part without faults comes first. At
the end everything heals and every decision must be delivered or dead-lettered with people told.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import resource
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.rollback.fault_receiver import BEHAVIOURS, FaultReceiver

SERVICES = 400
QUIET_DECISIONS = 40
#: Decisions asked for and not yet answered.
MAX_UNANSWERED = 8
READY_TIMEOUT_S = 60.0
QUIET_TIMEOUT_S = 30.0
HEAL_TIMEOUT_S = 90.0
ROOT = Path(__file__).parents[2]


@dataclass
class Worker:
    """The process under test; ``committed`` and ``refused``: what it told over all its lives."""

    folder: Path
    url: str
    lifetime_s: float
    committed: dict[str, str] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    unanswered: int = 0
    process: asyncio.subprocess.Process | None = None
    _reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Until it says it is ready."""
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.rollback.fault_worker",
            str(self.folder), self.url, str(self.lifetime_s),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=(self.folder / "stderr").open("a"),
        )  # fmt: skip
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), READY_TIMEOUT_S)
        if line != b"ready\n":
            await self.process.wait()
            raise ChildProcessError((self.folder / "stderr").read_text()[-2000:])
        self.starts, self.unanswered = self.starts + 1, 0
        self._reading = asyncio.create_task(self._read(self.process))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            if not line.endswith(b"\n"):
                return  # killed while it wrote: nothing was told
            word, number, what = line.decode().split()
            self.unanswered -= 1
            if word == "committed":
                self.committed[number] = what
            else:
                self.refused[what] += 1

    async def ask(self, number: int, service: str) -> None:
        """For one more decision; lost if the process dies."""
        assert self.process is not None
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.write(f"{number} {service}\n".encode())
            await self.process.stdin.drain()
            self.unanswered += 1

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    async def kill(self) -> None:
        """-9; what it had told before is read to the end."""
        assert self.process is not None
        assert self._reading is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()
        await self._reading

    async def finish(self) -> None:
        """End of input."""
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.close()
        await asyncio.wait_for(self.process.wait(), READY_TIMEOUT_S)
        assert self._reading is not None
        await self._reading


class Faults:
    """What goes wrong, drawn by the seed; each lasts a moment and ends healed."""

    def __init__(self, worker: Worker, receiver: FaultReceiver, rng: np.random.Generator) -> None:
        self._worker, self._receiver, self._rng = worker, receiver, rng
        self.done: Counter[str] = Counter()
        self.kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "kill": self._kill,
            "stop": self._stop,
            "lock": self._lock,
            "full": self._full,
            "second": self._second,
            "refuse": self._refuse,
            **{name: self._behave(name) for name in BEHAVIOURS if name != "accept"},
        }
        if shutil.which("strace"):
            self.kinds["eio"] = self._eio

    async def next(self) -> None:
        """One more."""
        name = str(self._rng.choice(list(self.kinds)))
        await self.kinds[name]()
        self.done[name] += 1

    async def _moment(self) -> None:
        await asyncio.sleep(float(self._rng.uniform(0.05, 0.8)))

    async def _kill(self) -> None:
        await self._moment()
        await self._worker.kill()
        await self._worker.start()

    async def _stop(self) -> None:
        self._worker.process.send_signal(signal.SIGSTOP)
        await self._moment()
        self._worker.process.send_signal(signal.SIGCONT)

    async def _lock(self) -> None:
        """A person's tool holds the database."""
        connection = sqlite3.connect(self._worker.folder / "ledger.sqlite", isolation_level=None)
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("BEGIN IMMEDIATE")
        await self._moment()
        connection.close()

    async def _full(self) -> None:
        """The files may not grow any more: what a full disk does to a write."""
        pid, (_, hard) = self._worker.pid, resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, hard))
        await self._moment()
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))

    async def _eio(self) -> None:
        """fsync and fdatasync report a broken disk."""
        tracer = await asyncio.create_subprocess_exec(
            "strace", "-f", "-qq", "-o", "/dev/null", "-p", str(self._worker.pid),
            "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO",
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await self._moment()
        with contextlib.suppress(ProcessLookupError):
            tracer.terminate()
        await tracer.wait()

    async def _second(self) -> None:
        """Another process on the same ledger must be refused."""
        second = Worker(self._worker.folder, self._worker.url, self._worker.lifetime_s)
        try:
            await second.start()
        except ChildProcessError:
            return
        self._receiver.wrong["second_process_admitted"] += 1
        await second.kill()

    async def _refuse(self) -> None:
        await self._receiver.refuse()
        await self._moment()
        await self._receiver.listen()

    def _behave(self, name: str) -> Callable[[], Awaitable[None]]:
        async def fault() -> None:
            self._receiver.behaviour = name
            await self._moment()
            self._receiver.behaviour = "accept"

        return fault


@dataclass(frozen=True, slots=True)
class Ends:
    """What the ledger says at the end, read by a stranger."""

    states: dict[str, str]  # by decision
    told: set[str]  # deployments whose end as a dead letter is on the timeline
    deployments: dict[str, str]  # by decision
    reasons: Counter[str]  # first word of why a row is dead

    @classmethod
    def read(cls, path: Path) -> Ends:
        with contextlib.closing(sqlite3.connect(path)) as raw:
            rows = raw.execute("SELECT decision_id, state, dead_reason FROM outbox").fetchall()
            decisions = raw.execute("SELECT decision_id, deployment_id FROM decisions").fetchall()
            told = raw.execute("SELECT deployment_id FROM events WHERE kind = 'dead_letter'")
            return cls(
                {row[0]: row[1] for row in rows},
                {row[0] for row in told.fetchall()},
                dict(decisions),
                Counter(row[2].split()[0] for row in rows if row[2]),
            )


async def run(folder: Path, seconds: float, seed: int, lifetime_s: float) -> dict[str, Any]:
    """All three parts; the counts."""
    rng = np.random.default_rng(seed)
    secret = "whsec_" + base64.b64encode(rng.bytes(32)).decode()
    (folder / "secret").write_text(secret + "\n")
    receiver = FaultReceiver(secret)
    await receiver.listen()
    worker = Worker(folder, f"http://127.0.0.1:{receiver.port}/", lifetime_s)
    await worker.start()
    numbers = iter(range(10**9))

    async def feed() -> None:
        while True:
            if worker.unanswered < MAX_UNANSWERED:
                await worker.ask(next(numbers), f"service-{rng.integers(SERVICES)}")
            await asyncio.sleep(0.005)

    for number in range(QUIET_DECISIONS):
        await worker.ask(next(numbers), f"quiet-{number}")
    await _until(lambda: len(receiver.arrivals) >= QUIET_DECISIONS, QUIET_TIMEOUT_S)
    quiet_doubled = sum(len(found) - 1 for found in receiver.arrivals.values())

    faults, feeding = Faults(worker, receiver, rng), asyncio.create_task(feed())
    ends_s = time.monotonic() + seconds
    while time.monotonic() < ends_s:
        await faults.next()
        if worker.process is not None and worker.process.returncode is not None:
            receiver.wrong["process_ended_by_itself"] += 1
            await worker.start()
    feeding.cancel()
    await asyncio.gather(feeding, return_exceptions=True)
    path = folder / "ledger.sqlite"
    await _until(
        lambda: "pending" not in Ends.read(path).states.values(), lifetime_s + HEAL_TIMEOUT_S
    )
    await worker.finish()
    await receiver.refuse()
    return _counts(worker, receiver, faults, Ends.read(path), quiet_doubled)


async def _until(condition: Callable[[], bool], timeout_s: float) -> None:
    """True or not: what is missing then shows in the counts."""
    end_s = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < end_s:  # noqa: ASYNC110 - any condition
        await asyncio.sleep(0.2)


def _counts(
    worker: Worker, receiver: FaultReceiver, faults: Faults, ends: Ends, quiet_doubled: int
) -> dict[str, Any]:
    committed = set(worker.committed.values())
    accepted = {
        arrival.decision_id
        for found in receiver.arrivals.values()
        for arrival in found
        if arrival.is_accepted
    }
    delivered = {name for name, state in ends.states.items() if state == "delivered"}
    dead = {name for name, state in ends.states.items() if state == "dead"}
    doubled = sum(len([a for a in f if a.is_accepted]) > 1 for f in receiver.arrivals.values())
    must_be_zero = {
        "lost": len(committed - set(ends.states)),
        "without_an_end": len(set(ends.states) - delivered - dead),
        "said_delivered_but_never_accepted": len(delivered - accepted),
        "dead_and_nobody_told": sum(ends.deployments[name] not in ends.told for name in dead),
        "decisions_without_a_row": len(set(ends.deployments) - set(ends.states)),
        "doubled_without_a_fault": quiet_doubled,
        **{
            name: receiver.wrong[name]
            for name in (
                "sent_after_expiry", "not_genuine", "other_bytes_under_an_id",
                "two_at_once_in_a_lane", "second_process_admitted", "process_ended_by_itself",
            )
        },
    }  # fmt: skip
    return {
        "decisions": len(ends.states),
        "told_committed": len(committed),
        "refused": dict(worker.refused),
        "delivered": len(delivered),
        "dead_lettered": len(dead),
        "dead_by_reason": dict(ends.reasons.most_common()),
        "accepted_twice_after_a_fault": doubled,
        "faults": sum(faults.done.values()),
        "faults_by_kind": dict(faults.done.most_common()),
        "starts": worker.starts,
        "must_be_zero": must_be_zero,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lifetime-s", type=float, default=20.0, help="of a command")
    parser.add_argument("--folder", type=Path, help="kept; default: a temporary one")
    parser.add_argument("--quick", action="store_true", help="15 seconds")
    options = parser.parse_args()
    seconds = 15.0 if options.quick else options.seconds
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        counts = asyncio.run(run(folder, seconds, options.seed, options.lifetime_s))
    for name, value in counts.items():
        if name == "must_be_zero":
            for what, count in value.items():
                print(f"  {what:36}{count:7}   must be 0")
        else:
            print(f"{name:38}{json.dumps(value):>7}")
    print(json.dumps({"seed": options.seed, "seconds": seconds, **counts}))
    return 1 if any(counts["must_be_zero"].values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
