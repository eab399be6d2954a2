"""A PostgreSQL of our own in a temporary folder, on loopback, for tests and measurements.

Debian keeps the server's programs outside PATH, and the server refuses to run as root: then it is
run as Debian's user ``postgres``, whose folder it becomes.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import psycopg

PROGRAMS: Final = Path("/usr/lib/postgresql/15/bin")
USER: Final = "postgres"
READY_TIMEOUT_S: Final = 60.0
#: As shipped, but for what a small machine and a short life want.
SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "fsync": "on",
}


def missing() -> str | None:
    """Why no server can be started here, or None."""
    if not (PROGRAMS / "initdb").exists():
        return f"there is no PostgreSQL 15 in {PROGRAMS}"
    if os.getuid() == 0:
        try:
            pwd.getpwnam(USER)
        except KeyError:
            return f"PostgreSQL does not run as root, and there is no user {USER!r}"
    return None


@dataclass
class Postgres:
    """One server; ``settings`` over SETTINGS. Use as a context manager."""

    settings: dict[str, str] = field(default_factory=dict)
    port: int = 0
    folder: Path = Path()
    _process: subprocess.Popen[bytes] | None = None
    _databases: int = 0

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="davylamp-postgres-"))
        if os.getuid() == 0:
            shutil.chown(self.folder, USER)
        initdb = ["initdb", "-D", "data", "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run([PROGRAMS / initdb[0], *initdb[1:], "--locale=C"], check=True, **self._as())
        self.port = free_port()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Until it answers; after kill() it recovers what was committed."""
        options = {**SETTINGS, **self.settings, "port": str(self.port)}
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        command = [str(PROGRAMS / "postgres"), "-D", "data", *words]
        end_s = time.monotonic() + READY_TIMEOUT_S
        while True:
            process = self._process = subprocess.Popen(command, **self._as())
            try:
                self._await_answer(process)
            except psycopg.OperationalError:
                # Children of a killed server may hold its memory for a while yet.
                if time.monotonic() > end_s or process.poll() is None:
                    raise
                time.sleep(0.2)
            else:
                return

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        """Raises OperationalError when it ends instead, or takes too long."""
        end_s = time.monotonic() + READY_TIMEOUT_S
        while True:
            try:
                psycopg.connect(self.address("postgres"), connect_timeout=1).close()
            except psycopg.OperationalError:
                if time.monotonic() > end_s or process.poll() is not None:
                    raise
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """At once, as a machine that loses its power; its children notice and end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop_at_once(self) -> None:
        """Its immediate shutdown: connections are cut, and the next start recovers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(READY_TIMEOUT_S)
            self._process = None

    def start_again(self) -> None:
        """Until it answers: started when it has ended, else waited for while it recovers."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(psycopg.OperationalError):
                self._await_answer(self._process)
                return
        self.start()

    def pids(self) -> list[int]:
        """Its first process and then that one's children."""
        assert self._process is not None, "start() comes first"
        first, found = self._process.pid, []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(ValueError, OSError):
                # After the name in parentheses: state, then the parent.
                words = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(words[1]) == first:
                    found.append(int(entry.name))
        return [first, *found]

    def new_database(self, template: str = "template1") -> str:
        """Its SQLAlchemy URL."""
        self._databases += 1
        name = f"test_{self._databases}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE {name} TEMPLATE "{template}"'.encode())
        return self.url(name)

    def url(self, database: str) -> str:
        """As the ledger takes it."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def address(self, database: str) -> str:
        """As libpq takes it."""
        return f"host=127.0.0.1 port={self.port} user={USER} dbname={database}"

    def _as(self) -> dict[str, Any]:
        """Where and as whom the server's programs run."""
        places = {"cwd": self.folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        if os.getuid() != 0:
            return places
        user = pwd.getpwnam(USER)
        return {**places, "user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def free_port() -> int:
    """Of loopback, free now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
