"""How far each sender's clock is from ours, told from what arrives.

An item cannot arrive before it happened. The smallest age among a sender's newest items is the
time an export takes when nothing is in the way, plus what its clock is behind ours; a negative one
proves that the clock is ahead.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from telemetry.clock import Clock

#: Senders remembered, and for how long after they were last heard.
MAX_SENDERS: Final = 1_000
#: An estimate is made of the two newest windows of this length.
WINDOW_S: Final = 60.0


@dataclass(slots=True)
class _Sender:
    window_began_s: float
    age_s: float
    previous_age_s: float
    heard_s: float


class SkewWatch:
    """Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._senders: OrderedDict[str, _Sender] = OrderedDict()

    def heard(self, service: str, newest_unix_nano: int) -> None:
        """A request of ``service`` arrived now; its newest item is stamped so."""
        now_s = self._clock.monotonic_s()
        age_s = (self._clock.wall_unix_nano() - newest_unix_nano) / 1e9
        with self._lock:
            known = self._senders.get(service)
            if known is None:
                self._senders[service] = _Sender(now_s, age_s, age_s, now_s)
                if len(self._senders) > MAX_SENDERS:
                    self._senders.popitem(last=False)
                return
            self._senders.move_to_end(service)
            known.heard_s = now_s
            if now_s - known.window_began_s >= WINDOW_S:
                known.previous_age_s, known.age_s = known.age_s, age_s
                known.window_began_s = now_s
            else:
                known.age_s = min(known.age_s, age_s)

    def as_json(self) -> list[dict[str, Any]]:
        """One entry per sender: ``behind_s`` is the estimate, negative where its clock is ahead."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            return [
                {
                    "service": service,
                    "behind_s": round(min(one.age_s, one.previous_age_s), 6),
                    "heard_s_ago": round(now_s - one.heard_s, 3),
                }
                for service, one in sorted(self._senders.items())
            ]
