"""Segments of samples into the store: rows of new series first, then the samples, exactly once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from collector.model import Signal
from collector.pipeline.recent import digest
from collector.samples.decimals import from_decimals, to_decimals
from collector.samples.decode import Batch, decode
from collector.samples.intake import DecodedBatches
from collector.samples.labels import NAME
from collector.samples.native import block
from collector.samples.series_book import NewSeries, SeriesBook
from collector.samples.snappy import decompress_block
from collector.store.engine import InsertResult, Store
from collector.store.errors import PoisonedSegment, StoreUnavailable
from collector.store.points import integers
from collector.wal import frames
from collector.wire.errors import WireError

#: Rows of new series in one insert.
SERIES_BATCH: Final = 50_000
#: Rows in one answer at start.
LOAD_BATCH: Final = 250_000
#: Series whose newest sample is older than this, counted from the newest of all, start anew.
NEWEST_WINDOW_MS: Final = 600_000
#: Lengths are below 2^14: see collector.samples.labels.
_SIZE: Final = "if({0} < 128, char({0}), char({0} % 128 + 128, intDiv({0}, 128)))"
#: The spelling of collector.samples.labels, made by the engine: a tenth of the time it takes here.
_SERIES_SQL: Final = f"""
    SELECT
        series_id,
        metric_id,
        arrayStringConcat(arrayMap(
            pair -> concat('\\n', {_SIZE.format("length(pair)")}, pair),
            arrayMap(
                (n, v) -> concat(
                    '\\n', {_SIZE.format("length(n)")}, n, '\\x12', {_SIZE.format("length(v)")}, v
                ),
                names,
                label_values
            )
        )) AS spelling
    FROM sample_series WHERE series_id >= {{first:UInt32}} AND series_id < {{behind:UInt32}}
"""  # noqa: S608 - constant text


class SampleStore:
    """Used by the store's writer alone."""

    def __init__(
        self, store: Store, book: SeriesBook, decoded: DecodedBatches, max_body_bytes: int
    ) -> None:
        self._store = store
        self._book = book
        self._decoded = decoded
        self._max_body_bytes = max_body_bytes

    def load_series(self) -> None:
        """Fill the book with what earlier lives wrote."""
        (found,) = self._rows("SELECT count() AS n, max(series_id) AS last FROM sample_series")
        if not found["n"]:
            return
        metrics = self._rows("SELECT DISTINCT metric_name, metric_id FROM sample_series")
        self._book.load_metrics({row["metric_name"]: row["metric_id"] for row in metrics})
        for first in range(0, found["last"] + 1, LOAD_BATCH):
            table = self._store.query(_SERIES_SQL, {"first": first, "behind": first + LOAD_BATCH})
            self._book.load(
                integers(table["series_id"]),
                integers(table["metric_id"]),
                table["spelling"].to_pylist(),
            )
        self._load_newest()

    def _load_newest(self) -> None:
        """What each series had last: a sender whose answer was cut off comes again with it."""
        (found,) = self._rows("SELECT count() AS n, max(time_unix_ms) AS last FROM samples")
        if not found["n"]:
            return
        table = self._store.query(
            """
            SELECT
                series_id,
                max(time_unix_ms) AS time,
                argMax(mantissa, time_unix_ms) AS mantissa,
                argMax(exponent, time_unix_ms) AS exponent
            FROM samples WHERE time_unix_ms >= {since:Int64} GROUP BY series_id
            """,
            {"since": found["last"] - NEWEST_WINDOW_MS},
        )
        values = from_decimals(integers(table["mantissa"]), integers(table["exponent"]))
        self._book.acknowledged(integers(table["series_id"]), integers(table["time"]), values)

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._store.query(sql).to_pylist()
        return rows

    def insert_segment(self, path: Path, signal: Signal, token: str) -> InsertResult:
        """As Store.insert_segment, which takes all other signals."""
        if signal is not Signal.SAMPLES:
            return self._store.insert_segment(path, signal, token)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StoreUnavailable(f"cannot read {path}: {error.strerror}") from error
        found = [self._batch(key, body) for key, body in _bodies(data)]
        if not sum(len(batch) for batch in found):
            return InsertResult(rows=0)
        rows = self._insert(found, path, token)
        for key, _ in _bodies(data):
            self._decoded.forget(key)
        return InsertResult(rows=rows)

    def _batch(self, key: bytes, body: bytes) -> Batch:
        kept = self._decoded.get(key)
        if kept is not None:
            return kept
        try:
            plain = decompress_block(body, max_bytes=self._max_body_bytes)
            batch = decode(plain, self._book, is_replay=True)
        except WireError as error:
            raise PoisonedSegment(f"a body in the log cannot be read: {error}") from error
        self._book.acknowledged(batch.ids, batch.times_ms, batch.values)
        return batch

    def _insert(self, batches: list[Batch], path: Path, token: str) -> int:
        self._describe(path)
        ids = np.concatenate([batch.ids for batch in batches])
        mantissas, exponents = to_decimals(np.concatenate([batch.values for batch in batches]))
        times = np.concatenate([batch.times_ms for batch in batches])
        columns = (
            ("metric_id", self._book.metric_ids(ids).astype(np.uint32)),
            ("series_id", ids.astype(np.uint32)),
            ("time_unix_ms", times.astype(np.int64)),
            ("mantissa", mantissas),
            ("exponent", exponents),
        )
        self._store.insert_block("samples", block(columns, len(ids)), path, token)
        return len(ids)

    def _describe(self, path: Path) -> None:
        """Write the rows that are missing; the same row twice is one (ReplacingMergeTree)."""
        missing = self._book.undescribed()
        for first in range(0, len(missing), SERIES_BATCH):
            series = missing[first : first + SERIES_BATCH]
            self._store.insert_block("sample_series", _series_block(series), path, None)
            self._book.described(series)


def _series_block(series: list[NewSeries]) -> bytes:
    labels = [one.labels for one in series]
    columns = (
        ("metric_name", [dict(pairs)[NAME] for pairs in labels]),
        ("metric_id", np.array([one.metric_id for one in series], dtype=np.uint32)),
        ("series_id", np.array([one.series_id for one in series], dtype=np.uint32)),
        ("names", [[name for name, _ in pairs] for pairs in labels]),
        ("label_values", [[value for _, value in pairs] for pairs in labels]),
    )
    return block(columns, len(series))


def _bodies(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    for frame in frames.read(data).frames:
        body = data[frame.start + frames.HEADER_BYTES : frame.end]
        yield digest(Signal.SAMPLES, body), body
