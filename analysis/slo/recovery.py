"""Whether a rollback helped: when the signal it was about came back. Pure.

The signal of a service is the share of bad events of its objectives. It was hurt if in the minute
before the command was delivered more of them were bad than the objective allows; it is back at the
end of the first ``GOOD_S`` in which no more are. What was not hurt before says nothing about the
rollback: a canary of few viewers can fail while the whole meets its objective.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from analysis.slo.sliced_counts import SlicedCounts

BEFORE_S: Final = 60
GOOD_S: Final = 15
#: A signal that is not back by then is told as such.
GIVE_UP_S: Final = 600


class Signal(StrEnum):
    """How it went."""

    WAITING = "waiting"
    NOT_HURT = "not_hurt"
    BACK = "back"
    NOT_BACK = "not_back"


@dataclass(frozen=True, slots=True)
class Recovery:
    """``after_s``: from the delivery to the end of the first good span; only of BACK."""

    signal: Signal
    after_s: int | None = None


def recovery(counts: SlicedCounts, budget_ratio: float, delivered_unix_s: int) -> Recovery:
    """As far as the counts go. Time nobody reported for is neither good nor bad."""
    end = counts.end_unix_s
    if end is None or end < delivered_unix_s:
        return Recovery(Signal.WAITING)
    before = counts.window(BEFORE_S, delivered_unix_s)
    if before.total == 0 or before.bad <= budget_ratio * before.total:
        return Recovery(Signal.NOT_HURT)
    first = -(-(delivered_unix_s + GOOD_S) // counts.slice_s) * counts.slice_s
    last = min(end, delivered_unix_s + GIVE_UP_S)
    for at in range(first, last + 1, counts.slice_s):
        span = counts.window(GOOD_S, at)
        if span.total and span.bad <= budget_ratio * span.total:
            return Recovery(Signal.BACK, at - delivered_unix_s)
    is_over = end >= delivered_unix_s + GIVE_UP_S
    return Recovery(Signal.NOT_BACK if is_over else Signal.WAITING)
