"""The rules one span must meet."""

from __future__ import annotations

from collections import Counter
from operator import attrgetter
from typing import Any, Final

from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

from collector.config import LimitsConfig
from collector.wire import shapes, together
from collector.wire.budget import (
    Budget,
    array_elements,
    attribute_elements,
    canonical,
    parsed,
)
from collector.wire.reasons import Reason, Repair
from collector.wire.times import Believed
from collector.wire.together import Piece

_NO_TRACE_ID: Final = bytes(16)
_NO_SPAN_ID: Final = bytes(8)
#: Appended to a span it takes the parent away: of a field that comes twice, the last one counts.
_NO_PARENT: Final = shapes.field(4, b"")
_CHECKED: Final = attrgetter("trace_id", "span_id", "parent_span_id", "start_time_unix_nano")
_ATTRIBUTES: Final = attrgetter("attributes")


class SpanCheck:
    """Decides about every span of one request and keeps count."""

    def __init__(self, limits: LimitsConfig, budget: Budget, believed: Believed) -> None:
        self._limits = limits
        self._budget = budget
        self._believed = believed
        self.kept_items = 0
        self.rejected: Counter[Reason] = Counter()
        self.repaired: Counter[Repair] = Counter()

    def all_of(self, piece: Piece) -> bytes | None:
        """All spans of the piece, and whatever stands beside them; None if some may be bad.

        They stay as they came. What the engine's parser refuses and the official one forgives is
        written anew when it does: ``scan.rewritten``.
        """
        scope = together.parsed_scope(ScopeSpans, piece)
        if scope is None or not self._are_good(piece, scope.spans):
            return None
        if not self._budget.is_ample:
            self._budget.spend_elements(_elements(scope.spans))
        self.kept_items += len(piece.parts)
        return piece.encoded

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

    def _are_good(self, piece: Piece, spans: Any) -> bool:
        """No span is one that ``part`` would reject or repair."""
        if not spans or len(spans) != len(piece.parts):
            return False
        trace_ids, span_ids, parents, starts = zip(*map(_CHECKED, spans), strict=True)
        if (
            set(map(len, trace_ids)) != {16}
            or set(map(len, span_ids)) != {8}
            or not {0, 8}.issuperset(map(len, parents))
            or _NO_TRACE_ID in trace_ids
            or _NO_SPAN_ID in span_ids
            or not self._believed.are_believed(starts)
        ):
            return False
        limits = self._limits
        longest = max(map(len, piece.parts))
        # An attribute takes two bytes at least, so a short span cannot hold too many.
        return longest <= min(limits.max_item_bytes, 2 * limits.max_attributes) or (
            longest <= limits.max_item_bytes
            and max(map(len, map(_ATTRIBUTES, spans))) <= limits.max_attributes
        )

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


def _elements(spans: Any) -> int:
    """As ``_reason_against`` counts them."""
    return sum(
        len(span.attributes)
        + array_elements(span.attributes)
        + sum(1 + len(event.attributes) for event in span.events)
        + len(span.links)
        for span in spans
    )
