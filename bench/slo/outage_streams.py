"""A service with busy days and quiet nights, what befell it, and what its counters showed.

One sample a minute. A stream is what happened, exactly; ``Counters`` is what a scraper saw of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

DAY_MIN: Final = 24 * 60
#: By day, 08:00 to 20:00, a hundred times as many requests as by night.
DAY_FROM_MIN, DAY_TO_MIN = 8 * 60, 20 * 60
DAY_PER_MIN, NIGHT_PER_MIN = 1_000, 10

#: First minute of the day it happens on, and minutes.
Span = tuple[int, int]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NIGHT_HOUR: Final[Span] = (2 * 60, 60)
DAY_HOUR: Final[Span] = (12 * 60, 60)


@dataclass(frozen=True, slots=True)
class Stream:
    """What happens on the middle day of many; on the others all requests are good.

    ``outage``: every request fails. ``idle``: there is none. ``unseen``: no scrape arrives, the
    counters go on. ``reset_min``: the counters begin anew at 0 right before this minute's requests.
    """

    name: str
    outage: Span | None = None
    idle: Span | None = None
    unseen: Span | None = None
    reset_min: int | None = None


STREAMS: Final = (
    Stream("1 h out by night", NIGHT_HOUR),
    Stream("1 h out by day", DAY_HOUR),
    Stream("10 min without traffic", idle=(3 * 60, 10)),
    Stream("1 h out by day, 10 min without traffic", DAY_HOUR, idle=(3 * 60, 10)),
    Stream("no outage"),
    Stream("1 h out by day, counters reset in it", DAY_HOUR, reset_min=12 * 60 + 30),
    Stream("1 h out by day, 30 min of scrapes missing in it", DAY_HOUR, unseen=(12 * 60 + 15, 30)),
)


@dataclass(frozen=True, slots=True)
class Counters:
    """Running totals at minutes 0, 1, ...; NaN where no scrape arrived."""

    good: Floats
    bad: Floats


def events(stream: Stream, days: int) -> tuple[Ints, Ints]:
    """Good and bad requests of every minute."""
    minute = np.arange(days * DAY_MIN)
    of_day = minute % DAY_MIN
    is_day = (of_day >= DAY_FROM_MIN) & (of_day < DAY_TO_MIN)
    requests = np.where(is_day, DAY_PER_MIN, NIGHT_PER_MIN).astype(np.int64)
    for start, stop in _bounds(stream.idle, days):
        requests[start:stop] = 0
    bad = np.zeros_like(requests)
    for start, stop in _bounds(stream.outage, days):
        bad[start:stop] = requests[start:stop]
    return requests - bad, bad


def exact_remaining(stream: Stream, days: int, budget: Fraction) -> tuple[Fraction, Fraction]:
    """Share of bad requests, and what is left of the budget, as fractions of whole numbers."""
    good, bad = (int(one.sum()) for one in events(stream, days))
    error_ratio = Fraction(bad, good + bad)
    return error_ratio, 1 - error_ratio / budget


def counters(stream: Stream, days: int) -> Counters:
    """What was scraped: at minute *i* the requests of the minutes before it."""
    seen = []
    for one in events(stream, days):
        running = np.concatenate(([0], np.cumsum(one))).astype(np.float64)
        if stream.reset_min is not None:
            at = _start(days) + stream.reset_min
            running[at + 1 :] -= running[at]
        for start, stop in _bounds(stream.unseen, days):
            running[start:stop] = np.nan
        seen.append(running)
    return Counters(*seen)


def _start(days: int) -> int:
    return days // 2 * DAY_MIN


def _bounds(span: Span | None, days: int) -> list[Span]:
    """First minute and the one after the last, of all minutes; nothing without a span."""
    if span is None:
        return []
    first = _start(days) + span[0]
    return [(first, first + span[1])]
