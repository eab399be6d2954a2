"""Numbers, durations and label filters as Prometheus and the generators for it write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

_PROMETHEUS_UNITS: Final = (
    ("y", 365 * 86_400, True),
    ("w", 7 * 86_400, True),
    ("d", 86_400, False),
    ("h", 3_600, False),
    ("m", 60, False),
    ("s", 1, False),
)
_PROMETHEUS_DURATION = re.compile(
    r"((?P<y>[0-9]+)y)?((?P<w>[0-9]+)w)?((?P<d>[0-9]+)d)?((?P<h>[0-9]+)h)?"
    r"((?P<m>[0-9]+)m)?((?P<s>[0-9]+)s)?((?P<ms>[0-9]+)ms)?"
)


def number(value: float) -> str:
    """The shortest digits that read as this value, with an exponent where Go's ``%g`` has one."""
    if value == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int), "finite numbers only"
    power = len(digits) + exponent - 1
    if -4 <= power < 21:
        return fixed(value)
    mantissa = str(digits[0])
    if len(digits) > 1:
        mantissa += "." + "".join(map(str, digits[1:]))
    return f"{'-' * sign}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"


def fixed(value: float) -> str:
    """The same without exponent."""
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def prometheus_duration(seconds: float) -> str:
    """``1h30m``, ``30d``, ``4w``: years and weeks only where nothing is left over."""
    if seconds == 0:
        return "0s"
    millis = round(seconds * 1000)
    text = ""
    for unit, length_s, is_exact in _PROMETHEUS_UNITS:
        length = length_s * 1000
        if is_exact and millis % length:
            continue
        count, millis = divmod(millis, length)
        if count:
            text += f"{count}{unit}"
    return text + (f"{millis}ms" if millis else "")


def prometheus_seconds(text: str) -> float | None:
    """Seconds of such a duration, None if it is none."""
    found = _PROMETHEUS_DURATION.fullmatch(text)
    if not text or found is None:
        return 0 if text == "0" else None
    seconds = sum(int(found[unit] or 0) * length_s for unit, length_s, _ in _PROMETHEUS_UNITS)
    return seconds + int(found["ms"] or 0) / 1000


def go_duration(seconds: int) -> str:
    """``2m0s``, ``1h0m0s``: how Go writes whole seconds."""
    hours, rest = divmod(seconds, 3_600)
    minutes, rest = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def quoted(text: str) -> str:
    """A label value in double quotes."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}
    return '"' + "".join(escapes.get(char, char) for char in text) + '"'


def label_filter(labels: Mapping[str, str]) -> str:
    """``{a="1", b="2"}`` in order of names."""
    pairs = ", ".join(f"{name}={quoted(value)}" for name, value in sorted(labels.items()))
    return f"{{{pairs}}}"
