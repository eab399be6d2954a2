"""Time as an argument: everything that needs "now" takes a Clock, so tests and replays own it."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks, because they answer different questions."""

    def wall_unix_nano(self) -> int:
        """Nanoseconds since 1970-01-01 UTC; may step when the machine's clock is set."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary start; never steps, for timeouts and leases."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def wall_unix_nano(self) -> int:
        return time.time_ns()

    def monotonic_s(self) -> float:
        return time.monotonic()


class FixedClock:
    """A clock that moves only when told to."""

    def __init__(self, unix_nano: int = 1_700_000_000_000_000_000) -> None:
        self._unix_nano = unix_nano
        self._monotonic_s = 0.0

    def wall_unix_nano(self) -> int:
        return self._unix_nano

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def advance(self, seconds_s: float) -> None:
        """Move both clocks forward by ``seconds_s``."""
        self._unix_nano += round(seconds_s * 1e9)
        self._monotonic_s += seconds_s

    def step_wall(self, seconds_s: float) -> None:
        """Step only the wall clock, as an operator or NTP would."""
        self._unix_nano += round(seconds_s * 1e9)
