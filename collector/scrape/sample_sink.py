"""Scraped samples as a remote-write request, so that they take the way of all samples."""

from __future__ import annotations

import struct
from typing import Final

from collector.promql.labels import Labels
from collector.samples.intake import SampleIntake
from collector.samples.labels import spelled, varint
from collector.scrape.samples import Batch
from collector.wire.shapes import field

#: Series whose labels are kept encoded; about 500 bytes each. Over it all are encoded anew.
MAX_ENCODED: Final = 200_000
#: TimeSeries.samples = 2 with value = 1 and, its length aside, timestamp = 2.
_VALUE: Final = struct.Struct("<Bd")
_VALUE_TAG, _TIME_TAG = 0x09, b"\x10"
_INT64: Final = 2**64 - 1


class SampleSink:
    """Hands batches to the intake; lives on its event loop.

    Exemplars and what a page says about its families are not kept.
    """

    def __init__(self, intake: SampleIntake) -> None:
        self._intake = intake
        self._requests = WriteRequests()

    async def take(self, batch: Batch) -> int:
        """Returns how many samples were rejected, once the others are durable.

        Raises BacklogFull, WalUnavailable or TooLarge.
        """
        taken = await self._intake.take(None, self._requests.request(batch), {})
        return len(batch) - taken.written


class WriteRequests:
    """Batches as encoded requests; not thread-safe."""

    def __init__(self) -> None:
        self._encoded: dict[Labels, bytes] = {}

    def request(self, batch: Batch) -> bytes:
        """An encoded ``prometheus.WriteRequest``: a series for each sample, its labels sorted."""
        parts: list[bytes] = []
        times: dict[int, bytes] = {}
        for labels, time_ms, value in zip(batch.labels, batch.times_ms, batch.values, strict=True):
            time = times.get(time_ms)
            if time is None:  # nearly all of a page have the same
                time = times[time_ms] = _TIME_TAG + varint(time_ms & _INT64)
            encoded = self._encoded.get(labels) or self._remember(labels)
            parts.append(field(1, encoded + field(2, _VALUE.pack(_VALUE_TAG, value) + time)))
        return b"".join(parts)

    def _remember(self, labels: Labels) -> bytes:
        if len(self._encoded) >= MAX_ENCODED:
            self._encoded.clear()
        pairs = tuple(sorted((name.encode(), value.encode()) for name, value in labels))
        self._encoded[labels] = spelled(pairs)
        return self._encoded[labels]
