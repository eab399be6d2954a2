"""Remote-written series as PromQL asks for them: by label, then by number, then their samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from collector.promql.errors import TooManySamples
from collector.promql.labels import NAME, Labels
from collector.promql.limits import Meter
from collector.promql.matchers import EQUAL, Matcher, matching
from collector.promql.series import Floats, Ints
from collector.samples.decimals import from_decimals
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
    """Thread-safe: asks the store anew each time."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def points(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, meter: Meter
    ) -> list[Points]:
        """Series that meet all conditions with their samples in [start, end], by rising times."""
        labels = self._candidates(matchers, start_ms, end_ms, meter)
        if not labels:
            return []
        limit = meter.limits.max_samples
        table = self._store.query(
            """
            SELECT series_id, time_unix_ms AS time, mantissa, exponent FROM samples
            WHERE metric_id IN {metrics:Array(UInt32)} AND series_id IN {ids:Array(UInt32)}
              AND time_unix_ms >= {from:Int64} AND time_unix_ms <= {to:Int64}
            LIMIT {limit:UInt32}
            """,
            {
                "metrics": sorted({metric for metric, _ in labels.values()}),
                "ids": list(labels),
                "from": start_ms,
                "to": end_ms,
                "limit": min(limit, 2**31) + 1,
            },
        )
        if table.num_rows > limit:
            raise TooManySamples(
                "query processing would load too many samples into memory in query execution"
            )
        meter.hold(table.num_rows)
        return _by_series(table, {number: found for number, (_, found) in labels.items()})

    def label_sets(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, meter: Meter
    ) -> list[Labels]:
        """Label sets of the series that meet all conditions and have a sample in [start, end]."""
        return [found for _, found in self._candidates(matchers, start_ms, end_ms, meter).values()]

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

    def _candidates(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, meter: Meter
    ) -> dict[int, tuple[int, Labels]]:
        """Series number -> metric number and labels."""
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
        rows = table.to_pylist()
        labels: list[Labels] = [
            tuple(sorted(zip(map(text, row["names"]), map(text, row["label_values"]), strict=True)))
            for row in rows
        ]
        kept = matching(labels, matchers)
        meter.series(len(kept))
        return {int(rows[i]["series_id"]): (int(rows[i]["metric_id"]), labels[i]) for i in kept}


def _in_metric(index: int | None) -> str:
    if index is None:
        return ""
    return _OF_METRIC.format(index)


def _by_series(table: pa.Table, labels: dict[int, Labels]) -> list[Points]:
    series, times = integers(table["series_id"]), integers(table["time"])
    order = np.lexsort((times, series))
    series, times = series[order], times[order]
    values = from_decimals(integers(table["mantissa"])[order], integers(table["exponent"])[order])
    # A late sample may have come twice before its series was known to have it.
    is_new = np.concatenate(([True], (series[1:] != series[:-1]) | (times[1:] != times[:-1])))
    series, times, values = series[is_new], times[is_new], values[is_new]
    starts = np.flatnonzero(np.concatenate(([True], series[1:] != series[:-1])))
    ends = np.append(starts[1:], len(series))
    return [
        (labels[int(series[a])], times[a:b], values[a:b])
        for a, b in zip(starts.tolist(), ends.tolist(), strict=True)
        if b > a
    ]
