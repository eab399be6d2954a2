"""Bodies as arrays: the usual shape, everything else, and what is refused."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from collector.samples.bounds import Bounds
from collector.samples.decode import Batch, decode, encoded_again, first_version
from collector.samples.labels import varint
from collector.samples.messages import RawRequest, Request2, Series
from collector.samples.series_book import SeriesBook
from collector.wire.errors import Malformed, TooLarge
from collector.wire.reasons import Reason

AT = 1_790_000_000_000


def series(labels, *samples, histograms=0, exemplars=0):
    message = Series()
    for name, value in labels:
        message.labels.add(name=name, value=value)
    for time_ms, value in samples:
        message.samples.add(timestamp=time_ms, value=value)
    message.histograms.extend([b""] * histograms)
    message.exemplars.extend([b""] * exemplars)
    return message.SerializeToString()


def request(*encoded):
    message = RawRequest()
    message.timeseries.extend(encoded)
    return message.SerializeToString()


def named(name, *more):
    return ((b"__name__", name), *more)


def rows(batch: Batch):
    return list(zip(batch.ids.tolist(), batch.times_ms.tolist(), batch.values, strict=True))


def test_the_usual_shape_and_any_other_give_the_same_rows():
    """One sample a series, and the same with exemplars, which take the slow way."""
    usual = [series(named(b"m", (b"n", b"%d" % n)), (AT + n, n / 3)) for n in range(5)]
    unusual = [
        series(named(b"m", (b"n", b"%d" % n)), (AT + n, n / 3), exemplars=1) for n in range(5)
    ]
    book = SeriesBook(100)
    expected = [(n, AT + n, n / 3) for n in range(5)]
    assert rows(decode(request(*usual), book)) == expected
    assert rows(decode(request(*unusual), book)) == expected
    assert rows(decode(request(*usual), book)) == expected, "known labels now"
    assert len(book) == 5


def test_two_samples_that_end_in_a_usual_one_are_both_read():
    """The last 18 bytes alone do not tell."""
    book = SeriesBook(100)
    batch = decode(request(series(named(b"m"), (AT, 1.0), (AT + 1, 2.0))), book)
    assert rows(batch) == [(0, AT, 1.0), (0, AT + 1, 2.0)]


def test_times_before_1971_and_values_of_zero_are_read():
    """Protobuf leaves zeros out, so nothing has its usual length."""
    book = SeriesBook(100)
    batch = decode(request(series(named(b"m"), (5, 0.0)), series(named(b"m"), (-5, 1.0))), book)
    assert rows(batch) == [(0, 5, 0.0), (0, -5, 1.0)]


def test_order_and_empty_values_of_labels_do_not_make_another_series():
    """An empty value is no label."""
    book = SeriesBook(100)
    one = series(named(b"m", (b"a", b"1"), (b"b", b"2")), (AT, 1.0))
    two = series(((b"b", b"2"), (b"c", b""), *named(b"m"), (b"a", b"1")), (AT, 2.0))
    assert decode(request(one, two), book).ids.tolist() == [0, 0]
    assert decode(request(two, one), book).ids.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (((b"a", b"1"),), Reason.UNNAMED_METRIC),
        (named(b"m", (b"a", b"1"), (b"a", b"2")), Reason.INVALID_LABELS),
        (named(b"m", (b"", b"1")), Reason.INVALID_LABELS),
        (named(b"m", (b"a", b"\xff")), Reason.INVALID_LABELS),
        (named(b"m", (b"a" * 300, b"1")), Reason.NAME_TOO_LONG),
        (named(b"m", (b"a", b"1" * 5000)), Reason.NAME_TOO_LONG),
        (named(b"m", *((b"l%d" % n, b"1") for n in range(70))), Reason.TOO_MANY_ATTRIBUTES),
    ],
)
def test_labels_that_name_no_series_reject_their_samples_alone(labels, reason):
    """Whichever way they take."""
    good = series(named(b"good"), (AT, 1.0))
    for bad in (series(labels, (AT, 1.0)), series(labels, (AT, 1.0), exemplars=1)):
        book = SeriesBook(100)
        batch = decode(request(bad, good), book)
        assert (rows(batch), batch.rejected) == ([(0, AT, 1.0)], Counter({reason: 1}))


def test_native_histograms_are_rejected_and_counted():
    """Beside samples they do not hurt."""
    book = SeriesBook(100)
    batch = decode(request(series(named(b"h"), histograms=2), series(named(b"m"), (AT, 1.0))), book)
    assert batch.rejected == Counter({Reason.NATIVE_HISTOGRAM: 2})
    assert len(batch) == 1


def test_limits_hold_unless_the_samples_were_acknowledged_before():
    """Series, and samples of one request."""
    book = SeriesBook(1)
    two = request(series(named(b"a"), (AT, 1.0)), series(named(b"b"), (AT, 1.0)))
    assert decode(two, book).rejected == Counter({Reason.SERIES_LIMIT: 1})
    assert len(decode(two, book, is_replay=True)) == 2
    with pytest.raises(TooLarge):
        decode(two, book, max_samples=1)
    many = request(series(named(b"a"), *((AT + n, 1.0) for n in range(3))))
    with pytest.raises(TooLarge):
        decode(many, book, max_samples=2)


def test_the_second_version_becomes_the_first():
    """The same numbers for the same labels; what cannot be taken is counted."""
    book = SeriesBook(100)
    expected = decode(request(series(named(b"m", (b"a", b"1")), (AT, 1.5))), book).ids
    second = Request2(symbols=[b"", b"__name__", b"m", b"a", b"1"])
    second.timeseries.add(labels_refs=[3, 4, 1, 2]).samples.add(timestamp=AT, value=1.5)
    second.timeseries.add(labels_refs=[3, 4]).samples.add(timestamp=AT, value=1.5)
    second.timeseries.add(labels_refs=[1, 2]).histograms.append(b"")
    plain, rejected = first_version(second.SerializeToString(), max_samples=10)
    assert rejected == Counter({Reason.UNNAMED_METRIC: 1, Reason.NATIVE_HISTOGRAM: 1})
    assert decode(plain, book).ids.tolist() == expected.tolist()
    for refs in ([1], [1, 9]):
        bad = Request2(symbols=[b"", b"__name__"])
        bad.timeseries.add(labels_refs=refs).samples.add(timestamp=AT, value=1.5)
        with pytest.raises(Malformed, match="labels_refs"):
            first_version(bad.SerializeToString(), max_samples=10)


def test_a_batch_can_be_written_as_a_request_again():
    """Any time, any bits of a value."""
    book = SeriesBook(100)
    values = np.array([0.0, -0.0, 1.5, np.nan, np.inf])
    labels = [named(b"m", (b"n", b"%d" % n)) for n in range(5)]
    made = decode(request(*(series(one, (AT, 1.0)) for one in labels)), book)
    batch = Batch(made.ids, np.array([AT, 0, -1, 5, AT + 1]), values, {})
    again = decode(encoded_again(batch, book), book)
    assert again.ids.tolist() == batch.ids.tolist()
    assert again.times_ms.tolist() == batch.times_ms.tolist()
    assert again.values.view(np.int64).tolist() == values.view(np.int64).tolist()


def test_a_body_of_empty_messages_is_refused_before_it_is_parsed():
    """A parser would spend a hundred bytes on every two."""
    book = SeriesBook(100)
    with pytest.raises(TooLarge, match="fields"):
        decode(b"\x0a\x00" * 300_000, book)
    many_labels = b"\x0a\x00" * 300_000
    with pytest.raises(TooLarge, match="fields"):
        decode(b"\x0a" + varint(len(many_labels)) + many_labels, book)
    with pytest.raises(TooLarge, match=r"2\.0"):
        first_version(b"\x2a\x00" * 3_000_000, max_samples=10)


@pytest.mark.parametrize("exemplars", [0, 1], ids=["usual", "unusual"])
def test_samples_outside_of_the_bounds_alone_make_no_series(exemplars):
    """What is refused for its time takes no place among the series; inside and known ones do."""
    book, bounds = SeriesBook(100), Bounds(AT - 10, AT + 10)
    plain = request(
        *(
            series(named(b"m%d" % n), (time_ms, 1.0), exemplars=exemplars)
            for n, time_ms in enumerate((AT - 11, AT - 10, AT + 10, AT + 11))
        )
    )
    batch = decode(plain, book, bounds=bounds)
    assert batch.times_ms.tolist() == [AT - 10, AT + 10]
    assert batch.rejected == Counter({Reason.TOO_OLD: 1, Reason.TOO_FAR_IN_FUTURE: 1})
    assert len(book) == 2


def test_a_series_of_two_samples_with_one_outside_keeps_the_other():
    """The last 18 bytes are a usual sample, and too old."""
    two = series(named(b"m"), (AT, 1.0), (AT - 11, 2.0))
    batch = decode(request(two), SeriesBook(9), bounds=Bounds(AT - 10, AT + 10))
    assert batch.times_ms.tolist() == [AT, AT - 11], "which one is refused is told later"
