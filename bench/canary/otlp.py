"""The same traffic as telemetry: OTLP exports, through the store, read back as blocks.

Two edges report what the viewers' devices saw, one instance per arm reports its own requests; all
export cumulative points once a second, as ``telemetry`` does. Segments go into the store the way
the collector's write-ahead log hands them over, and come back through the code that answers
``/api/v1/blocks`` and the analysis' own reading of it.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric

from analysis.blocks import Block
from analysis.canary.config import CanaryConfig
from analysis.reading.answers import parse_blocks
from analysis.reading.canary_blocks import blocks_of
from analysis.reading.roster import DeclaredArm, Roster
from analysis.reading.sources import sources_of
from bench.canary.streams import (
    DEVICES,
    SECOND,
    SERVER_BOUNDS_S,
    START,
    STARTUP_SCALE,
    ArmEvents,
    startup_index,
)
from collector.config import StoreConfig
from collector.query import metrics, params
from collector.store.engine import Signal, Store, open_store
from collector.store.points import SeriesCache
from collector.store.reader import Window
from telemetry import semconv

EDGES = 2
COHORTS = (semconv.COHORT_BASELINE, semconv.COHORT_CANARY)
#: Moment in the second at which each process exports, s.
EDGE_PHASE_S, INSTANCE_PHASE_S = (0.113, 0.612), (0.274, 0.871)
HOUR = 3600 * SECOND
LOOK_BACK = 300 * SECOND


def roster_of(number: int) -> Roster:
    """The arms of one canary."""
    return Roster(
        deployment_id=f"aa-{number}",
        service="playback",
        baseline=DeclaredArm("1.0.0", frozenset({f"playback-{number}-baseline"})),
        canary=DeclaredArm("1.1.0", frozenset({f"playback-{number}-canary"})),
    )


def fill(attributes, values: dict[str, str | int]) -> None:
    """Set attributes of a message."""
    for key, value in values.items():
        item = attributes.add(key=key)
        if isinstance(value, int):
            item.value.int_value = value
        else:
            item.value.string_value = value


class Process:
    """One exporting process: a request that is filled in anew every second."""

    def __init__(self, service: str, version: str, instance: str, start: int, phase_s: float):
        self._request = ExportMetricsServiceRequest()
        group = self._request.resource_metrics.add()
        fill(
            group.resource.attributes,
            {
                semconv.SERVICE_NAME: service,
                semconv.SERVICE_VERSION: version,
                semconv.SERVICE_INSTANCE_ID: instance,
                semconv.DEPLOYMENT_ENVIRONMENT_NAME: "bench",
                semconv.CLOUD_REGION: "eu-west-1",
                semconv.CLOUD_AVAILABILITY_ZONE: "eu-west-1a",
            },
        )
        self._scope = group.scope_metrics.add()
        self._scope.scope.name = "bench"
        self._start, self._phase = start, round(phase_s * SECOND)
        self._points: dict[tuple, object] = {}
        self._counts: dict[tuple, np.ndarray] = {}
        self._metrics: dict[str, Metric] = {}

    def _metric(self, named: semconv.MetricName):
        found = self._metrics.get(named.name)
        if found is None:
            found = self._scope.metrics.add(name=named.name, unit=named.unit)
            self._metrics[named.name] = found
            kind = {"counter": "sum"}.get(named.kind, named.kind)
            data = getattr(found, kind)
            data.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
            if kind == "sum":
                data.is_monotonic = True
        return getattr(found, found.WhichOneof("data"))

    def _point(self, named: semconv.MetricName, attributes: dict[str, str | int]):
        key = (named.name, *attributes.items())
        point = self._points.get(key)
        if point is None:
            point = self._metric(named).data_points.add(start_time_unix_nano=self._start)
            fill(point.attributes, attributes)
            self._points[key] = point
        return key, point

    def add(self, named: semconv.MetricName, attributes: dict[str, str | int], count: int) -> None:
        """Add to a counter."""
        _, point = self._point(named, attributes)
        point.as_int += count

    def observe(
        self, named: semconv.MetricName, attributes: dict[str, str | int], values: np.ndarray
    ) -> None:
        """Add values to an explicit histogram."""
        key, point = self._point(named, attributes)
        at = np.searchsorted(SERVER_BOUNDS_S, values, side="left")
        counts = self._counts.get(key, 0) + np.bincount(at, minlength=len(SERVER_BOUNDS_S) + 1)
        self._counts[key] = counts
        if not point.explicit_bounds:
            point.explicit_bounds.extend(SERVER_BOUNDS_S)
        point.bucket_counts[:] = counts.tolist()
        point.count += len(values)
        point.sum += float(values.sum())

    def observe_exponential(
        self, named: semconv.MetricName, attributes: dict[str, str | int], values: np.ndarray
    ) -> None:
        """Add values to an exponential histogram that spans what it has seen."""
        _, point = self._point(named, attributes)
        index = startup_index(values)
        positive = point.positive
        old = np.array(positive.bucket_counts, dtype=np.int64)
        first = int(min(index.min(), positive.offset if len(old) else index.min()))
        last = int(max(index.max(), positive.offset + len(old) - 1 if len(old) else index.max()))
        counts = np.bincount(index - first, minlength=last - first + 1)
        counts[positive.offset - first : positive.offset - first + len(old)] += old
        positive.offset = first
        positive.bucket_counts[:] = counts.tolist()
        point.scale = STARTUP_SCALE
        point.count += len(values)
        point.sum += float(values.sum())

    def exported(self, second_end: int) -> bytes:
        """The body sent after the second that ended at ``second_end``; empty before any point."""
        for point in self._points.values():
            point.time_unix_nano = second_end + self._phase
        return self._request.SerializeToString() if self._points else b""


class Telemetry:
    """Everything one canary's processes send."""

    def __init__(self, number: int, start: int) -> None:
        roster = roster_of(number)
        self._labels = [
            {semconv.CANARY_COHORT: cohort, semconv.DEPLOYMENT_ID: roster.deployment_id}
            for cohort in COHORTS
        ]
        self._edges = [
            Process("edge", "3.2.0", f"edge-{number}-{i}", start, EDGE_PHASE_S[i])
            for i in range(EDGES)
        ]
        self._instances = [
            Process("playback", arm.version, min(arm.instances), start, phase)
            for arm, phase in zip((roster.baseline, roster.canary), INSTANCE_PHASE_S, strict=True)
        ]

    def second(self, arms: tuple[ArmEvents, ArmEvents], end: int) -> list[bytes]:
        """The exports after one second of events."""
        for events, labels, instance in zip(arms, self._labels, self._instances, strict=True):
            for i, edge in enumerate(self._edges):
                self._starts(edge, events, labels, np.arange(len(events.device)) % EDGES == i)
            for status, of in ((200, ~events.is_error), (500, events.is_error)):
                if of.any():
                    attributes = {
                        semconv.HTTP_REQUEST_METHOD: "POST",
                        semconv.HTTP_ROUTE: "/plays",
                        semconv.URL_SCHEME: "http",
                        semconv.HTTP_RESPONSE_STATUS_CODE: status,
                        **labels,
                    }
                    named = semconv.HTTP_SERVER_REQUEST_DURATION
                    instance.observe(named, attributes, events.server_s[of])
        processes = (*self._edges, *self._instances)
        return [body for process in processes if (body := process.exported(end))]

    @staticmethod
    def _starts(edge: Process, events: ArmEvents, labels: dict, is_here: np.ndarray) -> None:
        startup = np.full(len(events.device), np.nan)
        startup[~events.is_bad] = events.startup_s
        for i, (name, _) in enumerate(DEVICES):
            of = is_here & (events.device == i)
            if not of.any():
                continue
            attributes = {semconv.PLAYBACK_DEVICE_CLASS: name, **labels}
            edge.add(semconv.PLAYBACK_START_ATTEMPTS, attributes, int(of.sum()))
            good, bad = of & ~events.is_bad, of & events.is_bad
            if good.any():
                ended = {**attributes, semconv.PLAYBACK_OUTCOME: semconv.OUTCOME_SUCCESS}
                edge.add(semconv.PLAYBACK_STARTS, ended, int(good.sum()))
                named = semconv.PLAYBACK_STARTUP_DURATION
                edge.observe_exponential(named, attributes, startup[good])
            if bad.any():
                ended = {
                    **attributes,
                    semconv.PLAYBACK_OUTCOME: semconv.OUTCOME_FAILURE_TECHNICAL,
                    semconv.ERROR_TYPE: "manifest_5xx",
                }
                edge.add(semconv.PLAYBACK_STARTS, ended, int(bad.sum()))


