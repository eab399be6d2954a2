"""Which samples of a batch are taken: by the clock, and by what their series had before."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from collector.samples.bounds import Bounds
from collector.samples.decode import Batch
from collector.samples.series_book import SeriesBook
from collector.wire.reasons import Reason


@dataclass(frozen=True, slots=True)
class Checked:
    """``batch``: what is new and right. ``duplicate_count``: samples that are known already."""

    batch: Batch
    duplicate_count: int


def check(batch: Batch, book: SeriesBook, bounds: Bounds, *, max_out_of_order_s: float) -> Checked:
    """Sort out what is too old, too new, known or contradicts what is known.

    A sample that is known, time and value, is taken in silence, since senders repeat what they had
    no answer to. The first value of a time wins.
    """
    times, bits = batch.times_ms, batch.values.view(np.int64)
    last_ms, last_value = book.newest(batch.ids)
    is_same_time = times == last_ms
    is_known = is_same_time & (bits == last_value.view(np.int64))
    is_future, is_old = bounds.is_future(times), bounds.is_old(times)
    # Compared as floats: a series that has no sample yet has the smallest integer here.
    is_late = times < last_ms.astype(np.float64) - max_out_of_order_s * 1e3
    is_other = is_same_time & ~is_known
    again, contradicts = _within(batch, bits)
    is_known |= again
    is_other |= contradicts & ~is_known
    refusals = (
        (Reason.TOO_FAR_IN_FUTURE, is_future),
        (Reason.TOO_OLD, (is_old | is_late) & ~is_future),
        (Reason.DUPLICATE_TIMESTAMP, is_other & ~is_old & ~is_late & ~is_future),
    )
    rejected: Counter[Reason] = Counter()
    is_refused = np.zeros(len(batch), dtype=bool)
    for reason, mask in refusals:
        count = int(np.count_nonzero(mask))
        if count:
            rejected[reason] = count
            is_refused |= mask
    duplicates = is_known & ~is_refused
    if not rejected and not duplicates.any():
        return Checked(batch, 0)
    return Checked(
        batch.where(~is_refused & ~duplicates, rejected), int(np.count_nonzero(duplicates))
    )


def _within(batch: Batch, bits: Any) -> tuple[Any, Any]:
    """Rows that repeat, and that contradict, an earlier row of the same series and time."""
    nothing = np.zeros(len(batch), dtype=bool)
    ordered_ids = np.sort(batch.ids)
    if not (ordered_ids[1:] == ordered_ids[:-1]).any():
        return nothing, nothing
    order = np.lexsort((batch.times_ms, batch.ids))  # stable: the first of equals comes first
    ids, times, values = batch.ids[order], batch.times_ms[order], bits[order]
    is_later = np.concatenate(([False], (ids[1:] == ids[:-1]) & (times[1:] == times[:-1])))
    # The first row of each run is what the others are held against.
    first = np.maximum.accumulate(np.where(is_later, 0, np.arange(len(order))))
    is_equal = values == values[first]
    again, contradicts = nothing.copy(), nothing.copy()
    again[order] = is_later & is_equal
    contradicts[order] = is_later & ~is_equal
    return again, contradicts
