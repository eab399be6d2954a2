"""Starts the processes, starts them again when they die, stops them in order.

Every process prints one line ``ready NAME {json}`` on its standard output when it takes work; its
standard error goes to ``logs/NAME.log``. A process that never became ready ends the whole start
with its last words; one that dies later is started again after a pause that doubles.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from davylamp.errors import StartError
from telemetry.clock import Clock

READY_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 10.0
RESTART_PAUSE_S: Final = 0.25
RESTART_PAUSE_MAX_S: Final = 10.0
#: A process that lived this long starts again without a longer pause.
SETTLED_S: Final = 30.0
LAST_WORDS_BYTES: Final = 2_000

Listener = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """``name`` is what the process calls itself when it is ready."""

    name: str
    command: Sequence[str]


@dataclass(slots=True)
class _Child:
    spec: ProcessSpec
    process: asyncio.subprocess.Process | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    facts: dict[str, Any] = field(default_factory=dict)
    starts: int = 0
    started_s: float = 0.0
    pause_s: float = RESTART_PAUSE_S
    failure: StartError | None = None


class Supervisor:
    """See the module. ``tell(name, what)`` hears of every start, readiness and death."""

    def __init__(
        self,
        specs: Sequence[ProcessSpec],
        *,
        environ: Mapping[str, str],
        log_dir: Path,
        clock: Clock,
        tell: Listener = lambda _name, _what: None,
    ) -> None:
        self._children = {spec.name: _Child(spec) for spec in specs}
        self._environ = dict(environ)
        self._log_dir = log_dir
        self._clock = clock
        self._tell = tell
        self._watchers: list[asyncio.Task[None]] = []
        self._stopping = False
        self._failed = asyncio.Event()

    async def start(self) -> None:
        """Start everything at once; returns when all are ready. Raises StartError."""
        self._log_dir.mkdir(parents=True, exist_ok=True)
        for child in self._children.values():
            self._watchers.append(asyncio.create_task(self._keep_alive(child)))
        ready = asyncio.create_task(self._all_ready())
        failed = asyncio.create_task(self._failed.wait())
        done, _ = await asyncio.wait(
            (ready, failed), timeout=READY_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
        )
        for task in (ready, failed):
            task.cancel()
        if ready in done:
            return
        self._raise_failure()
        waiting = [name for name, child in self._children.items() if not child.ready.is_set()]
        raise StartError(
            f"not ready within {READY_TIMEOUT_S:.0f} s: {', '.join(waiting)}; see {self._log_dir}"
        )

    async def _all_ready(self) -> bool:
        for child in self._children.values():
            await child.ready.wait()
        return True

    def facts(self, name: str) -> Mapping[str, Any]:
        """What the process said when it became ready, such as its ports."""
        return self._children[name].facts

    def pid(self, name: str) -> int | None:
        """The running process's id."""
        process = self._children[name].process
        return None if process is None or process.returncode is not None else process.pid

    def starts(self, name: str) -> int:
        """How often the process was started."""
        return self._children[name].starts

    async def stop(self) -> None:
        """Stop in reverse order, each within STOP_TIMEOUT_S, else by force."""
        self._stopping = True
        for child in reversed(self._children.values()):
            await self._stop_one(child)
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)

    # -- one process ------------------------------------------------------------------------

    async def _keep_alive(self, child: _Child) -> None:
        while not self._stopping:
            await self._run_once(child)
            if self._stopping:
                return
            if not child.ready.is_set():
                child.failure = StartError(f"{child.spec.name}: {self._last_words(child)}")
                self._failed.set()
                return
            lived_s = self._clock.monotonic_s() - child.started_s
            child.pause_s = (
                RESTART_PAUSE_S
                if lived_s >= SETTLED_S
                else min(child.pause_s * 2.0, RESTART_PAUSE_MAX_S)
            )
            self._tell(child.spec.name, "died, starting again")
            await asyncio.sleep(child.pause_s)

    async def _run_once(self, child: _Child) -> None:
        child.starts += 1
        child.started_s = self._clock.monotonic_s()
        with self._log_path(child).open("ab") as log:
            child.process = await asyncio.create_subprocess_exec(
                *child.spec.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._environ,
                # A terminal's Ctrl-C reaches us alone, so that we stop the others in order.
                start_new_session=True,
            )
        assert child.process.stdout is not None
        async for line in child.process.stdout:
            self._hear(child, line.decode(errors="replace").strip())
        await child.process.wait()

    def _hear(self, child: _Child, line: str) -> None:
        opening = f"ready {child.spec.name} "
        if not line.startswith(opening):
            return
        child.facts = json.loads(line.removeprefix(opening))
        child.ready.set()
        self._tell(child.spec.name, "ready" if child.starts == 1 else "ready again")

    async def _stop_one(self, child: _Child) -> None:
        process = child.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            self._tell(child.spec.name, "did not stop, killed")
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _raise_failure(self) -> None:
        for child in self._children.values():
            if child.failure is not None:
                raise child.failure

    def _log_path(self, child: _Child) -> Path:
        return self._log_dir / f"{child.spec.name}.log"

    def _last_words(self, child: _Child) -> str:
        data = self._log_path(child).read_bytes()[-LAST_WORDS_BYTES:]
        lines = data.decode(errors="replace").strip().splitlines()
        code = None if child.process is None else child.process.returncode
        return lines[-1] if lines else f"ended with {code} without a word"
