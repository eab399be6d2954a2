"""Which series there are, so that there are not too many and no point counts twice.

A series enters with its first point, if the quotas leave room, and leaves when it was not heard
for ``series_idle_s``. The last part of the quota is reserved for what canaries and objectives are
judged by: a burst of labels elsewhere must not blind them.

For every series the newest times are remembered. A point at a time that was taken before is a
duplicate, whatever its value: the first one stays. A series is cumulative or delta, not both.
"""

from __future__ import annotations

import fnmatch
import re
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from collector.limits.config import OverloadConfig
from collector.wire.reasons import Reason
from telemetry.clock import Clock

#: Times remembered per series besides the newest: as many exports may arrive out of order.
OLDER_TIMES: Final = 4
#: At the limit, idle series are looked for this often.
_SWEEP_EVERY_S: Final = 10.0
#: Marks points and resources that canary analysis reads.
COHORT_KEY: Final = b"davylamp.canary.cohort"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose quota a series counts against."""

    service: str
    metric: str
    is_reserved: bool


@dataclass(slots=True)
class Series:
    """What is remembered of one series; times in Unix nanoseconds, the newest first."""

    owner: Owner
    temporality: int
    newest: int
    older: tuple[int, ...]
    heard_s: float


class Admission:
    """The points of one request; ``undo`` if it did not become durable after all."""

    __slots__ = ("_book", "_known", "_lock", "_now_s", "_taken")

    def __init__(self, book: SeriesBook, now_s: float) -> None:
        self._book = book
        self._known = book.known
        self._lock = book.lock
        self._now_s = now_s
        self._taken: list[tuple[int, int]] = []

    def reason_against(
        self, key: int, temporality: int, time_unix_nano: int, owner: Owner, attributes: bytes
    ) -> Reason | None:
        """None if the point is taken. ``key`` identifies the series, temporality left out.

        ``attributes`` are looked at only if the series is new. Called for every point, so it is
        one function.
        """
        with self._lock:
            known = self._known.get(key)
            if known is None:
                if COHORT_KEY in attributes:
                    owner = replace(owner, is_reserved=True)
                new = Series(owner, temporality, time_unix_nano, (), self._now_s)
                reason = self._book.enter(key, new)
                if reason is not None:
                    return reason
            elif known.temporality != temporality:
                return Reason.TEMPORALITY_CONFLICT
            elif time_unix_nano > known.newest:
                known.older = (known.newest, *known.older[: OLDER_TIMES - 1])
                known.newest = time_unix_nano
                known.heard_s = self._now_s
            elif time_unix_nano == known.newest or time_unix_nano in known.older:
                return Reason.DUPLICATE_TIMESTAMP
            else:
                older = sorted((time_unix_nano, *known.older), reverse=True)
                known.older = tuple(older[:OLDER_TIMES])
                known.heard_s = self._now_s
        self._taken.append((key, time_unix_nano))
        return None

    def owner(self, service: str, metric: str, *, is_reserved: bool) -> Owner:
        """Whose quota a series counts against; for the points of one metric of one scope."""
        return Owner(service, metric, is_reserved or self._book.is_reserved_name(metric))

    def undo(self) -> None:
        """The points are welcome again."""
        self._book.forget_times(self._taken)
        self._taken = []


class SeriesBook:
    """Thread-safe. Memory: about 400 bytes a series."""

    def __init__(self, config: OverloadConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self.lock = threading.Lock()
        self.known: dict[int, Series] = {}
        self._ordinary = 0
        self._by_service: Counter[str] = Counter()
        self._by_metric: Counter[str] = Counter()
        self._swept_s = float("-inf")
        self._reserved_name = re.compile(
            "|".join(fnmatch.translate(one) for one in config.reserved_metrics) or r"(?!)"
        )
        #: Set while memory is short or the process is in safe mode.
        self.is_closed_to_new = False

    def __len__(self) -> int:
        return len(self.known)

    def admission(self) -> Admission:
        """For the points of one request."""
        return Admission(self, self._clock.monotonic_s())

    def is_reserved_name(self, metric: str) -> bool:
        """Whether a metric's series may use the reserved part of the quota."""
        return self._reserved_name.match(metric) is not None

    def enter(self, key: int, new: Series) -> Reason | None:
        """A series that is not known; the lock is held. None if there is room for it."""
        reason = self._reason_against_new(new)
        if reason is Reason.SERIES_LIMIT and self._sweep(new.heard_s):
            reason = self._reason_against_new(new)
        if reason is None:
            self.known[key] = new
            self._count(new, 1)
        return reason

    def _reason_against_new(self, new: Series) -> Reason | None:
        config = self._config
        if new.owner.is_reserved:
            return Reason.SERIES_LIMIT if len(self.known) >= config.max_series else None
        if self.is_closed_to_new:
            return Reason.NEW_SERIES_SHED
        is_full = (
            self._ordinary >= config.max_series - config.reserved_series
            or self._by_service[new.owner.service] >= config.max_series_per_service
            or self._by_metric[new.owner.metric] >= config.max_series_per_metric
        )
        return Reason.SERIES_LIMIT if is_full else None

    def _count(self, one: Series, change: int) -> None:
        owner = one.owner
        if owner.is_reserved:
            return
        self._ordinary += change
        for counter, name in ((self._by_service, owner.service), (self._by_metric, owner.metric)):
            counter[name] += change
            if not counter[name]:
                del counter[name]

    def _sweep(self, now_s: float) -> bool:
        """Let idle series go, not more often than is worth it; whether any went."""
        if now_s - self._swept_s < _SWEEP_EVERY_S:
            return False
        self._swept_s = now_s
        oldest_s = now_s - self._config.series_idle_s
        idle = [key for key, one in self.known.items() if one.heard_s < oldest_s]
        for key in idle:
            self._count(self.known.pop(key), -1)
        return bool(idle)

    def forget_times(self, taken: Sequence[tuple[int, int]]) -> None:
        """Points that did not become durable."""
        with self.lock:
            for key, time_unix_nano in taken:
                known = self.known.get(key)
                if known is None:
                    continue
                left = [one for one in (known.newest, *known.older) if one != time_unix_nano]
                if left:
                    known.newest, known.older = left[0], tuple(left[1:])
                else:
                    self._count(self.known.pop(key), -1)
