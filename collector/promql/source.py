"""The store as a source of series: answered by name, then by labels, then by points."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from collector.promql.errors import QueryTimeout, QueryUnavailable
from collector.promql.labels import NAME, Labels, label, with_labels
from collector.promql.limits import Meter
from collector.promql.matchers import Matcher, matching
from collector.promql.otlp_labels import TARGET_INFO
from collector.promql.otlp_samples import (
    INFINITE,
    Derived,
    exponential_series,
    histogram_series,
    number_series,
)
from collector.promql.sample_source import SampleSource
from collector.promql.series import Floats, Ints, Samples, no_samples
from collector.promql.store_points import Question, exponential_rows, histogram_rows, number_rows
from collector.promql.store_series import NUMBERS, Family, KnownSeries, SeriesIndex
from collector.store.engine import Store
from collector.store.errors import QueryTooExpensive, StoreError

__all__ = ["StoreSource"]

_BOUND: Final = "le"
#: How often a target's ``target_info`` is shown to be there; well within the lookback.
_TARGET_INFO_STEP_MS: Final = 60_000
Points = tuple[Labels, Ints, Floats]


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A stored series and which of its names are asked for: part -> name."""

    series: KnownSeries
    names: Mapping[str, str]


class StoreSource:
    """Series of the store under their Prometheus names. Thread-safe."""

    def __init__(self, store: Store, promoted: Sequence[str]) -> None:
        self._store = store
        self.index = SeriesIndex(store, promoted)
        self._samples = SampleSource(store)

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, meter: Meter
    ) -> Samples:
        """Every series that meets all conditions, with its samples in [start, end]."""
        with _typed_errors():
            found = list(self._points(matchers, start_ms, end_ms, meter))
            found += self._samples.points(matchers, start_ms, end_ms, meter)
            return _assembled(found, meter)

    def label_sets(
        self,
        matchers: Sequence[Matcher],
        start_ms: int,
        end_ms: int,
        meter: Meter,
        *,
        with_bounds: bool,
    ) -> list[Labels]:
        """Label sets of the series that meet all conditions and were heard in [start, end].

        Which bounds a histogram has is written in its points only. Unless ``with_bounds``, +Inf,
        which every histogram has, stands for all of them.
        """
        with _typed_errors():
            found = set(
                self._label_sets(matchers, start_ms, end_ms, meter, with_bounds=with_bounds)
            )
            found.update(self._samples.label_sets(matchers, start_ms, end_ms, meter))
            return sorted(found)

    def families(self, start_ms: int, end_ms: int) -> list[Family]:
        """Metrics with a series heard in [start, end]."""
        with _typed_errors():
            return self.index.families(start_ms, end_ms)

    def sample_names(self, start_ms: int, end_ms: int) -> list[str]:
        """Metrics of remote-written series with a sample in [start, end]."""
        with _typed_errors():
            return self._samples.metric_names(start_ms, end_ms)

    def _label_sets(
        self,
        matchers: Sequence[Matcher],
        start_ms: int,
        end_ms: int,
        meter: Meter,
        *,
        with_bounds: bool,
    ) -> Iterator[Labels]:
        buckets: list[_Chosen] = []
        for chosen in self._chosen(matchers, start_ms, end_ms, meter):
            for part, name in chosen.names.items():
                if part != "bucket":
                    yield with_labels(chosen.series.labels, {NAME: name})
                elif not with_bounds:
                    yield with_labels(chosen.series.labels, {NAME: name, _BOUND: INFINITE})
                else:
                    buckets.append(_Chosen(chosen.series, {part: name}))
        for labels, _, _ in self._derived(buckets, start_ms, end_ms, meter):
            if _has_wanted_bound(labels, matchers):
                yield labels
        for labels, _ in self._targets(matchers, start_ms, end_ms):
            yield labels

    def _points(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, meter: Meter
    ) -> Iterator[Points]:
        chosen = self._chosen(matchers, start_ms, end_ms, meter)
        for points in self._derived(chosen, start_ms, end_ms, meter):
            if _has_wanted_bound(points[0], matchers):
                yield points
        for labels, (first_ms, last_ms) in self._targets(matchers, start_ms, end_ms):
            times = _regular(max(first_ms, start_ms), min(last_ms, end_ms))
            yield labels, times, np.ones(len(times))

    def _chosen(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, meter: Meter
    ) -> list[_Chosen]:
        """Stored series with a wanted name that meet the other conditions."""
        names = _wanted_names(self.index.all_families(), matchers)
        series = self.index.series(names, start_ms, end_ms, limit=meter.limits.max_series)
        meter.series(len(series))
        # The bound is no attribute of the stored series: it is looked at when buckets are made.
        by_label = [m for m in matchers if m.name not in {NAME, _BOUND}]
        kept = matching([one.labels for one in series], by_label)
        return [_Chosen(series[index], names[series[index].family]) for index in kept]

    def _targets(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int
    ) -> list[tuple[Labels, tuple[int, int]]]:
        """``target_info`` series that meet all conditions, and when their target was heard."""
        if not all(m.holds([TARGET_INFO])[0] for m in matchers if m.name == NAME):
            return []
        targets = list(self.index.targets(start_ms, end_ms).items())
        return [targets[i] for i in matching([labels for labels, _ in targets], matchers)]

    def _derived(
        self, chosen: Sequence[_Chosen], start_ms: int, end_ms: int, meter: Meter
    ) -> Iterator[Points]:
        """What the points of the stored series say, one question per kind of point."""
        by_kind: dict[tuple[str, bool], dict[int, _Chosen]] = {}
        for one in chosen:
            family = one.series.family
            kind = "number" if family.kind in NUMBERS else family.kind
            is_delta = family.temporality == "delta" and family.kind != "gauge"
            by_kind.setdefault((kind, is_delta), {})[_wrapped(one.series.series_id)] = one
        made = 0
        for (kind, is_delta), members in by_kind.items():
            question = Question(
                self._store,
                [one.series.series_id for one in members.values()],
                start_ms,
                end_ms,
                meter.limits.max_samples,
            )
            parts = frozenset(part for one in members.values() for part in one.names)
            for derived in _series_of(question, kind, parts, is_delta=is_delta):
                made += len(derived.times_ms)
                meter.hold(made)
                one = members[derived.series_id]
                if derived.part in one.names:
                    yield _labelled(one, derived), derived.times_ms, derived.values


