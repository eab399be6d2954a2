"""An objective's counts of the past, read from the collector in slices."""

from __future__ import annotations

from typing import Final

import numpy as np

from analysis.reading.client import CollectorClient
from analysis.reading.fleet_counts import failures, steps_of
from analysis.reading.steps import SECOND_NS
from analysis.slo.objectives import Objective
from analysis.slo.openslo.sliced_past import SlicedPast
from analysis.slo.openslo.time_windows import Period

#: Slices of one past at most, and of one question: the collector answers 11,000 steps.
MAX_SLICES: Final = 20_000
#: As many where fewer do not divide the alert windows: a year with a short window of five minutes.
MANY_SLICES: Final = 120_000
MAX_STEPS: Final = 2_000
#: Lengths a slice may have.
STEPS_S: Final = (5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600)


async def read_past(
    client: CollectorClient, objective: Objective, period: Period, slice_s: int
) -> SlicedPast:
    """Whole slices of the period. Raises ReadingError."""
    start = period.start_unix_s // slice_s * slice_s
    size = max((period.end_unix_s - start) // slice_s, 0)
    good, bad = np.zeros(size, np.int64), np.zeros(size, np.int64)
    reported = np.zeros(size, np.bool_)
    step_ns = slice_s * SECOND_NS
    for first in range(0, size, MAX_STEPS):
        count = min(MAX_STEPS, size - first)
        from_unix_nano = (start + first * slice_s) * SECOND_NS
        answer = await client.increase(
            objective.total.metric,
            from_unix_nano=from_unix_nano,
            to_unix_nano=from_unix_nano + count * step_ns,
            step_ns=step_ns,
            matches=(),
            group_by=(objective.total.attribute,),
            is_since_last=True,
        )
        for step in steps_of(answer, from_unix_nano + count * step_ns):
            found = failures(answer, step, objective.total.attribute, objective.outcome)
            if found is not None:
                place = (step // SECOND_NS - start) // slice_s
                failed, total = found
                bad[place], good[place] = failed, total - failed
                reported[place] = True
    return SlicedPast(start, slice_s, good, bad, reported)
