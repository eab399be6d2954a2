"""Stretches of series that were sent before, in the order and spelling they were sent in.

A sender repeats itself: between one scrape and the next only values and times change, and batches
begin and end elsewhere. So a body is held against what was read before: the new values and times
are written into a copy of the old bytes, and where the copy equals the body, its series are known
without looking at each. That costs a tenth of reading it series by series.

The answer is the same as of reading, or none: every byte is compared.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from collector.samples.series_book import Floats, Ints, SeriesBook

#: Bytes of bodies that are remembered; at 200 a series, a third of a million series.
MAX_RUN_BYTES: Final = 64 * 1024 * 1024
#: Series that are compared at once to begin with; more once that went well, since what is compared
#: behind a difference is wasted.
FEW: Final = 16
_GROWTH: Final = 8
_MAX_TRIED: Final = 1 << 20
#: Stretches that may be short; more of them than one in so many series, and reading series by
#: series is the cheaper way.
MAX_SHORT_STRETCHES: Final = 8
#: Bodies that are not tried after several scattered ones, twice as many after each, up to these.
MAX_UNTRIED: Final = 64
#: The value, its tag, the time's tag and the time: see collector.samples.decode.
TAIL_BYTES: Final = 18
_VALUE_FROM_END: Final = 15
#: Eight bytes at once: the value's last, the time's tag, and six of the time.
_TIME_WORD: Final = 7
_TAG_AND_ENDS: Final = np.uint64(0x80_80_80_80_80_80_FF_00)
_USUAL_TIME: Final = np.uint64(0x00_80_80_80_80_80_10_00)
#: Lengths of one and two bytes; longer ones are read series by series.
_SHORT: Final = 1 << 7
_MAX_LENGTH: Final = 1 << 14


@dataclass(frozen=True, slots=True)
class Read:
    """Of every series in the body's order."""

    ids: Ints
    times_ms: Ints
    values: Floats


@dataclass(frozen=True, slots=True)
class _Run:
    body: Any
    #: Where each series begins, and where the last ends.
    starts: Ints
    value_at: Ints
    ids: Ints


