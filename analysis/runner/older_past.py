"""What budgets count of the time before the fleet's own past is read back: in coarser slices.

Alerts and anomalies need the last hour as fine as it came. A budget of a month needs the month, or
a restart would give it back whole; whole slices of minutes are enough for that. They begin where
calendars' periods do (zones are quarters of an hour apart) and divide every time slice, so that a
budget is exact; a rolling window's start is within one of them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from analysis.reading.answers import SeriesAnswer
from analysis.reading.client import CollectorClient
from analysis.reading.errors import ReadingError
from analysis.reading.fleet_counts import failures, steps_of
from analysis.reading.steps import SECOND_NS
from analysis.slo.objectives import Objective
from analysis.slo.tracker import SloTracker

logger = logging.getLogger("analysis.fleet")

#: The longest of these slices, and how far they reach back at most.
COARSE_STEP_S: Final = 300
READ_BACK_MAX_S: Final = 400 * 86_400
#: Slices per question: fewer after one that failed, down to the least.
MAX_STEPS: Final = 2_000
MIN_STEPS: Final = 125


def coarse_step_s(objectives: Sequence[Objective], fleet_step_s: int) -> int:
    """The longest that is made of whole steps of the fleet and divides every time slice."""
    slices_s = [one.slice_s for one in objectives if one.slice_s is not None]
    for step_s in range(COARSE_STEP_S // fleet_step_s * fleet_step_s, fleet_step_s, -fleet_step_s):
        if all(slice_s % step_s == 0 for slice_s in slices_s):
            return step_s
    return fleet_step_s


@dataclass(slots=True)
class _Metric:
    trackers: list[SloTracker]
    taken_until_unix_nano: int


class OlderPast:
    """``read()`` until it raises nothing; then everything before ``until`` was given to trackers.

    ``until_unix_nano``: a whole number of ``step_s``.
    """

    def __init__(
        self,
        client: CollectorClient,
        trackers: Sequence[SloTracker],
        step_s: int,
        until_unix_nano: int,
    ) -> None:
        self._client = client
        self._step_s = step_s
        self._until = until_unix_nano
        self._steps = MAX_STEPS
        self._metrics: dict[str, _Metric] = {}
        for tracker in trackers:
            name = tracker.objective.total.metric
            metric = self._metrics.setdefault(name, _Metric([], until_unix_nano))
            metric.trackers.append(tracker)
            back_s = min(tracker.objective.memory_s, READ_BACK_MAX_S) // step_s * step_s
            since = until_unix_nano - back_s * SECOND_NS
            metric.taken_until_unix_nano = min(metric.taken_until_unix_nano, since)

    async def read(self) -> None:
        """Raises ReadingError; what was taken until then is not asked again.

        What cannot be read while other questions are answered is left out, and the coverage of
        the budgets says so: an old day that is too much for the collector stops no alert.
        """
        for name, metric in self._metrics.items():
            while metric.taken_until_unix_nano < self._until:
                try:
                    await self._advance(name, metric)
                except ReadingError as error:
                    if self._steps > MIN_STEPS:
                        self._steps //= 2
                        raise
                    await self._ask(name, metric, self._until, 1)
                    logger.warning("%s: a part of the past is not read: %s", name, error)
                    metric.taken_until_unix_nano = self._end(metric)

    async def _advance(self, name: str, metric: _Metric) -> None:
        until = self._end(metric)
        start = metric.taken_until_unix_nano
        steps = (until - start) // (self._step_s * SECOND_NS)
        answer = await self._ask(name, metric, start, steps)
        for step in steps_of(answer, until):
            for tracker in metric.trackers:
                objective = tracker.objective
                found = failures(answer, step, objective.total.attribute, objective.outcome)
                if found is not None:
                    bad, total = found
                    tracker.take_span(step // SECOND_NS, self._step_s, total - bad, bad)
        metric.taken_until_unix_nano = until

    def _end(self, metric: _Metric) -> int:
        """Of what the next question is about."""
        length_ns = self._steps * self._step_s * SECOND_NS
        return min(self._until, metric.taken_until_unix_nano + length_ns)

    async def _ask(self, name: str, metric: _Metric, start: int, steps: int) -> SeriesAnswer:
        step_ns = self._step_s * SECOND_NS
        attributes = [one.objective.total.attribute for one in metric.trackers]
        return await self._client.increase(
            name,
            from_unix_nano=start,
            to_unix_nano=start + steps * step_ns,
            step_ns=step_ns,
            matches=(),
            group_by=tuple(dict.fromkeys(attributes)),
            is_since_last=True,
        )
