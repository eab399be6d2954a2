"""Functions of one number, applied to every sample: ``abs`` to ``tanh``, ``round``, ``clamp``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from collector.promql.series import Bools, Floats

__all__ = ["MATHS", "clamped", "rounded"]


def _sign(values: Floats) -> Floats:
    # Zero keeps its sign and NaN stays, unlike numpy's sign.
    return np.where(values < 0, -1.0, np.where(values > 0, 1.0, values))


MATHS: Final[dict[str, Callable[[Floats], Floats]]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "rad": lambda values: values * np.pi / 180,
    "deg": lambda values: values * 180 / np.pi,
    "sgn": _sign,
}


def rounded(values: Floats, to_nearest: Floats) -> Floats:
    """The nearest multiple of ``to_nearest``, halves upwards."""
    inverse = 1.0 / to_nearest
    return np.floor(values * inverse + 0.5) / inverse


def clamped(values: Floats, low: Floats, high: Floats) -> tuple[Floats, Bools]:
    """Values forced into [low, high], and the steps at which that interval exists."""
    # As in Go, an infinite bound wins even over NaN.
    capped = np.where(np.isneginf(high) | np.isneginf(values), -np.inf, np.minimum(high, values))
    raised = np.where(np.isposinf(low) | np.isposinf(capped), np.inf, np.maximum(low, capped))
    return raised, ~(high < low)
