"""What earlier blocks taught about bucket counts: the only thing bets may depend on."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from analysis.stats.layouts import Floats, Ints, highest_bucket, next_layout


class PastCounts:
    """Forgetting bucket counts per arm (0 baseline, 1 canary) on one layout.

    The layout follows the data (:func:`next_layout`), always one block behind, so a test that uses
    it sees a layout chosen from the past.
    """

    def __init__(self) -> None:
        self.edges: Floats = np.zeros(0)
        self.counts: Floats = np.zeros((2, 1))

    def total(self, arm: int) -> float:
        """Weight of the remembered events of one arm."""
        return float(self.counts[arm].sum())

    def forget(self, keep: float) -> None:
        """Multiply all weights by ``keep`` in (0, 1]."""
        self.counts = self.counts * keep

    def add(self, arm: int, edges: Floats, counts: Ints | Floats) -> None:
        """Remember one block's counts of one arm, moving to a new layout if needed."""
        if len(edges) == 0:
            return
        same = len(edges) == len(self.edges) and bool(np.all(edges == self.edges))
        if not same:
            wanted = next_layout(self.edges, edges) if len(self.edges) else edges
            if len(wanted) != len(self.edges) or not np.array_equal(wanted, self.edges):
                self._move(wanted)
        at = highest_bucket(edges, self.edges)
        self.counts[arm] += np.bincount(at, weights=counts, minlength=len(self.edges) + 1)

    def _move(self, wanted: Floats) -> None:
        moved = np.zeros((2, len(wanted) + 1))
        if len(self.edges):
            at = highest_bucket(self.edges, wanted)
            for arm in (0, 1):
                moved[arm] = np.bincount(at, weights=self.counts[arm], minlength=len(wanted) + 1)
        self.edges, self.counts = wanted, moved

    def edge_near(self, arm: int, p: float) -> float | None:
        """The edge whose share of events at or below is nearest to ``p``; ``None`` if unknown."""
        total = self.total(arm)
        if total <= 0 or len(self.edges) == 0:
            return None
        below = np.cumsum(self.counts[arm])[:-1] / total
        return float(self.edges[int(np.argmin(np.abs(below - p)))])

    def share_above(self, arm: int, threshold: float) -> float:
        """Smoothed share of events in buckets reaching above ``threshold``."""
        limit = threshold + abs(threshold) * 1e-9
        first = int(np.searchsorted(self.edges, limit, side="right"))
        return float((self.counts[arm, first:].sum() + 0.5) / (self.total(arm) + 1.0))

    def share_above_interpolated(self, arm: int, threshold: float) -> float:
        """Share of events above ``threshold``, interpolated geometrically inside its bucket."""
        total = self.total(arm)
        if total <= 0 or len(self.edges) == 0:
            return 0.5
        k = int(np.searchsorted(self.edges, threshold))
        above = float(self.counts[arm, k + 1 :].sum())
        if k == len(self.edges):
            return 0.0
        high, low = float(self.edges[k]), float(self.edges[k - 1]) if k else 0.0
        if low > 0:
            inside = np.log(high / threshold) / np.log(high / low)
        else:
            inside = (high - threshold) / (high - low) if high > low else 0.0
        return float((above + inside * self.counts[arm, k]) / total)

    def shares_moved_by(self, ratio: float) -> Floats:
        """:func:`shares_moved` of the baseline."""
        return shares_moved(self.edges, self.counts[0], ratio)

    def step_ratio_at(self, p: float) -> float:
        """Upper over lower edge of the baseline's bucket holding quantile ``p``; inf if unknown."""
        if len(self.edges) < 2 or self.total(0) <= 0:
            return float("inf")
        below = np.cumsum(self.counts[0])
        k = int(np.searchsorted(below, p * below[-1]))
        k = min(max(k, 1), len(self.edges) - 1)
        low, high = float(self.edges[k - 1]), float(self.edges[k])
        return high / low if low > 0 else float("inf")

    def to_state(self) -> dict[str, Any]:
        """JSON-able; floats survive exactly."""
        return {"edges": self.edges.tolist(), "counts": self.counts.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`to_state` returned."""
        self.edges = np.array(state["edges"], dtype=float)
        self.counts = np.array(state["counts"], dtype=float).reshape(2, len(self.edges) + 1)


def shares_moved(edges: Floats, counts: Floats, ratio: float) -> Floats:
    """Per edge the share that values ``ratio`` > 1 times larger move across it.

    ``counts`` (..., buckets), the result (..., edges). Mass is taken as even in the logarithm
    inside a bucket (even in the value where the bucket starts at or below zero).
    """
    at, inside = _carried(edges.tobytes(), ratio)
    total = counts.sum(axis=-1, keepdims=True)
    above = np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1]  # in bucket k and higher
    reached = above[..., at + 1] + inside * counts[..., at]
    moved: Floats = np.maximum(reached - above[..., 1:], 0.0) / np.where(total > 0, total, 1.0)
    return moved


@lru_cache(maxsize=256)
def _carried(edges_bytes: bytes, ratio: float) -> tuple[Ints, Floats]:
    """Per edge the bucket of edge / ratio, and the part of it that crosses the edge."""
    edges = np.frombuffer(edges_bytes)
    # Bucket of the moved edge; edges at or below zero move nothing.
    at = np.minimum(np.searchsorted(edges, edges / ratio), np.arange(len(edges)))
    high = edges[at]
    low = np.where(at > 0, edges[at - 1], np.minimum(high, 0.0))
    start = edges / ratio
    with np.errstate(divide="ignore", invalid="ignore"):
        in_log = np.log(high / start) / np.log(high / low)
        in_value = (high - start) / (high - low)
    inside = np.where(low > 0, in_log, in_value)
    return at, np.where(np.isfinite(inside), np.clip(inside, 0.0, 1.0), 0.0)
