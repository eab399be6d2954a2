"""What the evaluator reads from: series with their samples, as flat arrays.

Times are Unix milliseconds. A sample whose value is the stale marker says that the series ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from collector.promql.labels import Labels
from collector.promql.limits import Meter
from collector.promql.matchers import Matcher

__all__ = ["STALE_NAN", "Bools", "Floats", "Ints", "Samples", "Source", "is_stale", "no_samples"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: Bits of Prometheus' stale marker, a NaN of its own (``model/value``).
_STALE_BITS: Final = 0x7FF0000000000002
STALE_NAN: Final = float(np.array([_STALE_BITS], dtype=np.uint64).view(np.float64)[0])


@dataclass(frozen=True, slots=True)
class Samples:
    """Series i holds ``times[starts[i]:starts[i + 1]]``, rising, and the values beside them."""

    labels: Sequence[Labels]
    starts: Ints
    times: Ints
    values: Floats

    def __post_init__(self) -> None:
        assert len(self.starts) == len(self.labels) + 1
        assert len(self.times) == len(self.values) == self.starts[-1]

    def without_stale(self) -> Samples:
        """The same series without stale markers."""
        stale = is_stale(self.values)
        if not stale.any():
            return self
        kept = np.concatenate(([0], np.cumsum(~stale)))
        return Samples(self.labels, kept[self.starts], self.times[~stale], self.values[~stale])


class Source(Protocol):
    """Where series come from."""

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, meter: Meter
    ) -> Samples:
        """Every series that meets all conditions, with its samples in [start, end].

        Sorted by labels; a series without a sample there may be left out. Raises PromqlError.
        """
        ...


def is_stale(values: Floats) -> Bools:
    """Which values are the stale marker."""
    result: Bools = np.ascontiguousarray(values).view(np.uint64) == _STALE_BITS
    return result


def no_samples() -> Samples:
    """No series at all."""
    return Samples(
        (), np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float64)
    )
