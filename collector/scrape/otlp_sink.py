"""Scraped samples as OTLP points, so that they take the way of all metrics: log, store, queries.

``job`` and ``instance`` are the resource, the other labels attributes; a name that ends in
``_total`` is a cumulative sum, every other one a gauge. A stale marker is a point without a value,
as the OpenTelemetry specification has it ("Prometheus Compatibility", "Stale markers").
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import numpy as np

from collector.model import Signal
from collector.pipeline.intake import Intake
from collector.promql.labels import NAME, Labels
from collector.promql.series import is_stale
from collector.scrape.exposition import Exemplar
from collector.scrape.samples import Batch
from collector.wire.shapes import field, varint

#: Series whose labels are kept encoded; about 500 bytes each. Over it all are encoded anew.
MAX_ENCODED: Final = 200_000
_RESOURCE: Final = (("job", "service.name"), ("instance", "service.instance.id"))
_NS_PER_MS: Final = 1_000_000
#: NumberDataPoint: tags of time_unix_nano and as_double, and flags = no recorded value.
_TIME_AND_VALUE: Final = struct.Struct("<BQBd")
_TIME: Final = struct.Struct("<BQ")
_TIME_TAG, _VALUE_TAG, _NO_VALUE = 0x19, 0x21, b"\x40\x01"
#: Exemplar: time_unix_nano = 2, as_double = 3, filtered_attributes = 7.
_EXEMPLAR_TIME_TAG, _EXEMPLAR_VALUE_TAG = 0x11, 0x19
#: What follows the points of a sum: cumulative, monotonic.
_SUM_TAIL: Final = b"\x10\x02\x18\x01"

#: (resource, metric's name, encoded attributes).
_Encoded = tuple[bytes, str, bytes]


class OtlpSink:
    """Hands batches to the intake; lives on its event loop."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._encoded: dict[Labels, _Encoded] = {}

    async def take(self, batch: Batch) -> int:
        """Returns how many samples were rejected, once the others are durable.

        Raises BacklogFull, WalUnavailable, Malformed or TooLarge.
        """
        return (await self._intake.take(Signal.METRICS, self._request(batch))).rejected_count

    def _request(self, batch: Batch) -> bytes:
        groups: dict[bytes, dict[str, list[bytes]]] = {}
        for resource, name, point in self._points(batch):
            groups.setdefault(resource, {}).setdefault(name, []).append(field(1, point))
        return b"".join(
            field(1, field(1, resource) + field(2, _metrics(metrics)))
            for resource, metrics in groups.items()
        )

    def _points(self, batch: Batch) -> Iterator[tuple[bytes, str, bytes]]:
        stale = is_stale(np.array(batch.values, dtype=np.float64)).tolist()
        for index, labels in enumerate(batch.labels):
            encoded = self._encoded.get(labels)
            if encoded is None:
                encoded = self._remember(labels)
            resource, name, attributes = encoded
            time_unix_nano = batch.times_ms[index] * _NS_PER_MS
            time_unix_nano = max(time_unix_nano, 0)  # rejected as no time
            if stale[index]:
                point = _TIME.pack(_TIME_TAG, time_unix_nano) + attributes + _NO_VALUE
            else:
                value = batch.values[index]
                head = _TIME_AND_VALUE.pack(_TIME_TAG, time_unix_nano, _VALUE_TAG, value)
                point = head + attributes
                if index in batch.exemplars:
                    point += field(5, _exemplar(batch.exemplars[index], time_unix_nano))
            yield resource, name, point

    def _remember(self, labels: Labels) -> _Encoded:
        if len(self._encoded) >= MAX_ENCODED:
            self._encoded.clear()
        known = dict(labels)
        name = known.pop(NAME)
        resource = b"".join(
            field(1, _key_value(key, known.pop(label)))
            for label, key in _RESOURCE
            if label in known
        )
        attributes = b"".join(field(7, _key_value(*pair)) for pair in known.items())
        self._encoded[labels] = resource, name, attributes
        return self._encoded[labels]


def _metrics(metrics: dict[str, list[bytes]]) -> bytes:
    """ScopeMetrics' metrics, each with its points."""
    return b"".join(
        field(2, field(1, name.encode()) + _data(name, b"".join(points)))
        for name, points in metrics.items()
    )


def _data(name: str, points: bytes) -> bytes:
    return field(7, points + _SUM_TAIL) if name.endswith("_total") else field(5, points)


def _exemplar(exemplar: Exemplar, point_unix_nano: int) -> bytes:
    time_ms = exemplar.time_ms
    time_unix_nano = point_unix_nano if time_ms is None else max(time_ms, 0) * _NS_PER_MS
    packed = _TIME_AND_VALUE.pack(
        _EXEMPLAR_TIME_TAG, time_unix_nano, _EXEMPLAR_VALUE_TAG, exemplar.value
    )
    return packed + b"".join(field(7, _key_value(*pair)) for pair in exemplar.labels)


def _key_value(key: str, value: str) -> bytes:
    encoded = value.encode()
    return field(1, key.encode()) + field(2, b"\x0a" + varint(len(encoded)) + encoded)