def framed(body: bytes) -> bytes:
    """One record of the write-ahead log: field 15000 with its checksum, then the body."""
    payload = b"DLW1" + struct.pack("<III", len(body), zlib.crc32(body), 0)
    return _varint(15000 << 3 | 2) + _varint(len(payload)) + payload + body


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


class Replay:
    """An own store in ``folder``; canaries go in as telemetry and come back as blocks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self._cache = SeriesCache()
        self.points = 0
        self.store: Store = open_store(
            StoreConfig(
                path=folder / "store",
                max_memory_bytes=1_500_000_000,
                query_memory_bytes=500_000_000,
                query_timeout_s=60.0,
                insert_connections=1,
                query_connections=1,
                retention_spans_s=86_400,
                retention_points_s=86_400,
                retention_rollups_s=86_400,
                series_look_back_s=LOOK_BACK / SECOND,
                max_series_per_query=20_000,
            )
        )

    def blocks_of_seconds(
        self, rule: CanaryConfig, seconds: Iterable[tuple[ArmEvents, ArmEvents]]
    ) -> Iterator[tuple[int, dict[str, list[Block]]]]:
        """Per second (now_unix_nano, new blocks), times moved to ``START``."""
        number = next(self._numbers)
        # Each canary has an hour of its own; what is sent in one second arrives in the next.
        shift = number * HOUR - SECOND
        telemetry = Telemetry(number, START + shift)
        path = self._folder / f"{number}.seg"
        count = 0
        with path.open("wb") as segment:
            for count, arms in enumerate(seconds, 1):
                for body in telemetry.second(arms, START + shift + count * SECOND):
                    segment.write(framed(body))
        self.points += self.store.insert_segment(path, Signal.METRICS, f"canary-{number}").rows
        path.unlink()
        taken = self._read(rule, number, START + shift + SECOND, count)
        for t in range(count):
            now = START + (t + 1) * SECOND
            yield now, taken.get(now, {})

    def _read(
        self, rule: CanaryConfig, number: int, start: int, count: int
    ) -> dict[int, dict[str, list[Block]]]:
        roster, until = roster_of(number), start + count * SECOND
        by_end: dict[int, dict[str, list[Block]]] = {}
        for source in sources_of(rule, roster):
            query = metrics.MetricQuery(
                metric=source.metric,
                window=Window(start, until),
                step_ns=SECOND,
                matches=params.matches(list(source.matches)),
                group_by=source.group_by,
                look_back_ns=LOOK_BACK,
                max_series=20_000,
            )
            body = metrics.blocks(self.store, self._cache, query)
            window = {"from_unix_nano": start, "to_unix_nano": until, "step_s": 1.0}
            taken = blocks_of(source, parse_blocks({**body, **window}), roster, until)
            assert taken.stray_events == 0, taken.strays
            for key, blocks in taken.blocks.items():
                for block in blocks:
                    begins = START + block.start_unix_nano - start
                    moved = Block(begins, begins + SECOND, block.baseline, block.canary)
                    by_end.setdefault(begins + SECOND, {})[key] = [moved]
        return by_end

    def close(self) -> None:
        """Close the store."""
        self.store.close()
