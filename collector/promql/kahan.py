"""Compensated sums, very many at once, with the exact order and overflow rules of Prometheus.

Prometheus adds one value after the other (``util/kahansum``, Neumaier's variant). Here the n-th
values of many sums are added together, so that every single sum sees the same operations in the
same order and rounds to the same bits.
"""

from __future__ import annotations

import numpy as np

from collector.promql.series import Bools, Floats, Ints

__all__ = ["Mean", "Sum", "increment"]

Index = slice | Ints


def increment(added: Floats, total: Floats, correction: Floats) -> tuple[Floats, Floats]:
    """(total + added, new correction), elementwise."""
    result = total + added
    is_total_larger = np.abs(total) >= np.abs(added)
    lost = np.where(is_total_larger, (total - result) + added, (added - result) + total)
    return result, np.where(np.isinf(result), 0.0, correction + lost)


class Sum:
    """Running sums, an array of them."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._total = np.zeros(shape)
        self._correction = np.zeros(shape)

    def add(self, index: Index, values: Floats, present: Bools) -> None:
        """Add ``values`` where ``present`` to the sums at ``index``."""
        total, correction = self._total[index], self._correction[index]
        new_total, new_correction = increment(values, total, correction)
        self._total[index] = np.where(present, new_total, total)
        self._correction[index] = np.where(present, new_correction, correction)

    def result(self) -> Floats:
        """The sums; an infinite one stays as it is whatever the correction."""
        return np.where(np.isinf(self._total), self._total, self._total + self._correction)


class Mean:
    """Running means, an array of them: sum over count until the sum overflows, then stepwise."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._total = np.zeros(shape)
        self._mean = np.zeros(shape)
        self._correction = np.zeros(shape)
        self._is_stepwise = np.zeros(shape, dtype=bool)
        self._count = np.zeros(shape)

    def add(self, index: Index, values: Floats, present: Bools) -> None:
        """Add ``values`` where ``present`` to the means at ``index``."""
        total, mean, correction = self._total[index], self._mean[index], self._correction[index]
        stepwise, count = self._is_stepwise[index], self._count[index] + 1
        new_total, new_correction = increment(values, total, correction)
        is_first = count == 1
        overflows = ~stepwise & ~is_first & np.isinf(new_total)
        # Where the sum would overflow, from here on the mean itself is carried.
        before = np.maximum(count - 1, 1)
        carried_mean = np.where(overflows, total / before, mean)
        carried_correction = np.where(overflows, correction / before, correction)
        share = (count - 1) / count
        new_mean, mean_correction = increment(
            values / count, share * carried_mean, share * carried_correction
        )
        new_stepwise = stepwise | overflows
        kept = np.where(new_stepwise, mean_correction, new_correction)
        self._total[index] = np.where(
            present & ~new_stepwise, np.where(is_first, values, new_total), total
        )
        self._mean[index] = np.where(present & new_stepwise, new_mean, mean)
        self._correction[index] = np.where(present, np.where(is_first, 0.0, kept), correction)
        self._is_stepwise[index] = np.where(present, new_stepwise, stepwise)
        self._count[index] += present

    def result(self) -> Floats:
        """The means; NaN where nothing was added."""
        plain = self._total / self._count + self._correction / self._count
        return np.where(self._is_stepwise, self._mean + self._correction, plain)
