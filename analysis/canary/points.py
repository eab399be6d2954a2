"""One point per arm and interval: what a mode that answers once compares.

Intervals of ``point_s`` count from the first block that is judged. A block belongs to the interval
it starts in. An interval makes points when it is over and, per arm, only where that arm had events:
without events there is no point, never a zero. The last interval, not over yet, makes none, and
what starts after the horizon none either.

For the exact mode both arms' points of an interval are made of the same number of events: from the
arm that had more, as many as the other had are drawn without replacement. A share of 20 events and
one of 200, or two tails of them, are distributed differently even when the arms are alike, and a
rank test takes that for harm. What is drawn follows from the metric's key and the interval alone.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from analysis.blocks import Block, CountArm, HistogramArm
from analysis.canary.config import MetricConfig, MetricKind, Mode, Statistic
from analysis.stats.layouts import Floats, Ints, bucket_quantile
from analysis.stats.past import PastCounts

_NS: Final = 1_000_000_000
#: Draws are made of at most so many events per arm and interval; of more, every k-th.
_DRAW_MAX: Final = 10**8
_QUANTILES: Final = {Statistic.P50: 0.5, Statistic.P90: 0.9, Statistic.P99: 0.99}


@dataclass(frozen=True, slots=True)
class Interval:
    """Both arms in one interval: (baseline, canary). ``bad`` is of counts, else 0.

    ``value``: the point, in the metric's unit; None where the arm had no events, or neither can be
    compared with the other.
    """

    start_unix_nano: int
    events: tuple[int, int]
    bad: tuple[int, int]
    value: tuple[float | None, float | None]


class PointCollector:
    """Blocks in time order in, finished intervals out (``intervals``)."""

    def __init__(self, key: str, config: MetricConfig, horizon_s: float) -> None:
        self._key = key
        self._step_ns = config.point_s * _NS
        self._count_max = int(horizon_s // config.point_s)
        is_count = config.kind is MetricKind.COUNT
        self._is_exact = config.mode is Mode.EXACT
        self._sums: _Shares | _Buckets = _Shares() if is_count else _Buckets(config.statistic)
        self._first_unix_nano: int | None = None
        self._open: int | None = None  # number of the interval that is being filled
        self.intervals: list[Interval] = []
        #: Intervals that are over, with points or without.
        self.over = 0

    def take(self, block: Block) -> bool:
        """One block with both arms; False when it starts after the horizon."""
        if self._first_unix_nano is None:
            self._first_unix_nano = block.start_unix_nano
        number = self._number_of(block.start_unix_nano)
        if number != self._open:
            self._close()
        if number >= self._count_max:
            return False
        self._open = number
        self._sums.add(block)
        if block.end_unix_nano >= self._start_of(number + 1):
            self._close()
        return True

    def _number_of(self, unix_nano: int) -> int:
        assert self._first_unix_nano is not None
        return (unix_nano - self._first_unix_nano) // self._step_ns

    def _start_of(self, number: int) -> int:
        assert self._first_unix_nano is not None
        return self._first_unix_nano + number * self._step_ns

    def _close(self) -> None:
        if self._open is None:
            return
        start = self._start_of(self._open)
        if self._is_exact:
            self._sums.even_out(seeded(self._key, start, "even"))
        made = self._sums.interval(start)
        if made.value != (None, None):
            self.intervals.append(made)
        self._sums.clear()
        self.over, self._open = self._open + 1, None

    def to_state(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "first_unix_nano": self._first_unix_nano,
            "open": self._open,
            "over": self.over,
            "sums": self._sums.to_state(),
            "intervals": [
                [self._number_of(one.start_unix_nano), *one.events, *one.bad, *one.value]
                for one in self.intervals
            ],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`to_state` returned."""
        self._first_unix_nano = state["first_unix_nano"]
        self._open = state["open"]
        self.over = int(state["over"])
        self._sums.restore(state["sums"])
        self.intervals = [
            Interval(
                self._start_of(int(r[0])),
                (int(r[1]), int(r[2])),
                (int(r[3]), int(r[4])),
                (r[5], r[6]),
            )
            for r in state["intervals"]
        ]


