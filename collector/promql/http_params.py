"""Parameters of the query API, read as Prometheus reads them and refused in its words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl

from collector.promql.durations import MAX_DURATION_MS, parse_duration_ms
from collector.promql.errors import BadData
from collector.promql.strings import go_quoted

__all__ = ["Parameters", "parse_form"]

#: No time before or after these is meant; they stand for "all there is".
_MIN_MS: Final = -(2**62) // 1_000_000
_MAX_MS: Final = 2**62 // 1_000_000
#: Parameters and parts of one request; a form is never that long.
MAX_FIELDS: Final = 10_000
_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)"
)
_FLOAT: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


def parse_form(*parts: str) -> dict[str, list[str]]:
    """Fields of query strings and form bodies, in order. Raises BadData."""
    fields: dict[str, list[str]] = {}
    for part in parts:
        try:
            pairs = parse_qsl(part, keep_blank_values=True, max_num_fields=MAX_FIELDS)
        except ValueError as error:
            raise BadData(f"error parsing form values: {error}") from None
        for name, value in pairs:
            fields.setdefault(name, []).append(value)
    return fields


class Parameters:
    """The fields of one request."""

    def __init__(self, fields: Mapping[str, Sequence[str]], now_ms: int) -> None:
        self._fields = fields
        self._now_ms = now_ms

    def text(self, name: str) -> str:
        """The first value, "" if there is none."""
        values = self._fields.get(name, ())
        return values[0] if values else ""

    def texts(self, name: str) -> Sequence[str]:
        """All values."""
        return self._fields.get(name, ())

    def time_ms(self, name: str) -> int:
        """A time as Unix seconds or RFC 3339."""
        text = self.text(name)
        time_ms = _parse_time_ms(text)
        if time_ms is None:
            raise _invalid(name, _no_time(text))
        return time_ms

    def optional_time_ms(self, name: str, default_ms: int) -> int:
        """The same, or the default where it is not given."""
        text = self.text(name)
        time_ms = _parse_time_ms(text) if text else default_ms
        if time_ms is None:
            raise _invalid(name, f"invalid time value for '{name}': {_no_time(text)}")
        return time_ms

    def bounds_ms(self) -> tuple[int, int]:
        """``start`` and ``end``, everything by default."""
        return self.optional_time_ms("start", _MIN_MS), self.optional_time_ms("end", _MAX_MS)

    def instant_ms(self) -> int:
        """``time``, now by default."""
        return self.optional_time_ms("time", self._now_ms)

    def range_ms(self) -> tuple[int, int, int]:
        """``start``, ``end`` and ``step`` of a range query."""
        start_ms, end_ms = self.time_ms("start"), self.time_ms("end")
        if end_ms < start_ms:
            raise _invalid("end", "end timestamp must not be before start time")
        step_ms = self.duration_ms("step")
        if step_ms is None:
            raise _invalid("step", 'cannot parse "" to a valid duration')
        if step_ms <= 0:
            raise _invalid(
                "step",
                "zero or negative query resolution step widths are not accepted. Try a positive "
                "integer",
            )
        return start_ms, end_ms, step_ms

    def duration_ms(self, name: str) -> int | None:
        """A duration such as ``1m`` or a number of seconds; None if it is not given."""
        text = self.text(name)
        if not text:
            return None
        if _FLOAT.fullmatch(text):
            milliseconds = float(text) * 1000
            if abs(milliseconds) > MAX_DURATION_MS:
                raise _invalid(
                    name, f"cannot parse {go_quoted(text)} to a valid duration. It overflows int64"
                )
            return math.floor(milliseconds)
        try:
            return parse_duration_ms(text)
        except ValueError:
            raise _invalid(name, f"cannot parse {go_quoted(text)} to a valid duration") from None

    def limit(self, name: str = "limit") -> int:
        """How many results are wanted; 0 means all."""
        text = self.text(name)
        if not text:
            return 0
        if not re.fullmatch(r"[+-]?\d{1,18}", text):
            raise BadData("limit must be a number")
        if int(text) < 0:
            raise BadData("limit must be non-negative")
        return int(text)


def _invalid(name: str, message: str) -> BadData:
    return BadData(f"invalid parameter {go_quoted(name)}: {message}")


def _no_time(text: str) -> str:
    return f"cannot parse {go_quoted(text)} to a valid timestamp"


def _parse_time_ms(text: str) -> int | None:
    if _FLOAT.fullmatch(text):
        seconds = float(text)
        if not math.isfinite(seconds):
            return None
        return math.floor(max(min(seconds * 1000 + 0.5, _MAX_MS), _MIN_MS))
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    zone = "+00:00" if match[3] in "Zz" else match[3]
    try:
        moment = datetime.fromisoformat(match[1].upper() + zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    whole_s = round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    return whole_s * 1000 + int((match[2] or "0").ljust(9, "0")[:3])
