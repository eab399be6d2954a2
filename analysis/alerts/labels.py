"""Labels of alerts: their identity, and conditions on them as people type them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from analysis.errors import BadRequestError
from collector.promql.matchers import Matcher
from collector.promql.regex import InvalidRegexError

MAX_MATCHER_CHARS: Final = 1_000
ACCEPTED: Final = 'a condition such as severity="page" or slo=~"play.*"'
_FNV_OFFSET: Final = 0xCBF29CE484222325
_FNV_PRIME: Final = 0x100000001B3
_CONDITION: Final = re.compile(
    r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL
)
_ESCAPED: Final = re.compile(r'\\([\\"n])')


def fingerprint(labels: Mapping[str, str]) -> str:
    """Prometheus' identity of a label set: FNV-1a (64 bits) over sorted names and values."""
    number = _FNV_OFFSET
    for name, value in sorted(labels.items()):
        for byte in name.encode() + b"\xff" + value.encode() + b"\xff":
            number = (number ^ byte) * _FNV_PRIME & 0xFFFFFFFFFFFFFFFF
    return f"{number:016x}"


def read_condition(text: str) -> Matcher:
    """One condition, its value quoted or not (prometheus/alertmanager pkg/labels/parse.go).

    Raises BadRequestError.
    """
    found = _CONDITION.fullmatch(text[:MAX_MATCHER_CHARS])
    if found is None or len(text) > MAX_MATCHER_CHARS:
        raise BadRequestError(f"{text[:100]!r} is no condition on a label", accepted=ACCEPTED)
    name, operator, value = found.groups()
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = _ESCAPED.sub(lambda one: "\n" if one[1] == "n" else one[1], value[1:-1])
    return condition(name, operator, value)


def condition(name: str, operator: str, value: str) -> Matcher:
    """Raises BadRequestError where a pattern is none of RE2's."""
    try:
        return Matcher(name, operator, value)
    except InvalidRegexError as error:
        raise BadRequestError(f"label {name!r}: {error}", accepted=ACCEPTED) from None


def fits(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether every condition holds; a label that is missing reads as empty."""
    return all(one.holds([labels.get(one.name, "")])[0] for one in matchers)
