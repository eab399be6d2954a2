"""Which number a series has: given once, kept in the store, the same after every start.

Numbers are dense and 32 bits wide. A series that is new gets its number in memory; the store's
writer writes its row before any sample that names it, so a number that is in the store never
means two series.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from collector.samples.labels import BadLabelsError, Pairs, checked, metric_of, spelled
from collector.wire.reasons import Reason

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
#: Spellings other than the sorted one that are remembered.
MAX_ALIASES: Final = 100_000
_NEVER: Final = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class NewSeries:
    """A series that the store has no row of yet."""

    series_id: int
    metric_id: int
    labels: Pairs


class SeriesBook:
    """Thread-safe for several readers of ids and one writer of rows."""

    def __init__(self, max_series: int) -> None:
        self.max_series = max_series
        self._lock = threading.Lock()
        self.is_closed_to_new = False
        self._ids: dict[bytes, int] = {}
        self._spellings: dict[int, bytes] = {}
        self._aliases: dict[bytes, int] = {}
        self._metric_ids: dict[bytes, int] = {}
        self._metric_of: Ints = np.zeros(1024, dtype=np.int64)
        self._last_ms: Ints = np.full(1024, _NEVER, dtype=np.int64)
        self._last_value: Floats = np.zeros(1024)
        self._count = 0
        self._undescribed: dict[int, NewSeries] = {}

    def __len__(self) -> int:
        return self._count

    def load(self, series_ids: Ints, metric_ids: Ints, spellings: list[bytes]) -> None:
        """Rows of the store, at start."""
        if not spellings:
            return
        numbers = series_ids.tolist()
        self._grow(max(numbers) + 1)
        self._ids.update(zip(spellings, numbers, strict=True))
        self._spellings.update(zip(numbers, spellings, strict=True))
        self._metric_of[series_ids] = metric_ids
        self._count = max(self._count, max(numbers) + 1)

    def load_metrics(self, metric_ids: dict[bytes, int]) -> None:
        """The numbers of all metrics, at start."""
        self._metric_ids.update(metric_ids)

    def known(self, keys: list[bytes]) -> list[int | None]:
        """The numbers behind spellings, None where one was not seen before."""
        get = self._ids.get
        found = [get(key) for key in keys]
        if self._aliases and None in found:
            also = self._aliases.get
            return [
                also(key) if number is None else number
                for key, number in zip(keys, found, strict=True)
            ]
        return found

    def spelling(self, series_id: int) -> bytes:
        """The one spelling of its labels."""
        return self._spellings[series_id]

    def number(self, key: bytes, pairs: list[tuple[bytes, bytes]], *, is_limited: bool) -> int:
        """The number of a label set, a new one if need be.

        ``key`` is the spelling it came in. Raises BadLabelsError, with SERIES_LIMIT when there are
        ``max_series`` already, NEW_SERIES_SHED when memory is short. ``is_limited`` false: it was
        acknowledged before, so no limit holds.
        """
        labels = checked(pairs)
        right_key = spelled(labels)
        with self._lock:
            found = self._ids.get(right_key)
            if found is None:
                if is_limited and self._count >= self.max_series:
                    raise BadLabelsError(Reason.SERIES_LIMIT)
                if is_limited and self.is_closed_to_new:
                    raise BadLabelsError(Reason.NEW_SERIES_SHED)
                found = self._added(right_key, labels)
            if key != right_key:
                if len(self._aliases) >= MAX_ALIASES:
                    self._aliases.clear()
                self._aliases[key] = found
            return found

    def _added(self, key: bytes, labels: Pairs) -> int:
        series_id = self._count
        self._grow(series_id + 1)
        metric_id = self._metric_ids.setdefault(metric_of(labels), len(self._metric_ids))
        self._metric_of[series_id] = metric_id
        self._undescribed[series_id] = NewSeries(series_id, metric_id, labels)
        self._count += 1
        self._spellings[series_id] = key
        self._ids[key] = series_id
        return series_id

    def metric_ids(self, series_ids: Ints) -> Ints:
        """The metric of each series."""
        result: Ints = self._metric_of[series_ids]
        return result

    def newest(self, series_ids: Ints) -> tuple[Ints, Floats]:
        """Time (ms) and value of the newest sample that was acknowledged, per series."""
        return self._last_ms[series_ids], self._last_value[series_ids]

    def acknowledged(self, series_ids: Ints, times_ms: Ints, values: Floats) -> None:
        """These samples are durable."""
        order = np.argsort(times_ms, kind="stable")  # the newest of a series is written last
        ids, times, numbers = series_ids[order], times_ms[order], values[order]
        with self._lock:  # the arrays may be replaced by longer ones
            newer = times > self._last_ms[ids]
            self._last_ms[ids[newer]] = times[newer]
            self._last_value[ids[newer]] = numbers[newer]

    def undescribed(self) -> list[NewSeries]:
        """Series without a row, in the order of their numbers."""
        with self._lock:
            return [self._undescribed[number] for number in sorted(self._undescribed)]

    def described(self, series: list[NewSeries]) -> None:
        """The store has their rows now."""
        with self._lock:
            for one in series:
                self._undescribed.pop(one.series_id, None)

    def _grow(self, size: int) -> None:
        if size <= len(self._last_ms):
            return
        more = max(size, 2 * len(self._last_ms)) - len(self._last_ms)
        self._metric_of = np.concatenate((self._metric_of, np.zeros(more, dtype=np.int64)))
        self._last_ms = np.concatenate((self._last_ms, np.full(more, _NEVER, dtype=np.int64)))
        self._last_value = np.concatenate((self._last_value, np.zeros(more)))
