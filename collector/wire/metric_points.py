"""The rules one metric and each of its points must meet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, Final

from opentelemetry.proto.metrics.v1 import metrics_pb2

from collector.config import LimitsConfig
from collector.limits.series_book import Admission
from collector.wire import shapes, values
from collector.wire.budget import Budget, attribute_elements, official, parsed
from collector.wire.errors import Malformed
from collector.wire.reasons import Reason, Repair
from collector.wire.series_scope import SeriesScope
from collector.wire.times import Believed
from collector.wire.together import Piece

#: Data point flag: there is no value, the series ended.
_NO_RECORDED_VALUE: Final = 1
#: DELTA and CUMULATIVE of AggregationTemporality.
_TEMPORALITIES: Final = (1, 2)
#: Scales of the exponential layout that mean something in doubles: from one bucket for all of
#: them (-11) to the finest any SDK makes (20).
_MIN_SCALE: Final = -11
_MAX_SCALE: Final = 20

PointRule = Callable[[Any, LimitsConfig, Budget], Reason | None]


def _number(point: shapes.Shape, _limits: LimitsConfig, _budget: Budget) -> Reason | None:
    has_value = point.HasField("as_double") or point.HasField("as_int")
    return None if has_value or point.flags & _NO_RECORDED_VALUE else Reason.NO_VALUE


def _histogram(point: shapes.Shape, limits: LimitsConfig, budget: Budget) -> Reason | None:
    counts, bounds = point.bucket_counts, point.explicit_bounds
    if max(len(counts), len(bounds)) > limits.max_buckets:
        return Reason.TOO_MANY_BUCKETS
    budget.spend_elements(len(counts) + len(bounds))
    if not counts:
        return Reason.MALFORMED_POINT if bounds else None
    if len(counts) != len(bounds) + 1 or sum(counts) != point.count or not _is_rising(bounds):
        return Reason.MALFORMED_POINT
    return None


def _is_rising(bounds: Iterable[float]) -> bool:
    """Strictly, and nothing is NaN: every comparison with NaN is false."""
    return all(low < high for low, high in pairwise((float("-inf"), *bounds)))


def _exponential(point: shapes.Shape, limits: LimitsConfig, budget: Budget) -> Reason | None:
    total = point.zero_count
    for side in (point.positive, point.negative):
        if len(side) > 1:
            raise Malformed("an exponential histogram has one side twice")
        counts = parsed(shapes.Buckets, side[0]).bucket_counts if side else ()
        if len(counts) > limits.max_buckets:
            return Reason.TOO_MANY_BUCKETS
        budget.spend_elements(len(counts))
        total += sum(counts)
    is_sound = total == point.count and _MIN_SCALE <= point.scale <= _MAX_SCALE
    return None if is_sound else Reason.MALFORMED_POINT


def _summary(point: shapes.Shape, limits: LimitsConfig, budget: Budget) -> Reason | None:
    if len(point.quantile_values) > limits.max_buckets:
        return Reason.TOO_MANY_BUCKETS
    budget.spend_elements(len(point.quantile_values))
    quantiles = [parsed(shapes.QuantileValue, one).quantile for one in point.quantile_values]
    return None if all(0 <= one <= 1 for one in quantiles) else Reason.MALFORMED_POINT


#: A busy SDK notes the time, then finds a series that began a moment later (seen: Python's, under
#: load). Differences need only the order of starts, so such a point is kept as it was sent.
START_AHEAD_MAX_NS: Final = 10_000_000_000

#: Field of Metric -> (its number, shape of a point, official class of a point, rule).
_KINDS: Final[dict[str, tuple[int, Any, Any, PointRule]]] = {
    "gauge": (5, shapes.NumberPoint, metrics_pb2.NumberDataPoint, _number),
    "sum": (7, shapes.NumberPoint, metrics_pb2.NumberDataPoint, _number),
    "histogram": (9, shapes.HistogramPoint, metrics_pb2.HistogramDataPoint, _histogram),
    "exponential_histogram": (
        10,
        shapes.ExponentialPoint,
        metrics_pb2.ExponentialHistogramDataPoint,
        _exponential,
    ),
    "summary": (11, shapes.SummaryPoint, metrics_pb2.SummaryDataPoint, _summary),
}
#: Kinds whose points say nothing about what they add up to.
_WITHOUT_TEMPORALITY: Final = frozenset(("gauge", "summary"))


class MetricCheck:
    """Decides about every point of one request and keeps count."""

    def __init__(
        self,
        limits: LimitsConfig,
        budget: Budget,
        believed: Believed,
        admission: Admission | None = None,
    ) -> None:
        self._limits = limits
        self._budget = budget
        self._believed = believed
        self._admission = admission
        self._scope = SeriesScope(b"", b"")
        self._newest = 0
        #: The newest time among the kept points of each service.
        self.newest_unix_nano: dict[str, int] = {}
        self.kept_items = 0
        self.rejected: Counter[Reason] = Counter()
        self.repaired: Counter[Repair] = Counter()

    def enter(self, resource: bytes, scope: bytes) -> None:
        """The parts that follow belong to this resource and scope, both as they are stored."""
        self._scope = SeriesScope(resource, scope)
        self._newest = 0

    def all_of(self, piece: Piece) -> bytes | None:  # noqa: ARG002 - one rule for all checks
        """Metrics are always looked at one by one: there are few, with rules for each kind."""
        return None

    def part(self, raw: bytes) -> bytes | None:
        """The metric as it shall be stored; None if nothing of it is."""
        metric = parsed(shapes.Metric, raw)
        found = _data_of(metric)
        if found is None:
            return None  # no data is no rows
        kind, encoded = found
        data = parsed(shapes.Data, encoded)
        points = data.points
        self._budget.spend_items(len(points))
        reason = self._reason_against_metric(metric, kind, data)
        if reason is not None:
            self.rejected[reason] += len(points)
            return None
        if self._admission is not None:
            self._scope.enter(self._admission, metric, kind, data)
        kept = [one for point in points if (one := self._kept(point, kind, data)) is not None]
        self.kept_items += len(kept)
        if kept:
            service = self._scope.service
            self.newest_unix_nano[service] = max(
                self.newest_unix_nano.get(service, 0), self._newest
            )
        return _written(metric, kind, data, kept) if kept else None

    def reject(self, raw: bytes, reason: Reason) -> None:
        """Count all points of a metric as rejected for something around it."""
        found = _data_of(parsed(shapes.Metric, raw))
        if found is not None:
            count = len(parsed(shapes.Data, found[1]).points)
            self._budget.spend_items(count)
            self.rejected[reason] += count

    def items_of(self, part_count: int) -> int:  # noqa: ARG002 - metrics do not tell
        """Points are counted metric by metric."""
        return 0

    def _reason_against_metric(
        self, metric: shapes.Shape, kind: str, data: shapes.Shape
    ) -> Reason | None:
        if not metric.name:
            return Reason.UNNAMED_METRIC
        if max(len(metric.name), len(metric.unit)) > self._limits.max_name_bytes:
            return Reason.NAME_TOO_LONG
        if kind not in _WITHOUT_TEMPORALITY and data.temporality not in _TEMPORALITIES:
            return Reason.UNSPECIFIED_TEMPORALITY
        return None

    def _kept(self, raw: bytes, kind: str, data: shapes.Shape) -> bytes | None:
        _, shape, official_class, rule = _KINDS[kind]
        point = parsed(shape, raw)
        reason = self._reason_against_point(raw, point) or rule(point, self._limits, self._budget)
        if reason is None and kind == "sum" and data.is_monotonic and _is_negative(point):
            reason = Reason.MALFORMED_POINT
        if reason is None and self._admission is not None:
            reason = self._scope.reason_against(self._admission, data.temporality, point)
        if reason is not None:
            self.rejected[reason] += 1
            return None
        self._newest = max(self._newest, point.time)
        kept = official(official_class, raw)
        values.make_plain(kept.attributes)
        encoded: bytes = kept.SerializeToString()
        return encoded

    def _reason_against_point(self, raw: bytes, point: shapes.Shape) -> Reason | None:
        attributes = point.attributes
        if len(raw) > self._limits.max_item_bytes:
            return Reason.ITEM_TOO_LARGE
        if len(attributes) > self._limits.max_attributes:
            return Reason.TOO_MANY_ATTRIBUTES
        self._budget.spend_elements(attribute_elements(attributes))
        self._spend_exemplars(point)
        reason = self._believed.reason_against(point.time)
        if reason is None and point.start > point.time + START_AHEAD_MAX_NS:
            return Reason.START_AFTER_TIME
        return reason

    def _spend_exemplars(self, point: shapes.Shape) -> None:
        for one in getattr(point, "exemplars", ()):
            attributes = parsed(shapes.Exemplar, one).attributes
            self._budget.spend_elements(1 + attribute_elements(attributes))


def _data_of(metric: shapes.Shape) -> tuple[str, bytes] | None:
    """Which of Metric's oneof is there, encoded; None for a metric without data."""
    found = [(kind, one) for kind in _KINDS for one in getattr(metric, kind)]
    if len(found) > 1:
        raise Malformed(f"a metric has data twice: {', '.join(kind for kind, _ in found[:5])}")
    return found[0] if found else None


def _is_negative(point: shapes.Shape) -> bool:
    return bool(point.as_double < 0 or point.as_int < 0)


def _written(metric: shapes.Shape, kind: str, data: shapes.Shape, points: list[bytes]) -> bytes:
    body = b"".join(shapes.field(1, point) for point in points)
    if kind not in _WITHOUT_TEMPORALITY:
        body += b"\x10" + shapes.varint(data.temporality)
    if data.is_monotonic:
        body += b"\x18\x01"
    named = ((1, metric.name), (3, metric.unit))
    head = [shapes.field(number, text.encode()) for number, text in named if text]
    return b"".join((*head, shapes.field(_KINDS[kind][0], body)))
