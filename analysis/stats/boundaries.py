"""Mixture boundaries for sums of Bernoulli variables: the raw material of time-uniform bounds.

Sources: Howard & Ramdas, "Sequential estimation of quantiles with applications to A/B testing and
best-arm identification", Bernoulli 28(3) 2022; Howard et al., "Time-uniform, nonparametric,
nonasymptotic confidence sequences", Annals of Statistics 49(2) 2021; checked against the
constants of the confseq package (tests/reference).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import betaln, digamma, xlogy

from analysis.stats.projection import Floats

_BISECTIONS = 60


def quantile_mixture_r(p: float, t_opt: float, alpha_opt: float = 0.05) -> float:
    """Tuning of the beta-binomial mixture for quantile level ``p``, best near ``t_opt`` events."""
    v = t_opt * p * (1 - p)
    log_inv = math.log(1 / alpha_opt)
    rho = v / (2 * log_inv + math.log(1 + 2 * log_inv))
    return max(rho - p * (1 - p), 1e-3 * p * (1 - p))


def log_quantile_mixture(below: Floats, total: Floats, p: float, r: float) -> Floats:
    """Log mixture martingale of "``below`` of ``total`` events are Bernoulli(p)".

    ``ln B(K + r/(1-p), N - K + r/p) - ln B(r/(1-p), r/p) - K ln p - (N-K) ln(1-p)``.
    """
    a, b = r / (1 - p), r / p
    value: Floats = (
        betaln(below + a, total - below + b)
        - betaln(a, b)
        - below * math.log(p)
        - (total - below) * math.log(1 - p)
    )
    return value


def least_log_quantile_mixture(
    low: Floats, high: Floats, total: Floats, p: float, r: float
) -> Floats:
    """Smallest value of :func:`log_quantile_mixture` for a count between ``low`` and ``high``.

    Where only bounds of the count are known (ties, buckets) this is what may be claimed. The
    mixture is convex in the count, so its minimiser, clipped, is the place.
    """
    a, b, logit = r / (1 - p), r / p, math.log(p / (1 - p))
    left, right = np.zeros_like(total, dtype=float), np.asarray(total, dtype=float).copy()
    for _ in range(_BISECTIONS):
        middle = 0.5 * (left + right)
        is_rising = digamma(middle + a) - digamma(total - middle + b) > logit
        left, right = np.where(is_rising, left, middle), np.where(is_rising, middle, right)
    return log_quantile_mixture(np.clip(0.5 * (left + right), low, high), total, p, r)


def log_beta_mixture(bad: Floats, total: Floats, q: Floats, a: float, b: float) -> Floats:
    """Log of the Beta(a, b)-mixed likelihood over the likelihood at share ``q``.

    A martingale when every event is bad with probability q. When the probabilities vary, it is
    still dominated by one at their running average, because ``ln(1 - q + q e^s)`` is concave in q:
    bounds made from it hold for the average share of the events seen so far.
    """
    value: Floats = (
        betaln(bad + a, total - bad + b) - betaln(a, b) - xlogy(bad, q) - xlogy(total - bad, 1 - q)
    )
    return np.asarray(value)
