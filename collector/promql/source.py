"""The store as a source of series: matchers are answered by name, then by labels, then by points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from collector.promql.errors import QueryTimeout, QueryUnavailable
from collector.promql.labels import NAME, Labels, label, with_labels
from collector.promql.limits import Meter
from collector.promql.matchers import Matcher, matching
from collector.promql.otlp_labels import TARGET_INFO
from collector.promql.otlp_samples import (
    Derived,
    exponential_series,
    histogram_series,
    number_series,
)
from collector.promql.series import Floats, Ints, Samples, no_samples
from collector.promql.store_points import (
    Question,
    exponential_rows,
    histogram_rows,
    number_rows,
)
from collector.promql.store_series import Family, KnownSeries, SeriesIndex
from collector.store.engine import Store
from collector.store.errors import QueryTooExpensive, StoreError

__all__ = ["StoreSource"]

_BOUND: Final = "le"
#: How often a target's ``target_info`` is shown to be there; well within the lookback.
_TARGET_INFO_STEP_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A family and which of its names are asked for: part -> name."""

    family: Family
    names: dict[str, str]


class StoreSource:
    """Series of the store under their Prometheus names. Thread-safe."""

    def __init__(self, store: Store, promoted: Sequence[str]) -> None:
        self._store = store
        self.index = SeriesIndex(store, promoted)

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, meter: Meter
    ) -> Samples:
        """Every series that meets all conditions, with its samples in [start, end]."""
        try:
            found = list(self._derived(matchers, start_ms, end_ms, meter))
        except QueryTooExpensive as error:
            raise QueryTimeout(f"query timed out in query execution: {error}") from error
        except StoreError as error:
            raise QueryUnavailable(str(error)) from error
        return _assembled(found, meter)

    def label_sets(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, meter: Meter
    ) -> list[Labels]:
        """Label sets of the series that meet all conditions and were heard in [start, end]."""
        try:
            return sorted(set(self._label_sets(matchers, start_ms, end_ms, meter)))
        except QueryTooExpensive as error:
            raise QueryTimeout(f"query timed out in query execution: {error}") from error
        except StoreError as error:
            raise QueryUnavailable(str(error)) from error

    def _label_sets(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, meter: Meter
    ) -> Iterator[Labels]:
        plain = [m for m in matchers if m.name != _BOUND]
        for wanted, series in self._matched(plain, start_ms, end_ms, meter):
            for part, name in wanted.names.items():
                for one in series if part != "bucket" else ():
                    yield with_labels(one.labels, {NAME: name})
            if "bucket" in wanted.names:
                narrowed = _Wanted(wanted.family, {"bucket": wanted.names["bucket"]})
                buckets = self._points(narrowed, series, start_ms, end_ms, meter)
                yield from (labels for labels, _, _ in _filtered(buckets, matchers))
        for labels, _ in self._targets(plain, start_ms, end_ms):
            yield labels

    def _derived(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, meter: Meter
    ) -> Iterator[tuple[Labels, Ints, Floats]]:
        # The bound is no attribute of the stored series: it is looked at when buckets are made.
        plain = [m for m in matchers if m.name != _BOUND]
        for wanted, series in self._matched(plain, start_ms, end_ms, meter):
            points = self._points(wanted, series, start_ms, end_ms, meter)
            yield from _filtered(points, matchers)
        for labels, (first_ms, last_ms) in self._targets(plain, start_ms, end_ms):
            times = _regular(max(first_ms, start_ms), min(last_ms, end_ms))
            yield labels, times, np.ones(len(times))

    def _matched(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, meter: Meter
    ) -> Iterator[tuple[_Wanted, list[KnownSeries]]]:
        """Families with a wanted name and their series that meet the other conditions."""
        by_name = [m for m in matchers if m.name == NAME]
        by_label = [m for m in matchers if m.name != NAME]
        wanted = {one.family: one for one in _named(self.index.families(start_ms, end_ms), by_name)}
        series = self.index.series(wanted, start_ms, end_ms, limit=meter.limits.max_series)
        meter.series(len(series))
        kept = matching([one.labels for one in series], by_label)
        by_family: dict[Family, list[KnownSeries]] = {}
        for index in kept:
            by_family.setdefault(series[index].family, []).append(series[index])
        for family, members in by_family.items():
            yield wanted[family], members

    def _targets(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int
    ) -> Iterator[tuple[Labels, tuple[int, int]]]:
        if not all(m.holds([TARGET_INFO])[0] for m in matchers if m.name == NAME):
            return
        targets = list(self.index.targets(start_ms, end_ms).items())
        for index in matching([labels for labels, _ in targets], matchers):
            yield targets[index]

    def _points(
        self,
        wanted: _Wanted,
        series: Sequence[KnownSeries],
        start_ms: int,
        end_ms: int,
        meter: Meter,
    ) -> Iterator[tuple[Labels, Ints, Floats]]:
        labels_of = {_wrapped(one.series_id): one.labels for one in series}
        question = Question(
            self._store,
            [one.series_id for one in series],
            start_ms,
            end_ms,
            meter.limits.max_samples,
        )
        made = 0
        for one in _series_of(question, wanted.family, frozenset(wanted.names)):
            changes = {NAME: wanted.names[one.part]}
            if one.bound:
                changes[_BOUND] = one.bound
            made += len(one.times_ms)
            meter.hold(made)
            yield with_labels(labels_of[one.series_id], changes), one.times_ms, one.values


