"""Quantiles of samples by linear interpolation between the two nearest ranks, NaN the smallest."""

from __future__ import annotations

import numpy as np

from collector.promql.series import Bools, Floats, Ints

__all__ = ["row_quantiles"]


def row_quantiles(rows: Floats, counts: Ints, quantiles: Floats) -> Floats:
    """The quantile of the first ``counts[i]`` values of each row; NaN where there are none.

    What stands in a row after its values must be +Inf. Below 0 the answer is -Inf, above 1 +Inf.
    """
    if rows.shape[1] == 0:
        return np.full(len(rows), np.nan)
    is_nan = np.isnan(rows)
    nan_counts = is_nan.sum(axis=1)
    ordered = np.sort(np.where(is_nan, -np.inf, rows), axis=1)
    inside = np.clip(np.nan_to_num(quantiles, nan=0.0), 0.0, 1.0)
    rank = inside * (counts - 1)
    lower = np.maximum(0, np.floor(rank))
    upper = np.minimum(counts - 1, lower + 1)
    weight = rank - np.floor(rank)
    result = _picked(ordered, nan_counts, lower) * (1 - weight) + (
        _picked(ordered, nan_counts, upper) * weight
    )
    result = np.where(quantiles < 0, -np.inf, np.where(quantiles > 1, np.inf, result))
    return np.where((counts == 0) | np.isnan(quantiles), np.nan, result)


def _picked(ordered: Floats, nan_counts: Ints, index: Floats) -> Floats:
    column = np.clip(index.astype(np.int64), 0, ordered.shape[1] - 1)
    values = ordered[np.arange(len(ordered)), column]
    is_nan: Bools = column < nan_counts
    return np.where(is_nan, np.nan, values)
