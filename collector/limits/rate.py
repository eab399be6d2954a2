"""How much may arrive per second: a bucket that fills by the clock and empties by the items."""

from __future__ import annotations

from telemetry.clock import Clock


class ItemRate:
    """``take`` from one thread."""

    def __init__(self, per_s: float, burst: int, clock: Clock) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._clock = clock
        self._level = self._burst
        self._filled_s = clock.monotonic_s()

    def take(self, count: int) -> bool:
        """Whether ``count`` more items may come now.

        What came is known only after it was read, so it is taken even if it empties the bucket
        beyond the bottom; then nothing is taken until that is made good.
        """
        now_s = self._clock.monotonic_s()
        self._level = min(self._burst, self._level + (now_s - self._filled_s) * self._per_s)
        self._filled_s = now_s
        if self._level <= 0.0:
            return False
        self._level -= count
        return True
