"""The labels of all stored series in memory, following the store."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from collector.promql.label_index import LabelIndex
from collector.promql.labels import Labels
from collector.promql.matchers import Matcher
from collector.store.engine import Store
from collector.store.points import text

__all__ = ["Found", "SampleSeries"]

#: Series kept in memory, 0.34 KB each with eight labels; of more, the store is asked every time.
MAX_INDEXED_SERIES: Final = 200_000
#: Rows in one answer of the store.
LOAD_BATCH: Final = 50_000
TABLE: Final = "sample_series"


@dataclass(frozen=True, slots=True)
class Found:
    """Series that meet the conditions of a selector, whether they have samples or not."""

    #: Number of a series -> its labels.
    labels: dict[int, Labels]
    metrics: list[int]
    #: Whether these are all series that their metrics have.
    is_whole: bool


class SampleSeries:
    """Thread-safe.

    The writer adds the row of a series before any sample that names it, numbers rise, and no row
    ever changes or goes (retention drops samples). So what is missing here are the numbers above
    the highest known, and only if rows were inserted since.
    """

    def __init__(self, store: Store, max_series: int = MAX_INDEXED_SERIES) -> None:
        self._store = store
        self._max_series = max_series
        self._lock = threading.Lock()
        self._index: LabelIndex | None = LabelIndex()
        self._next = 0
        #: Inserts into the table that the index knows of.
        self._seen = -1

    def find(self, matchers: Sequence[Matcher], limit: int) -> Found | None:
        """Series for which every condition holds; None if they, or all series, are too many.

        Raises StoreError.
        """
        with self._lock:
            index = self._followed()
            if index is None:
                return None
            numbers = index.find(matchers)
            if len(numbers) > limit:
                return None
            found = numbers.tolist()
            left = index.metrics(found)
            return Found(
                {number: index.labels(number) for number in found},
                sorted(left),
                not any(left.values()),
            )

    def _followed(self) -> LabelIndex | None:
        """The index, up to date; None once there are too many series for it."""
        # Read before the rows: what comes in meanwhile is looked at next time.
        inserts = self._store.inserts(TABLE)
        if self._index is None or inserts == self._seen:
            return self._index
        table = self._store.query(
            "SELECT if(count() = 0, 0, max(series_id) + 1) AS behind FROM sample_series"
        )
        end = int(table["behind"][0].as_py())
        # Numbers are dense, so this is how many there are.
        if end > self._max_series:
            self._index = None
            return None
        while self._next < end:
            behind = min(self._next + LOAD_BATCH, end)
            for number, metric, labels in self._rows(self._next, behind):
                self._index.add(number, metric, labels)
            self._next = behind
        self._seen = inserts
        return self._index

    def _rows(self, first: int, behind: int) -> Iterator[tuple[int, int, Labels]]:
        table = self._store.query(
            """
            SELECT series_id, metric_id, names, label_values FROM sample_series
            WHERE series_id >= {first:UInt32} AND series_id < {behind:UInt32}
            ORDER BY series_id
            """,
            {"first": first, "behind": behind},
        )
        return labelled(table)


def labelled(table: pa.Table) -> Iterator[tuple[int, int, Labels]]:
    """Number, metric and labels of each row."""
    known: dict[Any, str] = {}

    def word(raw: Any) -> str:
        found = known.get(raw)
        if found is None:
            found = known[raw] = text(raw)
        return found

    for number, metric, names, values in zip(
        table["series_id"].to_pylist(),
        table["metric_id"].to_pylist(),
        table["names"].to_pylist(),
        table["label_values"].to_pylist(),
        strict=True,
    ):
        labels = sorted(zip(map(word, names), map(word, values), strict=True))
        yield int(number), int(metric), tuple(labels)
