"""Arithmetic and comparison of numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from collector.promql.series import Bools, Floats

__all__ = ["ARITHMETIC", "COMPARISON", "scalar_operation"]

ARITHMETIC: Final[dict[str, Callable[[Floats, Floats], Floats]]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
COMPARISON: Final[dict[str, Callable[[Floats, Floats], Bools]]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def scalar_operation(operator: str, left: Floats, right: Floats) -> Floats:
    """Two scalars; a comparison answers 1 or 0."""
    if operator in ARITHMETIC:
        return ARITHMETIC[operator](left, right)
    return COMPARISON[operator](left, right).astype(np.float64)
