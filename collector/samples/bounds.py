"""Which times are believed, by our own clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from collector.config import LimitsConfig
from collector.samples.series_book import Ints
from collector.wire.reasons import Reason


@dataclass(frozen=True, slots=True)
class Bounds:
    """Both ends are within."""

    oldest_ms: float
    newest_ms: float

    @staticmethod
    def at(now_unix_ms: int, limits: LimitsConfig) -> Bounds:
        """The bounds at a moment."""
        return Bounds(
            now_unix_ms - limits.max_past_s * 1e3, now_unix_ms + limits.max_future_s * 1e3
        )

    def is_old(self, times_ms: Ints) -> Any:
        """Of each time."""
        return times_ms < self.oldest_ms

    def is_future(self, times_ms: Ints) -> Any:
        """Of each time."""
        return times_ms > self.newest_ms

    def reason(self, time_ms: int) -> Reason | None:
        """Why one is not believed."""
        if time_ms < self.oldest_ms:
            return Reason.TOO_OLD
        return Reason.TOO_FAR_IN_FUTURE if time_ms > self.newest_ms else None
