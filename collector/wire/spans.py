"""The rules one span must meet."""

from __future__ import annotations

from collections import Counter
from typing import Final

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.config import LimitsConfig
from collector.wire import shapes
from collector.wire.budget import Budget, attribute_elements, canonical, parsed
from collector.wire.reasons import Reason, Repair
from collector.wire.times import Believed

_NO_TRACE_ID: Final = bytes(16)
_NO_SPAN_ID: Final = bytes(8)
#: Appended to a span it takes the parent away: of a field that comes twice, the last one counts.
_NO_PARENT: Final = shapes.field(4, b"")


class SpanCheck:
    """Decides about every span of one request and keeps count."""

    def __init__(self, limits: LimitsConfig, budget: Budget, believed: Believed) -> None:
        self._limits = limits
        self._budget = budget
        self._believed = believed
        self.kept_items = 0
        self.rejected: Counter[Reason] = Counter()
        self.repaired: Counter[Repair] = Counter()

    def part(self, raw: bytes) -> bytes | None:
        """The span as it shall be stored; None if rejected."""
        span = parsed(shapes.Span, raw)
        reason = self._reason_against(raw, span)
        if reason is not None:
            self.rejected[reason] += 1
            return None
        if len(span.parent_span_id) not in {0, 8}:
            self.repaired[Repair.INVALID_PARENT] += 1
            raw += _NO_PARENT
        kept = canonical(Span, raw)
        self.kept_items += 1
        return kept

    def reject(self, raw: bytes, reason: Reason) -> None:  # noqa: ARG002 - a span is one item
        """Count the span as rejected for something around it."""
        self.rejected[reason] += 1

    def items_of(self, part_count: int) -> int:
        """Items that ``part_count`` parts hold, as far as their number tells."""
        return part_count

    def _reason_against(self, raw: bytes, span: shapes.Shape) -> Reason | None:
        trace_id, span_id, attributes = span.trace_id, span.span_id, span.attributes
        if len(trace_id) != 16 or len(span_id) != 8:
            return Reason.INVALID_ID
        if trace_id == _NO_TRACE_ID or span_id == _NO_SPAN_ID:
            return Reason.INVALID_ID
        if len(raw) > self._limits.max_item_bytes:
            return Reason.ITEM_TOO_LARGE
        if len(attributes) > self._limits.max_attributes:
            return Reason.TOO_MANY_ATTRIBUTES
        self._budget.spend_elements(
            attribute_elements(attributes)
            + sum(1 + len(parsed(shapes.Event, event).attributes) for event in span.events)
            + len(span.links)
        )
        return self._believed.reason_against(span.start)
