"""Warnings and infos that travel with an answer, in Prometheus' words.

A warning doubts the result, an info doubts the question. Each names the place in the query; the
same text counts once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from collector.promql.errors import line_and_column
from collector.promql.strings import format_general, format_rfc3339, go_quoted

__all__ = ["Annotations", "Lifted"]

_COUNTER_SUFFIXES: Final = ("_total", "_sum", "_count", "_bucket")
#: Distinct annotations an answer carries; Prometheus' API cuts at the same number.
MAX_ANNOTATIONS: Final = 10
_MONOTONICITY: Final = (
    "input to histogram_quantile needed to be fixed for monotonicity (see "
    "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
)


@dataclass(frozen=True, slots=True)
class Lifted:
    """Which buckets had to be lifted, by how much at most, in how many samples, and when."""

    lowest_bound: float
    highest_bound: float
    largest_difference: float
    samples: int
    first_ms: int
    last_ms: int

    def joined(self, other: Lifted) -> Lifted:
        """Both findings as one."""
        return Lifted(
            min(self.lowest_bound, other.lowest_bound),
            max(self.highest_bound, other.highest_bound),
            max(self.largest_difference, other.largest_difference),
            self.samples + other.samples,
            min(self.first_ms, other.first_ms),
            max(self.last_ms, other.last_ms),
        )

    def __str__(self) -> str:
        return (
            f"from buckets {format_general(self.lowest_bound)} to "
            f"{format_general(self.highest_bound)}, with a max diff of "
            f"{self.largest_difference:.2g}, over {self.samples} samples from "
            f"{format_rfc3339(self.first_ms)} to {format_rfc3339(self.last_ms)}"
        )


class Annotations:
    """Collects annotations of one query."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._warnings: dict[str, None] = {}
        self._infos: dict[str, None] = {}
        self._lifted: dict[tuple[str, int], Lifted] = {}

    @property
    def warnings(self) -> list[str]:
        """Distinct warnings, at most MAX_ANNOTATIONS and a line that counts the rest."""
        return _cut(list(self._warnings), "warning")

    @property
    def infos(self) -> list[str]:
        """Distinct infos, at most MAX_ANNOTATIONS and a line that counts the rest."""
        lifted = [
            f"PromQL info: {_with_metric(_MONOTONICITY, metric)}, {found} ({self._place(position)})"
            for (metric, position), found in self._lifted.items()
        ]
        return _cut([*self._infos, *lifted], "info")

    def invalid_quantile(self, quantile: float, position: int) -> None:
        """A quantile outside of [0, 1]."""
        self._warn(
            f"quantile value should be between 0 and 1, got {format_general(quantile)}", position
        )

    def invalid_ratio(self, ratio: float, used: float, position: int) -> None:
        """A limit_ratio outside of [-1, 1], cut to the nearest that is inside."""
        self._warn(
            f"ratio value should be between -1 and 1, got {format_general(ratio)}, "
            f"capping to {format_general(used)}",
            position,
        )

    def bad_bucket_label(self, value: str, metric: str, position: int) -> None:
        """A series without a number as its ``le`` among a histogram's buckets."""
        text = f'bucket label "le" is missing or has a malformed value of {go_quoted(value)}'
        self._warn(_with_metric(text, metric), position)

    def forced_monotonicity(self, metric: str, position: int, found: Lifted) -> None:
        """Bucket counts fell with a rising bound and were lifted."""
        key = (metric, position)
        known = self._lifted.get(key)
        self._lifted[key] = found if known is None else known.joined(found)

    def maybe_no_counter(self, metric: str, position: int) -> None:
        """``rate`` of something whose name says it is no counter."""
        if metric and not metric.endswith(_COUNTER_SUFFIXES):
            self._inform(
                "metric might not be a counter, name does not end in "
                f"_total/_sum/_count/_bucket: {go_quoted(metric)}",
                position,
            )

    def sort_in_range_query(self, position: int) -> None:
        """``sort`` where the answer is ordered by labels anyway."""
        self._warn(
            "sort is ineffective for range queries since results are always ordered by labels",
            position,
        )

    def _warn(self, text: str, position: int) -> None:
        self._warnings[f"PromQL warning: {text} ({self._place(position)})"] = None

    def _inform(self, text: str, position: int) -> None:
        self._infos[f"PromQL info: {text} ({self._place(position)})"] = None

    def _place(self, position: int) -> str:
        return line_and_column(self._query, position)


def _with_metric(text: str, metric: str) -> str:
    return f"{text} for metric name {go_quoted(metric)}" if metric else text


def _cut(texts: list[str], word: str) -> list[str]:
    if len(texts) <= MAX_ANNOTATIONS:
        return texts
    more = len(texts) - MAX_ANNOTATIONS
    return [*texts[:MAX_ANNOTATIONS], f"{more} more {word} annotations omitted"]
