"""Remote-written series as PromQL asks for them: by label, then by number, then their samples.

Labels are looked up in memory; with more series than are kept there, in the store's own index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from collector.promql.errors import TooManySamples
from collector.promql.labels import NAME, Labels
from collector.promql.limits import Meter
from collector.promql.matchers import EQUAL, Matcher, matching
from collector.promql.sample_series import MAX_INDEXED_SERIES, Found, SampleSeries, labelled
from collector.promql.series import Floats, Ints
from collector.samples.decimals import from_decimals
from collector.store.bind import Parameter
from collector.store.engine import Store
from collector.store.points import integers, text

__all__ = ["SampleSource"]

Points = tuple[Labels, Ints, Floats]
#: Conditions with the number of the matcher whose name and value are bound.
_HAS_LABEL: Final = (
    "series_id IN (SELECT series_id FROM sample_labels "
    "WHERE name = {{name{0}:String}} AND value = {{value{0}:String}})"
)
_OF_METRIC: Final = (
    "AND metric_id IN (SELECT metric_id FROM sample_series WHERE metric_name = {{value{0}:String}})"
)


class SampleSource:
    """Thread-safe."""

    def __init__(self, store: Store, max_indexed_series: int = MAX_INDEXED_SERIES) -> None:
        self._store = store
        self._series = SampleSeries(store, max_indexed_series)

    def points(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, meter: Meter
    ) -> list[Points]:
        """Series that meet all conditions with their samples in [start, end], by rising times."""
        found = self._series.find(matchers, meter.limits.max_series)
        if found is None:
            found = self._candidates(matchers, start_ms, end_ms)
            meter.series(len(found.labels))
        if not found.labels:
            return []
        limit = meter.limits.max_samples
        table = self._store.query(
            f"""
            SELECT series_id, time_unix_ms AS time, mantissa, exponent FROM samples
            WHERE {_of(found)}
              AND time_unix_ms >= {{from:Int64}} AND time_unix_ms <= {{to:Int64}}
            LIMIT {{limit:UInt32}}
            """,  # noqa: S608 - constant text, values are bound
            {**_bound(found, start_ms, end_ms), "limit": min(limit, 2**31) + 1},
        )
        if table.num_rows > limit:
            raise TooManySamples(
                "query processing would load too many samples into memory in query execution"
            )
        meter.hold(table.num_rows)
        return _by_series(table, found.labels)

    def label_sets(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, meter: Meter
    ) -> list[Labels]:
        """Label sets of the series that meet all conditions and have a sample in [start, end]."""
        found = self._series.find(matchers, meter.limits.max_series)
        if found is None:
            found = self._candidates(matchers, start_ms, end_ms)
            meter.series(len(found.labels))
            return list(found.labels.values())
        if not found.labels:
            return []
        table = self._store.query(
            f"""
            SELECT DISTINCT series_id FROM samples
            WHERE {_of(found)}
              AND time_unix_ms >= {{from:Int64}} AND time_unix_ms <= {{to:Int64}}
            """,  # noqa: S608 - constant text, values are bound
            _bound(found, start_ms, end_ms),
        )
        # A series may have come between the two questions.
        numbers = [n for n in table["series_id"].to_pylist() if n in found.labels]
        return [found.labels[number] for number in numbers]

    def metric_names(self, start_ms: int, end_ms: int) -> list[str]:
        """Metrics with a sample in [start, end]."""
        table = self._store.query(
            """
            SELECT DISTINCT metric_name FROM sample_series WHERE metric_id IN
            (
                SELECT DISTINCT metric_id FROM samples
                WHERE time_unix_ms >= {from:Int64} AND time_unix_ms <= {to:Int64}
            )
            ORDER BY metric_name
            """,
            {"from": start_ms, "to": end_ms},
        )
        return [text(row["metric_name"]) for row in table.to_pylist()]

    def _candidates(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Found:
        """As the memory says it, but of series with a sample in [start, end] only."""
        # Equality narrows down in the index; whatever else is asked is decided on the labels.
        equal = [m for m in matchers if m.operator == EQUAL and m.value]
        conditions = " AND ".join(map(_HAS_LABEL.format, range(len(equal))))
        bound: dict[str, str | int] = {"from": start_ms, "to": end_ms}
        for index, matcher in enumerate(equal):
            bound[f"name{index}"], bound[f"value{index}"] = matcher.name, matcher.value
        by_metric = next((i for i, m in enumerate(equal) if m.name == NAME), None)
        # The table is sorted by the metric's name.
        named = "" if by_metric is None else f"metric_name = {{value{by_metric}:String}} AND "
        table = self._store.query(
            f"""
            SELECT DISTINCT series_id, metric_id, names, label_values FROM sample_series
            WHERE {named} {conditions or "1"} AND (metric_id, series_id) IN
            (
                SELECT DISTINCT metric_id, series_id FROM samples
                WHERE time_unix_ms >= {{from:Int64}} AND time_unix_ms <= {{to:Int64}}
                {_in_metric(by_metric)}
            )
            """,  # noqa: S608 - constant text, values are bound
            bound,
        )
        rows = list(labelled(table))
        kept = [rows[i] for i in matching([labels for _, _, labels in rows], matchers)]
        return Found(
            {number: labels for number, _, labels in kept},
            sorted({metric for _, metric, _ in kept}),
            is_whole=False,
        )


def _of(found: Found) -> str:
    if found.is_whole:
        return "metric_id IN {metrics:Array(UInt32)}"
    return "metric_id IN {metrics:Array(UInt32)} AND series_id IN {ids:Array(UInt32)}"


def _bound(found: Found, start_ms: int, end_ms: int) -> dict[str, Parameter]:
    ids = {} if found.is_whole else {"ids": list(found.labels)}
    return {"metrics": found.metrics, "from": start_ms, "to": end_ms, **ids}


def _in_metric(index: int | None) -> str:
    if index is None:
        return ""
    return _OF_METRIC.format(index)


def _order(series: Ints, times: Ints) -> Ints:
    """By series, then by time.

    Each part of the store comes sorted, which a sort by one key makes use of.
    """
    span = int(times.max() - times.min()) + 1
    if (int(series.max()) + 1) * span >= 2**63:
        return np.lexsort((times, series)).astype(np.int64)
    return np.argsort(series * span + (times - times.min()), kind="stable").astype(np.int64)


def _by_series(table: pa.Table, labels: dict[int, Labels]) -> list[Points]:
    if not table.num_rows:
        return []
    series, times = integers(table["series_id"]), integers(table["time"])
    order = _order(series, times)
    series, times = series[order], times[order]
    values = from_decimals(integers(table["mantissa"])[order], integers(table["exponent"])[order])
    # A late sample may have come twice before its series was known to have it.
    is_new = np.concatenate(([True], (series[1:] != series[:-1]) | (times[1:] != times[:-1])))
    series, times, values = series[is_new], times[is_new], values[is_new]
    starts = np.flatnonzero(np.concatenate(([True], series[1:] != series[:-1])))
    ends = np.append(starts[1:], len(series))
    # A series may have come between the two questions.
    return [
        (labels[number], times[a:b], values[a:b])
        for number, a, b in zip(
            series[starts].tolist(), starts.tolist(), ends.tolist(), strict=True
        )
        if number in labels
    ]
