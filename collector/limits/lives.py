"""Earlier lives of the process: was the last one ended, killed, or killed for want of memory?

A process that dies while it reads back what killed it would do so for ever. After two such deaths
within ten minutes the next life starts in safe mode: no new series, no scraping, for a while.
A plain kill is no such death.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from collector.limits.config import OverloadConfig
from collector.wal.segments import write_durably
from telemetry.clock import Clock

FILE: Final = "lives.json"
#: Lives kept in the file.
_MAX_LIVES: Final = 20


@dataclass(frozen=True, slots=True)
class Life:
    """One run of the process; times by the wall clock."""

    began_unix_s: float
    #: The kernel's count of processes it killed for want of memory, when this one began.
    oom_kills: int
    #: "starting", "ready" or "ended".
    state: str
    #: Set by the next life.
    died_of_memory: bool = False


class Lives:
    """The file of lives in ``folder``; not thread-safe."""

    def __init__(
        self,
        folder: Path,
        config: OverloadConfig,
        clock: Clock,
        oom_kills: Callable[[], int] | None = None,
    ) -> None:
        """Reads the file and begins a life in it. Raises OSError."""
        self._path = folder / FILE
        self._clock = clock
        folder.mkdir(parents=True, exist_ok=True)
        kills = (oom_kills or kernel_oom_kills)()
        now_unix_s = clock.wall_unix_nano() / 1e9
        self._lives = judged(_read(self._path), kills)
        #: Whether this life must take care.
        self.is_safe_mode = needs_safe_mode(self._lives, now_unix_s, config)
        self._lives.append(Life(now_unix_s, kills, "starting"))
        self._write()

    def ready(self) -> None:
        """Requests are accepted."""
        self._become("ready")

    def ended(self) -> None:
        """An orderly end."""
        self._become("ended")

    def _become(self, state: str) -> None:
        self._lives[-1] = replace(self._lives[-1], state=state)
        self._write()

    def _write(self) -> None:
        kept = self._lives[-_MAX_LIVES:]
        write_durably(self._path, (json.dumps([asdict(one) for one in kept]).encode(),))


def judged(lives: list[Life], oom_kills_now: int) -> list[Life]:
    """The lives with the cause of the last one's death.

    A death before it was ready counts too: whatever it read back ended it.
    """
    if not lives or lives[-1].state == "ended":
        return lives
    last = lives[-1]
    is_memory = last.state == "starting" or oom_kills_now > last.oom_kills
    return [*lives[:-1], replace(last, died_of_memory=is_memory)]


def needs_safe_mode(lives: list[Life], now_unix_s: float, config: OverloadConfig) -> bool:
    """Whether the newest lives, one after the other, died of memory within the window."""
    newest = lives[-config.crash_count :]
    return (
        len(newest) == config.crash_count
        and all(one.died_of_memory for one in newest)
        and abs(now_unix_s - newest[0].began_unix_s) <= config.crash_window_s
    )


def kernel_oom_kills() -> int:
    """Processes the kernel killed for want of memory since it started; 0 where it does not tell."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    found = dict(line.split(" ", 1) for line in lines)
    return int(found.get("oom_kill", "0"))


def _read(path: Path) -> list[Life]:
    """A file that cannot be read says nothing about earlier lives."""
    try:
        found: Any = json.loads(path.read_bytes())
        return [Life(**one) for one in found]
    except (OSError, ValueError, TypeError):
        return []
