"""Which times are believed, by our own clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from collector.config import LimitsConfig
from collector.wire.reasons import Reason

#: The end of 1970: whatever lies before is a missing time or a clock that was never set.
_FIRST_UNIX_NANO: Final = 365 * 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Believed:
    """[oldest, newest] in Unix nanoseconds."""

    oldest_unix_nano: int
    newest_unix_nano: int

    @staticmethod
    def around(now_unix_nano: int, limits: LimitsConfig) -> Believed:
        """The times that are accepted at ``now_unix_nano``."""
        return Believed(
            max(now_unix_nano - round(limits.max_past_s * 1e9), _FIRST_UNIX_NANO),
            now_unix_nano + round(limits.max_future_s * 1e9),
        )

    def are_believed(self, unix_nanos: Sequence[int]) -> bool:
        """Whether each of the times is; there must be one at least."""
        return self.oldest_unix_nano <= min(unix_nanos) and max(unix_nanos) <= self.newest_unix_nano

    def reason_against(self, unix_nano: int) -> Reason | None:
        """None if the time is believed."""
        if self.oldest_unix_nano <= unix_nano <= self.newest_unix_nano:
            return None
        if unix_nano < _FIRST_UNIX_NANO:
            return Reason.TIMESTAMP_ZERO
        is_old = unix_nano < self.oldest_unix_nano
        return Reason.TOO_OLD if is_old else Reason.TOO_FAR_IN_FUTURE
