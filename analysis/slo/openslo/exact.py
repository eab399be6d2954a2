"""Decimal numbers of definitions as exact fractions: 0.999 is 999/1000, not its nearest binary."""

from __future__ import annotations

from fractions import Fraction


def exact(number: float) -> Fraction:
    """The shortest decimal that reads as this float: what was written in the file."""
    return Fraction(repr(number))


def exact_target(target: float | None, target_percent: float | None) -> Fraction | None:
    """The share of good an objective asks for, from whichever of the two was given."""
    if target is not None:
        return exact(target)
    return None if target_percent is None else exact(target_percent) / 100
