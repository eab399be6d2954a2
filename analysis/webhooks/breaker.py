"""How many requests an endpoint may have under way, judged by what became of its last ones. Pure.

A receiver that hangs holds every request for its whole timeout. The breaker keeps such an endpoint
to one request at a time, with pauses, so that it costs the others nothing; it never gives an
endpoint up, for commands are not switched off in silence. Its figures start from Convoy's circuit
breaker (frain-dev/convoy), the pauses are shorter because a command lives for minutes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

#: Results older than this say nothing any more.
WINDOW_S: Final = 300.0
#: It opens when this share of at least so many requests of the window failed.
OPEN_AT_RATIO: Final = 0.7
OPEN_AT_REQUESTS: Final = 10
#: Pauses before one request tries again; the last one repeats.
PAUSES_S: Final = (5.0, 10.0, 20.0, 30.0)
#: Requests under way to one endpoint while it is well, each on another lane.
MAX_PER_ENDPOINT: Final = 8
#: Results that are remembered, should a burst come within one window.
MAX_RESULTS: Final = 1_000


class BreakerState(StrEnum):
    """What the breaker lets through."""

    CLOSED = "closed"  # everything, up to MAX_PER_ENDPOINT at once
    OPEN = "open"  # nothing until the pause is over
    HALF_OPEN = "half_open"  # one request, whose result decides


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """How an endpoint fares, for people and metrics."""

    endpoint_id: str
    url: str
    breaker: BreakerState
    under_way: int

    def to_json(self) -> dict[str, Any]:
        return {
            "endpoint_id": self.endpoint_id,
            "url": self.url,
            "breaker": str(self.breaker),
            "under_way": self.under_way,
        }


@dataclass
class Breaker:
    """One endpoint's. Times are monotonic seconds; not thread-safe."""

    _results: deque[tuple[float, bool]] = field(default_factory=lambda: deque(maxlen=MAX_RESULTS))
    #: Requests begun and not ended.
    under_way: int = 0
    #: Pauses since it opened; 0 = closed.
    _pauses: int = 0
    _closed_until_s: float = 0.0
    _is_probing: bool = False

    def state(self, now_s: float) -> BreakerState:
        """As of ``now_s``."""
        if self._pauses == 0:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now_s < self._closed_until_s else BreakerState.HALF_OPEN

    def room(self, now_s: float) -> int:
        """Further requests that may begin now."""
        match self.state(now_s):
            case BreakerState.CLOSED:
                return max(MAX_PER_ENDPOINT - self.under_way, 0)
            case BreakerState.OPEN:
                return 0
            case BreakerState.HALF_OPEN:
                return 0 if self.under_way else 1

    def wait_s(self, now_s: float) -> float | None:
        """Seconds until there may be room without a request ending first; None = no such time."""
        if self.under_way or self.state(now_s) is not BreakerState.OPEN:
            return None
        return self._closed_until_s - now_s

    def begin(self, now_s: float) -> None:
        """A request begins."""
        self._is_probing = self.state(now_s) is BreakerState.HALF_OPEN
        self.under_way += 1

    def drop(self) -> None:
        """A request that was begun was not sent after all; it says nothing about the endpoint."""
        self.under_way -= 1
        self._is_probing = False

    def end(self, now_s: float, *, is_well: bool) -> None:
        """A request ended. ``is_well``: the endpoint answered as something that works does."""
        self.under_way -= 1
        was_probing, self._is_probing = self._is_probing, False
        if is_well and self._pauses:
            self._pauses = 0
            self._results.clear()
        self._results.append((now_s, is_well))
        if is_well:
            return
        if was_probing or (self._pauses == 0 and self._is_too_much(now_s)):
            self._open(now_s)

    def _open(self, now_s: float) -> None:
        pause_s = PAUSES_S[min(self._pauses, len(PAUSES_S) - 1)]
        self._pauses += 1
        self._closed_until_s = now_s + pause_s

    def _is_too_much(self, now_s: float) -> bool:
        while self._results and self._results[0][0] < now_s - WINDOW_S:
            self._results.popleft()
        failed = sum(not is_well for _, is_well in self._results)
        total = len(self._results)
        return total >= OPEN_AT_REQUESTS and failed >= OPEN_AT_RATIO * total
