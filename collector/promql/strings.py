"""Text as Go writes and reads it: quoted strings, runes and floating-point numbers.

Prometheus' answers and messages are made by Go's ``strconv``; clients compare them as text.
"""

from __future__ import annotations

import math
import re
import string
from typing import Final

import numpy as np

__all__ = [
    "format_float",
    "format_general",
    "format_json",
    "format_openmetrics",
    "format_rfc3339",
    "go_quoted",
    "go_rune",
    "unquoted",
]

_ESCAPES: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\",
}  # fmt: skip
_UNESCAPES: Final = {value: f"\\{name}" for name, value in _ESCAPES.items()}
_NUMERIC_ESCAPE: Final = re.compile(
    r"\\(?:(?P<octal>[0-7]{3})|x(?P<byte>[0-9a-fA-F]{2})|u(?P<short>[0-9a-fA-F]{4})"
    r"|U(?P<long>[0-9a-fA-F]{8}))"
)
_MAX_CODE_POINT: Final = 0x10FFFF


def unquoted(literal: str) -> str:
    """The text of a string literal, quotes included. Raises ValueError with Go's wording."""
    quote, body = literal[0], literal[1:-1]
    if quote == "`":
        return body.replace("\r", "")
    parts: list[bytes] = []
    position = 0
    while position < len(body):
        if body[position] != "\\":
            following = body.find("\\", position)
            end = len(body) if following < 0 else following
            parts.append(body[position:end].encode("utf-8", "surrogatepass"))
            position = end
            continue
        raw, position = _escape(body, position, quote)
        parts.append(raw)
    # Bytes that are not UTF-8 cannot travel as JSON; Go replaces them on the way out.
    return b"".join(parts).decode("utf-8", "replace")


def _escape(body: str, position: int, quote: str) -> tuple[bytes, int]:
    name = body[position + 1 : position + 2]
    if name == quote:
        return quote.encode(), position + 2
    if name in _ESCAPES:
        return _ESCAPES[name].encode(), position + 2
    match = _NUMERIC_ESCAPE.match(body, position)
    if match is None:
        if name == "":
            raise ValueError("escape sequence not terminated")
        if name in "01234567xuU":
            raise ValueError(_illegal_digit(body, position, name))
        raise ValueError(f"unknown escape sequence U+{ord(name):04X} {go_rune(name)}")
    for kind, base in (("octal", 8), ("byte", 16)):
        if match.group(kind):
            number = int(match.group(kind), base)
            if number > 255:
                raise ValueError("escape sequence is an invalid Unicode code point")
            return bytes([number]), match.end()
    number = int(match.group("short") or match.group("long"), 16)
    if number > _MAX_CODE_POINT or 0xD800 <= number < 0xE000:
        raise ValueError("escape sequence is an invalid Unicode code point")
    return chr(number).encode(), match.end()


def _illegal_digit(body: str, position: int, name: str) -> str:
    """What to say of an escape by number that breaks off."""
    digits = "01234567" if name.isdigit() else string.hexdigits
    place = position + (1 if name.isdigit() else 2)
    while body[place : place + 1] and body[place] in digits:
        place += 1
    found = body[place : place + 1]
    if not found:
        return "escape sequence not terminated"
    return f"illegal character U+{ord(found):04X} '{found}' in escape sequence"


def go_quoted(text: str) -> str:
    """Go's ``%q`` of a string."""
    return '"' + "".join(_printable(character, '"') for character in text) + '"'


def go_rune(character: str) -> str:
    """Go's ``%q`` of one character."""
    if character == "":
        return "'\\ufffd'"
    return "'" + _printable(character, "'") + "'"


def _printable(character: str, quote: str) -> str:
    if character == quote:
        return "\\" + quote
    if character in _UNESCAPES:
        return _UNESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def format_float(value: float) -> str:
    """``strconv.FormatFloat(value, 'f', -1, 64)``: shortest digits, never an exponent."""
    special = _not_finite(value)
    if special:
        return special
    sign, digits, point = _shortest(value)
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}" if digits != "0" else f"{sign}0"
    if point >= len(digits):
        return sign + digits + "0" * (point - len(digits))
    return f"{sign}{digits[:point]}.{digits[point:]}"


def format_general(value: float) -> str:
    """Go's ``%g`` with shortest digits: an exponent below 1e-4 and from 1e6 on."""
    return _with_exponent_outside(value, -4, 6)


def format_json(value: float) -> str:
    """A sample value in an answer: an exponent below 1e-6 and from 1e21 on."""
    return _with_exponent_outside(value, -6, 21)


def format_openmetrics(value: float) -> str:
    """A number as a label value: as ``%g``, but ``1`` reads ``1.0``."""
    text = format_general(value)
    return f"{text}.0" if text.lstrip("-").isdigit() else text


def format_rfc3339(time_ms: int) -> str:
    """A time to the second, such as ``2026-03-01T12:00:00Z``."""
    return f"{np.datetime64(time_ms // 1000, 's')}Z"


def _with_exponent_outside(value: float, lowest: int, above: int) -> str:
    special = _not_finite(value)
    if special:
        return special
    sign, digits, point = _shortest(value)
    exponent = point - 1
    if value == 0 or lowest <= exponent < above:
        return format_float(value)
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return ""


def _shortest(value: float) -> tuple[str, str, int]:
    """Sign, shortest digits without leading or trailing zeros, position of the decimal point."""
    mantissa, _, exponent = repr(float(value)).partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.removeprefix("-").partition(".")
    point = len(whole) + int(exponent or 0)
    digits = whole + fraction
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    return (sign, stripped.rstrip("0"), point) if stripped else (sign, "0", 0)
