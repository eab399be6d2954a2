"""Time-uniform bands for distribution functions and quantiles, and the tests read from them.

They hold for one stream of alike observations pooled from its start, which a canary under a ramping
split is not: verdicts use the per-block processes instead. Here for reports, for studies, and as
what peers publish. Sources: Howard & Ramdas, "Sequential estimation of quantiles with applications
to A/B testing and best-arm identification", Bernoulli 28(3) 2022, theorems 2, 3 and 5; Howard et
al. 2021 for the stitched bound. Checked against the constants of confseq (tests/reference).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import zeta

from analysis.stats.boundaries import (
    least_log_quantile_mixture,
    log_quantile_mixture,
    quantile_mixture_r,
)
from analysis.stats.projection import Floats

_EDGE = 1e-10  # shares closer to 0 or 1 are those


def stitched_bound(
    v: float, alpha: float, v_min: float, c: float = 0.0, s: float = 1.4, eta: float = 2.0
) -> float:
    """Polynomially stitched boundary for sums with variance ``v``, sub-gamma of scale ``c``."""
    k1 = (eta**0.25 + eta**-0.25) / math.sqrt(2)
    k2 = (math.sqrt(eta) + 1) / 2
    used = max(v, v_min)
    ell = s * math.log(math.log(eta * used / v_min))
    ell += math.log(float(zeta(s)) / (alpha * math.log(eta) ** s))
    extra = k2 * c * ell
    return math.sqrt(k1**2 * used * ell + extra**2) + extra


def cdf_radius(t: float, alpha: float, t_min: float = 1.0, a: float = 0.85) -> float:
    """``sup |F_t - F|`` stays below this at all ``t >= t_min`` with chance 1 - alpha."""
    if t < t_min:
        return math.inf
    return a * math.sqrt((math.log1p(math.log(t / t_min)) + cdf_constant(alpha, a)) / t)


@lru_cache(maxsize=256)
def cdf_constant(alpha: float, a: float = 0.85) -> float:
    """``C`` of theorem 2: the smallest for which the stitched union bound is alpha."""

    def error(log_eta_step: float, c: float) -> float:
        eta = 1.0 + math.exp(log_eta_step)
        root = a - math.sqrt(2 * (eta - 1) / c)
        if root <= 0:
            return 50.0
        gamma2 = 2 / eta * root**2
        if gamma2 <= 1:
            return 50.0
        return math.log(4) - gamma2 * c + math.log1p(1 / ((gamma2 - 1) * math.log(eta)))

    def excess(c: float) -> float:
        steps = np.linspace(-12.0, 0.0, 121)
        values = [error(float(step), c) for step in steps]
        best = float(steps[int(np.argmin(values))])
        found = minimize_scalar(
            error,
            args=(c,),
            bounds=(best - 0.1, best + 0.1),
            method="bounded",
            options={"xatol": 1e-12},
        )
        return float(found.fun) - math.log(alpha)

    return float(brentq(excess, 1.5, 200.0, xtol=1e-12))


def quantile_radius(
    p: float,
    t: float,
    alpha: float,
    t_opt: float,
    *,
    delta: float = 0.5,
    s: float = 1.4,
    eta: float = 2.0,
) -> float:
    """Of ``t`` events the count at or below *every* quantile p stays within this of ``t p``.

    Double stitching over time and levels (theorem 3); tighter in the tails than ``cdf_radius``.
    """
    used = max(t, t_opt)
    logit = math.log(p / (1 - p))
    moved = logit + 2 * delta * math.sqrt(t_opt * eta / used)
    r = p if p >= 0.5 else min(0.5, 1 / (1 + math.exp(-moved)))
    variance = r * (1 - r)
    level = math.sqrt(used / t_opt) * abs(logit) / (2 * delta) + 1
    z = float(zeta(s))
    ell = s * math.log(math.log(eta * used / t_opt)) + s * math.log(level)
    ell += math.log(2 * z * (2 * z + 1) / (alpha * math.log(eta) ** s))
    c = (1 - 2 * p) / 3
    k1 = (eta**0.25 + eta**-0.25) / math.sqrt(2)
    k2 = (math.sqrt(eta) + 1) / 2
    step = delta * math.sqrt(eta * used * variance / t_opt)
    return step + math.sqrt(k1**2 * variance * used * ell + (k2 * c * ell) ** 2) + k2 * c * ell


def quantile_ab_p_value(
    first: Floats, second: Floats, p: float, t_opt: float, alpha_opt: float = 0.05
) -> float:
    """Anytime-valid p-value of "both arms have the same p-quantile" (theorem 5)."""
    first, second = np.sort(first), np.sort(second)
    x = np.unique(np.concatenate([first, second]))
    r = quantile_mixture_r(p, t_opt, alpha_opt)
    log_m = np.zeros(len(x))
    for arm in (first, second):
        low = np.searchsorted(arm, x, side="left").astype(float)
        high = np.searchsorted(arm, x, side="right").astype(float)
        total = np.full(len(x), float(len(arm)))
        log_m = log_m + least_log_quantile_mixture(low, high, total, p, r)
    return min(1.0, math.exp(-float(log_m.min())))


def bernoulli_interval(
    successes: int, trials: int, alpha: float, t_opt: float, alpha_opt: float = 0.05
) -> tuple[float, float]:
    """Time-uniform interval of a share from the beta-binomial mixture tuned to ``t_opt`` trials."""
    k, n = np.array(float(successes)), np.array(float(trials))
    need = math.log(1 / alpha)

    def excess(p: float) -> float:
        r = quantile_mixture_r(p, t_opt, alpha_opt)
        return float(log_quantile_mixture(k, n, p, r)) - need

    center = successes / trials
    low, high = 0.0, 1.0
    if center > _EDGE and excess(_EDGE) > 0:
        low = float(brentq(excess, _EDGE, min(center, 1 - _EDGE), xtol=1e-13))
    if center < 1 - _EDGE and excess(1 - _EDGE) > 0:
        high = float(brentq(excess, max(center, _EDGE), 1 - _EDGE, xtol=1e-13))
    return low, high