class Runs:
    """Lives on one thread."""

    def __init__(self, max_bytes: int = MAX_RUN_BYTES) -> None:
        self._max_bytes = max_bytes
        self._runs: OrderedDict[int, _Run] = OrderedDict()
        self._next = 0
        self._try_next = FEW
        self._scattered = self._untried = 0
        self.size_bytes = 0
        self._run_of: Ints = np.full(1024, -1, dtype=np.int64)
        self._place_of: Ints = np.zeros(1024, dtype=np.int64)

    def remember(self, plain: bytes, lengths: Sequence[int], ids: Ints) -> None:
        """A body of usual series: their lengths, and the number of each.

        Bodies that hold anything else beside these series are not remembered.
        """
        sizes = np.array(lengths, dtype=np.int64)
        starts = _starts(plain, sizes)
        if starts is None or len(plain) > self._max_bytes or not len(ids):
            return
        body = np.frombuffer(plain, np.uint8)
        run = _Run(body, starts, starts[1:] - _VALUE_FROM_END, ids)
        self._grow(int(ids.max()) + 1)
        self._run_of[ids] = self._next
        self._place_of[ids] = np.arange(len(ids))
        self._runs[self._next] = run
        self._next += 1
        self.size_bytes += len(plain)
        while self.size_bytes > self._max_bytes:
            _, oldest = self._runs.popitem(last=False)
            self.size_bytes -= len(oldest.body)

    def read(self, plain: bytes, book: SeriesBook) -> Read | None:
        """The samples of a body that is made of stretches seen before; None if it is not."""
        if self._untried:
            self._untried -= 1
            return None
        body = np.frombuffer(plain, np.uint8)
        found: list[Read] = []
        position = count = 0
        while position < len(body):
            is_scattered = len(found) > MAX_SHORT_STRETCHES + count // MAX_SHORT_STRETCHES
            stretch = None if is_scattered else self._stretch(plain, body, position, book)
            if stretch is None:
                self._try_next = FEW
                if is_scattered:
                    self._untried = self._scattered
                    self._scattered = min(2 * self._scattered + 1, MAX_UNTRIED)
                return None
            read, position = stretch
            found.append(read)
            count += len(read.ids)
        self._scattered = 0
        if len(found) == 1:
            return found[0]
        if not found:
            return None
        return Read(
            np.concatenate([one.ids for one in found]),
            np.concatenate([one.times_ms for one in found]),
            np.concatenate([one.values for one in found]),
        )

    def _stretch(
        self, plain: bytes, body: Any, position: int, book: SeriesBook
    ) -> tuple[Read, int] | None:
        """What equals a remembered stretch from ``position`` on, and where it ends."""
        place = self._place(plain, position, book)
        if place is None:
            return None
        run, first = place
        start = int(run.starts[first])
        room = len(body) - position
        behind = int(np.searchsorted(run.starts, start + room, side="right")) - 1
        behind = min(behind, first + self._try_next)
        if behind <= first:
            return None
        size = int(run.starts[behind]) - start
        mine = body[position : position + size]
        at = run.value_at[first:behind] - start
        values, words = _words(mine, np.float64)[at], _words(mine, np.uint64)[at + _TIME_WORD]
        expected = run.body[start : start + size].copy()
        _words(expected, np.uint64)[at + _TIME_WORD] = words
        _words(expected, np.float64)[at] = values
        is_other = expected != mine
        is_odd = (words & _TAG_AND_ENDS) != _USUAL_TIME
        end = behind
        if is_other.any():
            other_at = start + int(np.argmax(is_other))
            end = int(np.searchsorted(run.starts, other_at, side="right")) - 1
        if is_odd.any():
            end = min(end, first + int(np.argmax(is_odd)))
        count = end - first
        if count <= 0:
            return None
        if end == behind:
            self._try_next = max(self._try_next, min(_GROWTH * count, _MAX_TRIED))
        else:
            self._try_next = max(FEW, 2 * count)
        read = Read(run.ids[first:end], _times_ms(words[:count]), values[:count])
        return read, position + int(run.starts[end]) - start

    def _place(self, plain: bytes, position: int, book: SeriesBook) -> tuple[_Run, int] | None:
        """The run that has the series at ``position``, and the series' place in it."""
        begin, behind = _bounds(plain, position)
        if behind > len(plain) or behind - begin <= TAIL_BYTES:
            return None
        (number,) = book.known([plain[begin : behind - TAIL_BYTES]])
        if number is None or number >= len(self._run_of):
            return None
        run = self._runs.get(int(self._run_of[number]))
        return None if run is None else (run, int(self._place_of[number]))

    def _grow(self, size: int) -> None:
        more = max(size, 2 * len(self._run_of)) - len(self._run_of)
        if size > len(self._run_of):
            self._run_of = np.concatenate((self._run_of, np.full(more, -1, dtype=np.int64)))
            self._place_of = np.concatenate((self._place_of, np.zeros(more, dtype=np.int64)))


def _starts(plain: bytes, sizes: Ints) -> Ints | None:
    """Where the series begin, and the last ends; None if the body is anything else than them.

    That the headers stand where they must, one behind the other to the very end, proves it.
    """
    if not len(sizes) or int(sizes.max()) >= _MAX_LENGTH:
        return None
    is_long = sizes >= _SHORT
    starts = np.concatenate(([0], np.cumsum(sizes + 2 + is_long)))
    if int(starts[-1]) != len(plain):
        return None
    body, at = np.frombuffer(plain, np.uint8), starts[:-1]
    first = np.where(is_long, sizes & 0x7F | 0x80, sizes)
    fits = (body[at] == 0x0A) & (body[at + 1] == first)
    fits &= ~is_long | (body[at + 2] == sizes >> 7)
    return starts if bool(fits.all()) else None


def _bounds(plain: bytes, position: int) -> tuple[int, int]:
    """Where the message of the field at ``position`` begins and ends; nothing if it is odd."""
    header = plain[position : position + 3]
    if len(header) < 3 or header[0] != 0x0A:
        return position, position
    if header[1] < _SHORT:
        return position + 2, position + 2 + header[1]
    if header[2] < _SHORT:
        return position + 3, position + 3 + (header[1] & 0x7F | header[2] << 7)
    return position, position


def _words(body: Any, kind: Any) -> Any:
    """The eight bytes from every position on, as numbers."""
    return np.ndarray((len(body) - 7,), kind, buffer=body.data, strides=(1,))


def _times_ms(words: Any) -> Ints:
    """Varints of six bytes, in the six upper bytes of each word."""
    bits = words >> np.uint64(16)
    times = np.zeros(len(words), dtype=np.uint64)
    for index in range(6):
        times |= (bits >> np.uint64(index)) & np.uint64(0x7F << (7 * index))
    return times.view(np.int64)
