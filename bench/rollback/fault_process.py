"""The harness's end of a process under test: starting, asking, reading, killing."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

READY_TIMEOUT_S: Final = 60.0
#: Nothing is asked for this long after a refusal.
REFUSED_PAUSE_S: Final = 0.1
ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Orders:
    """What every process under test is told at its start."""

    folder: Path
    database_url: str
    url: str
    lifetime_s: float
    lease_s: float


@dataclass
class Told:
    """What the processes said, over all their lives."""

    committed: dict[str, str] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    refused_numbers: set[str] = field(default_factory=set)
    starts: int = 0


@dataclass
class Worker:
    """One process under test; when it dies it is started again."""

    orders: Orders
    told: Told
    unanswered: int = 0
    #: By the loop's clock: when it refused last, when it committed last.
    refused_s: float = 0.0
    committed_s: float = 0.0
    process: asyncio.subprocess.Process | None = None
    _reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Until it says it is ready. Raises ChildProcessError with its last words."""
        orders = self.orders
        with (orders.folder / "stderr").open("a") as stderr:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bench.rollback.fault_worker",
                str(orders.folder), orders.database_url, orders.url,
                str(orders.lifetime_s), str(orders.lease_s),
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
            )  # fmt: skip
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), READY_TIMEOUT_S)
        if line != b"ready\n":
            await self.process.wait()
            raise ChildProcessError((orders.folder / "stderr").read_text()[-2000:])
        self.told.starts, self.unanswered = self.told.starts + 1, 0
        self._reading = asyncio.create_task(self._read(self.process))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            if not line.endswith(b"\n"):
                return  # killed while it wrote: nothing was told
            word, number, what = line.decode().split()
            self.unanswered -= 1
            now_s = asyncio.get_running_loop().time()
            if word == "committed":
                self.told.committed[number], self.committed_s = what, now_s
            else:
                self.told.refused[what] += 1
                self.told.refused_numbers.add(number)
                self.refused_s = now_s

    def is_resting(self) -> bool:
        """Whether it has just refused."""
        return asyncio.get_running_loop().time() < self.refused_s + REFUSED_PAUSE_S

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

    def has_ended(self) -> bool:
        """By itself or by us."""
        return self.process is not None and self.process.returncode is not None

    def signal(self, number: signal.Signals) -> None:
        """Unless it is gone."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def kill(self) -> None:
        """-9; what it had told before is read to the end."""
        assert self.process is not None
        self.signal(signal.SIGKILL)
        await self.process.wait()
        if self._reading is not None:
            await self._reading

    async def finish(self) -> None:
        """End of input. Raises TimeoutError when it does not end."""
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.close()
        await asyncio.wait_for(self.process.wait(), READY_TIMEOUT_S)
        assert self._reading is not None
        await self._reading
