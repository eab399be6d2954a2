"""Range vectors: for every series and step, which of the series' samples lie in the range.

The samples stay where they are, in one flat array; a window is a first and a last index into it.
Functions over windows either work on these indices alone, or sweep: the n-th sample of every window
at once, for n = 0, 1, 2, ..., which keeps Prometheus' order within each window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from collector.promql.labels import Labels
from collector.promql.series import Bools, Floats, Ints, Samples

__all__ = ["Sweep", "Windows", "make_windows", "positions"]

#: Columns of a sweep between two looks at the deadline.
_CHECK_COLUMNS: Final = 256


@dataclass(frozen=True, slots=True)
class Windows:
    """Window (i, s) of series i at step s holds the samples first[i, s] to last[i, s] - 1.

    ``range_start_ms`` and ``range_end_ms`` (one per step) are its edges. No stale marker is left.
    """

    labels: tuple[Labels, ...]
    times: Ints
    values: Floats
    first: Ints
    last: Ints
    range_start_ms: Ints
    range_end_ms: Ints
    range_ms: int
    #: Called now and then during long sweeps; raises when the query must stop.
    checkpoint: Callable[[], None]

    @property
    def counts(self) -> Ints:
        """Samples per window."""
        return self.last - self.first

    def sweep(self, chosen: Bools | None = None) -> Sweep:
        """The windows in an order that makes sweeping cheap; only those ``chosen``, if given."""
        counts = self.counts if chosen is None else np.where(chosen, self.counts, 0)
        flat = counts.ravel()
        order = np.argsort(-flat, kind="stable")
        order = order[: int(np.count_nonzero(flat))]
        return Sweep(self, order, flat[order], self.first.ravel()[order])

    def padded(self, chunk: slice) -> tuple[Floats, Ints]:
        """Values of the (flattened) windows of ``chunk`` in rows, and how many each row has."""
        first, counts = self.first.ravel()[chunk], self.counts.ravel()[chunk]
        width = int(counts.max(initial=0))
        offsets = np.arange(width)
        inside = offsets < counts[:, None]
        index = np.minimum(first[:, None] + offsets, max(len(self.values) - 1, 0))
        rows = np.where(inside, self.values[index] if width else 0.0, np.inf)
        return rows, counts


@dataclass(frozen=True, slots=True)
class Sweep:
    """Non-empty windows, the longest first: those with an n-th sample are always a prefix."""

    windows: Windows
    order: Ints
    lengths: Ints
    first: Ints

    def __len__(self) -> int:
        return len(self.order)

    def columns(self) -> Iterator[tuple[slice, Ints]]:
        """For n = 0, 1, ...: the prefix of windows that have an n-th sample, and its flat index."""
        longest = int(self.lengths[0]) if len(self.lengths) else 0
        ascending = -self.lengths
        for n in range(longest):
            if n % _CHECK_COLUMNS == 0:
                self.windows.checkpoint()
            size = int(np.searchsorted(ascending, -n, side="left"))
            yield slice(0, size), self.first[:size] + n

    def scatter(self, results: Floats, fill: float = np.nan) -> Floats:
        """Results in the sweep's order, back at their (series, step)."""
        shape = self.windows.first.shape
        flat = np.full(shape[0] * shape[1], fill)
        flat[self.order] = results
        return flat.reshape(shape)

    def steps(self) -> Ints:
        """The step number of each window."""
        result: Ints = self.order % max(self.windows.first.shape[1], 1)
        return result


def positions(samples: Samples, times_ms: Ints, *, is_after_equal: bool) -> Ints:
    """For every series and time, the flat index before which a sample of that time would go.

    ``is_after_equal``: after the samples of exactly that time, else before them.
    """
    count = len(samples.labels)
    steps = len(times_ms)
    if len(samples.times) == 0:
        return np.zeros((count, steps), dtype=np.int64)
    earliest = int(samples.times.min())
    span = int(samples.times.max()) - earliest + 2
    # One rising sequence for all series, so that one binary search answers every question.
    rows = np.repeat(np.arange(count), np.diff(samples.starts))
    keys = rows * span + (samples.times - earliest)
    wanted = np.clip(times_ms - earliest, -1, span - 1)
    questions = np.arange(count)[:, None] * span + wanted[None, :]
    found = np.searchsorted(keys, questions, side="right" if is_after_equal else "left")
    return np.clip(found, samples.starts[:-1, None], samples.starts[1:, None])


def make_windows(
    samples: Samples,
    end_ms: Ints,
    range_ms: int,
    *,
    is_left_open: bool,
    checkpoint: Callable[[], None],
) -> Windows:
    """Windows (end - range, end], or [end - range, end] if not ``is_left_open``."""
    live = samples.without_stale()
    first = positions(live, end_ms - range_ms, is_after_equal=is_left_open)
    last = positions(live, end_ms, is_after_equal=True)
    return Windows(
        labels=tuple(live.labels),
        times=live.times,
        values=live.values,
        first=first,
        last=np.maximum(first, last),
        range_start_ms=end_ms - range_ms,
        range_end_ms=end_ms,
        range_ms=range_ms,
        checkpoint=checkpoint,
    )
