"""What one query may cost, and the meter that stops it."""

from __future__ import annotations

from dataclasses import dataclass

from collector.promql.errors import ExecutionError, QueryTimeout, TooManySamples
from telemetry.clock import Clock

__all__ = ["Meter", "QueryLimits"]


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """Ceilings of one query."""

    #: Samples a query may hold: read from the source, or made by one operation.
    max_samples: int
    #: Series one selector may match.
    max_series: int
    #: Steps of a range query; more answers Prometheus' "exceeded maximum resolution".
    max_steps: int
    #: Steps of one subquery.
    max_subquery_steps: int
    #: Seconds after which a query is stopped.
    timeout_s: float


class Meter:
    """Counts what one query uses; one per query, asked between operations."""

    def __init__(
        self, limits: QueryLimits, clock: Clock, *, timeout_s: float | None = None
    ) -> None:
        self.limits = limits
        self._clock = clock
        #: A query may ask for less time than it may take, never for more.
        allowed_s = limits.timeout_s if timeout_s is None else min(timeout_s, limits.timeout_s)
        self._deadline_s = clock.monotonic_s() + allowed_s
        #: Samples read from the source so far.
        self.samples_read = 0

    def check_deadline(self) -> None:
        """Raises QueryTimeout once the time is over."""
        if self._clock.monotonic_s() > self._deadline_s:
            raise QueryTimeout("query timed out in expression evaluation")

    def read(self, samples: int) -> None:
        """``samples`` more were read from the source."""
        self.samples_read += samples
        self.hold(self.samples_read)

    def hold(self, samples: int) -> None:
        """An operation is about to hold that many samples. Raises TooManySamples."""
        self.check_deadline()
        if samples > self.limits.max_samples:
            raise TooManySamples(
                "query processing would load too many samples into memory in query execution"
            )

    def series(self, count: int) -> None:
        """A selector matched that many series. Raises TooManySamples."""
        if count > self.limits.max_series:
            raise TooManySamples(
                f"a selector matches more than {self.limits.max_series} series; add label matchers"
            )

    def subquery(self, steps: int) -> None:
        """A subquery is about to be evaluated at that many times."""
        if steps > self.limits.max_subquery_steps:
            raise ExecutionError(
                f"a subquery has {steps} steps, accepted are {self.limits.max_subquery_steps}"
            )
