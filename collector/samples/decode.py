"""A remote-write request as arrays: series numbers, times, values.

The usual series is labels and one sample of fixed shape, 18 bytes at the end: value (field 1,
double), time (field 2, a varint of six bytes from 1971 to 2109). A body that repeats what was sent
before is read in stretches (runs.py). Of others, labels are looked up as they were sent, and all
samples of a body are read at once. Whatever looks different takes the slow way, series by series.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from google.protobuf.message import DecodeError

from collector.samples.bounds import Bounds
from collector.samples.labels import BadLabelsError, Pairs, checked, spelled, varint
from collector.samples.messages import RawRequest, Request2, Series
from collector.samples.runs import TAIL_BYTES, Runs
from collector.samples.series_book import Floats, Ints, SeriesBook
from collector.wire.errors import Malformed, TooLarge
from collector.wire.fields import MAX_FIELDS, require_few_fields
from collector.wire.reasons import Reason

_SERIES_TAG: Final = b"\x0a"
#: Messages inside messages are not counted before they are parsed, at up to 80 bytes for every two
#: of a hostile body; a hundred thousand samples fit.
MAX_SECOND_BYTES: Final = 4 * 1024 * 1024
_WEIGHTS: Final = np.int64(1) << (7 * np.arange(6, dtype=np.int64))


class _UnusualError(Exception):
    """A series ends in a usual sample, but has more than that one."""


@dataclass(frozen=True, slots=True)
class Batch:
    """``rows[i]`` is the sample of series ``ids[i]``; what was refused beside it."""

    ids: Ints
    times_ms: Ints
    values: Floats
    rejected: Mapping[Reason, int]

    def __len__(self) -> int:
        return len(self.ids)

    def where(self, kept: Any, rejected: Mapping[Reason, int]) -> Batch:
        """The rows of a mask, with more rejections."""
        together = Counter(self.rejected) + Counter(rejected)
        return Batch(self.ids[kept], self.times_ms[kept], self.values[kept], together)


def decode(
    plain: bytes,
    book: SeriesBook,
    *,
    runs: Runs | None = None,
    bounds: Bounds | None = None,
    max_samples: int | None = None,
    is_replay: bool = False,
) -> Batch:
    """A ``prometheus.WriteRequest``. Raises Malformed or TooLarge.

    ``runs``: what was read before, which makes the usual body cheap. ``bounds``: a series gets no
    number for samples outside of them alone. ``is_replay``: it was acknowledged before, so no limit
    on series holds.
    """
    read = None if runs is None else runs.read(plain, book)
    if read is not None:
        if max_samples is not None and len(read.ids) > max_samples:
            raise TooLarge(f"{len(read.ids)} series in one request, the limit is {max_samples}")
        return Batch(read.ids, read.times_ms, read.values, {})
    # A field at the top begins with this byte, so there are no more fields than such bytes.
    if plain.count(_SERIES_TAG) > MAX_FIELDS:
        require_few_fields(plain)
    try:
        series: list[bytes] = list(RawRequest.FromString(plain).timeseries)
    except DecodeError as error:
        raise Malformed(f"the body is no prometheus.WriteRequest: {error}") from error
    if max_samples is not None and len(series) > max_samples:
        raise TooLarge(f"{len(series)} series in one request, the limit is {max_samples}")
    tails = b"".join([one[-TAIL_BYTES:] for one in series])
    if len(tails) == TAIL_BYTES * len(series):
        table = np.frombuffer(tails, np.uint8).reshape(-1, TAIL_BYTES)
        if _is_usual(table):
            with contextlib.suppress(_UnusualError):
                batch = _usual(series, table, book, bounds, is_replay=is_replay)
                if runs is not None and not batch.rejected:
                    runs.remember(plain, [len(one) for one in series], batch.ids)
                return batch
    return _unusual(series, book, bounds, max_samples, is_replay=is_replay)


def _is_usual(table: Any) -> bool:
    fits = (
        (table[:, 0] == 0x12)
        & (table[:, 1] == 16)
        & (table[:, 2] == 0x09)
        & (table[:, 11] == 0x10)
        & (table[:, 17] < 0x80)
        & (table[:, 12:17] >= 0x80).all(axis=1)
    )
    return bool(fits.all())


def _usual(
    series: list[bytes], table: Any, book: SeriesBook, bounds: Bounds | None, *, is_replay: bool
) -> Batch:
    ids = book.known([one[:-TAIL_BYTES] for one in series])
    values = np.ascontiguousarray(table[:, 3:11]).view("<f8").ravel()
    times_ms = ((table[:, 12:18] & 0x7F).astype(np.int64) * _WEIGHTS).sum(axis=1)
    rejected: Counter[Reason] = Counter()
    if None in ids:
        for index, number in enumerate(ids):
            if number is None:
                reason = bounds.reason(int(times_ms[index])) if bounds else None
                found = _number_of(series[index], book, reason, is_replay=is_replay)
                if isinstance(found, Reason):
                    rejected[found] += 1
                    found = -1
                ids[index] = found
    batch = Batch(np.array(ids, dtype=np.int64), times_ms, values, rejected)
    return batch.where(batch.ids >= 0, {}) if rejected else batch


def _number_of(
    encoded: bytes, book: SeriesBook, reason: Reason | None, *, is_replay: bool
) -> int | Reason:
    """The series' number, or why it has none: ``reason`` if there is one already.

    Raises _UnusualError: more than it looked like.
    """
    parsed = _parsed(encoded)
    if len(parsed.samples) != 1 or parsed.exemplars or parsed.histograms:
        raise _UnusualError
    if reason is not None:
        return reason
    try:
        return book.number(encoded[:-TAIL_BYTES], _pairs(parsed), is_limited=not is_replay)
    except BadLabelsError as error:
        return error.reason


def _unusual(
    series: list[bytes],
    book: SeriesBook,
    bounds: Bounds | None,
    max_samples: int | None,
    *,
    is_replay: bool,
) -> Batch:
    ids: list[int] = []
    times: list[int] = []
    values: list[float] = []
    rejected: Counter[Reason] = Counter()
    for encoded in series:
        parsed = _parsed(encoded)
        rejected[Reason.NATIVE_HISTOGRAM] += len(parsed.histograms)
        if not parsed.samples:
            continue
        reasons = [bounds.reason(one.timestamp) for one in parsed.samples] if bounds else [None]
        if None not in reasons:
            rejected.update(reason for reason in reasons if reason)
            continue
        try:
            pairs = _pairs(parsed)
            number = book.number(spelled(checked(pairs)), pairs, is_limited=not is_replay)
        except BadLabelsError as error:
            rejected[error.reason] += len(parsed.samples)
            continue
        for sample in parsed.samples:
            ids.append(number)
            times.append(sample.timestamp)
            values.append(sample.value)
        if max_samples is not None and len(ids) > max_samples:
            raise TooLarge(f"over {max_samples} samples in one request, which is the limit")
    return Batch(
        np.array(ids, dtype=np.int64),
        np.array(times, dtype=np.int64),
        np.array(values, dtype=np.float64),
        +rejected,
    )


def _parsed(encoded: bytes) -> Any:
    require_few_fields(encoded)
    try:
        return Series.FromString(encoded)
    except DecodeError as error:
        raise Malformed(f"a series is no prometheus.TimeSeries: {error}") from error


def _pairs(parsed: Any) -> list[tuple[bytes, bytes]]:
    return [(label.name, label.value) for label in parsed.labels]


def first_version(plain: bytes, *, max_samples: int) -> tuple[bytes, Mapping[Reason, int]]:
    """An ``io.prometheus.write.v2.Request`` as a WriteRequest, and what is refused of it.

    Raises Malformed or TooLarge. References outside of the symbols make the request malformed, as
    the specification asks.
    """
    if len(plain) > MAX_SECOND_BYTES:
        raise TooLarge(f"a 2.0 request has {MAX_SECOND_BYTES} bytes decompressed at most")
    try:
        request = Request2.FromString(plain)
    except DecodeError as error:
        raise Malformed(f"the body is no io.prometheus.write.v2.Request: {error}") from error
    symbols: list[bytes] = list(request.symbols)
    if symbols and symbols[0] != b"":
        raise Malformed("the first symbol must be empty")
    parts: list[bytes] = []
    rejected: Counter[Reason] = Counter()
    count = 0
    for series in request.timeseries:
        rejected[Reason.NATIVE_HISTOGRAM] += len(series.histograms)
        count += len(series.samples)
        if count > max_samples:
            raise TooLarge(f"over {max_samples} samples in one request, which is the limit")
        if not series.samples:
            continue
        try:
            prefix = spelled(checked(_referenced(symbols, series.labels_refs)))
        except BadLabelsError as error:
            rejected[error.reason] += len(series.samples)
            continue
        for sample in series.samples:
            body = prefix + _sample_field(sample)
            parts.append(b"\x0a" + varint(len(body)) + body)
    return b"".join(parts), +rejected


def _referenced(symbols: list[bytes], refs: Any) -> Pairs:
    if len(refs) % 2 or any(ref >= len(symbols) for ref in refs):
        raise Malformed("labels_refs must be pairs of positions in the symbols")
    names = [symbols[ref] for ref in refs]
    return tuple(zip(names[::2], names[1::2], strict=True))


def _sample_field(sample: Any) -> bytes:
    encoded: bytes = sample.SerializeToString()
    return b"\x12" + varint(len(encoded)) + encoded


def encoded_again(batch: Batch, book: SeriesBook) -> bytes:
    """The rows of ``batch`` as a WriteRequest: what the log keeps when some were refused."""
    parts: list[bytes] = []
    rows = zip(batch.ids.tolist(), batch.times_ms.tolist(), batch.values, strict=True)
    for number, time_ms, value in rows:
        sample = b"\x09" + value.tobytes() + b"\x10" + varint(time_ms & (2**64 - 1))
        body = book.spelling(number) + b"\x12" + varint(len(sample)) + sample
        parts.append(b"\x0a" + varint(len(body)) + body)
    return b"".join(parts)
