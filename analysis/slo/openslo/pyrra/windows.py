"""Pyrra's alert windows: made for 28 days, scaled to other periods, rounded to whole minutes.

The factors stay as they are, so the budget a pair stands for does not: burn 14 over 1/672 of the
period is 2.1 % of the budget for every period.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from analysis.slo.openslo.pyrra.objective import Objective

_BASE_S: Final = 28 * 86_400
_MINUTE_S: Final = 60
#: severity, factor, and for 28 days: waiting time, long and short window in minutes.
_PAIRS: Final = (
    ("critical", 14, 2, 60, 5),
    ("critical", 7, 15, 360, 30),
    ("warning", 2, 60, 1_440, 120),
    ("warning", 1, 180, 5_760, 360),
)
_ABSENT_FACTOR: Final = 14


@dataclass(frozen=True, slots=True)
class AlertWindow:
    """Fires while both windows have burned above the factor for a while."""

    severity: str
    factor: int
    for_s: int
    long_s: int
    short_s: int


def windows(period_s: float) -> tuple[AlertWindow, ...]:
    """The four pairs for a period, fastest first."""

    def scaled(minutes: int) -> int:
        # Whole nanoseconds first, as its integer division does, then to the nearest minute.
        nanoseconds = int(Fraction(period_s) * 10**9) // (_BASE_S // (minutes * _MINUTE_S))
        return (2 * nanoseconds + _MINUTE_S * 10**9) // (2 * _MINUTE_S * 10**9) * _MINUTE_S

    return tuple(
        AlertWindow(severity, factor, scaled(wait), scaled(long), scaled(short))
        for severity, factor, wait, long, short in _PAIRS
    )


def exhausts_s(objective: Objective, factor: int) -> int:
    """How long the whole budget lasts at a factor."""
    return int(objective.window_s / factor)


def absent_s(objective: Objective) -> int:
    """How long a metric may be missing: what the fastest alert would take on a total outage."""
    fastest = windows(objective.window_s)[0]
    detection_s = _ABSENT_FACTOR * (1 - objective.target) * fastest.long_s + fastest.for_s
    return math.floor(detection_s / _MINUTE_S + 0.5) * _MINUTE_S
