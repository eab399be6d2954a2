"""One look over a request before it costs anything: is it OTLP, is it bounded, which items stand.

Nothing is built from a request that its limits have not admitted, so a hostile body is refused
for the price of counting it. Rejected items are really gone: the body is put together again from
the bytes of the others. A body without rejections goes on as the very bytes that came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from collector.config import LimitsConfig
from collector.model import Signal
from collector.wire import shapes
from collector.wire.budget import Budget, attribute_elements, parsed
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


def scan(signal: Signal, body: bytes, limits: LimitsConfig, *, now_unix_nano: int) -> Scanned:
    """Check an export request. Raises Malformed or TooLarge; one bad item raises nothing."""
    if len(body) > limits.max_body_bytes:
        raise TooLarge(f"the body has {len(body)} bytes, the limit is {limits.max_body_bytes}")
    is_traces = signal is Signal.TRACES
    max_items = limits.max_spans if is_traces else limits.max_points
    budget = Budget(max_items=max_items, max_elements=limits.max_elements)
    believed = Believed.around(now_unix_nano, limits)
    check = (SpanCheck if is_traces else MetricCheck)(limits, budget, believed)
    return _Walk(check, budget, limits).over(body)


#: A part after the check, and before; the same object if nothing was taken out of it.
_Change = tuple[bytes | None, bytes]


@dataclass(frozen=True, slots=True)
class _Walk:
    check: SpanCheck | MetricCheck
    budget: Budget
    limits: LimitsConfig

    def over(self, body: bytes) -> Scanned:
        groups = parsed(shapes.Export, body).groups
        self.budget.spend_elements(len(groups))
        kept = [(self._resource_group(raw), raw) for raw in groups]
        if not _is_unchanged(kept):
            body = b"".join(shapes.field(1, after) for after, _ in kept if after is not None)
        check = self.check
        return Scanned(body, check.kept_items, check.rejected, check.repaired)

    def _resource_group(self, raw: bytes) -> bytes | None:
        group = parsed(shapes.Group, raw)
        self.budget.spend_elements(len(group.parts))
        is_fit = self._is_head_fit(group.head, Resource, shapes.Resource)
        kept = [(self._scope_group(part, is_fit), part) for part in group.parts]
        return _put_together(raw, group, kept)

    def _scope_group(self, raw: bytes, is_resource_fit: bool) -> bytes | None:
        group = parsed(shapes.Group, raw)
        parts = group.parts
        self.budget.spend_elements(len(parts))
        self.budget.spend_items(self.check.items_of(len(parts)))
        if self._is_head_fit(group.head, InstrumentationScope, shapes.Scope) and is_resource_fit:
            return _put_together(raw, group, [(self.check.part(part), part) for part in parts])
        for part in parts:
            self.check.reject(part, Reason.RESOURCE_TOO_LARGE)
        return None

    def _is_head_fit(
        self,
        heads: Sequence[bytes],
        kind: type[Resource | InstrumentationScope],
        shape: shapes.Shape,
    ) -> bool:
        """Whether a resource or scope is within its limits; one that is missing is."""
        if not heads:
            return True
        if len(heads) > 1:
            raise Malformed(f"two {kind.DESCRIPTOR.name} messages where one belongs")
        (head,) = heads
        if len(head) > self.limits.max_item_bytes:
            return False
        attributes = parsed(shape, head).attributes
        if len(attributes) > self.limits.max_attributes:
            return False
        self.budget.spend_elements(attribute_elements(attributes))
        parsed(kind, head)
        return True


def _is_unchanged(kept: Sequence[_Change]) -> bool:
    return all(after is before for after, before in kept)


def _put_together(raw: bytes, group: shapes.Shape, kept: Sequence[_Change]) -> bytes | None:
    """The group with what was kept of it: ``raw`` itself if that is all, None if nothing."""
    if _is_unchanged(kept):
        return raw
    parts = [shapes.field(2, after) for after, _ in kept if after is not None]
    if not parts:
        return None
    head = [shapes.field(1, one) for one in group.head]
    schema = [shapes.field(3, group.schema_url)] if group.schema_url else []
    return b"".join(head + parts + schema)