def _named(families: Iterable[Family], matchers: Sequence[Matcher]) -> Iterator[_Wanted]:
    known = list(families)
    parts = [(family, name, part) for family in known for name, part in family.parts().items()]
    labels: list[Labels] = [((NAME, name),) for _, name, _ in parts]
    chosen: dict[Family, dict[str, str]] = {}
    for index in matching(labels, matchers):
        family, name, part = parts[index]
        chosen.setdefault(family, {})[part] = name
    for family, names in chosen.items():
        yield _Wanted(family, names)


def _series_of(question: Question, family: Family, parts: frozenset[str]) -> Iterator[Derived]:
    is_delta = family.temporality == "delta"
    if family.kind == "histogram":
        rows = histogram_rows(question, is_delta=is_delta)
        return histogram_series(rows, parts, is_delta=is_delta)
    if family.kind == "exponential_histogram":
        rows = exponential_rows(question, is_delta=is_delta)
        return exponential_series(rows, parts, is_delta=is_delta)
    is_sum = family.kind == "sum"
    return number_series(
        number_rows(question, is_delta=is_delta and is_sum), is_delta=is_delta and is_sum
    )


def _filtered(
    points: Iterator[tuple[Labels, Ints, Floats]], matchers: Sequence[Matcher]
) -> Iterator[tuple[Labels, Ints, Floats]]:
    """Those whose bound is asked for."""
    by_bound = [m for m in matchers if m.name == _BOUND]
    for labels, times, values in points:
        bound = label(labels, _BOUND)
        if all(matcher.holds([bound])[0] for matcher in by_bound):
            yield labels, times, values


def _regular(start_ms: int, end_ms: int) -> Ints:
    """Multiples of the step in [start, end], and the end itself."""
    if end_ms < start_ms:
        return np.zeros(0, dtype=np.int64)
    step = _TARGET_INFO_STEP_MS
    times = np.arange(-(-start_ms // step) * step, end_ms, step, dtype=np.int64)
    return np.concatenate((times, [end_ms])).astype(np.int64)


def _wrapped(series_id: int) -> int:
    """The id as the signed number it is in an array."""
    return series_id - 2**64 if series_id >= 2**63 else series_id


def _assembled(found: list[tuple[Labels, Ints, Floats]], meter: Meter) -> Samples:
    """Sorted by labels; streams that Prometheus could not tell apart are one series."""
    chunks: dict[Labels, list[tuple[Ints, Floats]]] = {}
    for labels, times, values in found:
        if len(times):
            chunks.setdefault(labels, []).append((times, values))
    meter.series(len(chunks))
    if not chunks:
        return no_samples()
    ordered = sorted(chunks)
    series = [_joined(chunks[labels]) for labels in ordered]
    starts = np.concatenate(([0], np.cumsum([len(times) for times, _ in series])))
    return Samples(
        tuple(ordered),
        starts.astype(np.int64),
        np.concatenate([times for times, _ in series]),
        np.concatenate([values for _, values in series]),
    )


def _joined(parts: list[tuple[Ints, Floats]]) -> tuple[Ints, Floats]:
    if len(parts) == 1:
        return parts[0]
    times = np.concatenate([times for times, _ in parts])
    values = np.concatenate([values for _, values in parts])
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    last = np.concatenate((times[1:] != times[:-1], [True]))
    return times[last], values[last]
