"""Which series the store holds, by their Prometheus names and labels.

What is known about a series never changes, so it is kept; which series there are is asked every
time, and a new one is seen at once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from collector.promql.labels import Labels
from collector.promql.otlp_labels import series_labels, target_info_labels
from collector.promql.otlp_names import metric_name, unit_word
from collector.promql.store_points import window
from collector.store.engine import Store
from collector.store.points import text, text_map

__all__ = ["NUMBERS", "Family", "KnownSeries", "SeriesIndex"]

#: Series kept in memory, about 1 KB each.
MAX_KNOWN_SERIES: Final = 50_000
_MS: Final = 1_000_000
#: The end of the store's time.
MAX_UNIX_MS: Final = (2**63 - 1) // _MS
#: Where OTLP points come into the store.
POINTS_LANDING: Final = "otlp_metrics_in"
NUMBERS: Final = frozenset({"gauge", "sum"})


@dataclass(frozen=True, slots=True)
class Family:
    """An OTLP metric, which appears under one Prometheus name or three."""

    metric: str
    kind: str
    unit: str
    temporality: str
    is_monotonic: bool

    @property
    def name(self) -> str:
        """The name that metadata goes by."""
        is_counter = self.kind == "sum" and self.is_monotonic
        return metric_name(
            self.metric, self.unit, is_counter=is_counter, is_gauge=self.kind == "gauge"
        )

    @property
    def type(self) -> str:
        """Prometheus' word for the kind."""
        if self.kind in NUMBERS:
            return "counter" if self.kind == "sum" and self.is_monotonic else "gauge"
        return "histogram"

    @property
    def unit_word(self) -> str:
        """The unit in words."""
        return unit_word(self.unit)

    def parts(self) -> Mapping[str, str]:
        """Names of the series it makes: name -> value, bucket, count or sum."""
        if self.kind in NUMBERS:
            return {self.name: "value"}
        return {f"{self.name}_{part}": part for part in ("bucket", "count", "sum")}


@dataclass(frozen=True, slots=True)
class KnownSeries:
    """A series of the store; ``labels`` without the name."""

    series_id: int
    family: Family
    labels: Labels
    target_info: Labels


class SeriesIndex:
    """Asks the store for families and series. Thread-safe."""

    def __init__(self, store: Store, promoted: Sequence[str], size: int = MAX_KNOWN_SERIES) -> None:
        self._store = store
        self._promoted = tuple(promoted)
        self._size = size
        self._lock = threading.Lock()
        self._known: OrderedDict[int, KnownSeries] = OrderedDict()
        self._families: tuple[int, list[Family]] = (-1, [])

    def all_families(self) -> list[Family]:
        """Metrics with a series, whenever heard; asked anew only after points came in."""
        # Read first: what comes in while the store is asked is looked at next time.
        inserts = self._store.inserts(POINTS_LANDING)
        with self._lock:
            seen, families = self._families
        if seen != inserts:
            families = self.families(-MAX_UNIX_MS, MAX_UNIX_MS)
            with self._lock:
                self._families = max(self._families, (inserts, families), key=lambda pair: pair[0])
        return families

    def families(self, start_ms: int, end_ms: int) -> list[Family]:
        """Metrics with a series heard in [start, end], in order of their names."""
        table = self._store.query(
            """
            SELECT metric_name, kind, unit, temporality, is_monotonic
            FROM series
            WHERE last_seen_unix_nano >= {from:Int64} AND first_seen_unix_nano < {to:Int64}
              AND kind != 'summary'
            GROUP BY metric_name, kind, unit, temporality, is_monotonic
            ORDER BY metric_name, kind, unit, temporality, is_monotonic
            """,
            window(start_ms, end_ms),
        )
        return [
            Family(
                text(row["metric_name"]),
                text(row["kind"]),
                text(row["unit"]),
                text(row["temporality"]),
                bool(row["is_monotonic"]),
            )
            for row in table.to_pylist()
        ]

    def series(
        self, families: Iterable[Family], start_ms: int, end_ms: int, *, limit: int
    ) -> list[KnownSeries]:
        """Series of the families heard in [start, end], ``limit`` + 1 at most."""
        wanted = set(families)
        names = sorted({family.metric for family in wanted})
        if not names:
            return []
        table = self._store.query(
            """
            SELECT DISTINCT series_id FROM series
            WHERE metric_name IN {names:Array(String)}
              AND last_seen_unix_nano >= {from:Int64} AND first_seen_unix_nano < {to:Int64}
            ORDER BY series_id LIMIT {limit:UInt32}
            """,
            {**window(start_ms, end_ms), "names": names, "limit": limit + 1},
        )
        ids: list[int] = table["series_id"].to_pylist()
        return [series for series in self._find(names, ids) if series.family in wanted]

    def targets(self, start_ms: int, end_ms: int) -> dict[Labels, tuple[int, int]]:
        """``target_info`` label sets and when (ms) the target was first and last heard."""
        table = self._store.query(
            """
            SELECT resource, min(first_seen_unix_nano) AS first, max(last_seen_unix_nano) AS last
            FROM series
            WHERE last_seen_unix_nano >= {from:Int64} AND first_seen_unix_nano < {to:Int64}
            GROUP BY resource
            """,
            window(start_ms, end_ms),
        )
        found: dict[Labels, tuple[int, int]] = {}
        for row in table.to_pylist():
            labels = target_info_labels(text_map(row["resource"]))
            if labels:
                first, last = row["first"] // _MS, row["last"] // _MS
                known = found.get(labels, (first, last))
                found[labels] = (min(known[0], first), max(known[1], last))
        return found

    def _find(self, names: Sequence[str], ids: Sequence[int]) -> list[KnownSeries]:
        with self._lock:
            found = {}
            for series_id in ids:
                series = self._known.get(series_id)
                if series is not None:
                    self._known.move_to_end(series_id)
                    found[series_id] = series
        missing = [series_id for series_id in ids if series_id not in found]
        if missing:
            loaded = self._load(names, missing)
            found.update(loaded)
            with self._lock:
                self._known.update(loaded)
                while len(self._known) > self._size:
                    self._known.popitem(last=False)
        return [found[series_id] for series_id in ids if series_id in found]

    def _load(self, names: Sequence[str], ids: Sequence[int]) -> dict[int, KnownSeries]:
        table = self._store.query(
            """
            SELECT series_id, any(metric_name) AS metric, any(kind) AS kind, any(unit) AS unit,
                   any(temporality) AS temporality, any(is_monotonic) AS is_monotonic,
                   any(resource) AS resource, any(attributes) AS attributes
            FROM series
            WHERE metric_name IN {names:Array(String)} AND series_id IN {ids:Array(UInt64)}
            GROUP BY series_id
            """,
            {"names": names, "ids": ids},
        )
        return {row["series_id"]: self._known_series(row) for row in table.to_pylist()}

    def _known_series(self, row: dict[str, Any]) -> KnownSeries:
        resource = text_map(row["resource"])
        family = Family(
            text(row["metric"]),
            text(row["kind"]),
            text(row["unit"]),
            text(row["temporality"]),
            bool(row["is_monotonic"]),
        )
        attributes = text_map(row["attributes"])
        return KnownSeries(
            int(row["series_id"]),
            family,
            series_labels(attributes, resource, self._promoted),
            target_info_labels(resource),
        )
