"""Numbers and durations as tokens write them."""

from __future__ import annotations

import math
import re
from typing import Final

from collector.promql.durations import MAX_DURATION_MS, parse_duration_ms
from collector.promql.lexer import Kind, Token
from collector.promql.strings import go_quoted
from collector.promql.tokens import TokenStream

__all__ = ["duration_of", "parse_number", "seconds_of"]

_OCTAL: Final = re.compile(r"0[0-7_]+")


def parse_number(tokens: TokenStream, token: Token) -> float:
    """The value of a number: decimal, hexadecimal, octal with a leading 0, ``Inf`` or ``NaN``."""
    text = token.text.lower()
    if text in {"inf", "nan"}:
        return float(text)
    if text.startswith("0x"):
        return float(int(text.replace("_", ""), 16))
    if _OCTAL.fullmatch(text):
        return float(int(text.replace("_", ""), 8))
    value = float(text.replace("_", ""))
    if math.isinf(value):
        tokens.note(
            token.start,
            "error parsing number: strconv.ParseFloat: parsing "
            f"{go_quoted(token.text)}: value out of range",
        )
    return value


def seconds_of(tokens: TokenStream, token: Token) -> float:
    """A duration where a number may stand: its seconds."""
    return _duration_token_ms(tokens, token) / 1000


def duration_of(tokens: TokenStream, context: str, *, is_positive: bool) -> int:
    """Take a duration, or a number of seconds; milliseconds. Raises ParseError."""
    token = tokens.current
    if token.kind not in {Kind.DURATION, Kind.NUMBER}:
        raise tokens.unexpected(context, "number, duration, step(), or range()")
    tokens.advance()
    if token.kind is Kind.DURATION:
        duration_ms = _duration_token_ms(tokens, token)
    else:
        seconds = parse_number(tokens, token)
        if not math.isfinite(seconds) or abs(seconds) * 1000 > MAX_DURATION_MS:
            raise tokens.fail_at(token.start, "duration out of range")
        duration_ms = int(seconds * 1000)
    if is_positive and duration_ms <= 0:
        raise tokens.fail_at(token.start, "duration must be greater than 0")
    return duration_ms


def _duration_token_ms(tokens: TokenStream, token: Token) -> int:
    try:
        return parse_duration_ms(token.text)
    except ValueError as error:
        raise tokens.fail_at(token.start, str(error)) from None
