"""What a person reads while it runs: one line per thing that happened, one that shows progress."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any, Final, TextIO

from telemetry.clock import Clock

#: Where the output is no terminal, progress is a line of its own, so often.
PLAIN_PROGRESS_S: Final = 10.0
WIDTH_CHARS: Final = 118


@dataclass(slots=True)
class Timeline:
    """Prints as it goes and keeps what was said."""

    clock: Clock
    out: TextIO = field(default_factory=lambda: sys.stdout)
    entries: list[dict[str, Any]] = field(default_factory=list)
    _started_s: float = 0.0
    _progress_s: float = 0.0
    _on_line: bool = False

    def __post_init__(self) -> None:
        self._started_s = self.clock.monotonic_s()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the timeline began."""
        return self.clock.monotonic_s() - self._started_s

    def say(self, text: str) -> None:
        """Something happened."""
        self._clear()
        at_s = self.elapsed_s
        self.entries.append({"at_s": round(at_s, 3), "text": text})
        print(f"{at_s:7.1f} s  {text}", file=self.out, flush=True)

    def progress(self, text: str) -> None:
        """We are waiting, and this is how it stands; overwritten on a terminal."""
        if self.out.isatty():
            line = f"{self.elapsed_s:7.1f} s  … {text}"[:WIDTH_CHARS]
            print(f"\r{line:<{WIDTH_CHARS}}", end="", file=self.out, flush=True)
            self._on_line = True
        elif self.clock.monotonic_s() - self._progress_s >= PLAIN_PROGRESS_S:
            self._progress_s = self.clock.monotonic_s()
            print(f"{self.elapsed_s:7.1f} s  … {text}", file=self.out, flush=True)

    def _clear(self) -> None:
        if self._on_line:
            print(f"\r{'':<{WIDTH_CHARS}}\r", end="", file=self.out)
            self._on_line = False
        self._progress_s = self.clock.monotonic_s()
