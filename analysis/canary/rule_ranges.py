"""Which numbers a rule may hold, as data: for the check and for the JSON Schema alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from ``low`` to ``high``; an open end is not among them."""

    low: float
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def holds(self, value: float) -> bool:
        """Whether ``value`` is in it."""
        above = value > self.low if self.low_open else value >= self.low
        return above and (value < self.high if self.high_open else value <= self.high)

    def __str__(self) -> str:
        left, right = "(" if self.low_open else "[", ")" if self.high_open else "]"
        return f"a number in {left}{self.low:g}, {self.high:g}{right}"

    def to_schema(self) -> dict[str, Any]:
        """JSON Schema's words for it."""
        found = {"exclusiveMinimum" if self.low_open else "minimum": self.low}
        if math.isfinite(self.high):
            found["exclusiveMaximum" if self.high_open else "maximum"] = self.high
        return found


_PROBABILITY: Final = Range(0, 1, low_open=True, high_open=True)
_SOME_SECONDS: Final = Range(0, low_open=True)
_AT_LEAST_ONE: Final = Range(1)
_SHARE: Final = Range(0, 1)

RULE: Final[Mapping[str, Range]] = {
    "alpha": _PROBABILITY,
    "pass_alpha": _PROBABILITY,
    "share_alpha": _PROBABILITY,
    "horizon_s": _SOME_SECONDS,
    "silence_s": _SOME_SECONDS,
    "first_report_s": _SOME_SECONDS,
    "history_half_life_s": _SOME_SECONDS,
    "slo_window_s": _SOME_SECONDS,
    "min_bake_s": Range(0),
    "warm_up_s": Range(0),
    "group_max_s": Range(0),
    "min_looks": _AT_LEAST_ONE,
    "min_requests_fail": _AT_LEAST_ONE,
    "min_requests_pass": _AT_LEAST_ONE,
    "group_min_count": _AT_LEAST_ONE,
    "slo_min_requests": _AT_LEAST_ONE,
    "min_instances_per_arm": Range(1, 10_000),
    "declared_canary_share_ratio": Range(0, 1, high_open=True),
    "share_tolerance_ratio": Range(0, 0.5),
    "incomparable_max_ratio": _SHARE,
}

METRIC: Final[Mapping[str, Range]] = {
    "weight": Range(0, low_open=True),
    "overall_weight_ratio": _SHARE,
    "splits_max": Range(0, 64),
    "fail_margin": _SHARE,
    "min_bad": Range(0),
    "pass_margin": Range(0, 10, low_open=True),
    "expected_bad_ratio": _SHARE,
    "slo_bad_ratio": Range(0, 1, low_open=True),
    "point_s": Range(1, 3600),
}