@contextlib.contextmanager
def _typed_errors() -> Iterator[None]:
    """The store's failures in the words of the query API."""
    try:
        yield
    except QueryTooExpensive as error:
        raise QueryTimeout(f"query timed out in query execution: {error}") from error
    except StoreError as error:
        raise QueryUnavailable(str(error)) from error


def _wanted_names(
    families: Sequence[Family], matchers: Sequence[Matcher]
) -> dict[Family, dict[str, str]]:
    """Families with a name that is asked for: part -> name. Only buckets have a bound."""
    by_name = [m for m in matchers if m.name == NAME]
    by_bound = [m for m in matchers if m.name == _BOUND]
    has_bound = not all(matcher.matches_empty() for matcher in by_bound)
    parts = [
        (family, name, part)
        for family in families
        for name, part in family.parts().items()
        if part == "bucket" or not has_bound
    ]
    labels: list[Labels] = [((NAME, name),) for _, name, _ in parts]
    wanted: dict[Family, dict[str, str]] = {}
    for index in matching(labels, by_name):
        family, name, part = parts[index]
        wanted.setdefault(family, {})[part] = name
    return wanted


def _series_of(
    question: Question, kind: str, parts: frozenset[str], *, is_delta: bool
) -> Iterator[Derived]:
    if kind == "histogram":
        rows = histogram_rows(question, is_delta=is_delta)
        return histogram_series(rows, parts, is_delta=is_delta)
    if kind == "exponential_histogram":
        rows = exponential_rows(question, is_delta=is_delta)
        return exponential_series(rows, parts, is_delta=is_delta)
    return number_series(number_rows(question, is_delta=is_delta), is_delta=is_delta)


def _labelled(chosen: _Chosen, derived: Derived) -> Labels:
    changes = {NAME: chosen.names[derived.part]}
    if derived.bound:
        changes[_BOUND] = derived.bound
    return with_labels(chosen.series.labels, changes)


def _has_wanted_bound(labels: Labels, matchers: Sequence[Matcher]) -> bool:
    bound = label(labels, _BOUND)
    return all(m.holds([bound])[0] for m in matchers if m.name == _BOUND)


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


def _assembled(found: list[Points], meter: Meter) -> Samples:
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
