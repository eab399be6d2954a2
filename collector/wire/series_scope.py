"""What the points of one scope have in common as series: the first half of their identity."""

from __future__ import annotations

from typing import Final

from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from collector.limits.series_book import COHORT_KEY, Admission
from collector.wire import shapes
from collector.wire.reasons import Reason

_SERVICE: Final = "service.name"


class SeriesScope:
    """A resource and a scope, as they are stored."""

    __slots__ = ("_is_reserved", "_key", "_metric_key", "_owner", "service")

    def __init__(self, resource: bytes, scope: bytes) -> None:
        """From the encoded messages."""
        attributes = Resource.FromString(resource).attributes
        self.service = next(
            (one.value.string_value for one in attributes if one.key == _SERVICE), ""
        )
        self._key = hash((resource, scope))
        self._is_reserved = COHORT_KEY in resource

    def enter(
        self, admission: Admission, metric: shapes.Shape, kind: str, data: shapes.Shape
    ) -> None:
        """The points that follow belong to this metric."""
        self._metric_key = hash((self._key, metric.name, metric.unit, kind, data.is_monotonic))
        name = metric.name
        self._owner = admission.owner(self.service, name, is_reserved=self._is_reserved)

    def reason_against(
        self, admission: Admission, temporality: int, point: shapes.Shape
    ) -> Reason | None:
        """None if the series of the point may have it. Attributes count in any order."""
        attributes = b"".join(sorted(point.attributes))
        key = hash((self._metric_key, attributes))
        return admission.reason_against(key, temporality, point.time, self._owner, attributes)
