"""Bad events of both arms over the recent past, against the objective of their metric."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

_S = 1e-9  # seconds per nanosecond


class ObjectiveWindow:
    """Blocks of the last ``window_s``; an arm misses with ``events_min`` events or more."""

    def __init__(self, bad_ratio: float, window_s: float, events_min: int) -> None:
        """``bad_ratio`` of 1 or more is no objective."""
        self._bad_ratio, self._events_min = bad_ratio, events_min
        self._window_ns = int(window_s / _S)
        self._rows: deque[tuple[int, int, int, int, int]] = deque()

    def add(self, end_unix_nano: int, new: Sequence[int]) -> None:
        """``new``: bad and all events of the baseline, then of the canary."""
        self._rows.append((end_unix_nano, new[0], new[1], new[2], new[3]))

    def bad_arms(self, now_unix_nano: int) -> tuple[bool, bool]:
        """Whether (baseline, canary) miss the objective over the window."""
        oldest = now_unix_nano - self._window_ns
        while self._rows and self._rows[0][0] < oldest:
            self._rows.popleft()
        if self._bad_ratio >= 1.0:
            return False, False
        sums = [sum(row[i] for row in self._rows) for i in range(1, 5)]
        least, limit = self._events_min, self._bad_ratio
        return (
            sums[1] >= least and sums[0] > limit * sums[1],
            sums[3] >= least and sums[2] > limit * sums[3],
        )

    def to_state(self) -> list[list[int]]:
        """JSON-able."""
        return [list(row) for row in self._rows]

    def restore(self, state: Sequence[Sequence[int]]) -> None:
        """Take over what :meth:`to_state` returned."""
        self._rows = deque((int(r[0]), int(r[1]), int(r[2]), int(r[3]), int(r[4])) for r in state)
