"""Functions of classic histograms: series that differ only in ``le`` are one histogram."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from collector.promql.annotations import Annotations, Lifted
from collector.promql.buckets import (
    Monotone,
    bucket_fraction,
    bucket_quantile,
    coalesced,
    made_monotone,
)
from collector.promql.frames import Frame, empty_frame, make_frame, names_dropped, stacked
from collector.promql.labels import NAME, Labels, label, with_labels, without
from collector.promql.series import Bools, Floats, Ints

__all__ = ["HistogramCall", "fractions", "quantiles"]

BUCKET_LABEL: Final = "le"
_NUMBER: Final = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf(?:inity)?|nan)", re.IGNORECASE
)
_BOUND: Final = frozenset({BUCKET_LABEL})


@dataclass(frozen=True, slots=True)
class HistogramCall:
    """The buckets, and what is needed to say what is wrong with them."""

    frame: Frame
    times_ms: Ints
    position: int
    is_name_removal_delayed: bool
    annotations: Annotations


def quantiles(call: HistogramCall, quantile: Floats, position: int) -> Frame:
    """``histogram_quantile``: one row per histogram."""
    for value in np.unique(quantile):
        if not 0 <= value <= 1:
            call.annotations.invalid_quantile(float(value), position)

    def of_histogram(labels: Labels, bounds: Floats, counts: Floats, columns: Ints) -> Floats:
        monotone = made_monotone(counts)
        _tell_lifted(call, labels, bounds, monotone, columns)
        return bucket_quantile(quantile[columns], bounds, monotone.counts)

    return _per_histogram(call, of_histogram)


def labelled_quantiles(
    call: HistogramCall, label_name: str, levels: list[tuple[Floats, int]],
    format_level: Callable[[float], str],
) -> Frame:  # fmt: skip
    """``histogram_quantiles``: one row per histogram and level, the level as a label."""
    frames = []
    for level, position in levels:
        frame = quantiles(call, level, position)
        text = format_level(float(level[0]))
        labels = tuple(with_labels(row, {label_name: text}) for row in frame.labels)
        frames.append(Frame(labels, frame.values, frame.present, frame.drops_name))
    return stacked(frames) if frames else empty_frame(call.frame.steps)


def fractions(call: HistogramCall, lower: Floats, upper: Floats) -> Frame:
    """``histogram_fraction``: the share of observations between two values."""

    def of_histogram(_: Labels, bounds: Floats, counts: Floats, columns: Ints) -> Floats:
        return bucket_fraction(lower[columns], upper[columns], bounds, counts)

    return _per_histogram(call, of_histogram)


def _per_histogram(
    call: HistogramCall, compute: Callable[[Labels, Floats, Floats, Ints], Floats]
) -> Frame:
    frame = call.frame
    rows, cells, existing = [], [], []
    for labels, members, bounds in _histograms(call):
        values = np.zeros(frame.steps)
        present = frame.present[members]
        for pattern, columns in _patterns(present):
            chosen = members[pattern]
            upper, counts = coalesced(bounds[pattern], frame.values[chosen][:, columns])
            values[columns] = compute(labels, upper, counts, columns)
        rows.append(labels)
        cells.append(values)
        existing.append(present.any(axis=0))
    if not rows:
        return empty_frame(frame.steps)
    result = make_frame(rows, np.array(cells), np.array(existing))
    return names_dropped(result, is_delayed=call.is_name_removal_delayed)


def _histograms(call: HistogramCall) -> Iterator[tuple[Labels, Ints, Floats]]:
    """Labels without ``le``, rows by rising bound, and the bounds."""
    found: dict[Labels, list[tuple[float, int]]] = {}
    for row, labels in enumerate(call.frame.labels):
        text = label(labels, BUCKET_LABEL)
        if not _NUMBER.fullmatch(text):
            metric = label(labels, NAME) if call.is_name_removal_delayed else ""
            call.annotations.bad_bucket_label(text, metric, call.position)
            continue
        found.setdefault(without(labels, _BOUND), []).append((float(text), row))
    for labels, buckets in found.items():
        buckets.sort()
        members = np.array([row for _, row in buckets], dtype=np.int64)
        yield labels, members, np.array([bound for bound, _ in buckets])


def _patterns(present: Bools) -> Iterator[tuple[Ints, Ints]]:
    """Which rows exist together, and at which steps; usually all of them at all steps."""
    kinds, kind_of = np.unique(present, axis=1, return_inverse=True)
    for kind in range(kinds.shape[1]):
        members = np.flatnonzero(kinds[:, kind])
        if len(members):
            yield members, np.flatnonzero(kind_of.ravel() == kind)


def _tell_lifted(
    call: HistogramCall, labels: Labels, bounds: Floats, monotone: Monotone, columns: Ints
) -> None:
    lifted = monotone.lifted > 0
    if not lifted.any():
        return
    touched = bounds[lifted.any(axis=1)]
    times_ms = call.times_ms[columns[lifted.any(axis=0)]]
    metric = label(labels, NAME) if call.is_name_removal_delayed else ""
    found = Lifted(
        lowest_bound=float(touched.min()),
        highest_bound=float(touched.max()),
        largest_difference=float(monotone.lifted.max()),
        samples=len(times_ms),
        first_ms=int(times_ms.min()),
        last_ms=int(times_ms.max()),
    )
    call.annotations.forced_monotonicity(metric, call.position, found)
