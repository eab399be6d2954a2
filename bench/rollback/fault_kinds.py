"""What goes wrong, drawn by the seed; each fault lasts a moment and ends healed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import psycopg
from sqlalchemy import make_url

from analysis.decisions.engines import WRITERS_LOCK
from bench.rollback.fault_place import Place
from bench.rollback.fault_process import Told, Worker
from bench.rollback.fault_receiver import BEHAVIOURS, FaultReceiver
from bench.rollback.postgres import Postgres

#: A leader is paused this much longer than its lease.
OVERTIME_S: Final = 2.0
NO_STRACE: Final = "there is no strace"

Fault = Callable[[], Awaitable[None]]


class Faults:
    """Those of the processes and of the receiver; what the place has comes beside."""

    def __init__(
        self, workers: Sequence[Worker], receiver: FaultReceiver, rng: np.random.Generator
    ) -> None:
        self._workers, self._receiver, self._rng = workers, receiver, rng
        self.done: Counter[str] = Counter()
        self.skipped: dict[str, str] = {}
        #: Processes under test that died without us.
        self.ended_by_themselves = 0
        #: Faults after which nobody committed a decision in time.
        self.not_recovered_from = 0
        self.kinds: dict[str, Fault] = {
            "kill": self._kill,
            "stop": self._stop,
            "refuse": self._refuse,
            **{name: self._behave(name) for name in BEHAVIOURS if name != "accept"},
        }

    async def next(self) -> None:
        """One more."""
        name = str(self._rng.choice(list(self.kinds)))
        await self.kinds[name]()
        self.done[name] += 1

    def _leader(self) -> Worker:
        """Whoever committed last."""
        return max(self._workers, key=lambda one: one.committed_s)

    async def _moment(self, most_s: float = 0.8) -> None:
        await asyncio.sleep(float(self._rng.uniform(0.05, most_s)))

    async def _kill(self) -> None:
        await self._moment()
        one = self._workers[int(self._rng.integers(len(self._workers)))]
        await one.kill()
        await one.start()

    async def _stop(self) -> None:
        one = self._leader()
        one.signal(signal.SIGSTOP)
        await self._moment()
        one.signal(signal.SIGCONT)

    async def _refuse(self) -> None:
        await self._receiver.refuse()
        await self._moment()
        await self._receiver.listen()

    def _behave(self, name: str) -> Fault:
        async def fault() -> None:
            self._receiver.behaviour = name
            await self._moment()
            self._receiver.behaviour = "accept"

        return fault


class FileFaults(Faults):
    """Those of a file that one process has open."""

    def __init__(
        self,
        workers: Sequence[Worker],
        receiver: FaultReceiver,
        rng: np.random.Generator,
        place: Place,
    ) -> None:
        super().__init__(workers, receiver, rng)
        self._path = Path(make_url(place.url).database or "")
        self.kinds |= {"lock": self._lock, "full": self._full, "second": self._second}
        self.skipped |= place.skipped
        if place.disk is not None:
            self._disk = place.disk
            self.kinds["enospc"] = self._enospc
        if shutil.which("strace"):
            self.kinds["eio"] = self._eio
        else:
            self.skipped["eio"] = NO_STRACE

    async def _lock(self) -> None:
        """A person's tool holds the database."""
        connection = sqlite3.connect(self._path, isolation_level=None)
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("BEGIN IMMEDIATE")
        await self._moment()
        connection.close()

    async def _full(self) -> None:
        """The files may not grow any more (EFBIG)."""
        pid, (_, hard) = self._leader().pid, resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, hard))
        await self._moment()
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))

    async def _enospc(self) -> None:
        """The file system has no block left (ENOSPC): it is made as small as what is in it."""
        whole = os.statvfs(self._disk)
        whole_bytes = whole.f_blocks * whole.f_frsize
        while True:
            now = os.statvfs(self._disk)
            if await self._resize((now.f_blocks - now.f_bfree) * now.f_frsize):
                break  # else the ledger has grown meanwhile
        await self._moment()
        if not await self._resize(whole_bytes):
            raise OSError(f"the tmpfs {self._disk} cannot be made larger again")

    async def _resize(self, size_bytes: int) -> bool:
        process = await asyncio.create_subprocess_exec(
            "mount", "-o", f"remount,size={size_bytes}", str(self._disk),
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return await process.wait() == 0

    async def _eio(self) -> None:
        """fsync and fdatasync report a broken disk."""
        await break_syncs([self._leader().pid], self._moment)

    async def _second(self) -> None:
        """Another process on the same ledger must be refused."""
        second = Worker(self._leader().orders, Told())
        try:
            await second.start()
        except ChildProcessError:
            return
        self._receiver.wrong["second_process_admitted"] += 1
        await second.kill()


class ServerFaults(Faults):
    """Those of a server that several processes use, and of the lease between them."""

    def __init__(
        self,
        workers: Sequence[Worker],
        receiver: FaultReceiver,
        rng: np.random.Generator,
        server: Postgres,
    ) -> None:
        super().__init__(workers, receiver, rng)
        self._server = server
        self._lease_s = workers[0].orders.lease_s
        self.kinds |= {
            "restart": self._restart,
            "crash": self._crash,
            "terminate": self._terminate,
            "server_stop": self._server_stop,
            "writers_lock": self._writers_lock,
            "table_lock": self._table_lock,
            "overtaken": self._overtaken,
        }
        if shutil.which("strace"):
            self.kinds["server_eio"] = self._server_eio
        else:
            self.skipped["server_eio"] = NO_STRACE

    async def _restart(self) -> None:
        """An immediate shutdown: every connection is cut, what was committed is recovered."""
        await asyncio.to_thread(self._server.stop_at_once)
        await self._moment()
        await asyncio.to_thread(self._server.start)

    async def _crash(self) -> None:
        """The server's first process dies as by kill -9, the others notice."""
        await asyncio.to_thread(self._server.kill)
        await self._moment()
        await asyncio.to_thread(self._server.start)

    async def _terminate(self) -> None:
        """Every connection of ours ends."""
        await self._moment()
        await self._execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'davylamp'"
        )

    async def _server_stop(self) -> None:
        """It does not answer for some seconds, at times longer than a leader may wait."""
        pids = self._server.pids()
        try:
            for pid in pids:
                _signal(pid, signal.SIGSTOP)
            await self._moment(1.2 * self._lease_s)
        finally:
            for pid in pids:
                _signal(pid, signal.SIGCONT)

    async def _writers_lock(self) -> None:
        """Another session has the writers' turn."""
        await self._hold(f"SELECT pg_advisory_xact_lock({WRITERS_LOCK})")

    async def _table_lock(self) -> None:
        """Another session has the outbox, from readers too."""
        await self._hold("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")

    async def _overtaken(self) -> None:
        """The leader is paused beyond its lease: another process leads when it wakes up."""
        one = self._leader()
        one.signal(signal.SIGSTOP)
        self._receiver.sender_was_paused()
        await asyncio.sleep(self._lease_s + OVERTIME_S)
        one.signal(signal.SIGCONT)

    async def _server_eio(self) -> None:
        """Its processes cannot sync: it panics and recovers by itself, or has to be started."""
        await break_syncs(self._server.pids()[1:], self._moment)
        await asyncio.to_thread(self._server.start_again)

    async def _hold(self, statement: str) -> None:
        async with await psycopg.AsyncConnection.connect(self._address()) as other:
            await other.execute(statement.encode())
            await self._moment(1.2 * self._lease_s)
            await other.rollback()

    async def _execute(self, statement: str) -> None:
        async with await psycopg.AsyncConnection.connect(self._address()) as other:
            await other.execute(statement.encode())

    def _address(self) -> str:
        return self._server.address(make_url(self._workers[0].orders.database_url).database or "")


async def break_syncs(pids: Sequence[int], moment: Fault) -> None:
    """fsync and fdatasync of these processes fail with EIO for a moment."""
    words = [word for pid in pids for word in ("-p", str(pid))]
    tracer = await asyncio.create_subprocess_exec(
        "strace", "-f", "-qq", "-o", "/dev/null", *words,
        "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO",
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    await moment()
    with contextlib.suppress(ProcessLookupError):
        tracer.terminate()
    await tracer.wait()


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
