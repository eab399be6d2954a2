"""Bodies taken a moment ago: one that is sent again because its answer was lost counts once.

OTLP leaves duplicates to the receiver. An exporter sends the very same bytes again, so their
digest tells; a canary's counters must not double because a connection broke.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from typing import Final

from collector.model import Signal
from telemetry.clock import Clock

#: Longer than any exporter keeps retrying one export (10 s by default, 60 s at most in practice).
WINDOW_S: Final = 120.0
#: About 300 bytes each.
MAX_BODIES: Final = 50_000

#: None: durable. A future: being written, and done when it is durable or failed.
State = asyncio.Future[None] | None


def digest(signal: Signal, body: bytes) -> bytes:
    """What identifies a body: SHA-256, for which processors have instructions."""
    return hashlib.sha256(body).digest() + signal.encode()


class RecentBodies:
    """The newest bodies by digest, bounded by age and number; lives on one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[float, State]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, key: bytes) -> bool:
        self._forget_old()
        return key in self._known

    def state(self, key: bytes) -> State:
        """Of a body that is known."""
        return self._known[key][1]

    def add(self, key: bytes, state: State) -> None:
        """Remember a body that is being written, or is durable."""
        self._forget_old()
        self._known[key] = (self._clock.monotonic_s(), state)

    def forget(self, key: bytes) -> None:
        """A body that did not become durable is welcome again."""
        self._known.pop(key, None)

    def _forget_old(self) -> None:
        oldest_s = self._clock.monotonic_s() - WINDOW_S
        while self._known:
            key, (added_s, _) = next(iter(self._known.items()))
            if added_s >= oldest_s and len(self._known) < MAX_BODIES:
                return
            del self._known[key]
