"""The harness's end of a process under test: starting, asking, reading, killing."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Final

from bench.rollback.fault_worker import Orders, live

READY_TIMEOUT_S: Final = 60.0
#: Nothing is asked for this long after a refusal.
REFUSED_PAUSE_S: Final = 0.1
#: A start costs a fork instead of seconds of imports.
CONTEXT: Final = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["bench.rollback.fault_worker", "bench.rollback.fault_kinds"])


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
    process: ForkServerProcess | None = None
    _asks: Connection | None = None
    _reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Until it says it is ready. Raises ChildProcessError with its last words."""
        its_asks, asks = CONTEXT.Pipe(duplex=False)
        answers, its_answers = CONTEXT.Pipe(duplex=False)
        process = CONTEXT.Process(
            target=live, args=(self.orders, its_asks, its_answers), daemon=True
        )
        await asyncio.to_thread(process.start)
        its_asks.close()
        its_answers.close()
        if self._asks is not None:
            self._asks.close()
        self.process, self._asks = process, asks
        reader = asyncio.StreamReader()
        pipe = os.fdopen(os.dup(answers.fileno()), "rb")
        answers.close()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        line = await asyncio.wait_for(reader.readline(), READY_TIMEOUT_S)
        if line != b"ready\n":
            await asyncio.to_thread(process.join)
            raise ChildProcessError((self.orders.folder / "stderr").read_text()[-2000:])
        self.told.starts, self.unanswered = self.told.starts + 1, 0
        self._reading = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        async for line in reader:
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

    def ask(self, number: int, service: str) -> None:
        """For one more decision; lost if the process dies."""
        assert self._asks is not None
        with contextlib.suppress(BrokenPipeError):
            # Too few lines wait for an answer to fill the pipe.
            os.write(self._asks.fileno(), f"{number} {service}\n".encode())
            self.unanswered += 1

    @property
    def pid(self) -> int:
        assert self.process is not None
        assert self.process.pid is not None
        return self.process.pid

    def has_ended(self) -> bool:
        """By itself or by us."""
        return self.process is not None and not self.process.is_alive()

    def signal(self, number: signal.Signals) -> None:
        """Unless it is gone."""
        if not self.has_ended():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def kill(self) -> None:
        """-9; what it had told before is read to the end."""
        if self.process is None:
            return
        self.signal(signal.SIGKILL)
        await self._ended()

    async def finish(self) -> None:
        """End of input. Raises TimeoutError when it does not end."""
        assert self._asks is not None
        self._asks.close()
        self._asks = None
        await asyncio.wait_for(self._ended(), READY_TIMEOUT_S)

    async def _ended(self) -> None:
        if self._reading is not None:
            await self._reading
        assert self.process is not None
        await asyncio.to_thread(self.process.join, READY_TIMEOUT_S)
