"""Functions that fold the samples of a range into one number: ``*_over_time``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from collector.promql.blocks import LONG_WINDOW, long_extremes, long_moments, long_sums
from collector.promql.kahan import Mean, Sum, increment
from collector.promql.quantiles import row_quantiles
from collector.promql.range_call import (
    Cells,
    RangeCall,
    RangeFunction,
    first_times_ms,
    first_values,
    last_times_ms,
    last_values,
)
from collector.promql.series import Bools, Floats, Ints
from collector.promql.windows import Windows

__all__ = ["OVER_TIME"]

_ALL: Final = np.ones((), dtype=bool)
#: Values that are sorted at once; bounds the memory of quantiles.
_CHUNK_VALUES: Final = 4_000_000


def _present(call: RangeCall) -> Bools:
    result: Bools = call.windows.counts > 0
    return result


def _is_long(windows: Windows) -> bool:
    return int(windows.counts.max(initial=0)) >= LONG_WINDOW


def _sum(call: RangeCall) -> Cells:
    if _is_long(call.windows):
        return long_sums(call.windows), _present(call)
    sweep = call.windows.sweep()
    sums = Sum((len(sweep),))
    for prefix, index in sweep.columns():
        sums.add(prefix, call.windows.values[index], _ALL)
    return sweep.scatter(sums.result()), _present(call)


def _average(call: RangeCall) -> Cells:
    present = _present(call)
    if not _is_long(call.windows):
        return _swept_average(call.windows, present), present
    result = long_sums(call.windows) / call.windows.counts
    # A sum that is infinite though no value is has overflowed: the mean is carried instead.
    doubtful = present & np.isinf(result)
    return np.where(doubtful, _swept_average(call.windows, doubtful), result), present


def _swept_average(windows: Windows, chosen: Bools) -> Floats:
    sweep = windows.sweep(chosen)
    means = Mean((len(sweep),))
    for prefix, index in sweep.columns():
        means.add(prefix, windows.values[index], _ALL)
    return sweep.scatter(means.result())


def _variance(call: RangeCall) -> Cells:
    """Welford's recurrence, mean and sum of squares compensated."""
    if _is_long(call.windows):
        return long_moments(call.windows)[1] / call.windows.counts, _present(call)
    sweep = call.windows.sweep()
    size = len(sweep)
    mean, mean_correction, squares, squares_correction = np.zeros((4, size))
    for n, (prefix, index) in enumerate(sweep.columns(), 1):
        values = call.windows.values[index]
        delta = values - (mean[prefix] + mean_correction[prefix])
        mean[prefix], mean_correction[prefix] = increment(
            delta / n, mean[prefix], mean_correction[prefix]
        )
        product = delta * (values - (mean[prefix] + mean_correction[prefix]))
        squares[prefix], squares_correction[prefix] = increment(
            product, squares[prefix], squares_correction[prefix]
        )
    return sweep.scatter((squares + squares_correction) / sweep.lengths), _present(call)


def _deviation(call: RangeCall) -> Cells:
    values, present = _variance(call)
    return np.sqrt(values), present


def _extreme(
    call: RangeCall, is_better: Callable[[Floats, Floats], Bools]
) -> tuple[Floats, Floats]:
    """The extreme value of each window and when it was (s); NaN gives way to anything."""
    sweep = call.windows.sweep()
    best, time_ms = np.zeros(len(sweep)), np.zeros(len(sweep), dtype=np.int64)
    for n, (prefix, index) in enumerate(sweep.columns()):
        values, times = call.windows.values[index], call.windows.times[index]
        wins = is_better(values, best[prefix]) | np.isnan(best[prefix]) | (n == 0)
        best[prefix] = np.where(wins, values, best[prefix])
        time_ms[prefix] = np.where(wins, times, time_ms[prefix])
    return sweep.scatter(best), sweep.scatter(time_ms / 1000)


def _largest(call: RangeCall) -> Floats:
    if _is_long(call.windows):
        return long_extremes(call.windows, np.fmax)
    return _extreme(call, np.greater)[0]


def _smallest(call: RangeCall) -> Floats:
    if _is_long(call.windows):
        return long_extremes(call.windows, np.fmin)
    return _extreme(call, np.less)[0]


def _median_deviation(call: RangeCall) -> Cells:
    half = np.full(call.windows.first.shape[1], 0.5)
    median = _windows_quantile(call.windows, half)
    spread = _windows_quantile(call.windows, half, center=median)
    return spread, _present(call)


def _quantile(call: RangeCall) -> Cells:
    quantiles = call.scalars[0]
    present = _present(call)
    for quantile in np.unique(quantiles[present.any(axis=0)]):
        if not 0 <= quantile <= 1:
            call.annotations.invalid_quantile(float(quantile), call.positions[0])
    return _windows_quantile(call.windows, quantiles), present


def _windows_quantile(windows: Windows, quantiles: Floats, center: Floats | None = None) -> Floats:
    """Quantile per window, of the distances from ``center`` if one is given."""
    count = windows.first.size
    result = np.full(count, np.nan)
    wanted = np.broadcast_to(quantiles, windows.first.shape).ravel()
    chunk = max(_CHUNK_VALUES // max(int(windows.counts.max(initial=1)), 1), 1)
    for start in range(0, count, chunk):
        part = slice(start, start + chunk)
        rows, counts = windows.padded(part)
        if center is not None:
            inside = np.arange(rows.shape[1]) < counts[:, None]
            distance = np.abs(rows - center.ravel()[part][:, None])
            rows = np.where(inside, distance, np.inf)
        result[part] = row_quantiles(rows, counts, wanted[part])
    return result.reshape(windows.first.shape)


def _seconds(times_ms: Ints) -> Floats:
    return times_ms / 1000


OVER_TIME: dict[str, RangeFunction] = {
    "sum_over_time": _sum,
    "avg_over_time": _average,
    "count_over_time": lambda call: (call.windows.counts.astype(np.float64), _present(call)),
    "present_over_time": lambda call: (np.ones(call.windows.first.shape), _present(call)),
    "absent_over_time": lambda call: (np.ones(call.windows.first.shape), _present(call)),
    "first_over_time": lambda call: (first_values(call.windows), _present(call)),
    "last_over_time": lambda call: (last_values(call.windows), _present(call)),
    "stdvar_over_time": _variance,
    "stddev_over_time": _deviation,
    "max_over_time": lambda call: (_largest(call), _present(call)),
    "min_over_time": lambda call: (_smallest(call), _present(call)),
    "mad_over_time": _median_deviation,
    "quantile_over_time": _quantile,
    "ts_of_first_over_time": lambda call: (
        _seconds(first_times_ms(call.windows)), _present(call),
    ),
    "ts_of_last_over_time": lambda call: (_seconds(last_times_ms(call.windows)), _present(call)),
    "ts_of_max_over_time": lambda call: (_extreme(call, np.greater_equal)[1], _present(call)),
    "ts_of_min_over_time": lambda call: (_extreme(call, np.less_equal)[1], _present(call)),
}  # fmt: skip
