"""One look over a request before it costs anything: is it OTLP, is it bounded, which items stand.

Nothing is built from a request that its limits have not admitted, so a hostile body is refused
for the price of counting it. What goes on is put together anew from the accepted items, each as
the official class writes it: rejected ones are really gone, and nothing is left that another
parser could read otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from collector.access.tokens import FREE, Binding
from collector.config import LimitsConfig
from collector.limits.series_book import Admission
from collector.model import Signal
from collector.wire import shapes, together, values
from collector.wire.budget import Budget, attribute_elements, canonical, official, parsed
from collector.wire.errors import Malformed, TooLarge
from collector.wire.logs import LogCheck
from collector.wire.metric_points import MetricCheck
from collector.wire.reasons import EXPLAINED, MENDED, Reason, Repair
from collector.wire.spans import SpanCheck
from collector.wire.times import Believed
from collector.wire.together import Piece

SERVICE_NAME: Final = "service.name"
ENVIRONMENT: Final = "deployment.environment.name"
#: Attributes of a resource that are columns of the store.
NAMING: Final = frozenset(
    (
        SERVICE_NAME,
        "service.version",
        "service.instance.id",
        "cloud.region",
        "cloud.availability_zone",
        ENVIRONMENT,
    )
)
_Check = SpanCheck | MetricCheck | LogCheck
_CHECKS: Final[dict[Signal, type[_Check]]] = {
    Signal.TRACES: SpanCheck,
    Signal.METRICS: MetricCheck,
    Signal.LOGS: LogCheck,
}
_REQUESTS: Final[dict[Signal, type[Message]]] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
}


@dataclass(frozen=True, slots=True)
class Scanned:
    """What is left of a request, and what was taken out of it."""

    #: OTLP protobuf with the accepted items only.
    body: bytes
    #: Spans or data points in ``body``.
    item_count: int
    #: Items per reason that are not in ``body``.
    rejected: Mapping[Reason, int]
    #: Items in ``body`` that lost a part.
    repaired: Mapping[Repair, int]
    #: Of metrics: the newest time in ``body`` by service.
    newest_unix_nano: Mapping[str, int] = field(default_factory=dict)

    @property
    def rejected_count(self) -> int:
        return sum(self.rejected.values())

    def message(self) -> str:
        """What the sender is told; empty when there is nothing to tell."""
        parts = [
            f"{count} rejected as {reason}: {EXPLAINED[reason]}"
            for reason, count in sorted(self.rejected.items())
        ]
        parts += [
            f"{count} stored without a part: {MENDED[repair]}"
            for repair, count in sorted(self.repaired.items())
        ]
        return "; ".join(parts)


def scan(
    signal: Signal,
    body: bytes,
    limits: LimitsConfig,
    *,
    now_unix_nano: int,
    admission: Admission | None = None,
    binding: Binding = FREE,
) -> Scanned:
    """Check an export request. Raises Malformed or TooLarge; one bad item raises nothing.

    ``admission`` decides about series; what it admitted is to be undone if this raises. Items of
    a resource that ``binding`` does not allow are rejected.
    """
    if len(body) > limits.max_body_bytes:
        raise TooLarge(f"the body has {len(body)} bytes, the limit is {limits.max_body_bytes}")
    max_items = {
        Signal.TRACES: limits.max_spans,
        Signal.METRICS: limits.max_points,
        Signal.LOGS: limits.max_logs,
    }[signal]
    budget = Budget(max_items=max_items, max_elements=limits.max_elements, body_bytes=len(body))
    believed = Believed.around(now_unix_nano, limits)
    check: _Check
    if signal is Signal.METRICS:
        check = MetricCheck(limits, budget, believed, admission)
    else:
        check = _CHECKS[signal](limits, budget, believed)
    return _Walk(check, budget, limits, binding).over(body)


def rewritten(signal: Signal, body: bytes) -> bytes:
    """The request as its official class writes it, without fields it does not know.

    Parsers agree on what that class writes. Raises Malformed.
    """
    return canonical(_REQUESTS[signal], body)


@dataclass(frozen=True, slots=True)
class _Walk:
    check: _Check
    budget: Budget
    limits: LimitsConfig
    binding: Binding

    def over(self, body: bytes) -> Scanned:
        groups = parsed(shapes.Export, body).groups
        self.budget.spend_elements(len(groups))
        kept = b"".join(self._resource_group(group) for group in groups)
        check = self.check
        newest = check.newest_unix_nano if isinstance(check, MetricCheck) else {}
        return Scanned(kept, check.kept_items, check.rejected, check.repaired, newest)

    def _resource_group(self, raw: bytes) -> bytes:
        group = parsed(shapes.Group, raw)
        self.budget.spend_elements(len(group.parts))
        head = self._head(group.head, Resource, shapes.Resource)
        refusal = Reason.RESOURCE_TOO_LARGE if head is None else None
        if head is not None and not self._is_its_own(head):
            refusal = Reason.IDENTITY_MISMATCH
        kept = b"".join(self._scope_group(part, head or b"", refusal) for part in group.parts)
        return _enclosed(1, group, head, kept)

    def _is_its_own(self, resource: bytes) -> bool:
        """Whether the sender may speak for the service; one that is named twice counts twice."""
        if self.binding.is_free:
            return True
        named: dict[str, list[str]] = {SERVICE_NAME: [], ENVIRONMENT: []}
        for one in Resource.FromString(resource).attributes:
            if one.key in named:
                named[one.key].append(one.value.string_value)
        return self.binding.allows(named[SERVICE_NAME], named[ENVIRONMENT])

    def _scope_group(self, raw: bytes, resource: bytes, refusal: Reason | None) -> bytes:
        group = parsed(shapes.Group, raw)
        parts = group.parts
        self.budget.spend_elements(len(parts))
        self.budget.spend_items(self.check.items_of(len(parts)))
        head = self._head(group.head, InstrumentationScope, shapes.Scope)
        if not parts:
            return b""
        if head is None or refusal is not None:
            for part in parts:
                self.check.reject(part, refusal or Reason.RESOURCE_TOO_LARGE)
            return b""
        if isinstance(self.check, MetricCheck):
            self.check.enter(resource, head)
        if len(raw) > together.MAX_BYTES:
            kept = b"".join(map(self._kept, together.pieces(parts)))
        else:
            whole = self.check.all_of(Piece(parts, raw))
            if whole is not None:
                return shapes.field(2, whole)
            kept = self._one_by_one(parts)
        return _enclosed(2, group, head, kept)

    def _kept(self, piece: Piece) -> bytes:
        """The items that stand, each as field 2 of its scope."""
        whole = self.check.all_of(piece)
        return self._one_by_one(piece.parts) if whole is None else whole

    def _one_by_one(self, parts: Sequence[bytes]) -> bytes:
        checked = map(self.check.part, parts)
        return b"".join(shapes.field(2, part) for part in checked if part is not None)

    def _head(
        self,
        heads: Sequence[bytes],
        kind: type[Resource | InstrumentationScope],
        shape: shapes.Shape,
    ) -> bytes | None:
        """A resource or scope as it shall be stored, empty if there is none; None if too large."""
        if not heads:
            return b""
        if len(heads) > 1:
            raise Malformed(f"two {kind.DESCRIPTOR.name} messages where one belongs")
        (head,) = heads
        if len(head) > self.limits.max_item_bytes:
            return None
        attributes = parsed(shape, head).attributes
        if len(attributes) > self.limits.max_attributes:
            return None
        self.budget.spend_elements(attribute_elements(attributes))
        kept = official(kind, head)
        if isinstance(kept, Resource):
            self._make_readable(kept)
        return kept.SerializeToString()

    def _make_readable(self, resource: Resource) -> None:
        """Text where the store looks for it: in what names a service, for points everywhere."""
        if isinstance(self.check, MetricCheck):
            values.make_plain(resource.attributes)
        for one in resource.attributes:
            if one.key in NAMING:
                values.make_text(one.value)


def _enclosed(number: int, group: shapes.Shape, head: bytes | None, kept: bytes) -> bytes:
    """What was kept of a group, as field ``number`` of what is around it; empty if nothing was."""
    if not kept:
        return b""
    schema = shapes.field(3, group.schema_url.encode()) if group.schema_url else b""
    return shapes.field(number, shapes.field(1, head or b"") + kept + schema)
