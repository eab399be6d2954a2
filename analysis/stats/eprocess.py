"""Sequential evidence that two distributions differ at all, from bucket counts.

Per block, for shares ``theta_a`` (baseline) and ``theta_b`` (an alternative for the canary), both
chosen from the past, and ``theta_0 = (n_a theta_a + n_b theta_b) / (n_a + n_b)``:

    e = prod_k (theta_a,k / theta_0,k)^a_k (theta_b,k / theta_0,k)^b_k.

With one common distribution P for both arms, E[e] = X^n_a Y^n_b with n_a X + n_b Y = n_a + n_b, so
AM-GM gives E[e] <= 1 (Turner, Ly & Grünwald 2024, applied per block). P, n_a and n_b may change
from block to block: drift and ramping splits are harmless, where pooled tests reject every healthy
canary. Blocks multiply, alternatives average.

This process flags *any* difference, down to harmless ones between machines: it is for reports
and for studies without a margin. Verdicts use :mod:`analysis.stats.rank_eprocess`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.stats.layouts import Floats, Ints, common_edges, merge_exactly
from analysis.stats.projection import log_mean_exp


@dataclass(frozen=True, slots=True)
class DifferenceBets:
    """Alternatives: everything slower by a ratio, a tail ``(share, times slower)``, and a plug-in
    that follows the canary's own past with the weight of ``plug_in_prior_count`` events.
    """

    scale_ratios: tuple[float, ...]
    tails: tuple[tuple[float, float], ...]
    plug_in_prior_count: float
    smoothing_buckets: float  # width of the Gaussian kernel over past counts; 0 for coarse layouts


class DifferenceProcess:
    """E-process of "same distribution" on one bucket layout (``edges`` ascending, positive)."""

    def __init__(self, edges: Floats, bets: DifferenceBets) -> None:
        self._bets = bets
        self._logs: Floats = np.zeros(len(bets.scale_ratios) + len(bets.tails) + 1)
        self._weights = np.full(len(self._logs), 1.0 / len(self._logs))
        self.log_e = 0.0  # natural log of the evidence so far
        self.max_log_e = 0.0
        self.blocks = 0
        self.incomparable = 0
        self._set_layout(np.asarray(edges, dtype=float), np.zeros((2, len(edges) + 1)))

    def _set_layout(self, edges: Floats, past: Floats) -> None:
        self.edges = edges
        self._past = past
        self._moves = _moves(edges, self._bets)
        self._kernel = _kernel(len(edges) + 1, self._bets.smoothing_buckets)

    def learn(self, edges: Floats, counts: Ints) -> None:
        """Baseline counts from before the canary: they improve the bets and are not judged."""
        merged = merge_exactly(edges, counts, self.edges)
        if merged is not None:
            self._past[0] += merged

    def step(self, baseline: tuple[Floats, Ints], canary: tuple[Floats, Ints]) -> bool:
        """Take one block, ``(edges, counts)`` per arm; ``False`` if it was not comparable.

        A block on a coarser layout coarsens the process (counts of neighbours are added, exact);
        one whose filled buckets straddle too many edges is counted and left out.
        """
        merged = [merge_exactly(edges, counts, self.edges) for edges, counts in (baseline, canary)]
        if merged[0] is None or merged[1] is None:
            coarser = common_edges(common_edges(self.edges, baseline[0]), canary[0])
            merged = [merge_exactly(edges, counts, coarser) for edges, counts in (baseline, canary)]
            past = [
                merge_exactly(self.edges, np.ones(len(self.edges) + 1, dtype=np.int64), coarser)
            ]
            if len(coarser) < 4 or merged[0] is None or merged[1] is None or past[0] is None:
                self.incomparable += 1
                return False
            self._coarsen(coarser)
        assert merged[0] is not None
        assert merged[1] is not None
        self._score(merged[0], merged[1])
        return True

    def _coarsen(self, coarser: Floats) -> None:
        at = np.searchsorted(coarser, self.edges * (1 - 1e-9), side="left")
        at = np.append(at, len(coarser))
        past = [np.bincount(at, weights=row, minlength=len(coarser) + 1) for row in self._past]
        self._set_layout(coarser, np.array(past))

    def _score(self, a: Ints, b: Ints) -> None:
        n_a, n_b = float(a.sum()), float(b.sum())
        if n_a > 0 and n_b > 0 and self._past[0].sum() > 0:
            theta_a, theta_b = self._alternatives()
            theta_0 = (n_a * theta_a + n_b * theta_b) / (n_a + n_b)
            gain = np.log(theta_a / theta_0) @ a + np.log(theta_b / theta_0) @ b
            self._logs = self._logs + gain
            self.log_e = float(log_mean_exp(self._logs, self._weights))
            self.max_log_e = max(self.max_log_e, self.log_e)
            self.blocks += 1
        self._past = self._past + np.stack([a, b])

    def _alternatives(self) -> tuple[Floats, Floats]:
        """``theta_a`` (K,) and ``theta_b`` (alternatives, K), rows summing to one."""
        buckets, total = self._past.shape[1], float(self._past[0].sum())
        base = self._past[0] @ self._kernel + (1e-3 * total + 0.5) / buckets
        base = base / base.sum()
        plug_in = self._past[1] + self._bets.plug_in_prior_count * base
        moved = np.maximum(np.vstack([base @ self._moves, plug_in / plug_in.sum()]), 1e-12)
        return base, moved

    def to_state(self) -> dict[str, Any]:
        """JSON-able; floats survive exactly."""
        return {
            "edges": self.edges.tolist(),
            "past": self._past.tolist(),
            "logs": self._logs.tolist(),
            "log_e": self.log_e,
            "max_log_e": self.max_log_e,
            "blocks": self.blocks,
            "incomparable": self.incomparable,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`to_state` of an equally configured process returned."""
        self._set_layout(np.array(state["edges"]), np.array(state["past"], dtype=float))
        self._logs = np.array(state["logs"], dtype=float)
        self.log_e = float(state["log_e"])
        self.max_log_e = float(state["max_log_e"])
        self.blocks = int(state["blocks"])
        self.incomparable = int(state["incomparable"])


def _moves(edges: Floats, bets: DifferenceBets) -> Floats:
    """Matrices (alternatives, K, K) moving bucket mass up, mass spread evenly in log inside."""
    same = np.eye(len(edges) + 1)
    moves = [_scale(edges, ratio) for ratio in bets.scale_ratios]
    moves += [(1 - share) * same + share * _scale(edges, times - 1) for share, times in bets.tails]
    return np.stack(moves)


def _scale(edges: Floats, ratio: float) -> Floats:
    # The open ends are taken as one octave wide.
    ends = np.log(np.concatenate([[edges[0] / 2], edges, [edges[-1] * 2]]))
    low, high = ends[:-1], ends[1:]
    moved_low, moved_high = low + math.log1p(ratio), high + math.log1p(ratio)
    into_low, into_high = low.copy(), high.copy()
    into_low[0], into_high[-1] = -np.inf, np.inf
    overlap = np.minimum(moved_high[:, None], into_high) - np.maximum(moved_low[:, None], into_low)
    result: Floats = np.maximum(overlap, 0.0) / (high - low)[:, None]
    return result


def _kernel(buckets: int, width: float) -> Floats:
    if width <= 0:
        return np.eye(buckets)
    k = np.arange(buckets)
    weights = np.exp(-0.5 * ((k[:, None] - k) / width) ** 2)
    result: Floats = weights / weights.sum(axis=1, keepdims=True)
    return result
