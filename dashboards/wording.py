"""Numbers and times as a reader wants them: three figures, a unit, never a bare float."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

#: Stands where a number is not known; never 0.
UNKNOWN: Final = "–"
_NS: Final = 1_000_000_000


def figures3(value: float) -> str:
    """Three significant figures without an exponent: 0.0123, 1.23, 12.3, 1,230."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{min(digits, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rate(per_s: float | None) -> str:
    """``47.9/s``."""
    return UNKNOWN if per_s is None else f"{figures3(per_s)}/s"


def percent(ratio: float | None, *, digits: int = 1) -> str:
    """``99.4 %``; a share that is not quite whole is never rounded up to 100 % or down to 0 %."""
    if ratio is None:
        return UNKNOWN
    text = f"{100 * ratio:.{digits}f}"
    smallest = 10.0**-digits
    if ratio < 1 and float(text) >= 100:
        return f"> {100 - smallest:.{digits}f} %"
    if ratio > 0 and float(text) == 0:
        return f"< {smallest:.{digits}f} %"
    return f"{text} %"


def points(difference: float | None) -> str:
    """A difference of shares in percentage points: ``+1.2 points``."""
    return UNKNOWN if difference is None else f"{signed(100 * difference)} points"


def signed(value: float) -> str:
    """Three figures with a sign; a tenth is enough from one on."""
    text = figures3(round(abs(value), 2 if abs(value) < 1 else 1))
    if text == "0":
        return "0"
    return f"+{text}" if value > 0 else f"−{text}"


def times(ratio: float | None) -> str:
    """A factor: ``1.08×``."""
    return UNKNOWN if ratio is None else f"{ratio:.2f}×" if ratio < 100 else f"{ratio:.0f}×"


def duration(seconds: float | None) -> str:
    """``850 µs``, ``42 ms``, ``1.2 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds is None:
        return UNKNOWN
    if seconds < 0:
        return f"−{duration(-seconds)}"
    if seconds < 0.001:
        return f"{figures3(seconds * 1e6)} µs" if seconds else "0 s"
    if seconds < 0.9995:
        return f"{figures3(seconds * 1e3)} ms"
    if seconds < 100:
        return f"{figures3(seconds)} s"
    whole = round(seconds)
    if whole < 3600:
        return _two(whole // 60, "min", whole % 60, "s")
    if whole < 172_800:
        return _two(whole // 3600, "h", whole % 3600 // 60, "min")
    return _two(whole // 86_400, "d", whole % 86_400 // 3600, "h")


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit} {small} {small_unit}" if small else f"{large} {large_unit}"


def ago(unix_nano: int, now_unix_nano: int) -> str:
    """``just now``, ``12 s ago``, ``3 min ago``."""
    seconds = (now_unix_nano - unix_nano) / _NS
    if seconds < 2:
        return "just now"
    if seconds < 120:
        return f"{seconds:.0f} s ago"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min ago"
    if seconds < 172_800:
        return f"{seconds / 3600:.0f} h ago"
    return f"{seconds / 86_400:.0f} d ago"


def clock_time(unix_nano: int | None) -> str:
    """``14:03:05`` UTC."""
    if unix_nano is None:
        return UNKNOWN
    return f"{datetime.fromtimestamp(unix_nano / _NS, UTC):%H:%M:%S}"


def date_time(unix_nano: int | None) -> str:
    """``2026-11-03 14:03:05 UTC``."""
    if unix_nano is None:
        return UNKNOWN
    return f"{datetime.fromtimestamp(unix_nano / _NS, UTC):%Y-%m-%d %H:%M:%S} UTC"


def iso(unix_s: float) -> str:
    """A time as the charts want it: UTC, ISO 8601 without a zone, to the millisecond."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]


def plural(count: int, one: str, many: str | None = None) -> str:
    """``1 edge``, ``3 edges``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
