"""How fast a counter or gauge moves: rate, increase, delta, irate, idelta, resets, changes.

``rate`` extrapolates from the samples to the edges of the range, but never below a counter's zero
and only as far as the spacing of the samples makes plausible (Prometheus ``extrapolatedRate``).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from collector.promql.range_call import (
    Cells,
    RangeCall,
    RangeFunction,
    first_times_ms,
    first_values,
    last_times_ms,
    last_values,
)
from collector.promql.semantics import Semantics
from collector.promql.series import Bools, Floats, Ints
from collector.promql.windows import Windows

__all__ = ["RATES"]

#: A gap of up to 1.1 average intervals still counts as "the series reaches the edge".
_EDGE_INTERVALS = 1.1


def _extrapolated(call: RangeCall, *, is_counter: bool, is_rate: bool) -> Cells:
    windows = call.windows
    present = windows.counts >= 2
    first, last = first_values(windows), last_values(windows)
    moved = last - first
    if is_counter:
        moved = _with_resets(windows, moved)
    first_ms, last_ms = first_times_ms(windows), last_times_ms(windows)
    to_start_s = (first_ms - windows.range_start_ms) / 1000
    to_end_s = (windows.range_end_ms - last_ms) / 1000
    sampled_s = (last_ms - first_ms) / 1000
    interval_s = sampled_s / (windows.counts - 1)
    zero_s = np.where((moved > 0) & (first >= 0) & is_counter, sampled_s * (first / moved), np.inf)
    covered_s = sampled_s + _to_start_s(to_start_s, zero_s, interval_s, call.semantics)
    covered_s = covered_s + np.where(
        to_end_s >= interval_s * _EDGE_INTERVALS, interval_s / 2, to_end_s
    )
    factor = covered_s / sampled_s
    if is_rate:
        factor = factor / (windows.range_ms / 1000)
    return moved * factor, present


def _to_start_s(
    to_start_s: Floats, zero_s: Floats, interval_s: Floats, semantics: Semantics
) -> Floats:
    """How far to extrapolate before the first sample."""
    threshold_s = interval_s * _EDGE_INTERVALS
    if semantics.is_threshold_before_zero:
        plausible_s = np.where(to_start_s >= threshold_s, interval_s / 2, to_start_s)
        return np.where(zero_s < plausible_s, zero_s, plausible_s)
    nearest_s = np.where(zero_s < to_start_s, zero_s, to_start_s)
    return np.where(nearest_s < threshold_s, nearest_s, interval_s / 2)


def _falls(values: Floats) -> Bools:
    """Whether each sample lies below the one before it; the first one does not."""
    return np.concatenate(([False], values[1:] < values[:-1])) if len(values) else (
        np.zeros(0, dtype=bool)
    )  # fmt: skip


def _counted(flags: Bools, windows: Windows) -> tuple[Ints, Ints]:
    """Per window, the range of numbers of the flagged samples after its first sample."""
    before = np.concatenate(([0], np.cumsum(flags))).astype(np.int64)
    top = len(flags)
    start = before[np.minimum(windows.first + 1, top)]
    return start, np.maximum(before[windows.last], start)


def _with_resets(windows: Windows, moved: Floats) -> Floats:
    """Add what the counter held before each of its resets in the window."""
    falls = _falls(windows.values)
    start, end = _counted(falls, windows)
    if not (end > start).any():
        return moved
    held = windows.values[np.maximum(np.flatnonzero(falls) - 1, 0)]
    nowhere = np.zeros(len(held), dtype=np.int64)
    resets = replace(windows, times=nowhere, values=held, first=start, last=end).sweep()
    result = moved.ravel().copy()
    for prefix, index in resets.columns():
        result[resets.order[prefix]] += held[index]
    return result.reshape(moved.shape)


def _instant(call: RangeCall, *, is_rate: bool) -> Cells:
    windows = call.windows
    before, last = last_values(windows, back=1), last_values(windows)
    interval_ms = last_times_ms(windows) - last_times_ms(windows, back=1)
    moved = last - before
    if is_rate:
        moved = np.where(last < before, last, moved) / (interval_ms / 1000)
    return moved, (windows.counts >= 2) & (interval_ms != 0)


def _resets(call: RangeCall) -> Cells:
    start, end = _counted(_falls(call.windows.values), call.windows)
    return (end - start).astype(np.float64), call.windows.counts > 0


def _changes(call: RangeCall) -> Cells:
    values = call.windows.values
    flags = np.zeros(len(values), dtype=bool)
    if len(values):
        both_nan = np.isnan(values[1:]) & np.isnan(values[:-1])
        flags[1:] = (values[1:] != values[:-1]) & ~both_nan
    start, end = _counted(flags, call.windows)
    return (end - start).astype(np.float64), call.windows.counts > 0


RATES: dict[str, RangeFunction] = {
    "rate": lambda call: _extrapolated(call, is_counter=True, is_rate=True),
    "increase": lambda call: _extrapolated(call, is_counter=True, is_rate=False),
    "delta": lambda call: _extrapolated(call, is_counter=False, is_rate=False),
    "irate": lambda call: _instant(call, is_rate=True),
    "idelta": lambda call: _instant(call, is_rate=False),
    "resets": _resets,
    "changes": _changes,
}
