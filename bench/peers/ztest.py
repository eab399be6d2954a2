"""The fixed-horizon two-proportion z-test of a dashboard, looked at every second."""

from __future__ import annotations

import math

from scipy.special import ndtri

from bench.canary.streams import ArmEvents

REQUESTS_MIN = 20


class ZTestWatch:
    """Failed starts and server errors, one-sided, alpha halved between the two."""

    name = "two-proportion z-test, every second"

    def __init__(self, alpha: float) -> None:
        self._z = -float(ndtri(alpha / 2))
        self._counts = [[0, 0], [0, 0], [0, 0]]  # bad, errors, all: [baseline, canary]

    def look(self, arms: tuple[ArmEvents, ArmEvents]) -> bool:
        """Take one second; whether either share is significantly higher on the canary now."""
        for i, events in enumerate(arms):
            added = events.is_bad.sum(), events.is_error.sum(), len(events.device)
            for counts, count in zip(self._counts, added, strict=True):
                counts[i] += int(count)
        n_a, n_b = self._counts[2]
        if min(n_a, n_b) < REQUESTS_MIN:
            return False
        return any(self._is_higher(bad, n_a, n_b) for bad in self._counts[:2])

    def _is_higher(self, bad: list[int], n_a: int, n_b: int) -> bool:
        pooled = sum(bad) / (n_a + n_b)
        spread = math.sqrt(pooled * (1 - pooled) * (1 / n_a + 1 / n_b))
        return spread > 0 and (bad[1] / n_b - bad[0] / n_a) / spread > self._z
