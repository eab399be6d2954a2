"""The numbers analysis eats: what arrived for each arm in one interval.

A block is one interval ``[start_unix_nano, end_unix_nano)`` of one metric, with the baseline's and
the canary's data side by side. An arm that sent nothing is ``None``; a block is used by a test only
if its state is ``PAIRED``. Everything else has a name and is counted, never turned into zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

# Events of one arm in one interval beyond which a count is taken for a fault: no service serves
# so many, and up to here sums are exact in a double.
COUNT_MAX = 10**12
# Instances of one arm told apart in a block; an arm with more has no ``parts``.
PARTS_MAX = 64


class BlockState(StrEnum):
    """Why a block can or cannot be used."""

    PAIRED = "paired"  # both arms reported
    EMPTY = "empty"  # neither arm reported
    BASELINE_ONLY = "baseline_only"  # the canary is silent in this interval
    CANARY_ONLY = "canary_only"  # the baseline is silent in this interval
    INCOMPARABLE = "incomparable"  # bucket layouts cannot be merged exactly
    # Bounds not ascending and finite, counts negative or beyond COUNT_MAX, kinds mixed.
    UNREADABLE = "unreadable"
    LATE = "late"  # starts before the last block taken; attached to nothing


@dataclass(frozen=True, slots=True)
class CountArm:
    """Successes out of attempts in one interval: ``0 <= good <= total``."""

    good: int
    total: int
    instance_count: int = 1
    #: Instance -> what it alone reported; None where nobody asked, or there are too many.
    parts: Mapping[str, CountArm] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        if not 0 <= self.good <= self.total:
            raise ValueError(f"need 0 <= good <= total, got good={self.good} total={self.total}")

    @property
    def readable(self) -> bool:
        """Whether the count is not absurd."""
        return self.total <= COUNT_MAX


@dataclass(frozen=True, slots=True)
class HistogramArm:
    """Bucket counts of one interval.

    ``bounds`` are the upper, inclusive edges in the metric's unit (length K);
    ``counts`` has length K + 1, the last bucket is everything above the last bound.
    """

    bounds: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]
    instance_count: int = 1
    #: Instance -> its own counts, on these very bounds; None as for counts.
    parts: Mapping[str, npt.NDArray[np.int64]] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.bounds) + 1:
            raise ValueError(
                f"need one count more than bounds, got {len(self.counts)} counts "
                f"and {len(self.bounds)} bounds"
            )

    @property
    def total(self) -> int:
        return int(self.counts.sum())

    @property
    def readable(self) -> bool:
        """Whether bounds are finite and ascending and counts neither negative nor absurd."""
        bounds = np.asarray(self.bounds)
        return bool(
            np.isfinite(bounds).all()
            and (np.diff(bounds) > 0).all()
            and np.isfinite(self.counts).all()
            and (np.asarray(self.counts) >= 0).all()
            and np.asarray(self.counts, dtype=float).sum() <= COUNT_MAX
        )


ArmData = CountArm | HistogramArm


@dataclass(frozen=True, slots=True)
class Block:
    """One metric, one interval, both arms."""

    start_unix_nano: int
    end_unix_nano: int
    baseline: ArmData | None
    canary: ArmData | None

    @property
    def state(self) -> BlockState:
        if self.baseline is None and self.canary is None:
            return BlockState.EMPTY
        if self.canary is None:
            return BlockState.BASELINE_ONLY
        if self.baseline is None:
            return BlockState.CANARY_ONLY
        if not (self.baseline.readable and self.canary.readable):
            return BlockState.UNREADABLE
        if isinstance(self.baseline, HistogramArm) and isinstance(self.canary, HistogramArm):
            if not _share_edges(self.baseline.bounds, self.canary.bounds):
                return BlockState.INCOMPARABLE
        elif type(self.baseline) is not type(self.canary):
            return BlockState.UNREADABLE
        return BlockState.PAIRED


def _share_edges(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> bool:
    """Whether two layouts have at least half of the smaller one's edges in common.

    Layouts of one exponential scale over different ranges, or of different scales, do; unrelated
    explicit bounds do not.
    """
    if first is second or np.array_equal(first, second):
        return True
    small, large = (first, second) if len(first) <= len(second) else (second, first)
    if len(small) == 0:
        return False
    inside = small[(small >= large[0] * (1 - 1e-9)) & (small <= large[-1] * (1 + 1e-9))]
    if len(inside) == 0:
        return False
    at = np.clip(np.searchsorted(large, inside), 1, len(large) - 1) if len(large) > 1 else 0
    near = np.minimum(np.abs(large[at] - inside), np.abs(large[np.maximum(at, 1) - 1] - inside))
    return bool(2 * np.count_nonzero(near <= np.abs(inside) * 1e-9) >= len(inside))
