"""Who is heard, how steadily, and how far each sender's clock is from ours.

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

#: Senders remembered; the one that was not heard longest makes room.
MAX_SENDERS: Final = 1_000
#: An estimate is made of the two newest windows of this length.
WINDOW_S: Final = 60.0
#: Coverage is the share of the newest steps, of this length, in which a sender was heard. SDKs
#: export every 60 s unless told otherwise.
STEP_S: Final = 60.0
STEPS: Final = 30


@dataclass(slots=True)
class _Sender:
    window_began_s: float
    age_s: float
    previous_age_s: float
    heard_s: float
    first_step: int
    #: The step of the lowest bit of ``steps``, whose bits tell in which steps it was heard.
    newest_step: int
    steps: int

    def hear(self, step: int) -> None:
        self.steps = ((self.steps << (step - self.newest_step)) | 1) & ((2 << STEPS) - 1)
        self.newest_step = step

    def coverage_ratio(self, step: int) -> float:
        """Of the steps before this one, since it was first heard."""
        past = min(step - self.first_step, STEPS)
        if past == 0:
            return 1.0
        heard = (self.steps << (step - self.newest_step)) >> 1 & ((1 << past) - 1)
        return heard.bit_count() / past


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
        step = int(now_s // STEP_S)
        with self._lock:
            known = self._senders.get(service)
            if known is None:
                self._senders[service] = _Sender(now_s, age_s, age_s, now_s, step, step, 1)
                if len(self._senders) > MAX_SENDERS:
                    self._senders.popitem(last=False)
                return
            self._senders.move_to_end(service)
            known.heard_s = now_s
            known.hear(step)
            if now_s - known.window_began_s >= WINDOW_S:
                known.previous_age_s, known.age_s = known.age_s, age_s
                known.window_began_s = now_s
            else:
                known.age_s = min(known.age_s, age_s)

    def as_json(self) -> list[dict[str, Any]]:
        """One entry per sender.

        ``behind_s`` is the estimate of its clock, negative where that is ahead; ``coverage_ratio``
        the share of the newest 30 minutes in which it was heard.
        """
        now_s = self._clock.monotonic_s()
        step = int(now_s // STEP_S)
        with self._lock:
            return [
                {
                    "service": service,
                    "behind_s": round(min(one.age_s, one.previous_age_s), 6),
                    "heard_s_ago": round(now_s - one.heard_s, 3),
                    "coverage_ratio": round(one.coverage_ratio(step), 3),
                }
                for service, one in sorted(self._senders.items())
            ]
