"""Lengths of duration shorthands, where a length is needed: M, Q and Y have one by convention only.

Rolling windows and slices count a month as 30 days, a quarter as 90 and a year as 365, as the
official SDK does. Calendar windows use real months (``calendar_window``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from analysis.slo.openslo.shapes import Record

UNIT_S: Final[Mapping[str, int]] = {
    "m": 60,
    "h": 3_600,
    "d": 86_400,
    "w": 7 * 86_400,
    "M": 30 * 86_400,
    "Q": 90 * 86_400,
    "Y": 365 * 86_400,
}


def duration_s(duration: Record | None) -> int | None:
    """Seconds of a decoded duration; None if it is absent or its unit is none."""
    if duration is None or duration["unit"] not in UNIT_S:
        return None
    return int(duration["value"]) * UNIT_S[duration["unit"]]


def shorthand(seconds: int) -> str:
    """The shortest way to write whole minutes: 90 minutes as ``90m``, seven days as ``1w``."""
    if seconds <= 0 or seconds % 60:
        raise ValueError(f"{seconds} s is no positive number of minutes")
    unit = next(unit for unit in "wdhm" if seconds % UNIT_S[unit] == 0)
    return f"{seconds // UNIT_S[unit]}{unit}"
