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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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


@dataclass(slots=True)
class _Series:
    service: str
    metric: str
    is_reserved: bool
    temporality: int
    newest: int
    older: tuple[int, ...]
    heard_s: float


class Admission:
    """The points of one request; ``undo`` if it did not become durable after all."""

    __slots__ = ("_book", "_taken", "now_s")

    def __init__(self, book: SeriesBook, now_s: float) -> None:
        self._book = book
        self.now_s = now_s
        self._taken: list[tuple[int, int]] = []

    def reason_against(
        self,
        key: int,
        service: str,
        metric: str,
        temporality: int,
        time_unix_nano: int,
        is_reserved: Callable[[], bool],
    ) -> Reason | None:
        """None if the point is taken. ``key`` identifies the series, temporality left out."""
        reason = self._book._take(  # noqa: SLF001 - one object in two parts
            self.now_s, key, service, metric, temporality, time_unix_nano, is_reserved
        )
        if reason is None:
            self._taken.append((key, time_unix_nano))
        return reason

    def is_reserved_name(self, metric: str) -> bool:
        """Whether a metric may use the reserved part of the quota."""
        return self._book.is_reserved_name(metric)

    def undo(self) -> None:
        """The points are welcome again."""
        self._book._forget_times(self._taken)  # noqa: SLF001
        self._taken = []


class SeriesBook:
    """Thread-safe. Memory: about 400 bytes a series."""

    def __init__(self, config: OverloadConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._lock = threading.Lock()
        self._series: dict[int, _Series] = {}
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
        return len(self._series)

    def admission(self) -> Admission:
        """For the points of one request."""
        return Admission(self, self._clock.monotonic_s())

    def is_reserved_name(self, metric: str) -> bool:
        """Whether a metric's series may use the reserved part of the quota."""
        return self._reserved_name.match(metric) is not None

    def _take(
        self,
        now_s: float,
        key: int,
        service: str,
        metric: str,
        temporality: int,
        time_unix_nano: int,
        is_reserved: Callable[[], bool],
    ) -> Reason | None:
        with self._lock:
            known = self._series.get(key)
            if known is None:
                return self._enter(
                    key,
                    _Series(service, metric, is_reserved(), temporality, time_unix_nano, (), now_s),
                )
            if known.temporality != temporality:
                return Reason.TEMPORALITY_CONFLICT
            if time_unix_nano > known.newest:
                known.older = (known.newest, *known.older[: OLDER_TIMES - 1])
                known.newest = time_unix_nano
            elif time_unix_nano == known.newest or time_unix_nano in known.older:
                return Reason.DUPLICATE_TIMESTAMP
            else:
                older = sorted((time_unix_nano, *known.older), reverse=True)
                known.older = tuple(older[:OLDER_TIMES])
            known.heard_s = now_s
            return None

    def _enter(self, key: int, new: _Series) -> Reason | None:
        reason = self._reason_against_new(new)
        if reason is Reason.SERIES_LIMIT and self._sweep(new.heard_s):
            reason = self._reason_against_new(new)
        if reason is None:
            self._series[key] = new
            self._count(new, 1)
        return reason

    def _reason_against_new(self, new: _Series) -> Reason | None:
        config = self._config
        if new.is_reserved:
            return Reason.SERIES_LIMIT if len(self._series) >= config.max_series else None
        if self.is_closed_to_new:
            return Reason.NEW_SERIES_SHED
        is_full = (
            self._ordinary >= config.max_series - config.reserved_series
            or self._by_service[new.service] >= config.max_series_per_service
            or self._by_metric[new.metric] >= config.max_series_per_metric
        )
        return Reason.SERIES_LIMIT if is_full else None

    def _count(self, one: _Series, change: int) -> None:
        if one.is_reserved:
            return
        self._ordinary += change
        for counter, name in ((self._by_service, one.service), (self._by_metric, one.metric)):
            counter[name] += change
            if not counter[name]:
                del counter[name]

    def _sweep(self, now_s: float) -> bool:
        """Let idle series go, not more often than is worth it; whether any went."""
        if now_s - self._swept_s < _SWEEP_EVERY_S:
            return False
        self._swept_s = now_s
        oldest_s = now_s - self._config.series_idle_s
        idle = [key for key, one in self._series.items() if one.heard_s < oldest_s]
        for key in idle:
            self._count(self._series.pop(key), -1)
        return bool(idle)

    def _forget_times(self, taken: Sequence[tuple[int, int]]) -> None:
        with self._lock:
            for key, time_unix_nano in taken:
                known = self._series.get(key)
                if known is None:
                    continue
                left = [one for one in (known.newest, *known.older) if one != time_unix_nano]
                if left:
                    known.newest, known.older = left[0], tuple(left[1:])
                else:
                    self._count(self._series.pop(key), -1)
