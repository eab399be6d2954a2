"""Questions to the store about metrics: which series there are, and their points.

A series never changes after its first point, so what is known about one is kept in memory; only
which series match is asked again every time, and a new series is seen at once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.store.bind import Parameter
from collector.store.engine import Store
from collector.store.reader import Match, Window

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: Series kept in memory, about 1 KB each.
SERIES_CACHE_SIZE: Final = 50_000
#: Data point flag: the series ended, there is no value (OTLP ``FLAG_NO_RECORDED_VALUE``).
FLAG_NO_RECORDED_VALUE: Final = 1


@dataclass(frozen=True, slots=True)
class Series:
    """What identifies a stream of points."""

    series_id: int
    kind: str
    unit: str
    temporality: str
    is_monotonic: bool
    resource: dict[str, str]
    attributes: dict[str, str]

    def attribute(self, key: str) -> str:
        """The point's attribute, else the resource's, else ``""``."""
        return self.attributes.get(key) or self.resource.get(key, "")


class SeriesCache:
    """Series by id, the least recently asked leave first. Thread-safe."""

    def __init__(self, size: int = SERIES_CACHE_SIZE) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._known: OrderedDict[int, Series] = OrderedDict()

    def find(self, store: Store, metric: str, ids: Sequence[int]) -> dict[int, Series]:
        """The series of ``ids``; those not known yet are read from the store in one query."""
        with self._lock:
            found = {}
            for series_id in ids:
                series = self._known.get(series_id)
                if series is not None:
                    self._known.move_to_end(series_id)
                    found[series_id] = series
        missing = [series_id for series_id in ids if series_id not in found]
        if missing:
            loaded = _load_series(store, metric, missing)
            found.update(loaded)
            with self._lock:
                self._known.update(loaded)
                while len(self._known) > self._size:
                    self._known.popitem(last=False)
        return found


def metrics(store: Store, window: Window) -> pa.Table:
    """name, kind, unit, temporality, series_count of metrics with points in the window."""
    return store.query(
        """
        SELECT metric_name, kind, unit, temporality, uniqExact(series_id) AS series_count
        FROM series
        WHERE last_seen_unix_nano >= {from:Int64} AND first_seen_unix_nano < {to:Int64}
        GROUP BY metric_name, kind, unit, temporality
        ORDER BY metric_name, kind, unit, temporality
        """,
        window.parameters(),
    )


def series_ids(
    store: Store, metric: str, window: Window, matches: Sequence[Match], *, limit: int
) -> list[int]:
    """Ids of the metric's series that match, heard at or after ``window``'s start; sorted."""
    conditions = [
        "metric_name = {metric:String}",
        "last_seen_unix_nano >= {from:Int64}",
    ]
    parameters: dict[str, Parameter] = {**window.parameters(), "metric": metric, "limit": limit}
    for index, match in enumerate(matches):
        operator = "!=" if match.is_negated else "="
        conditions.append(
            f"if(attributes[{{key{index}:String}}] != '', attributes[{{key{index}:String}}], "
            f"resource[{{key{index}:String}}]) {operator} {{value{index}:String}}"
        )
        parameters[f"key{index}"] = match.key
        parameters[f"value{index}"] = match.value
    table = store.query(
        f"""
        SELECT DISTINCT series_id FROM series
        WHERE {" AND ".join(conditions)}
        ORDER BY series_id LIMIT {{limit:UInt32}}
        """,  # noqa: S608 - conditions are constants, values are bound
        parameters,
    )
    ids: list[int] = table["series_id"].to_pylist()
    return ids


def _load_series(store: Store, metric: str, ids: Sequence[int]) -> dict[int, Series]:
    table = store.query(
        """
        SELECT series_id, any(kind) AS kind, any(unit) AS unit, any(temporality) AS temporality,
               any(is_monotonic) AS is_monotonic, any(resource) AS resource,
               any(attributes) AS attributes
        FROM series
        WHERE metric_name = {metric:String} AND series_id IN {ids:Array(UInt64)}
        GROUP BY series_id
        """,
        {"metric": metric, "ids": ids},
    )
    return {
        row["series_id"]: Series(
            series_id=row["series_id"],
            kind=text(row["kind"]),
            unit=text(row["unit"]),
            temporality=text(row["temporality"]),
            is_monotonic=bool(row["is_monotonic"]),
            resource=text_map(row["resource"]),
            attributes=text_map(row["attributes"]),
        )
        for row in table.to_pylist()
    }


_COLUMNS: Final = {
    "number_points": "value",
    "histogram_points": "count, sum, counts, bounds",
    "exponential_points": (
        "count, sum, scale, zero_count, zero_threshold, positive_offset, positive_counts, "
        "negative_counts"
    ),
}


def points(
    store: Store, table: str, ids: Sequence[int], window: Window, *, look_back_ns: int
) -> pa.Table:
    """Points of the series inside the window, plus each one's last point before it.

    That last point, at most ``look_back_ns`` old, is what a cumulative stream is differenced
    against. ``table`` is a key of the table of columns above. Sorted by nothing.
    """
    columns = f"series_id, time_unix_nano, start_unix_nano, {_COLUMNS[table]}"
    known = "series_id IN {ids:Array(UInt64)} AND bitAnd(flags, 1) = 0"
    return store.query(
        f"""
        SELECT {columns} FROM {table}
        WHERE {known} AND time_unix_nano >= {{from:Int64}} AND time_unix_nano < {{to:Int64}}
        UNION ALL
        SELECT {columns} FROM
        (
            SELECT {columns} FROM {table}
            WHERE {known}
              AND time_unix_nano >= {{anchor_from:Int64}} AND time_unix_nano < {{from:Int64}}
            ORDER BY series_id DESC, time_unix_nano DESC LIMIT 1 BY series_id
        )
        """,  # noqa: S608 - names come from _COLUMNS, values are bound
        {
            **window.parameters(),
            "ids": ids,
            "anchor_from": window.from_unix_nano - look_back_ns,
        },
    )


def points_since_last(
    store: Store, table: str, ids: Sequence[int], window: Window, *, look_back_ns: int
) -> pa.Table:
    """The same, and of a series not heard for longer the last point before, however old.

    A second question, asked only while there is such a series.
    """
    found = points(store, table, ids, window, look_back_ns=look_back_ns)
    heard = found["series_id"].combine_chunks().to_numpy(zero_copy_only=False)
    is_before = integers(found["time_unix_nano"]) < window.from_unix_nano
    alone = np.setdiff1d(heard, heard[is_before]).tolist()
    if not alone:
        return found
    older = store.query(
        f"""
        SELECT series_id, time_unix_nano, start_unix_nano, {_COLUMNS[table]} FROM {table}
        WHERE series_id IN {{ids:Array(UInt64)}} AND bitAnd(flags, 1) = 0
          AND time_unix_nano < {{before:Int64}}
        ORDER BY series_id DESC, time_unix_nano DESC LIMIT 1 BY series_id
        """,  # noqa: S608 - names come from _COLUMNS, values are bound
        {"ids": alone, "before": window.from_unix_nano - look_back_ns},
    )
    return pa.concat_tables([found, older])


def integers(column: pa.ChunkedArray) -> Ints:
    """A column as int64; ids above 2**63 wrap, which keeps them distinct."""
    return np.asarray(column.combine_chunks().to_numpy(zero_copy_only=False)).astype(np.int64)


def floats(column: pa.ChunkedArray) -> Floats:
    """A column as float64."""
    return np.asarray(column.combine_chunks().to_numpy(zero_copy_only=False)).astype(np.float64)


def ragged(column: pa.ChunkedArray) -> tuple[Floats, Ints]:
    """A list column as (flat values, row starts of length n + 1)."""
    lists = column.combine_chunks()
    starts = lists.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
    flat = lists.values.to_numpy(zero_copy_only=False).astype(np.float64)
    return flat[starts[0] : starts[-1]] if len(starts) else flat, starts - starts[:1]


def text(raw: bytes | str) -> str:
    """Text of a sender; what is not UTF-8 is shown as the replacement character."""
    return raw if isinstance(raw, str) else raw.decode("utf-8", "replace")


def text_map(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """An engine map as a dictionary of text."""
    return {text(key): text(value) for key, value in pairs}
