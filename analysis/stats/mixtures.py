"""Mixture supermartingales for sums with a variance process, and the boundaries they draw.

Each ``log_*`` gives the log of the mixture at sum ``s`` and intrinsic time ``v``: a sum that stays
at its null crosses ``mixture_bound`` at any time with chance at most alpha. One- or two-sided as
told. Source: Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic
confidence sequences", Annals of Statistics 49(2) 2021, propositions 4 to 9. Checked against the
constants of the confseq package (tests/reference).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy.optimize import brentq
from scipy.special import betainc, betaln, gammainc, gammaincc, gammaln, log_ndtr

LogMixture = Callable[[float, float], float]


def normal_rho(v_opt: float, alpha_opt: float, *, is_one_sided: bool) -> float:
    """Tuning of the normal mixture that makes the boundary tightest near ``v_opt``."""
    log_inverse = math.log(1 / (2 * alpha_opt if is_one_sided else alpha_opt))
    return v_opt / (2 * log_inverse + math.log(1 + 2 * log_inverse))


def normal_mixture(v_opt: float, alpha_opt: float, *, is_one_sided: bool) -> LogMixture:
    """Sub-Gaussian sums: a normal prior on the drift, or its positive half."""
    rho = normal_rho(v_opt, alpha_opt, is_one_sided=is_one_sided)

    def two_sided(s: float, v: float) -> float:
        return 0.5 * math.log(rho / (v + rho)) + s * s / (2 * (v + rho))

    def one_sided(s: float, v: float) -> float:
        half = math.log(2.0) + float(log_ndtr(s / math.sqrt(v + rho)))
        return two_sided(s, v) + half

    return one_sided if is_one_sided else two_sided


def gamma_exponential_mixture(v_opt: float, alpha_opt: float, c: float) -> LogMixture:
    """Sub-exponential sums of scale ``c``, one-sided."""
    rho = normal_rho(v_opt, alpha_opt, is_one_sided=True) / c**2
    leading = rho * math.log(rho) - float(gammaln(rho)) - math.log(float(gammainc(rho, rho)))

    def log_mixture(s: float, v: float) -> float:
        shape, moved = v / c**2 + rho, (c * s + v) / c**2
        tail = math.log(float(gammainc(shape, moved + rho)))
        return leading + float(gammaln(shape)) + tail - shape * math.log(moved + rho) + moved

    return log_mixture


def gamma_poisson_mixture(v_opt: float, alpha_opt: float, c: float) -> LogMixture:
    """Sub-Poisson sums of scale ``c``, one-sided."""
    rho = normal_rho(v_opt, alpha_opt, is_one_sided=True) / c**2
    leading = rho * math.log(rho) - float(gammaln(rho)) - math.log(float(gammaincc(rho, rho)))

    def log_mixture(s: float, v: float) -> float:
        rate, shape = v / c**2 + rho, s / c + v / c**2 + rho
        tail = math.log(float(gammaincc(shape, rate)))
        return leading + float(gammaln(shape)) + tail - shape * math.log(rate) + v / c**2

    return log_mixture


def beta_binomial_mixture(
    v_opt: float, alpha_opt: float, g: float, h: float, *, is_one_sided: bool
) -> LogMixture:
    """Sums of variables in ``[-g, h]`` (sub-Bernoulli); a Beta prior, cut at the null if one-sided.

    For Bernoulli(p) less p: ``g = p``, ``h = 1 - p``, ``v = n p (1 - p)``.
    """
    rho = normal_rho(v_opt, alpha_opt, is_one_sided=is_one_sided)
    r = max(rho - g * h, 1e-3 * g * h)
    width = g + h
    cut = h / width if is_one_sided else 1.0

    def log_beta(a: float, b: float) -> float:
        return float(betaln(a, b)) + (math.log(float(betainc(a, b, cut))) if cut < 1 else 0.0)

    leading = log_beta(r / (g * width), r / (h * width))

    def log_mixture(s: float, v: float) -> float:
        base = v / (g * h) * math.log(width)
        base -= (v / h + s) / width * math.log(g) + (v / g - s) / width * math.log(h)
        a, b = (r + v) / (g * width) - s / width, (r + v) / (h * width) + s / width
        return base + log_beta(a, b) - leading

    return log_mixture


def mixture_bound(mixture: LogMixture, v: float, alpha: float, s_max: float = math.inf) -> float:
    """The sum at which the mixture reaches ``1 / alpha`` at time ``v``; ``s_max`` if it never does.

    ``s_max``: the largest possible sum (``v / g`` for a beta-binomial mixture).
    """
    need = math.log(1 / alpha)
    high = min(max(v, 1.0), s_max)
    while mixture(high, v) < need:
        if high >= s_max:
            return s_max
        high = min(2 * high, s_max)
    return float(brentq(lambda s: mixture(s, v) - need, 0.0, high, xtol=1e-12, rtol=1e-14))
