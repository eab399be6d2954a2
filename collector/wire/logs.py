"""The rules one log record must meet."""

from __future__ import annotations

from collections import Counter
from operator import attrgetter
from typing import Any, Final

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ScopeLogs

from collector.config import LimitsConfig
from collector.wire import shapes, together, values
from collector.wire.budget import (
    Budget,
    array_elements,
    attribute_elements,
    canonical,
    official,
    parsed,
)
from collector.wire.reasons import Reason, Repair
from collector.wire.times import Believed
from collector.wire.together import Piece

_WITHOUT_TRACE: Final = shapes.field(9, b"") + shapes.field(10, b"")
_WITHOUT_SPAN: Final = shapes.field(10, b"")
_CHECKED: Final = attrgetter("trace_id", "span_id", "time_unix_nano", "observed_time_unix_nano")
_ATTRIBUTES: Final = attrgetter("attributes")
_BODY: Final = attrgetter("body")


class LogCheck:
    """Decides about every record of one request and keeps count."""

    def __init__(self, limits: LimitsConfig, budget: Budget, believed: Believed) -> None:
        self._limits = limits
        self._budget = budget
        self._believed = believed
        self.kept_items = 0
        self.rejected: Counter[Reason] = Counter()
        self.repaired: Counter[Repair] = Counter()

    def all_of(self, piece: Piece) -> bytes | None:
        """All records of the piece, and whatever stands beside them; None if some may be bad."""
        scope = together.parsed_scope(ScopeLogs, piece)
        if scope is None or not self._are_good(piece, scope.log_records):
            return None
        if not self._budget.is_ample:
            self._budget.spend_elements(
                sum(
                    len(record.attributes) + array_elements(record.attributes)
                    for record in scope.log_records
                )
            )
        self.kept_items += len(piece.parts)
        return canonical(ScopeLogs, piece.encoded)

    def part(self, raw: bytes) -> bytes | None:
        """The record as it shall be stored; None if rejected."""
        record = parsed(shapes.LogRecord, raw)
        reason = self._reason_against(raw, record)
        if reason is not None:
            self.rejected[reason] += 1
            return None
        kept = official(LogRecord, raw + self._without_ids(record))
        values.make_text(kept.body)
        self.kept_items += 1
        return kept.SerializeToString()

    def reject(self, raw: bytes, reason: Reason) -> None:  # noqa: ARG002 - a record is one item
        """Count the record as rejected for something around it."""
        self.rejected[reason] += 1

    def items_of(self, part_count: int) -> int:
        """Items that ``part_count`` parts hold, as far as their number tells."""
        return part_count

    def _are_good(self, piece: Piece, records: Any) -> bool:
        """No record is one that ``part`` would reject or repair."""
        if not records or len(records) != len(piece.parts):
            return False
        trace_ids, span_ids, times, observed = zip(*map(_CHECKED, records), strict=True)
        if (
            not {0, 16}.issuperset(map(len, trace_ids))
            or not {0, 8}.issuperset(map(len, span_ids))
            or not all(map(values.is_text, map(_BODY, records)))
            or not self._believed.are_believed(
                [time or seen for time, seen in zip(times, observed, strict=True)]
            )
        ):
            return False
        longest = max(map(len, piece.parts))
        limits = self._limits
        return longest <= limits.max_item_bytes and (
            longest <= 2 * limits.max_attributes
            or max(map(len, map(_ATTRIBUTES, records))) <= limits.max_attributes
        )

    def _without_ids(self, record: shapes.Shape) -> bytes:
        """Fields that take away ids no trace can have: of a field that comes twice the last counts.

        OpenTelemetry asks receivers to take such a record as one that belongs to no trace. Zeros
        say that themselves.
        """
        if len(record.trace_id) not in {0, 16}:
            self.repaired[Repair.INVALID_TRACE] += 1
            return _WITHOUT_TRACE
        if len(record.span_id) not in {0, 8}:
            self.repaired[Repair.INVALID_TRACE] += 1
            return _WITHOUT_SPAN
        return b""

    def _reason_against(self, raw: bytes, record: shapes.Shape) -> Reason | None:
        attributes = record.attributes
        if len(raw) > self._limits.max_item_bytes:
            return Reason.ITEM_TOO_LARGE
        if len(attributes) > self._limits.max_attributes:
            return Reason.TOO_MANY_ATTRIBUTES
        self._budget.spend_elements(attribute_elements(attributes))
        return self._believed.reason_against(record.time or record.observed)
