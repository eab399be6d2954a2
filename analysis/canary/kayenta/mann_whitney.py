"""The two-sample shift interval as Kayenta computes it, artefacts included.

W(mu) is the standardised rank sum of ``experiment - mu`` among both samples, with the half-step
correction and the tie correction. Limits are the roots of ``W(mu) -+ z``, the estimate the root of
``W``, found by the bracketing solver of R's ``zeroin`` with an *absolute* tolerance of 1e-4: on
data in small units the limits are therefore coarse, and verdicts depend on the unit. This is kept
on purpose; ``analysis.canary.exact`` is the same question without the defect.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri
from scipy.stats import rankdata

from analysis.canary.kayenta.errors import AllTiedError

Floats = npt.NDArray[np.float64]

_TOLERANCE = 1e-4  # absolute, in the unit of the data
_EPSILON = 2.220446049250313e-16
_STEPS = 1001
_LEAST = 5e-324  # closer to zero than this is zero


@dataclass(frozen=True, slots=True)
class ShiftInterval:
    """Confidence interval and estimate of the shift ``experiment - control``."""

    low: float
    high: float
    estimate: float


def wilcoxon_diff(mu: float, quantile: float, x: Floats, y: Floats) -> float:
    """W(mu) less ``quantile``. Raises AllTiedError when ranks have no spread."""
    n_x, n_y = float(len(x)), float(len(y))
    both = np.concatenate([x - mu, y])
    shift = float(rankdata(both)[: len(x)].sum()) - n_x * (n_x + 1) / 2 - n_x * n_y / 2
    correction = 0.5 * float(np.sign(shift))
    _, counts = np.unique(both, return_counts=True)
    ties = counts.astype(np.float64)
    tied = float((ties**3 - ties).sum()) / ((n_x + n_y) * (n_x + n_y - 1))
    sigma = math.sqrt(n_x * n_y / 12 * ((n_x + n_y + 1) - tied))
    if sigma == 0:
        raise AllTiedError("no interval exists when all observations are tied")
    return (shift - correction) / sigma - quantile


def shift_interval(experiment: Floats, control: Floats, confidence: float) -> ShiftInterval:
    """Two-sided interval at ``confidence``. Raises AllTiedError."""
    x, y = np.asarray(experiment, dtype=float), np.asarray(control, dtype=float)
    left, right = float(x.min() - y.max()), float(x.max() - y.min())

    def solved(quantile: float, *, clamped: bool) -> float:
        at_left = wilcoxon_diff(left, quantile, x, y)
        at_right = wilcoxon_diff(right, quantile, x, y)
        if clamped and at_left <= 0:
            return left
        if clamped and at_right >= 0:
            return right
        return zeroin(left, right, at_left, at_right, lambda mu: wilcoxon_diff(mu, quantile, x, y))

    z = -float(ndtri((1.0 - confidence) / 2))
    return ShiftInterval(
        solved(z, clamped=True), solved(-z, clamped=True), solved(0, clamped=False)
    )


def zeroin(
    left: float,
    right: float,
    at_left: float,
    at_right: float,
    function: Callable[[float], float],
) -> float:
    """Root between ``left`` and ``right``: R's zeroin (Brent 1973, chapter 4), step by step.

    ``b`` is the best point, ``a`` the one before, ``c`` brackets the root with ``b``.
    """
    a, b, c = left, right, left
    f_a, f_b, f_c = at_left, at_right, at_left
    if abs(f_a) <= _LEAST:
        return a
    if abs(f_b) <= _LEAST:
        return b
    for _ in range(_STEPS):
        previous = b - a
        if abs(f_c) < abs(f_b):
            a, b, c = b, c, b
            f_a, f_b, f_c = f_b, f_c, f_b
        tolerance = 2 * _EPSILON * abs(b) + _TOLERANCE / 2
        step = (c - b) / 2
        if abs(step) <= tolerance or abs(f_b) <= _LEAST:
            return b
        if abs(previous) >= tolerance and abs(f_a) > abs(f_b):
            step = _interpolated(a, b, c, (f_a, f_b, f_c), previous, tolerance, step)
        if abs(step) < tolerance:
            step = tolerance if step > 0 else -tolerance
        a, f_a = b, f_b
        b += step
        f_b = function(b)
        if (f_b > 0 and f_c > 0) or (f_b < 0 and f_c < 0):
            c, f_c = a, f_a
    return b


def _interpolated(
    a: float,
    b: float,
    c: float,
    values: tuple[float, float, float],
    previous: float,
    tolerance: float,
    bisection: float,
) -> float:
    """Secant or inverse quadratic step, or the bisection when that would leave the bracket."""
    f_a, f_b, f_c = values
    width = c - b
    if a == c:
        ratio = f_b / f_a
        p, q = width * ratio, 1.0 - ratio
    else:
        q, r, s = f_a / f_c, f_b / f_c, f_b / f_a
        p = s * (width * q * (q - r) - (b - a) * (r - 1.0))
        q = (q - 1.0) * (r - 1.0) * (s - 1.0)
    p, q = (p, -q) if p > 0 else (-p, q)
    is_inside = p < 0.75 * width * q - abs(tolerance * q) / 2 and p < abs(previous * q / 2)
    return p / q if is_inside else bisection
