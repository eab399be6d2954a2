"""Intervals that hold at every look at once (confidence sequences), for the reader of a verdict.

They pool everything since the start. They hold for the average over the events seen, under drift
too; but when the *split* of traffic changes while the system drifts, the arms average over
different times, and a pooled comparison says little (Simpson). Verdicts therefore never rest on
them: the per-block e-processes do the deciding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy

from analysis.stats.boundaries import log_beta_mixture, log_quantile_mixture, quantile_mixture_r
from analysis.stats.layouts import Floats

# Beta prior of the mixture: mass near small failure shares, tails everywhere.
_PRIOR_A, _PRIOR_B = 0.5, 5.0
_BISECTIONS = 30


def share_interval(bad: Floats, total: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Time-uniform ``1 - alpha`` interval of the running average share, per element.

    ``bad``, ``total``: arrays of one shape; an empty arm gives (0, 1).
    """
    bad, total = np.asarray(bad, dtype=float), np.asarray(total, dtype=float)
    limit = math.log(1.0 / alpha)
    center = np.where(total > 0, bad / np.maximum(total, 1.0), 0.5)

    mixed = log_beta_mixture(bad, total, np.full_like(center, 0.5), _PRIOR_A, _PRIOR_B)
    mixed = mixed - total * math.log(2.0)  # log of the mixed likelihood itself

    def rejected(q: Floats) -> npt.NDArray[np.bool_]:
        out: npt.NDArray[np.bool_] = mixed - xlogy(bad, q) - xlogy(total - bad, 1 - q) >= limit
        return out

    # Row 0 searches below the estimate, row 1 above: outside is rejected, inside is not.
    outside = np.stack([np.zeros_like(center), np.ones_like(center)])
    inside = np.stack([center, center])
    for _ in range(_BISECTIONS):
        middle = 0.5 * (outside + inside)
        out = rejected(middle)
        outside, inside = np.where(out, middle, outside), np.where(out, inside, middle)
    return outside[0], outside[1]


@dataclass(frozen=True, slots=True)
class ShareComparison:
    """Two shares and what lies between them; every interval holds at every look at once.

    ``low``/``high``: per arm (baseline, canary). ``difference`` is canary minus baseline,
    ``ratio`` canary over baseline; each (estimate, low, high), ``nan``/``inf`` where unknown.
    """

    low: tuple[float, float]
    high: tuple[float, float]
    difference: tuple[float, float, float]
    ratio: tuple[float, float, float]


def compare_shares(
    bad_a: float, n_a: float, bad_b: float, n_b: float, alpha: float
) -> ShareComparison:
    """Both arms' intervals at half of ``alpha`` each, combined into difference and ratio."""
    lows, highs = share_interval(np.array([bad_a, bad_b]), np.array([n_a, n_b]), alpha / 2)
    low, high = (float(lows[0]), float(lows[1])), (float(highs[0]), float(highs[1]))
    known = n_a > 0 and n_b > 0
    difference = bad_b / n_b - bad_a / n_a if known else math.nan
    ratio = (bad_b / n_b) / (bad_a / n_a) if known and bad_a > 0 else math.nan
    return ShareComparison(
        low,
        high,
        (difference, low[1] - high[0], high[1] - low[0]),
        (ratio, low[1] / high[0], high[1] / low[0] if low[0] > 0 else math.inf),
    )


def quantile_bounds(
    edges: Floats, counts: Floats, p: float, alpha: float, t_opt: float = 1000.0
) -> tuple[float, float]:
    """Time-uniform interval of the p-quantile, moved outward to bucket edges.

    ``counts`` per bucket (length ``len(edges) + 1``). ``(-inf, inf)`` when nothing is known. An
    edge is ruled out when the share of events at or below it cannot be p (Howard & Ramdas 2022,
    beta-binomial mixture); the count at an edge bounds the count at any value inside its bucket.
    """
    total = float(counts.sum())
    if total <= 0 or len(edges) == 0:
        return -math.inf, math.inf
    below = np.cumsum(counts)[:-1].astype(float)
    log_m = log_quantile_mixture(below, np.asarray(total), p, quantile_mixture_r(p, t_opt))
    out = log_m >= math.log(1.0 / alpha)
    too_low = np.flatnonzero(out & (below < p * total))
    too_high = np.flatnonzero(out & (below > p * total))
    low = float(edges[too_low[-1]]) if len(too_low) else -math.inf
    high = float(edges[too_high[0]]) if len(too_high) else math.inf
    return low, high


def quantile_ratio(
    baseline: tuple[Floats, Floats], canary: tuple[Floats, Floats], p: float, alpha: float
) -> tuple[float, float]:
    """Time-uniform bounds of canary quantile over baseline quantile; half of alpha per arm.

    Arms are ``(edges, counts)``. Positive values are assumed: a lower bound at or below zero
    becomes 0, and the ratio is then unbounded on that side.
    """
    low_a, high_a = quantile_bounds(*baseline, p, alpha / 2)
    low_b, high_b = quantile_bounds(*canary, p, alpha / 2)
    low = low_b / high_a if low_b > 0 and math.isfinite(high_a) and high_a > 0 else 0.0
    high = high_b / low_a if low_a > 0 and math.isfinite(high_b) else math.inf
    return low, high