def seeded(key: str, unix_nano: int, purpose: str) -> np.random.Generator:
    """Draws that are the same for the same metric, interval and purpose, on every machine."""
    digest = hashlib.sha256(f"{key}\n{unix_nano}\n{purpose}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:8], "big")))


class _Shares:
    """Bad and all events of the open interval."""

    def __init__(self) -> None:
        self._bad, self._all = [0, 0], [0, 0]

    def add(self, block: Block) -> None:
        for arm, found in enumerate((block.baseline, block.canary)):
            assert isinstance(found, CountArm)
            self._bad[arm] += found.total - found.good
            self._all[arm] += found.total

    def even_out(self, rng: np.random.Generator) -> None:
        least = min(self._all)
        for arm in (0, 1):
            if self._all[arm] > least:
                counts = np.array([self._all[arm] - self._bad[arm], self._bad[arm]])
                drawn = _drawn(counts, least, rng)
                self._bad[arm], self._all[arm] = int(drawn[1]), int(drawn.sum())

    def interval(self, start: int) -> Interval:
        a, b = (
            bad / total if total else None for bad, total in zip(self._bad, self._all, strict=True)
        )
        events, bad = (self._all[0], self._all[1]), (self._bad[0], self._bad[1])
        return Interval(start, events, bad, (a, b))

    def clear(self) -> None:
        self._bad, self._all = [0, 0], [0, 0]

    def to_state(self) -> list[Any]:
        return [self._bad, self._all]

    def restore(self, state: Sequence[Any]) -> None:
        self._bad, self._all = ([int(v) for v in row] for row in state)


class _Buckets:
    """Bucket counts of the open interval, on one layout."""

    def __init__(self, statistic: Statistic) -> None:
        self._statistic = statistic
        self._counts = PastCounts()

    def add(self, block: Block) -> None:
        for arm, found in enumerate((block.baseline, block.canary)):
            assert isinstance(found, HistogramArm)
            self._counts.add(arm, np.asarray(found.bounds, dtype=float), np.asarray(found.counts))

    def even_out(self, rng: np.random.Generator) -> None:
        counts = np.rint(self._counts.counts).astype(np.int64)
        least = int(counts.sum(axis=1).min())
        for arm in (0, 1):
            if counts[arm].sum() > least:
                counts[arm] = _drawn(counts[arm], least, rng)
        self._counts.counts = counts.astype(np.float64)

    def interval(self, start: int) -> Interval:
        edges, counts = self._counts.edges, self._counts.counts
        a, b = (point_of(edges, side, self._statistic) for side in counts)
        totals = round(self._counts.total(0)), round(self._counts.total(1))
        return Interval(start, totals, (0, 0), (a, b))

    def clear(self) -> None:
        self._counts = PastCounts()

    def to_state(self) -> dict[str, Any]:
        return self._counts.to_state()

    def restore(self, state: Mapping[str, Any]) -> None:
        self._counts.restore(state)


def point_of(edges: Floats, counts: Floats, statistic: Statistic) -> float | None:
    """A statistic from bucket counts, in the edges' unit; None without events.

    Quantiles are interpolated inside their bucket, geometrically where it has a lower edge above
    zero. For the mean every event stands at the middle of its bucket, in the same sense; in the
    open last bucket at its lower edge.
    """
    total = float(counts.sum())
    if total <= 0 or len(edges) == 0:
        return None
    if statistic in _QUANTILES:
        found = bucket_quantile(edges, counts, _QUANTILES[statistic])
    else:
        lower = np.concatenate([[0.0], edges])
        upper = np.append(edges, edges[-1])
        is_positive = lower > 0
        middle = np.where(
            is_positive, np.sqrt(np.where(is_positive, lower * upper, 1.0)), (lower + upper) / 2
        )
        found = float((counts * middle).sum() / total)
    return found if math.isfinite(found) else None


def _drawn(counts: Ints, size: int, rng: np.random.Generator) -> Ints:
    """``size`` of the counted events, without replacement, per class."""
    every = -(-int(counts.sum()) // _DRAW_MAX)
    left = counts // every
    size = min(size // every, int(left.sum()))
    drawn = rng.multivariate_hypergeometric(left, size, method="marginals")
    return np.asarray(drawn, dtype=np.int64)
