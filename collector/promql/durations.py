"""Durations such as ``1h30m``, in whole milliseconds.

The same letters as Prometheus (common ``model.ParseDuration``): y w d h m s ms, each at most once,
from the largest to the smallest; a year is 365 days. A plain number is a duration in seconds.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["MAX_DURATION_MS", "format_duration", "parse_duration_ms"]

_MS_PER_UNIT: Final = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
_PATTERN: Final = re.compile(
    r"(?:([0-9]+)y)?(?:([0-9]+)w)?(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?"
    r"(?:([0-9]+)ms)?"
)
#: A Go duration is a 64-bit count of nanoseconds: about 292 years.
MAX_DURATION_MS: Final = (2**63 - 1) // 1_000_000


def parse_duration_ms(text: str) -> int:
    """Milliseconds of ``text``. Raises ValueError with Prometheus' wording."""
    if text == "":
        raise ValueError("empty duration string")
    if text == "0":
        return 0
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(f'not a valid duration string: "{text}"')
    total = sum(
        int(number) * factor
        for number, factor in zip(match.groups(), _MS_PER_UNIT.values(), strict=True)
        if number
    )
    if total > MAX_DURATION_MS:
        raise ValueError("duration out of range")
    return total


def format_duration(duration_ms: int) -> str:
    """The text Prometheus prints for a duration: exact, units from the largest down.

    Years and weeks appear only where the whole duration is a multiple of them.
    """
    if duration_ms == 0:
        return "0s"
    if duration_ms < 0:
        return "-" + format_duration(-duration_ms)
    text, rest = "", duration_ms
    for unit, factor in _MS_PER_UNIT.items():
        if unit in {"y", "w"} and rest % factor:
            continue
        count, remainder = divmod(rest, factor)
        if count:
            text += f"{count}{unit}"
            rest = remainder
    return text
