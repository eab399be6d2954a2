"""Where a gauge is heading: deriv, predict_linear, double_exponential_smoothing."""

from __future__ import annotations

import numpy as np

from collector.promql.errors import ExecutionError
from collector.promql.kahan import increment
from collector.promql.range_call import Cells, RangeCall, RangeFunction, first_times_ms
from collector.promql.series import Floats, Ints

__all__ = ["TRENDS"]


def _regression(call: RangeCall, intercept_ms: Ints) -> tuple[Floats, Floats]:
    """Slope per second and value at ``intercept_ms`` of the least-squares line of each window.

    A constant series has slope 0 and its value, an infinite one NaN; sums are compensated.
    """
    windows = call.windows
    sweep = windows.sweep()
    size = len(sweep)
    origin_ms = intercept_ms.ravel()[sweep.order]
    totals, corrections = np.zeros((2, 4, size))
    first = windows.values[sweep.first] if size else np.zeros(0)
    is_constant = np.ones(size, dtype=bool)
    for prefix, index in sweep.columns():
        y = windows.values[index]
        x = (windows.times[index] - origin_ms[prefix]) / 1e3
        is_constant[prefix] &= y == first[prefix]
        for row, term in enumerate((x, y, x * y, x * x)):
            totals[row, prefix], corrections[row, prefix] = increment(
                term, totals[row, prefix], corrections[row, prefix]
            )
    sum_x, sum_y, sum_xy, sum_xx = totals + corrections
    n = sweep.lengths.astype(np.float64)
    slope = (sum_xy - sum_x * sum_y / n) / (sum_xx - sum_x * sum_x / n)
    intercept = sum_y / n - slope * sum_x / n
    constant = np.where(np.isinf(first), np.nan, first)
    slope = np.where(is_constant, np.where(np.isinf(first), np.nan, 0.0), slope)
    intercept = np.where(is_constant, constant, intercept)
    return sweep.scatter(slope), sweep.scatter(intercept)


def _derivative(call: RangeCall) -> Cells:
    # The first sample's time as origin keeps the sums small.
    slope, _ = _regression(call, first_times_ms(call.windows))
    return slope, call.windows.counts >= 2


def _prediction(call: RangeCall) -> Cells:
    origin_ms = np.broadcast_to(call.step_times_ms, call.windows.first.shape)
    slope, intercept = _regression(call, origin_ms)
    return slope * call.scalars[0] + intercept, call.windows.counts >= 2


def _smoothed(call: RangeCall) -> Cells:
    """Holt's linear method; the first two samples give level and trend."""
    windows = call.windows
    is_asked = (windows.counts > 0).any(axis=0)
    for name, factors in zip(("smoothing", "trend"), call.scalars, strict=True):
        for factor in factors[is_asked]:
            if factor <= 0 or factor >= 1:
                raise ExecutionError(
                    f"invalid {name} factor. Expected: 0 < {name[0]}f < 1, got: {factor:f}"
                )
    sweep = windows.sweep(windows.counts >= 2)
    size = len(sweep)
    steps = sweep.steps()
    level_factor, trend_factor = (factors[steps] for factors in call.scalars)
    previous, level, trend = np.zeros((3, size))
    for n, (prefix, index) in enumerate(sweep.columns()):
        values = windows.values[index]
        if n == 0:
            level[prefix] = values
            trend[prefix] = windows.values[index + 1] - values
            continue
        alpha, beta = level_factor[prefix], trend_factor[prefix]
        if n > 1:
            moved = level[prefix] - previous[prefix]
            trend[prefix] = beta * moved + (1 - beta) * trend[prefix]
        smoothed = alpha * values + (1 - alpha) * (level[prefix] + trend[prefix])
        previous[prefix] = level[prefix]
        level[prefix] = smoothed
    return sweep.scatter(level), windows.counts >= 2


TRENDS: dict[str, RangeFunction] = {
    "deriv": _derivative,
    "predict_linear": _prediction,
    "double_exponential_smoothing": _smoothed,
    "holt_winters": _smoothed,
}
