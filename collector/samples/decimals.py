"""Numbers as a decimal mantissa and an exponent, without loss: most metrics are short decimals.

``value = mantissa / 10**exponent``. A number that is no decimal of at most nine places below 2^53
keeps its bits as the mantissa and has the exponent RAW: so do NaN with its payload (Prometheus'
stale marker), the infinities and minus zero. Columns of such mantissas compress to half of what
the best codec makes of the floats.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from collector.samples.series_book import Floats, Ints

RAW: Final = 255
#: Tried in this order; one more would find fewer and cost all.
EXPONENTS: Final = (0, 3, 6, 9)
_LIMIT: Final = 2.0**53
#: By exponent; powers of ten up to 10^22 are exact.
_POWERS: Final = np.array([10.0**exponent if exponent < 23 else 1.0 for exponent in range(256)])


def to_decimals(values: Floats) -> tuple[Ints, Any]:
    """Mantissas (int64) and exponents (uint8) of ``values``."""
    values = np.ascontiguousarray(values, dtype=np.float64)
    mantissas = values.view(np.int64).copy()
    exponents = np.full(len(values), RAW, dtype=np.uint8)
    left = np.flatnonzero(np.isfinite(values) & ~((values == 0) & np.signbit(values)))
    for exponent in EXPONENTS:
        if not len(left):
            break
        numbers, power = values[left], _POWERS[exponent]
        with np.errstate(over="ignore"):
            rounded = np.rint(numbers * power)
        fits = (np.abs(rounded) < _LIMIT) & (rounded / power == numbers)
        found = left[fits]
        mantissas[found] = rounded[fits].astype(np.int64)
        exponents[found] = exponent
        left = left[~fits]
    return mantissas, exponents


def from_decimals(mantissas: Ints, exponents: Any) -> Floats:
    """The very same numbers again."""
    mantissas = np.ascontiguousarray(mantissas, dtype=np.int64)
    bits = mantissas.view(np.float64)
    result: Floats = np.where(exponents == RAW, bits, mantissas / _POWERS[exponents])
    return result
