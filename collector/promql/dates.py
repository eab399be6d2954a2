"""Parts of the date, UTC: ``hour``, ``day_of_week`` and the others, of seconds since 1970."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from collector.promql.series import Floats, Ints

__all__ = ["DATES", "date_part"]

_DAY_S: Final = 86_400
#: Seconds that a calendar is kept for; Go's own wraps around not far beyond.
_LIMIT_S: Final = 9.2e18
#: What Go makes of a number that is no time at all (int64 of NaN, then a date): Sunday, 4 December
#: of the year 292277026596, 15:30.
_NO_TIME: Final = {
    "minute": 30,
    "hour": 15,
    "day_of_week": 0,
    "day_of_month": 4,
    "day_of_year": 339,
    "days_in_month": 31,
    "month": 12,
    "year": 292_277_026_596,
}

Days = npt.NDArray[np.datetime64]


def _days(seconds: Ints) -> Days:
    return (seconds // _DAY_S).astype("datetime64[D]")


def _months(seconds: Ints) -> npt.NDArray[np.datetime64]:
    return _days(seconds).astype("datetime64[M]")


def _days_in_month(seconds: Ints) -> Ints:
    month = _months(seconds)
    following = (month + np.timedelta64(1, "M")).astype("datetime64[D]")
    days: Ints = (following - month.astype("datetime64[D]")).astype(np.int64)
    return days


def _day_of_month(seconds: Ints) -> Ints:
    days = _days(seconds)
    passed: Ints = (days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64)
    return passed + 1


def _day_of_year(seconds: Ints) -> Ints:
    days = _days(seconds)
    passed: Ints = (days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64)
    return passed + 1


DATES: Final[dict[str, Callable[[Ints], Ints]]] = {
    "minute": lambda seconds: seconds // 60 % 60,
    "hour": lambda seconds: seconds // 3600 % 24,
    # The first of January 1970 was a Thursday; Sunday is 0.
    "day_of_week": lambda seconds: (seconds // _DAY_S + 4) % 7,
    "day_of_month": _day_of_month,
    "day_of_year": _day_of_year,
    "days_in_month": _days_in_month,
    "month": lambda seconds: _months(seconds).astype(np.int64) % 12 + 1,
    "year": lambda seconds: _days(seconds).astype("datetime64[Y]").astype(np.int64) + 1970,
}


def date_part(name: str, seconds: Floats) -> Floats:
    """The part of the date; where the number is no time, what Prometheus answers."""
    is_time = np.abs(seconds) < _LIMIT_S
    whole = np.where(is_time, np.trunc(seconds), 0.0).astype(np.int64)
    return np.where(is_time, DATES[name](whole).astype(np.float64), float(_NO_TIME[name]))
