"""Counts of the past as the alerts of an objective compare them: events, or time slices.

By the time-slice methods an alert looks at slices of the clock that are over: at bad ones, or at
their shares of bad events in whole units, with the events themselves as evidence against noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from analysis.slo.objectives import Objective
from analysis.slo.openslo.model import BudgetingMethod
from analysis.slo.openslo.sliced_past import Counts, CountsError, Flags, SlicedPast

#: Units of a share of bad events; those of the running alerts are finer, so that only a burn rate
#: within a millionth of its limit could be told differently.
SHARE_UNITS: Final = 2**20


@dataclass(frozen=True, slots=True)
class AlertCounts:
    """``rates``: what burns. ``evidence``: what the guard against noise counts instead, if so."""

    rates: SlicedPast
    evidence: SlicedPast | None = None


def counts_for_alerts(objective: Objective, seen: SlicedPast) -> AlertCounts:
    """Raises CountsError where counts do not make up whole time slices."""
    if objective.slice_s is None:
        return AlertCounts(seen)
    events = _grouped(seen, objective.slice_s)
    total = events.good + events.bad
    has_events = total > 0
    if objective.method is BudgetingMethod.TIMESLICES:
        bad = has_events & _is_below(objective, events.good, total)
        unit = 1
        amount = bad.astype(np.int64)
    else:
        unit = SHARE_UNITS
        amount = (2 * events.bad * unit + total) // np.maximum(2 * total, 1)
    rates = SlicedPast(
        events.start_unix_s, events.slice_s, has_events * unit - amount, amount, events.reported
    )
    return AlertCounts(rates, None if unit == 1 else events)


def _is_below(objective: Objective, good: Counts, total: Counts) -> Flags:
    target = objective.slice_target_ratio
    if target is None:
        raise CountsError("time slices need a target per slice")
    # Python's whole numbers: products of counts and denominators may leave 64 bits.
    below = good.astype(object) * target.denominator < total.astype(object) * target.numerator
    return np.asarray(below, dtype=np.bool_)


def _grouped(seen: SlicedPast, slice_s: int) -> SlicedPast:
    """Slices of the clock that are whole in what was seen."""
    if slice_s % seen.slice_s:
        raise CountsError(f"counts are in slices of {seen.slice_s} s, not parts of {slice_s} s")
    parts = slice_s // seen.slice_s
    skipped = -(seen.start_unix_s // seen.slice_s) % parts
    size = max(len(seen.good) - skipped, 0) // parts
    kept = slice(skipped, skipped + size * parts)
    good, bad = (one[kept].reshape(size, parts).sum(axis=1) for one in (seen.good, seen.bad))
    reported = np.logical_or.reduce(seen.reported[kept].reshape(size, parts), axis=1)
    start = seen.start_unix_s + skipped * seen.slice_s
    return SlicedPast(start, slice_s, good, bad, reported)
