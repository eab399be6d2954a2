"""In what Prometheus 2 and Prometheus 3 differ over the same expression and the same data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["PROMETHEUS_2", "PROMETHEUS_3", "Semantics"]


@dataclass(frozen=True, slots=True)
class Semantics:
    """One dialect."""

    #: Whether ranges and the lookback leave out a sample exactly at their left edge.
    is_left_open: bool
    #: Whether ``rate`` shortens the extrapolation to half an interval before it looks for the
    #: counter's zero (3), or looks for the zero first (2).
    is_threshold_before_zero: bool
    #: Whether ``.`` in a pattern matches a line break.
    is_dot_all: bool
    #: Whether the metric's name is dropped only from the final answer, so that everything before
    #: still sees it (Prometheus 3's feature "promql-delayed-name-removal", off by default).
    is_name_removal_delayed: bool = False


PROMETHEUS_2: Final = Semantics(
    is_left_open=False, is_threshold_before_zero=False, is_dot_all=False
)
PROMETHEUS_3: Final = Semantics(is_left_open=True, is_threshold_before_zero=True, is_dot_all=True)
