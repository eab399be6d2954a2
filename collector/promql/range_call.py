"""What a function over a range vector gets, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from collector.promql.annotations import Annotations
from collector.promql.semantics import Semantics
from collector.promql.series import Bools, Floats, Ints
from collector.promql.windows import Windows

__all__ = [
    "Cells",
    "RangeCall",
    "RangeFunction",
    "first_times_ms",
    "first_values",
    "last_times_ms",
    "last_values",
]

#: Values and whether they exist, both (series, steps).
Cells = tuple[Floats, Bools]


@dataclass(frozen=True, slots=True)
class RangeCall:
    """``scalars``: the other arguments, one value per step; ``positions``: where those stand."""

    windows: Windows
    step_times_ms: Ints
    scalars: tuple[Floats, ...]
    positions: tuple[int, ...]
    semantics: Semantics
    annotations: Annotations


RangeFunction = Callable[[RangeCall], Cells]


def first_values(windows: Windows) -> Floats:
    """Value of each window's first sample; meaningless where the window is empty."""
    return _floats_at(windows, windows.first)


def last_values(windows: Windows, back: int = 0) -> Floats:
    """Value of each window's last sample, or of the one ``back`` before it."""
    return _floats_at(windows, windows.last - 1 - back)


def first_times_ms(windows: Windows) -> Ints:
    """Time of each window's first sample."""
    return _times_at(windows, windows.first)


def last_times_ms(windows: Windows, back: int = 0) -> Ints:
    """Time of each window's last sample, or of the one ``back`` before it."""
    return _times_at(windows, windows.last - 1 - back)


def _floats_at(windows: Windows, index: Ints) -> Floats:
    if len(windows.values) == 0:
        return np.zeros(windows.first.shape)
    return windows.values[np.clip(index, 0, len(windows.values) - 1)]


def _times_at(windows: Windows, index: Ints) -> Ints:
    if len(windows.times) == 0:
        return np.zeros(windows.first.shape, dtype=np.int64)
    return windows.times[np.clip(index, 0, len(windows.times) - 1)]
