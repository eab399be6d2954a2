"""The numbers analysis eats: what arrived for each arm in one interval.

A block is one interval ``[start_unix_nano, end_unix_nano)`` of one metric, with the baseline's and
the canary's data side by side. An arm that sent nothing is ``None``; a block is used by a test only
if its state is ``PAIRED``. Everything else has a name and is counted, never turned into zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt


class BlockState(StrEnum):
    """Why a block can or cannot be used."""

    PAIRED = "paired"  # both arms reported
    EMPTY = "empty"  # neither arm reported
    BASELINE_ONLY = "baseline_only"  # the canary is silent in this interval
    CANARY_ONLY = "canary_only"  # the baseline is silent in this interval
    INCOMPARABLE = "incomparable"  # bucket layouts cannot be merged exactly


@dataclass(frozen=True, slots=True)
class CountArm:
    """Successes out of attempts in one interval: ``0 <= good <= total``."""

    good: int
    total: int
    instance_count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.good <= self.total:
            raise ValueError(f"need 0 <= good <= total, got good={self.good} total={self.total}")


@dataclass(frozen=True, slots=True)
class HistogramArm:
    """Bucket counts of one interval.

    ``bounds`` are the upper, inclusive edges in the metric's unit (length K);
    ``counts`` has length K + 1, the last bucket is everything above the last bound.
    """

    bounds: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]
    instance_count: int = 1

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.bounds) + 1:
            raise ValueError(
                f"need one count more than bounds, got {len(self.counts)} counts "
                f"and {len(self.bounds)} bounds"
            )

    @property
    def total(self) -> int:
        return int(self.counts.sum())


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
        if (
            isinstance(self.baseline, HistogramArm)
            and isinstance(self.canary, HistogramArm)
            and not np.array_equal(self.baseline.bounds, self.canary.bounds)
        ):
            return BlockState.INCOMPARABLE
        return BlockState.PAIRED
