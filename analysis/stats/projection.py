"""E-values for two shares in one block against a convex null, by reverse information projection.

Block: ``f_a`` bad of ``n_a`` (baseline), ``f_b`` bad of ``n_b`` (canary). The null says
``p_b <= p_a + margin`` (``side = +1``) or ``p_b >= p_a + margin`` (``side = -1``). For an
alternative ``(p_a, p_b)`` outside the null, the point ``(q_a, q_b)`` of the null nearest in
``n_a KL(p_a, .) + n_b KL(p_b, .)`` lies on the line ``q_b = q_a + margin``, and

    e = (p_a/q_a)^f_a ((1-p_a)/(1-q_a))^(n_a-f_a) (p_b/q_b)^f_b ((1-p_b)/(1-q_b))^(n_b-f_b)

has expectation at most one under every point of the null (Turner, Ly & Grünwald 2024, "Generic
E-variables for exact sequential k-sample tests that allow for optional stopping"; the margin is
the convex null of Turner & Grünwald 2023).

Why it holds, and why the numerical error of the solver cannot break it: under rates (t_a, t_b),
E[e] = X^n_a Y^n_b with X = t_a p_a/q_a + (1-t_a)(1-p_a)/(1-q_a) and Y alike. By AM-GM this is at
most ((n_a X + n_b Y)/n)^n, and the bracket is *linear* in (t_a, t_b): its maximum over the null
sits in a corner of the polygon. We evaluate the corners and divide by the excess, so whatever
point the solver returns, the result is an e-value. The argument needs only the average rates of
the events in the block, so events may have different rates.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Numbers = Floats | float

# Alternatives closer to 0 or 1 than this are moved inside: one surprise costs at most log(1e6).
_EDGE = 1e-6
_STEPS = 60
_CLOSE = 1e-10  # the corner correction makes up for the rest


def project_to_margin(n_a: Floats, n_b: Floats, p_a: Floats, p_b: Floats, margin: Floats) -> Floats:
    """``q_a`` on the line ``q_b = q_a + margin`` nearest to ``(p_a, p_b)``.

    All arguments broadcast; shares in (0, 1), ``-1 < margin < 1``, ``n_a + n_b > 0``.
    Newton, safeguarded by bisection: every step keeps the root bracketed.
    """
    low, high = np.maximum(0.0, -margin), np.minimum(1.0, 1.0 - margin)
    # The root lies between the two pulls, p_a and p_b - margin.
    first = np.minimum(np.maximum(p_a, low), high)
    second = np.minimum(np.maximum(p_b - margin, low), high)
    low, high = np.minimum(first, second), np.maximum(first, second)
    # Derivative times the two (positive) variances: a cubic, free of poles, increasing at its root.
    q = (n_a * first + n_b * second) / (n_a + n_b)
    for _ in range(_STEPS):
        r = q + margin
        v_a, v_b = q * (1.0 - q), r * (1.0 - r)
        d_a, d_b = n_a * (q - p_a), n_b * (r - p_b)
        g = d_a * v_b + d_b * v_a
        low = np.where(g < 0, q, low)
        high = np.where(g > 0, q, high)
        h = n_a * v_b + d_a * (1.0 - 2.0 * r) + n_b * v_a + d_b * (1.0 - 2.0 * q)
        step = q - g / np.where(h > 0, h, 1.0)
        inside = (h > 0) & (step >= low) & (step <= high)
        new: Floats = np.where(inside, step, 0.5 * (low + high))
        done = float(np.max(np.abs(new - q))) <= _CLOSE
        q = new
        if done:
            break
    return q


def log_e_two_shares(
    bad_a: Numbers,
    n_a: Numbers,
    bad_b: Numbers,
    n_b: Numbers,
    p_a: Floats,
    p_b: Floats,
    margin: Numbers,
    side: Numbers,
) -> Floats:
    """Log e-value of one block per alternative (see the module's text).

    Alternatives that do not lie outside the null bet nothing: their value is 0 (e = 1), as is
    that of a block with an empty arm.
    """
    bad_a, n_a = np.asarray(bad_a, dtype=float), np.asarray(n_a, dtype=float)
    bad_b, n_b = np.asarray(bad_b, dtype=float), np.asarray(n_b, dtype=float)
    margin, side = np.asarray(margin, dtype=float), np.asarray(side, dtype=float)
    p_a = np.clip(p_a, _EDGE, 1.0 - _EDGE)
    p_b = np.clip(p_b, _EDGE, 1.0 - _EDGE)
    total = n_a + n_b
    safe_total = np.maximum(total, 1.0)
    betting = (side * (p_b - p_a - margin) > 0) & (n_a > 0) & (n_b > 0)
    q_a = project_to_margin(np.maximum(n_a, 1e-9), np.maximum(n_b, 1e-9), p_a, p_b, margin)
    q_a = np.clip(q_a, np.maximum(0.0, -margin) + 1e-12, np.minimum(1.0, 1.0 - margin) - 1e-12)
    q_b = q_a + margin
    up_a, down_a = p_a / q_a, (1.0 - p_a) / (1.0 - q_a)
    up_b, down_b = p_b / q_b, (1.0 - p_b) / (1.0 - q_b)
    value = (
        bad_a * np.log(up_a)
        + (n_a - bad_a) * np.log(down_a)
        + bad_b * np.log(up_b)
        + (n_b - bad_b) * np.log(down_b)
    )
    # Corners of the null polygon; the bracket is linear, so these bound it everywhere.
    excess = np.full(np.shape(value), -np.inf)
    for t_a, t_b in _corners(margin, side):
        x = down_a + t_a * (up_a - down_a)
        y = down_b + t_b * (up_b - down_b)
        excess = np.maximum(excess, (n_a * x + n_b * y) / safe_total)
    value = value - total * np.log(np.maximum(excess, 1.0))
    result: Floats = np.where(betting, value, 0.0)
    return result


def _corners(margin: Floats, side: Floats) -> list[tuple[Floats, Floats]]:
    """Corners of ``{0<=t<=1, side * (t_b - t_a - margin) <= 0}``; some may repeat."""
    zero, one = np.zeros_like(margin), np.ones_like(margin)
    # Ends of the line t_b = t_a + margin inside the unit square.
    start = (np.maximum(0.0, -margin), np.maximum(0.0, margin))
    end = (np.minimum(1.0, 1.0 - margin), np.minimum(1.0, 1.0 + margin))
    worse = side > 0
    return [
        start,
        end,
        # For side +1 the null lies below the line: corner (1, 0); else above it: (0, 1).
        (np.where(worse, one, zero), np.where(worse, zero, one)),
        # The square's corners (0,0) and (1,1) belong to the null on one side of the margin's sign.
        (
            np.where(worse == (margin >= 0), zero, start[0]),
            np.where(worse == (margin >= 0), zero, start[1]),
        ),
        (
            np.where(worse == (margin >= 0), one, end[0]),
            np.where(worse == (margin >= 0), one, end[1]),
        ),
    ]


def log_mean_exp(log_values: Floats, weights: Floats) -> Floats:
    """``log sum_j w_j exp(x_j)`` over the last axis, for weights summing to one."""
    top = log_values.max(axis=-1, keepdims=True)
    mean = (np.exp(log_values - top) * weights).sum(axis=-1)
    result: Floats = top[..., 0] + np.log(mean)
    return result
