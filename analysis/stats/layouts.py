"""Bucket layouts: what a count says about its values when layouts differ.

A bucket ``(lower, upper]`` of one layout may straddle buckets of another. Tests that are
monotone in the values stay valid if each count is placed where it helps the claim least: these
functions return that placement, and exact merging where it exists.

Edges are ascending upper bounds; bucket ``k`` is ``(edges[k-1], edges[k]]``, the last one is open.
Edges closer than one part in 10^9 are the same edge (exponential bounds are recomputed by
different programs); the comparison is relative, hence free of the unit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SAME = 1e-9


def highest_bucket(edges: Floats, into: Floats) -> Ints:
    """For each bucket of ``edges`` the highest bucket of ``into`` it may hold values of."""
    upper = edges - np.abs(edges) * _SAME
    found = np.searchsorted(into, upper, side="left")
    return np.append(found, len(into)).astype(np.int64)


def lowest_bucket(edges: Floats, into: Floats, divide_by: float = 1.0) -> Ints:
    """For each bucket of ``edges`` the lowest bucket of ``into`` holding value / ``divide_by``."""
    lower = edges / divide_by
    lower = lower + np.abs(lower) * _SAME
    found = np.searchsorted(into, lower, side="right")
    return np.insert(found, 0, 0).astype(np.int64)


def count_surely_above(edges: Floats, counts: Ints, threshold: float) -> int:
    """Events in buckets that lie wholly above ``threshold``."""
    limit = threshold - abs(threshold) * _SAME
    first = int(np.searchsorted(edges, limit, side="left"))
    return int(counts[first + 1 :].sum())


def count_possibly_above(edges: Floats, counts: Ints, threshold: float) -> int:
    """Events in buckets that reach above ``threshold``."""
    limit = threshold + abs(threshold) * _SAME
    first = int(np.searchsorted(edges, limit, side="right"))
    return int(counts[first:].sum())


def common_edges(first: Floats, second: Floats) -> Floats:
    """Edges of ``first`` that ``second`` has too."""
    if len(first) == 0 or len(second) == 0:
        return first[:0]
    at = np.clip(np.searchsorted(second, first), 0, len(second) - 1)
    before = np.clip(at - 1, 0, None)
    gap = np.minimum(np.abs(second[at] - first), np.abs(second[before] - first))
    return first[gap <= np.abs(first) * _SAME]


def next_layout(current: Floats, block: Floats, edges_max: int = 512) -> Floats:
    """Layout for the blocks after one with edges ``block``.

    Edges both know are kept; outside the other's range each keeps its own. So a coarser
    exponential scale coarsens the layout exactly, a wider range widens it. When nothing is
    shared, the block's layout takes over.
    """
    if len(block) == 0:
        return current
    inner = common_edges(current, block)
    if len(inner) < min(3, len(current), len(block)):
        return block
    low, high = block[0] * (1 - _SAME), block[-1] * (1 + _SAME)
    outer_current = current[(current < low) | (current > high)]
    low, high = current[0] * (1 - _SAME), current[-1] * (1 + _SAME)
    outer_block = block[(block < low) | (block > high)]
    merged = np.sort(np.concatenate([inner, outer_current, outer_block]))
    return merged if len(merged) <= edges_max else inner


def merge_exactly(edges: Floats, counts: Ints, onto: Floats) -> Ints | None:
    """Counts per bucket of ``onto``; ``None`` when a filled bucket straddles one of its edges."""
    top, bottom = highest_bucket(edges, onto), lowest_bucket(edges, onto)
    filled = counts > 0
    if np.any(top[filled] != bottom[filled]):
        return None
    return np.bincount(top[filled], weights=counts[filled], minlength=len(onto) + 1).astype(
        np.int64
    )


def bucket_quantile(edges: Floats, counts: Floats, p: float) -> float:
    """Quantile interpolated inside its bucket (geometric when possible); ``nan`` when empty.

    A quantile in the open last bucket is its lower edge: a lower bound, as Prometheus reports it.
    """
    total = float(counts.sum())
    if total <= 0 or len(edges) == 0:
        return float("nan")
    cumulative = np.cumsum(counts)
    k = int(np.searchsorted(cumulative, p * total, side="left"))
    k = min(k, len(edges))
    if k == len(edges):
        return float(edges[-1])
    before = float(cumulative[k - 1]) if k else 0.0
    inside = (p * total - before) / max(float(counts[k]), 1e-300)
    inside = min(max(inside, 0.0), 1.0)
    upper = float(edges[k])
    lower = float(edges[k - 1]) if k else 0.0
    if lower > 0:
        return float(lower * (upper / lower) ** inside)
    return lower + (upper - lower) * inside
