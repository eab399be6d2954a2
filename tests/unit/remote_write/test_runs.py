"""A body read by stretches is the body read series by series, or it is not read so at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.samples.decode import decode
from collector.samples.labels import spelled, varint
from collector.samples.runs import MAX_UNTRIED, Runs
from collector.samples.series_book import SeriesBook

NOW_MS = 1_790_000_000_000


def one(name: bytes, value: float, time_ms: int, extra: bytes = b"") -> bytes:
    """A field of one series with one sample."""
    sample = b"\x09" + np.float64(value).tobytes() + b"\x10" + varint(time_ms)
    labels = spelled(((b"__name__", name),))
    message = labels + b"\x12" + varint(len(sample)) + sample + extra
    return b"\x0a" + varint(len(message)) + message


def page(names, *, value=0.0, time_ms=NOW_MS) -> bytes:
    return b"".join(one(name, value + index, time_ms + index) for index, name in enumerate(names))


def read_both(plain, book, runs):
    """By stretches (None: not so) and by series."""
    return runs.read(plain, book), decode(plain, book)


NAMES = [b"m%d" % number + b"x" * (number % 200) for number in range(300)]


@pytest.fixture
def book():
    return SeriesBook(10_000)


@pytest.fixture
def runs(book):
    """Knows NAMES as one run of three hundred."""
    made = Runs()
    decode(page(NAMES), book, runs=made)
    return made


def assert_same(read, batch):
    assert read.ids.tolist() == batch.ids.tolist()
    assert read.times_ms.tolist() == batch.times_ms.tolist()
    assert read.values.view(np.int64).tolist() == batch.values.view(np.int64).tolist()


@pytest.mark.parametrize(
    "names",
    [
        NAMES,
        NAMES[:1],
        NAMES[-1:],
        NAMES[17:230],
        NAMES[200:] + NAMES[:100],
        [*NAMES[:5], *NAMES[6:]],
        NAMES[:3] * 3,
    ],
    ids=["all", "first", "last", "middle", "wrapped", "one gone", "again"],
)
def test_stretches_of_what_was_seen_are_read(book, runs, names):
    """Wherever a batch begins and ends."""
    read, batch = read_both(page(names, value=1e9, time_ms=NOW_MS + 15_000), book, runs)
    assert read is not None
    assert_same(read, batch)


@pytest.mark.parametrize(
    "plain",
    [
        page([*NAMES[:9], b"new"]),
        page(NAMES[:9]) + b"\x1a\x00",
        page(NAMES[:9])[:-1],
        page(NAMES[:8]) + one(NAMES[8], 1.0, NOW_MS, b"\x1a\x00"),
        page(NAMES[:8]) + one(NAMES[8], 1.0, 1_000),
        page(NAMES[:8]) + one(NAMES[8], 1.0, 1 << 43),
        b"",
        b"\x0a",
        b"\x0a\x85",
        b"\x0a\xff\xff\xff\x7f",
        page(NAMES[::3]),
    ],
    ids=[
        "new series",
        "metadata",
        "cut off",
        "an exemplar",
        "a time of 1970",
        "a time of 2248",
        "empty",
        "no length",
        "half a length",
        "a length of 256 MiB",
        "scattered series",
    ],
)
def test_anything_else_is_left_to_the_other_way(book, runs, plain):
    """Never a guess."""
    assert runs.read(plain, book) is None


def test_a_run_that_was_dropped_is_not_read(book):
    """The oldest goes when the bytes are used up, and comes back when it is sent again."""
    first, second = page(NAMES[:100]), page(NAMES[100:200])
    runs = Runs(max_bytes=max(len(first), len(second)))
    decode(first, book, runs=runs)
    decode(second, book, runs=runs)
    assert runs.size_bytes == len(second)
    assert runs.read(first, book) is None
    assert_same(*read_both(second, book, runs))
    decode(first, book, runs=runs)
    assert_same(*read_both(first, book, runs))


def test_scattered_bodies_are_soon_not_tried_and_steady_ones_again(book, runs):
    """However long a sender shuffled, it is read at once soon after it stopped."""
    for _ in range(20):
        decode(page(NAMES[::3]), book, runs=runs)
        decode(page(NAMES[::-1]), book, runs=runs)
    steady = page(NAMES)
    decode(steady, book, runs=runs)
    tries = [
        decode(steady, book, runs=runs) and runs.read(steady, book) for _ in range(MAX_UNTRIED)
    ]
    assert tries[-1] is not None


def test_a_body_above_all_bytes_is_not_remembered(book):
    """Nor does it push out what is."""
    runs = Runs(max_bytes=1_000)
    decode(page(NAMES), book, runs=runs)
    assert runs.size_bytes == 0


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.lists(st.integers(0, 40), min_size=1, max_size=60),
        min_size=1,
        max_size=6,
    ),
    st.binary(max_size=3),
    st.integers(0, 10_000),
)
def test_it_is_one_answer_whatever_is_sent(pages, noise, at):
    """Two books, one with and one without stretches, agree on each body; also damaged ones."""
    plain_book, book, runs = SeriesBook(100), SeriesBook(100), Runs(max_bytes=6_000)
    rng = np.random.default_rng(at)
    for numbers in pages:
        body = page([NAMES[n] for n in numbers], value=float(rng.normal()))
        where = at % (len(body) + 1)
        for plain in (body, body[:where] + noise + body[where + len(noise) :]):
            outcomes = []
            for one_book, one_runs in ((plain_book, None), (book, runs)):
                try:
                    batch = decode(plain, one_book, runs=one_runs)
                except Exception as error:
                    outcomes.append(repr(error))
                else:
                    bits = batch.values.view(np.int64).tolist()
                    rejected = dict(batch.rejected)
                    outcomes.append((batch.ids.tolist(), batch.times_ms.tolist(), bits, rejected))
            assert outcomes[0] == outcomes[1]
