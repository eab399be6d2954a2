"""Strict reading of query strings: what is not understood is refused, never guessed.

Times: Unix seconds with decimals, RFC 3339, ``now``, ``now-15m``, ``now+5s`` (ms, s, m, h, d).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from collector.query.errors import BadParameter
from collector.store.reader import Match, Window

TIME_ACCEPTED: Final = "Unix seconds (1700000000.5), RFC 3339 with zone, now, now-15m"
DURATION_ACCEPTED: Final = "a positive number of seconds, e.g. 1 or 0.25"
MATCH_ACCEPTED: Final = "key=value or key!=value"

MAX_STEPS: Final = 11_000
MAX_MATCHES: Final = 20
MAX_GROUP_KEYS: Final = 8
MAX_TEXT_CHARS: Final = 1_024
DEFAULT_WINDOW_S: Final = 900

_RELATIVE = re.compile(r"^now(?:([+-])(\d+(?:\.\d+)?)(ms|s|m|h|d))?$")
_UNIT_NS: Final = {
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
#: 1970 to 2200: beyond it the time was surely given in another unit.
_LATEST_UNIX_NANO: Final = 7_258_118_400_000_000_000


def time_unix_nano(name: str, text: str, *, now_unix_nano: int) -> int:
    """One time as Unix nanoseconds."""
    relative = _RELATIVE.match(text)
    if relative:
        sign, number, unit = relative.groups()
        if number is None:
            return now_unix_nano
        shift_ns = int(Decimal(number) * _UNIT_NS[unit])
        result = now_unix_nano + (shift_ns if sign == "+" else -shift_ns)
    else:
        result = _absolute(name, text)
    if not 0 <= result <= _LATEST_UNIX_NANO:
        raise BadParameter(
            f"{name}={text!r} is outside 1970 to 2200; is it in seconds?", accepted=TIME_ACCEPTED
        )
    return result


def _absolute(name: str, text: str) -> int:
    try:
        number = Decimal(text)
        if number.is_finite() and abs(number) < 10**15:
            return int(number * 1_000_000_000)
    except InvalidOperation:
        pass
    else:
        raise BadParameter(f"{name}={text!r} is not a time", accepted=TIME_ACCEPTED)
    try:
        # A plus sign of a zone arrives as a space when the client forgot to encode it.
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise BadParameter(f"{name}={text!r} is not a time", accepted=TIME_ACCEPTED) from None
    if moment.tzinfo is None:
        raise BadParameter(f"{name}={text!r} has no time zone", accepted=TIME_ACCEPTED)
    return round(Decimal(moment.timestamp()) * 1_000_000) * 1_000


def window(from_text: str | None, to_text: str | None, *, now_unix_nano: int) -> Window:
    """[from, to); the default is the last 15 minutes up to and including now."""
    to = time_unix_nano("to", to_text or "now", now_unix_nano=now_unix_nano)
    if from_text:
        start = time_unix_nano("from", from_text, now_unix_nano=now_unix_nano)
    else:
        start = to - DEFAULT_WINDOW_S * 1_000_000_000
    if start >= to:
        raise BadParameter(f"from ({start}) is not before to ({to})", accepted="from < to")
    return Window(start, to)


def duration_ns(name: str, text: str) -> int:
    """A positive duration in seconds, as nanoseconds."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < 1e9:
        raise BadParameter(f"{name}={text!r} is not a duration", accepted=DURATION_ACCEPTED)
    return max(1, round(seconds * 1e9))


def step_ns(text: str | None, span: Window, *, default_steps: int = 120) -> int:
    """Width of a step; without one, whole seconds that make about ``default_steps`` steps."""
    width_ns = span.to_unix_nano - span.from_unix_nano
    if text is None:
        return max(1, round(width_ns / default_steps / 1e9)) * 1_000_000_000
    step = duration_ns("step_s", text)
    if width_ns > step * MAX_STEPS:
        raise BadParameter(
            f"step_s={text} cuts the window into more than {MAX_STEPS} steps",
            accepted=f"at least {width_ns / MAX_STEPS / 1e9:g}",
        )
    return step


def whole_step_s(text: str | None, span: Window) -> int:
    """Like step_ns, for rollups that are kept per whole second."""
    step = step_ns(text, span)
    if step % 1_000_000_000:
        raise BadParameter(f"step_s={text} is not whole", accepted="whole seconds, 1 or more")
    return step // 1_000_000_000


def aligned(span: Window, step: int) -> Window:
    """The window widened down to a multiple of the step, so that polls see the same steps."""
    return Window(span.from_unix_nano // step * step, span.to_unix_nano)


def matches(texts: Iterable[str]) -> tuple[Match, ...]:
    """``key=value`` and ``key!=value``; the first sign splits."""
    result = []
    for raw in texts:
        left, sign, value = raw.partition("=")
        key = left.removesuffix("!")
        if not sign or not key or len(raw) > MAX_TEXT_CHARS:
            raise BadParameter(f"match={raw[:100]!r} is not a condition", accepted=MATCH_ACCEPTED)
        result.append(Match(key, value, is_negated=left.endswith("!")))
    if len(result) > MAX_MATCHES:
        raise BadParameter("too many match conditions", accepted=f"at most {MAX_MATCHES}")
    return tuple(result)


def group_keys(text: str | None) -> tuple[str, ...]:
    """Comma-separated attribute names, each once."""
    if not text:
        return ()
    keys = tuple(key.strip() for key in text.split(","))
    if len(keys) > MAX_GROUP_KEYS or len(set(keys)) != len(keys) or not all(keys):
        raise BadParameter(
            f"group_by={text[:100]!r} is not a list of names",
            accepted=f"up to {MAX_GROUP_KEYS} different attribute names, comma-separated",
        )
    return keys


def required(name: str, value: str | None) -> str:
    """A text parameter that must be there."""
    if not value:
        raise BadParameter(f"{name} is missing", accepted=f"{name}=<text>")
    if len(value) > MAX_TEXT_CHARS:
        raise BadParameter(f"{name} is too long", accepted=f"up to {MAX_TEXT_CHARS} characters")
    return value


def one_of(name: str, value: str, accepted: Iterable[str]) -> str:
    """A word from a list."""
    words = tuple(accepted)
    if value not in words:
        raise BadParameter(f"{name}={value[:100]!r} is unknown", accepted=", ".join(words))
    return value


def integer(name: str, text: str, *, low: int, high: int) -> int:
    """A whole number within [low, high]."""
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise BadParameter(f"{name}={text[:100]!r} is out of range", accepted=f"{low} to {high}")
    return value


def boolean(name: str, text: str | None) -> bool:
    """``true`` or ``false``; absent is false."""
    return one_of(name, text or "false", ("true", "false")) == "true"
