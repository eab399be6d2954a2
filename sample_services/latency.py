"""Natural service times: log-normal waits, so that medians and tails look like work."""

from __future__ import annotations

import asyncio
import math
import zlib

import numpy as np


class ServiceTime:
    """Waits without burning CPU. ``sigma``: deviation of the log (0.5 makes p95/p50 = 2.3)."""

    def __init__(self, rng: np.random.Generator, *, median_s: float, sigma: float) -> None:
        self._rng = rng
        self._mu = math.log(median_s)
        self._sigma = sigma

    def draw_s(self) -> float:
        """One service time in seconds."""
        return float(self._rng.lognormal(self._mu, self._sigma))

    async def pass_(self) -> None:
        """Take one service time."""
        await asyncio.sleep(self.draw_s())


def seeded(seed: int, *names: str) -> np.random.Generator:
    """A generator of its own for ``names``, reproducible from the stack's seed."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])
