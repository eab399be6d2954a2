"""Scraped samples as OTLP points, so that they take the way of all metrics: log, store, queries.

``job`` and ``instance`` are the resource, the other labels attributes; a name that ends in
``_total`` is a cumulative sum, every other one a gauge. A stale marker is a point without a value,
as the OpenTelemetry specification has it ("Prometheus Compatibility", "Stale markers").
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np

from collector.config import LimitsConfig
from collector.limits.series_book import Admission, Owner
from collector.model import Signal
from collector.pipeline.intake import Intake
from collector.promql.labels import NAME, Labels
from collector.promql.series import is_stale
from collector.scrape.exposition import Exemplar
from collector.scrape.samples import Batch
from collector.wire.reasons import Reason
from collector.wire.scan import Scanned
from collector.wire.shapes import field, varint
from collector.wire.times import Believed
from telemetry.clock import Clock

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
_NO_SCOPE: Final = field(1, b"")
_SUM_SUFFIX: Final = "_total"
#: The label under which pages show the attribute that marks what canaries are judged by.
COHORT_LABEL: Final = "davylamp_canary_cohort"
CUMULATIVE: Final = 2
#: What follows the points of a sum: cumulative, monotonic.
_SUM_TAIL: Final = b"\x10\x02\x18\x01"


@dataclass(frozen=True, slots=True)
class _Encoded:
    """What does not change from page to page."""

    resource: bytes
    name: str
    attributes: bytes
    #: Of the series among all series.
    key: int
    owner: Owner
    temporality: int


class OtlpSink:
    """Hands batches to the intake; lives on its event loop.

    Labels and names have met the limits of the scrape; the rules of points are met here, so that
    nothing has to be scanned again.
    """

    def __init__(self, intake: Intake, limits: LimitsConfig, clock: Clock) -> None:
        self._intake = intake
        self._limits = limits
        self._clock = clock
        self._encoded: dict[Labels, _Encoded] = {}

    async def take(self, batch: Batch) -> int:
        """Returns how many samples were rejected, once the others are durable.

        Raises BacklogFull or WalUnavailable.
        """
        admission = self._intake.overload.before(Signal.METRICS)
        assert admission is not None
        scanned = self._scanned(batch, admission)
        taken = await self._intake.take_scanned(Signal.METRICS, scanned, admission)
        return taken.rejected_count

    def _scanned(self, batch: Batch, admission: Admission) -> Scanned:
        believed = Believed.around(self._clock.wall_unix_nano(), self._limits)
        groups: dict[bytes, dict[str, list[bytes]]] = {}
        rejected: Counter[Reason] = Counter()
        stale = is_stale(np.array(batch.values, dtype=np.float64)).tolist()
        newest = 0
        for index, labels in enumerate(batch.labels):
            one = self._encoded.get(labels)
            if one is None:
                one = self._remember(labels, admission)
            time_unix_nano = batch.times_ms[index] * _NS_PER_MS
            reason = believed.reason_against(time_unix_nano)
            if reason is None and len(one.name) > self._limits.max_name_bytes:
                reason = Reason.NAME_TOO_LONG
            if reason is None:
                reason = admission.reason_against(
                    one.key, one.temporality, time_unix_nano, one.owner, b""
                )
            if reason is not None:
                rejected[reason] += 1
                continue
            newest = max(newest, time_unix_nano)
            point = _point(batch, index, time_unix_nano, one.attributes, is_stale=stale[index])
            groups.setdefault(one.resource, {}).setdefault(one.name, []).append(field(1, point))
        body = b"".join(
            field(1, field(1, resource) + field(2, _NO_SCOPE + _metrics(metrics)))
            for resource, metrics in groups.items()
        )
        job = dict(batch.labels[0]).get("job", "") if batch.labels else ""
        kept = len(batch) - rejected.total()
        return Scanned(body, kept, rejected, {}, {job: newest} if newest else {})

    def _remember(self, labels: Labels, admission: Admission) -> _Encoded:
        if len(self._encoded) >= MAX_ENCODED:
            self._encoded.clear()
        known = dict(labels)
        name = known.pop(NAME)
        job = known.get("job", "")
        resource = b"".join(
            field(1, _key_value(key, known.pop(label)))
            for label, key in _RESOURCE
            if label in known
        )
        self._encoded[labels] = _Encoded(
            resource,
            name,
            b"".join(field(7, _key_value(*pair)) for pair in known.items()),
            hash(labels),
            admission.owner(job, name, is_reserved=COHORT_LABEL in known),
            CUMULATIVE if name.endswith(_SUM_SUFFIX) else 0,
        )
        return self._encoded[labels]


def _point(
    batch: Batch, index: int, time_unix_nano: int, attributes: bytes, *, is_stale: bool
) -> bytes:
    """An encoded NumberDataPoint, its fields in order."""
    if is_stale:
        return _TIME.pack(_TIME_TAG, time_unix_nano) + attributes + _NO_VALUE
    head = _TIME_AND_VALUE.pack(_TIME_TAG, time_unix_nano, _VALUE_TAG, batch.values[index])
    exemplar = batch.exemplars.get(index)
    if exemplar is None:
        return head + attributes
    return head + field(5, _exemplar(exemplar, time_unix_nano)) + attributes


def _metrics(metrics: dict[str, list[bytes]]) -> bytes:
    """ScopeMetrics' metrics, each with its points."""
    return b"".join(
        field(2, field(1, name.encode()) + _data(name, b"".join(points)))
        for name, points in metrics.items()
    )


def _data(name: str, points: bytes) -> bytes:
    return field(7, points + _SUM_TAIL) if name.endswith(_SUM_SUFFIX) else field(5, points)


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
