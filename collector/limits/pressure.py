"""How close the process is to the end of its memory, and what gives way at which point."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Final

from collector.limits.config import OverloadConfig
from telemetry.clock import Clock

#: The kernel's figure is read again after so many seconds.
_READ_EVERY_S: Final = 0.25
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Shed(IntEnum):
    """What is refused; each level includes those before it."""

    NOTHING = 0
    #: Whole requests of spans: their senders keep them and come again.
    TRACES = 1
    #: Series that were not known before, but for the reserved ones.
    NEW_SERIES = 2


class Pressure:
    """Thread-safe: the worst a race does is to read twice."""

    def __init__(
        self, config: OverloadConfig, clock: Clock, rss_bytes: Callable[[], int] | None = None
    ) -> None:
        self._config = config
        self._clock = clock
        self._rss_bytes = rss_bytes or resident_bytes
        self._level = Shed.NOTHING
        self._read_s = float("-inf")

    def level(self) -> Shed:
        """What gives way now."""
        now_s = self._clock.monotonic_s()
        if now_s - self._read_s >= _READ_EVERY_S:
            self._read_s = now_s
            self._level = level_of(self._rss_bytes() / self._config.max_rss_bytes, self._config)
        return self._level


def level_of(used_ratio: float, config: OverloadConfig) -> Shed:
    """What gives way at this share of ``max_rss_bytes``."""
    if used_ratio >= config.shed_new_series_ratio:
        return Shed.NEW_SERIES
    if used_ratio >= config.shed_traces_ratio:
        return Shed.TRACES
    return Shed.NOTHING


def resident_bytes() -> int:
    """Resident memory of this process; 0 where the kernel does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0
