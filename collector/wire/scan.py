"""One look over a request before it costs anything: is it OTLP, is it bounded, which items stand.

Nothing is built from a request that its limits have not admitted, so a hostile body is refused
for the price of counting it. What goes on is put together anew from the accepted items, each as
the official class writes it: rejected ones are really gone, and nothing is left that another
parser could read otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from collector.config import LimitsConfig
from collector.limits.series_book import Admission
from collector.model import Signal
from collector.wire import shapes
from collector.wire.budget import Budget, attribute_elements, canonical, parsed
from collector.wire.errors import Malformed, TooLarge
from collector.wire.metric_points import MetricCheck
from collector.wire.reasons import EXPLAINED, Reason, Repair
from collector.wire.spans import SpanCheck
from collector.wire.times import Believed


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
        if self.repaired:
            parts.append(
                f"{sum(self.repaired.values())} spans stored without their parent: "
                "parent_span_id must be empty or 8 bytes"
            )
        return "; ".join(parts)


def scan(
    signal: Signal,
    body: bytes,
    limits: LimitsConfig,
    *,
    now_unix_nano: int,
    admission: Admission | None = None,
) -> Scanned:
    """Check an export request. Raises Malformed or TooLarge; one bad item raises nothing.

    ``admission`` decides about series; what it admitted is to be undone if this raises.
    """
    if len(body) > limits.max_body_bytes:
        raise TooLarge(f"the body has {len(body)} bytes, the limit is {limits.max_body_bytes}")
    is_traces = signal is Signal.TRACES
    max_items = limits.max_spans if is_traces else limits.max_points
    budget = Budget(max_items=max_items, max_elements=limits.max_elements)
    believed = Believed.around(now_unix_nano, limits)
    check: SpanCheck | MetricCheck
    if is_traces:
        check = SpanCheck(limits, budget, believed)
    else:
        check = MetricCheck(limits, budget, believed, admission)
    return _Walk(check, budget, limits).over(body)


@dataclass(frozen=True, slots=True)
class _Walk:
    check: SpanCheck | MetricCheck
    budget: Budget
    limits: LimitsConfig

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
        kept = b"".join(self._scope_group(part, head) for part in group.parts)
        return _enclosed(1, group, head, kept)

    def _scope_group(self, raw: bytes, resource: bytes | None) -> bytes:
        group = parsed(shapes.Group, raw)
        parts = group.parts
        self.budget.spend_elements(len(parts))
        self.budget.spend_items(self.check.items_of(len(parts)))
        head = self._head(group.head, InstrumentationScope, shapes.Scope)
        if head is None or resource is None:
            for part in parts:
                self.check.reject(part, Reason.RESOURCE_TOO_LARGE)
            return b""
        if isinstance(self.check, MetricCheck):
            self.check.enter(resource, head)
        checked = (self.check.part(part) for part in parts)
        kept = b"".join(shapes.field(2, part) for part in checked if part is not None)
        return _enclosed(2, group, head, kept)

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
        return canonical(kind, head)


def _enclosed(number: int, group: shapes.Shape, head: bytes | None, kept: bytes) -> bytes:
    """What was kept of a group, as field ``number`` of what is around it; empty if nothing was."""
    if not kept:
        return b""
    schema = shapes.field(3, group.schema_url.encode()) if group.schema_url else b""
    return shapes.field(number, shapes.field(1, head or b"") + kept + schema)
