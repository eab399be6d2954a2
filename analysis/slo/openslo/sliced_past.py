"""Counts of the past, slice by slice: what budgets, replays and forecasts are computed from.

A slice nobody reported for is not one without events; both are kept apart from here to the answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.slo.openslo.errors import OpenSloError
from analysis.slo.openslo.time_windows import Period

Counts = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

#: Sums over every slice must stay exact in 64 bits; nobody counts that many events in a slice.
EVENTS_PER_SLICE_MAX = 2**40


class CountsError(OpenSloError):
    """Counts that do not fit together, or a question they are too coarse for."""


@dataclass(frozen=True, slots=True)
class SlicedPast:
    """Good and bad events of slices that follow each other from ``start_unix_s`` on.

    ``reported``: whether anybody reported for the slice; counts of the others are 0.
    """

    start_unix_s: int
    slice_s: int
    good: Counts
    bad: Counts
    reported: Flags

    def __post_init__(self) -> None:
        shapes = {self.good.shape, self.bad.shape, self.reported.shape}
        if len(shapes) > 1 or self.good.ndim != 1:
            raise CountsError(f"good, bad and reported differ in length: {sorted(shapes)}")
        if self.slice_s < 1:
            raise CountsError(f"a slice of {self.slice_s} s")
        for name, counts in (("good", self.good), ("bad", self.bad)):
            if counts.size and not 0 <= int(counts.min()) <= int(counts.max()):
                raise CountsError(f"{name} events below zero")
            if counts.size and int(counts.max()) > EVENTS_PER_SLICE_MAX:
                raise CountsError(f"more than {EVENTS_PER_SLICE_MAX} {name} events in a slice")
        if ((self.good + self.bad)[~self.reported] > 0).any():
            raise CountsError("events in slices nobody reported for")

    @property
    def end_unix_s(self) -> int:
        """End of the last slice."""
        return self.start_unix_s + len(self.good) * self.slice_s

    def over(self, period: Period) -> SlicedPast:
        """Slices that begin in a period, all of them: those unknown here nobody reported for."""
        first = -((self.start_unix_s - period.start_unix_s) // self.slice_s)
        end = -((self.start_unix_s - period.end_unix_s) // self.slice_s)
        size = end - first
        taken = slice(max(first, 0), max(min(end, len(self.good)), 0))
        before = max(-first, 0)

        def placed(values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
            result = np.zeros(size, dtype=values.dtype)
            part = values[taken]
            result[before : before + len(part)] = part
            return result

        return SlicedPast(
            self.start_unix_s + first * self.slice_s,
            self.slice_s,
            placed(self.good).astype(np.int64),
            placed(self.bad).astype(np.int64),
            placed(self.reported).astype(np.bool_),
        )


def touched(whole: SlicedPast, spans: Iterable[Period]) -> Flags:
    """Marks for the slices that a span touches anywhere: a slice counts whole or not at all."""
    flags = np.zeros(len(whole.good), dtype=np.bool_)
    for span in spans:
        first = (span.start_unix_s - whole.start_unix_s) // whole.slice_s
        end = -((whole.start_unix_s - span.end_unix_s) // whole.slice_s)
        flags[max(first, 0) : max(end, 0)] = True
    return flags


def sliced_past(
    start_unix_s: int, slice_s: int, good: npt.ArrayLike, bad: npt.ArrayLike
) -> SlicedPast:
    """A past that somebody reported for throughout. Raises CountsError."""
    good_counts, bad_counts = np.asarray(good, np.int64), np.asarray(bad, np.int64)
    reported = np.ones(good_counts.shape, dtype=np.bool_)
    return SlicedPast(start_unix_s, slice_s, good_counts, bad_counts, reported)
