"""One layout for all blocks of a histogram, whatever window they were asked in.

The collector cuts an exponential histogram's layout to the buckets in use inside the answer, so
the same step looks different in two answers. Here layouts are widened to whole blocks of ten
doublings: then a step is the same, digest included, however it was fetched.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from analysis.reading.answers import Floats, Ints

#: A layout reaches from 2**(10 i) to 2**(10 j): a thousandfold, about a millisecond to a second.
OCTAVES: Final = 10
#: Finest scale widened; at scale 6 ten doublings are 640 buckets.
MAX_SCALE: Final = 6
_SAME: Final = 1e-9


def scale_of(bounds: Floats) -> int | None:
    """``s`` when all bounds are powers of ``2**(2**-s)``; ``None`` for any other layout."""
    if len(bounds) < 2 or bounds[0] <= 0:
        return None
    step = math.log2(bounds[1] / bounds[0])
    scale = round(-math.log2(step))
    if not 0 <= scale <= MAX_SCALE:
        return None
    index = np.log2(bounds) * 2.0**scale
    first = round(float(index[0]))
    wanted = first + np.arange(len(bounds))
    return scale if bool(np.all(np.abs(index - wanted) < 1e-6)) else None


def widened(bounds: Floats, counts: Ints) -> tuple[Floats, Ints]:
    """``counts`` (n, len(bounds) + 1) on the widened layout; exact, or unchanged.

    The first bucket holds everything up to the first bound. While it is empty the layout may grow
    downwards; once it is not, nobody knows where below its values lie.
    """
    scale = scale_of(bounds)
    if scale is None:
        return bounds, counts
    per_octave = 2**scale
    first = round(math.log2(bounds[0]) * per_octave)
    last = first + len(bounds) - 1
    block = OCTAVES * per_octave
    low = first if counts[:, 0].any() else (first // block) * block
    # The last bucket is above the last bound; only when it is empty do higher edges say nothing.
    high = last if counts[:, -1].any() else -(-last // block) * block
    edges = np.exp2(np.arange(low, high + 1) / per_octave)
    wide = np.zeros((len(counts), len(edges) + 1), dtype=np.int64)
    wide[:, first - low : first - low + counts.shape[1]] = counts
    return edges, wide


def added_up(parts: list[tuple[Floats, Ints]]) -> tuple[Floats, Ints]:
    """The sum of histograms (bounds, counts (k + 1)) on the edges all of them have; exact."""
    bounds = parts[0][0]
    if all(part[0] is bounds or np.array_equal(part[0], bounds) for part in parts[1:]):
        return bounds, np.sum([counts for _, counts in parts], axis=0, dtype=np.int64)
    for other, _ in parts[1:]:
        bounds = _shared(bounds, other)
    total = np.zeros(len(bounds) + 1, dtype=np.int64)
    for own, counts in parts:
        running = np.cumsum(counts)
        at = np.searchsorted(own, bounds * (1.0 - _SAME))
        edges = np.concatenate((running[at], running[-1:]))
        total += np.diff(edges, prepend=0)
    return bounds, total


def _shared(first: Floats, second: Floats) -> Floats:
    """Edges of ``first`` that ``second`` has too, up to one part in 10^9."""
    if len(first) == 0 or len(second) == 0:
        return first[:0]
    at = np.searchsorted(second, first * (1.0 - _SAME))
    near = second[np.minimum(at, len(second) - 1)]
    return first[np.abs(near - first) <= np.abs(first) * _SAME]
