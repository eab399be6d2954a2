"""Pauses before the next attempt, as data: they double up to a ceiling and never come in step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

FIRST_S: Final = 0.1
MAX_S: Final = 5.0
#: Each pause is drawn from 1 -+ this ratio of its nominal length.
JITTER_RATIO: Final = 0.3


def pauses_s(rng: np.random.Generator) -> Iterator[float]:
    """Endless: 0.1, 0.2, 0.4, ... 5, 5 seconds, jittered."""
    nominal_s = FIRST_S
    while True:
        yield nominal_s * rng.uniform(1.0 - JITTER_RATIO, 1.0 + JITTER_RATIO)
        nominal_s = min(nominal_s * 2.0, MAX_S)
