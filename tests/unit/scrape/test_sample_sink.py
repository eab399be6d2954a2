"""A batch as a remote-write request that decodes to the same samples, in the usual shape."""

from __future__ import annotations

import math

import numpy as np

from collector.promql.labels import make_labels
from collector.promql.series import STALE_NAN
from collector.samples import decode as decoding
from collector.samples.decode import decode
from collector.samples.messages import Series
from collector.samples.series_book import SeriesBook
from collector.scrape.sample_sink import WriteRequests
from collector.scrape.samples import Batch


def decoded(*samples):
    batch = Batch()
    for labels, time_ms, value in samples:
        batch.add(make_labels(labels), time_ms, value)
    request = WriteRequests().request(batch)
    book = SeriesBook(1_000)
    found = decode(request, book)
    assert not found.rejected
    return [
        (
            {
                one.name.decode(): one.value.decode()
                for one in Series.FromString(book.spelling(number)).labels
            },
            time_ms,
            value,
        )
        for number, time_ms, value in zip(
            found.ids.tolist(), found.times_ms.tolist(), found.values, strict=True
        )
    ]


def test_labels_times_and_values_arrive():
    """Of every kind, the stale marker bit by bit, times before 1971 too."""
    now_ms = 1_790_000_000_123
    sent = [
        ({"__name__": "a", "job": "j", "\u00e9.x": "\u00fc"}, now_ms, 1.5),
        ({"__name__": "a", "job": "k"}, now_ms, math.inf),
        ({"__name__": "b"}, 0, -0.0),
        ({"__name__": "b"}, -5, math.nan),
        ({"__name__": "c"}, now_ms, STALE_NAN),
    ]
    found = decoded(*sent)
    assert [(labels, time_ms) for labels, time_ms, _ in found] == [
        (labels, time_ms) for labels, time_ms, _ in sent
    ]
    bits = [np.float64(value).view(np.uint64) for _, _, value in found]
    assert bits == [np.float64(value).view(np.uint64) for _, _, value in sent]


def test_an_ordinary_page_takes_the_fast_way(monkeypatch):
    """All samples of a page read at once, not series by series."""
    monkeypatch.setattr(decoding, "_unusual", None)
    found = decoded(*(({"__name__": "a", "n": str(n)}, 1_790_000_000_000, n) for n in range(50)))
    assert [value for _, _, value in found] == list(range(50))


def test_an_empty_batch_is_an_empty_request():
    """Nothing is made of nothing."""
    assert decoded() == []
