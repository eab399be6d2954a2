"""The time an objective is judged over: rolling, or periods of a calendar in a time zone.

All in whole seconds of Unix time. A calendar period is as long as the zone's clocks make it: a day
has 23 or 25 hours where they change, a month 28 to 31 days. Periods are counted from the start time
itself, so that months from the 31st end on the last day of shorter months and return to the 31st.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from analysis.slo.openslo.durations import UNIT_S
from analysis.slo.openslo.errors import OpenSloError

_MONTHS: Final = {"M": 1, "Q": 3, "Y": 12}
_DAYS: Final = {"d": 1, "w": 7}
_YEAR_MAX: Final = 9998  # of Python's calendar, one kept for the end of the last period


class TimeWindowError(OpenSloError):
    """A moment outside of what a calendar window can answer for."""


@dataclass(frozen=True, slots=True)
class Period:
    """``[start, end)``."""

    start_unix_s: int
    end_unix_s: int

    @property
    def length_s(self) -> int:
        """How long it is."""
        return self.end_unix_s - self.start_unix_s


@dataclass(frozen=True, slots=True)
class RollingWindow:
    """Always the last ``duration_s`` seconds."""

    duration_s: int

    def period(self, now_unix_s: int) -> Period:
        """The window that ends now."""
        return Period(now_unix_s - self.duration_s, now_unix_s)


@dataclass(frozen=True, slots=True)
class CalendarWindow:
    """Periods of ``value`` units (m h d w M Q Y), one after the other from ``start_time`` on.

    ``start_time`` is what the clocks of the zone show. Days, weeks and longer units are counted on
    the calendar, minutes and hours as they pass. A start the clocks skip is the moment after it.
    """

    start_time: datetime  # without zone
    time_zone: str
    value: int
    unit: str

    def boundary_unix_s(self, number: int) -> int:
        """Start of the period with this number; 0 is the first one. Raises TimeWindowError."""
        zone = ZoneInfo(self.time_zone)
        count = number * self.value
        if self.unit not in _DAYS and self.unit not in _MONTHS:
            return _unix_s(self.start_time, zone) + count * UNIT_S[self.unit]
        if self.unit in _MONTHS:
            return _unix_s(_add_months(self.start_time, count * _MONTHS[self.unit]), zone)
        try:
            return _unix_s(self.start_time + timedelta(days=count * _DAYS[self.unit]), zone)
        except OverflowError as error:
            raise TimeWindowError(f"period {number} of {self} is beyond the calendar") from error

    def number_at(self, now_unix_s: int) -> int:
        """Number of the period that contains a moment. Raises TimeWindowError before the first."""
        start = self.boundary_unix_s(0)
        if now_unix_s < start:
            raise TimeWindowError(f"{now_unix_s} is before the first period, {start}")
        # The nominal length is right to a few percent; correct the guess step by step.
        number = (now_unix_s - start) // (self.value * UNIT_S[self.unit])
        while self.boundary_unix_s(number) > now_unix_s:
            number -= 1
        while self.boundary_unix_s(number + 1) <= now_unix_s:
            number += 1
        return number

    def period(self, now_unix_s: int) -> Period:
        """The period that contains a moment. Raises TimeWindowError."""
        number = self.number_at(now_unix_s)
        return Period(self.boundary_unix_s(number), self.boundary_unix_s(number + 1))


TimeWindow = RollingWindow | CalendarWindow


def _add_months(start: datetime, months: int) -> datetime:
    """The same day and time in another month, or that month's last day."""
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    if not 1 <= year <= _YEAR_MAX:
        raise TimeWindowError(f"{months} months from {start} are beyond the calendar")
    first = datetime(year, month + 1, 1, tzinfo=None)  # noqa: DTZ001 - local time on purpose
    last_day = ((first + timedelta(days=32)).replace(day=1) - timedelta(days=1)).day
    return start.replace(year=year, month=month + 1, day=min(start.day, last_day))


def _unix_s(local: datetime, zone: ZoneInfo) -> int:
    """The earlier of two moments when the clocks show a time twice."""
    try:
        return round(local.replace(tzinfo=zone, fold=0).astimezone(UTC).timestamp())
    except (OverflowError, ValueError) as error:
        raise TimeWindowError(f"{local} is beyond the calendar") from error
