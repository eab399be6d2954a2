"""Histograms as counts: exact merging of layouts, and quantiles read from buckets.

Pure functions. Explicit bounds are upper, inclusive edges: K bounds, K + 1 counts. Exponential
bucket ``i`` at scale ``s`` holds (base**i, base**(i+1)] with base = 2**(2**-s); halving the
resolution maps i to i >> 1 and is exact (OpenTelemetry metrics data model, "ExponentialHistogram").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: Widest merged exponential histogram, in buckets; wider ones lose resolution, never counts.
MAX_EXPONENTIAL_BUCKETS: Final = 1024
#: Scales OTLP knows; at -11 one bucket spans more than a double can hold.
MIN_SCALE: Final = -11
MAX_SCALE: Final = 20
#: Buckets per doubling of the RED rollup's duration histogram.
RED_BUCKETS_PER_OCTAVE: Final = 16


@dataclass(frozen=True, slots=True)
class ExponentialPoints:
    """Ragged exponential histograms: row r holds ``counts[row_starts[r]:row_starts[r+1]]``."""

    scale: Ints
    offset: Ints
    counts: Floats
    row_starts: Ints
    zero_count: Floats
    #: All observations below zero, which sit below the zero bucket.
    negative_count: Floats
    zero_threshold: Floats


@dataclass(frozen=True, slots=True)
class DenseHistograms:
    """``counts`` (n, len(bounds) + 1) on one common layout."""

    bounds: Floats
    counts: Floats


def common_scale(scale: Ints, first: Ints, last: Ints, *, max_buckets: int) -> int:
    """Coarsest scale of the rows, lowered until indices first..last fit into ``max_buckets``."""
    target = int(np.clip(scale, MIN_SCALE, MAX_SCALE).min())
    while target > MIN_SCALE:
        shift = np.clip(scale, MIN_SCALE, MAX_SCALE) - target
        if int((last >> shift).max()) - int((first >> shift).min()) < max_buckets:
            break
        target -= 1
    return target


def merge_exponential(
    points: ExponentialPoints, *, max_buckets: int = MAX_EXPONENTIAL_BUCKETS
) -> DenseHistograms:
    """Every row on the coarsest scale present, as explicit bounds; the first bucket is "zero".

    The first bucket holds what is at most ``bounds[0]``: the zero bucket, negative values, and
    buckets below the largest zero threshold. The last bucket is empty by construction.
    """
    rows = len(points.scale)
    lengths = np.diff(points.row_starts)
    row = np.repeat(np.arange(rows), lengths)
    position = np.arange(len(points.counts)) - np.repeat(points.row_starts[:-1], lengths)
    index = (points.offset[row] + position).astype(np.int64)
    used = points.counts > 0
    row, index, counts = row[used], index[used], points.counts[used]
    below = points.zero_count + points.negative_count
    threshold = float(points.zero_threshold.max(initial=0.0))
    if len(index) == 0:
        return DenseHistograms(
            np.array([threshold]), np.stack((below, np.zeros(rows)), axis=1).astype(np.float64)
        )
    scale = np.clip(points.scale, MIN_SCALE, MAX_SCALE)[row]
    target = common_scale(scale, index, index, max_buckets=max_buckets)
    index = index >> (scale - target)
    lowest = int(index.min())
    if threshold > 0.0:
        # Buckets that begin inside the zero region belong to it.
        lowest = max(lowest, int(np.ceil(np.log2(threshold) * 2.0**target)))
    highest = max(int(index.max()), lowest)
    width = highest - lowest + 1
    dense = np.zeros((rows, width + 2))
    np.add.at(dense, (row, np.clip(index - lowest + 1, 0, width)), counts)
    dense[:, 0] += below
    edges = np.arange(lowest, highest + 2, dtype=np.float64) * 2.0**-target
    bounds = np.exp2(np.minimum(edges, np.log2(np.finfo(np.float64).max)))
    return DenseHistograms(bounds, dense)


def common_bounds(layouts: Sequence[Floats]) -> Floats:
    """Bounds that all layouts share: the finest layout they can be merged to exactly."""
    shared = layouts[0]
    for layout in layouts[1:]:
        shared = np.intersect1d(shared, layout)
    return shared


def coarsen(counts: Floats, bounds: Floats, target_bounds: Floats) -> Floats:
    """``counts`` (n, len(bounds) + 1) on ``target_bounds``, a subset of ``bounds``; exact."""
    running = np.cumsum(counts, axis=1)
    at = np.searchsorted(bounds, target_bounds)
    edges = np.concatenate((running[:, at], running[:, -1:]), axis=1)
    return np.diff(edges, axis=1, prepend=0.0)


def are_valid_bounds(bounds: Floats) -> bool:
    """OTLP wants them strictly rising and finite."""
    return bool(np.isfinite(bounds).all() and (np.diff(bounds) > 0).all())


def red_bucket_upper_s(bucket: Ints, buckets_per_octave: int = RED_BUCKETS_PER_OCTAVE) -> Floats:
    """Upper edge in seconds of the rollup's duration buckets floor(16 * log2(ns + 1))."""
    return (np.exp2((bucket + 1) / buckets_per_octave) - 1.0) * 1e-9


def red_quantiles_s(bucket: Ints, counts: Floats, levels: Sequence[float]) -> list[float | None]:
    """Quantiles of durations from rollup buckets, geometric inside a bucket (4.4 % wide).

    ``bucket`` need not be sorted or distinct. Bucket -1 counts what has no duration and is left
    out. None when nothing was counted.
    """
    bucket, counts = bucket[bucket >= 0], counts[bucket >= 0]
    total = float(counts.sum())
    if total <= 0:
        return [None] * len(levels)
    order = np.argsort(bucket, kind="stable")
    sorted_bucket, sorted_counts = bucket[order], counts[order]
    running = np.cumsum(sorted_counts)
    result: list[float | None] = []
    for level in levels:
        rank = level * total
        at = min(int(np.searchsorted(running, rank)), len(running) - 1)
        inside = (rank - (running[at] - sorted_counts[at])) / sorted_counts[at]
        exponent = (sorted_bucket[at] + float(np.clip(inside, 0.0, 1.0))) / RED_BUCKETS_PER_OCTAVE
        result.append(float((2.0**exponent - 1.0) * 1e-9))
    return result
