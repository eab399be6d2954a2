"""Which samples are taken: a table of what came before and what comes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from collector.samples.bounds import Bounds
from collector.samples.checks import check
from collector.samples.decode import Batch
from collector.samples.series_book import SeriesBook
from collector.wire.reasons import Reason

NOW = 1_790_000_000_000
BOUNDS = Bounds(NOW - 86_400_000, NOW + 600_000)


def batch(*rows):
    ids, times, values = zip(*rows, strict=True)
    return Batch(np.array(ids), np.array(times), np.array(values, dtype=float), {})


@pytest.fixture
def book():
    """Series 0 has (NOW, 1.0), series 1 nothing."""
    made = SeriesBook(10)
    for name in (b"a", b"b"):
        made.number(name, [(b"__name__", name)], is_limited=True)
    made.acknowledged(np.array([0]), np.array([NOW]), np.array([1.0]))
    return made


@pytest.mark.parametrize(
    ("rows", "kept", "duplicates", "rejected"),
    [
        ([(0, NOW + 1, 2.0)], 1, 0, {}),
        ([(1, NOW, 2.0)], 1, 0, {}),
        ([(0, NOW, 1.0)], 0, 1, {}),
        ([(0, NOW, 2.0)], 0, 0, {Reason.DUPLICATE_TIMESTAMP: 1}),
        ([(0, NOW - 300_000, 2.0)], 1, 0, {}),
        ([(0, NOW - 300_001, 2.0)], 0, 0, {Reason.TOO_OLD: 1}),
        ([(1, NOW - 86_400_000, 2.0)], 1, 0, {}),
        ([(1, NOW - 86_400_001, 2.0)], 0, 0, {Reason.TOO_OLD: 1}),
        ([(1, NOW + 600_000, 2.0)], 1, 0, {}),
        ([(1, NOW + 600_001, 2.0)], 0, 0, {Reason.TOO_FAR_IN_FUTURE: 1}),
        ([(1, NOW, 2.0), (1, NOW, 2.0)], 1, 1, {}),
        ([(1, NOW, 2.0), (1, NOW, 3.0)], 1, 0, {Reason.DUPLICATE_TIMESTAMP: 1}),
        ([(1, NOW, np.nan), (1, NOW, np.nan)], 1, 1, {}),
        ([(1, NOW, 2.0), (1, NOW + 1, 2.0), (1, NOW - 1, 2.0)], 3, 0, {}),
    ],
)
def test_what_is_kept(book, rows, kept, duplicates, rejected):
    """Both edges of each bound; every sample ends in exactly one of three places."""
    found = check(batch(*rows), book, BOUNDS, max_out_of_order_s=300.0)
    assert (len(found.batch), found.duplicate_count) == (kept, duplicates)
    assert found.batch.rejected == Counter(rejected)
    assert kept + duplicates + sum(rejected.values()) == len(rows)


def test_the_first_of_two_values_at_a_time_wins(book):
    """As it would if they came in two requests."""
    found = check(batch((1, NOW, 3.0), (1, NOW, 2.0)), book, BOUNDS, max_out_of_order_s=300.0)
    assert found.batch.values.tolist() == [3.0]
