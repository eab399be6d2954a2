"""What the points of one scope have in common as series: the first half of their identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from collector.limits.series_book import COHORT_KEY, Admission
from collector.wire import shapes
from collector.wire.reasons import Reason

_SERVICE: Final = "service.name"


@dataclass(frozen=True, slots=True)
class SeriesScope:
    """A resource and a scope, as they are stored."""

    key: int
    service: str
    is_reserved: bool

    @staticmethod
    def of(resource: bytes, scope: bytes) -> SeriesScope:
        """From the encoded messages."""
        attributes = Resource.FromString(resource).attributes
        service = next((one.value.string_value for one in attributes if one.key == _SERVICE), "")
        return SeriesScope(hash((resource, scope)), service, COHORT_KEY in resource)

    def reason_against(
        self,
        admission: Admission,
        metric: shapes.Shape,
        kind: str,
        data: shapes.Shape,
        point: shapes.Shape,
    ) -> Reason | None:
        """None if the series of the point may have it. Attributes count in any order."""
        attributes = point.attributes
        name = metric.name

        def is_reserved() -> bool:
            return (
                self.is_reserved
                or admission.is_reserved_name(name)
                or any(COHORT_KEY in one for one in attributes)
            )

        key = hash((self.key, name, metric.unit, kind, data.is_monotonic, *sorted(attributes)))
        return admission.reason_against(
            key, self.service, name, data.temporality, point.time, is_reserved
        )
