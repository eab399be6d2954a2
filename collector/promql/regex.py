"""Regular expressions in RE2's language, the one PromQL promises: linear time, no look-around.

Arrow brings RE2 itself, so a hostile pattern can neither hang a query nor mean something else here
than in Prometheus. Patterns are always anchored on both sides.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["InvalidRegexError", "Regex"]

#: Longest pattern accepted, in characters.
MAX_PATTERN_CHARS: Final = 10_000
_GROUP_NAME: Final = re.compile(r"\(\?P?<([A-Za-z0-9_]+)>")
_TEMPLATE: Final = re.compile(r"\$(?:(\$)|([A-Za-z0-9_]+)|\{([A-Za-z0-9_]+)\})")
_ENGINE_PREFIX: Final = re.compile(r"^Invalid regular expression: ")


class InvalidRegexError(ValueError):
    """The pattern is not in RE2's language."""


class Regex:
    """One anchored pattern; ``is_dot_all`` lets ``.`` match a line break, as Prometheus 3 does."""

    def __init__(self, pattern: str, *, is_dot_all: bool = True) -> None:
        self.pattern = pattern
        flag = "s" if is_dot_all else ""
        self._anchored = f"^(?{flag}:{pattern})$"
        if len(pattern) > MAX_PATTERN_CHARS:
            raise InvalidRegexError(f"error parsing regexp: longer than {MAX_PATTERN_CHARS}")
        try:
            pc.match_substring_regex(pa.array([""]), pattern=self._anchored)
        except pa.ArrowInvalid as error:
            reason = _ENGINE_PREFIX.sub("", str(error))
            raise InvalidRegexError(
                f"error parsing regexp: {reason}: `{self._anchored}`"
            ) from error
        self._prefix = f"^(?{flag}:"

    def matches(self, texts: Sequence[str]) -> list[bool]:
        """For each text, whether the whole of it matches."""
        distinct = list(dict.fromkeys(texts))
        found = pc.match_substring_regex(
            pa.array(distinct, type=pa.string()), pattern=self._anchored
        )
        known = dict(zip(distinct, found.to_pylist(), strict=True))
        return [known[text] for text in texts]

    def expand(self, template: str, texts: Sequence[str]) -> list[str | None]:
        """``template`` with ``$1`` or ``${name}`` filled from each text; None where none matches.

        A group that does not exist or took no part is empty, ``$$`` is a dollar sign.
        """
        named, names = _name_groups(self.pattern)
        if not names:
            groups_of: list[dict[str, str] | None] = [
                {"0": text} if is_match else None
                for text, is_match in zip(texts, self.matches(texts), strict=True)
            ]
        else:
            found = pc.extract_regex(
                pa.array(texts, type=pa.string()), pattern=f"{self._prefix}{named})$"
            )
            groups_of = [
                None if groups is None else _numbered(text, groups, names)
                for text, groups in zip(texts, found.to_pylist(), strict=True)
            ]
        return [None if groups is None else _filled(template, groups) for groups in groups_of]


def _numbered(text: str, groups: dict[str, str], names: Sequence[str]) -> dict[str, str]:
    values = {"0": text}
    for number, name in enumerate(names, 1):
        values[str(number)] = groups[f"g{number}"]
        if name:
            values[name] = groups[f"g{number}"]
    return values


def _filled(template: str, groups: dict[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match.group(1):
            return "$"
        return groups.get(match.group(2) or match.group(3), "")

    return _TEMPLATE.sub(value, template)


@functools.lru_cache(maxsize=256)
def _name_groups(pattern: str) -> tuple[str, tuple[str, ...]]:
    """The pattern with every capturing group called ``gN``, and the names they had ("" if none)."""
    result: list[str] = []
    names: list[str] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "\\":
            end = _end_of_escape(pattern, position)
        elif character == "[":
            end = _end_of_class(pattern, position)
        elif character == "(":
            named = _GROUP_NAME.match(pattern, position)
            if named is None and pattern.startswith("(?", position):
                end = position + 2
            else:
                names.append(named.group(1) if named else "")
                result.append(f"(?P<g{len(names)}>")
                position = named.end() if named else position + 1
                continue
        else:
            end = position + 1
        result.append(pattern[position:end])
        position = end
    return "".join(result), tuple(names)


def _end_of_escape(pattern: str, position: int) -> int:
    if pattern.startswith("\\Q", position):
        end = pattern.find("\\E", position + 2)
        return len(pattern) if end < 0 else end + 2
    return position + 2


def _end_of_class(pattern: str, position: int) -> int:
    end = position + 1
    if pattern.startswith("^", end):
        end += 1
    if pattern.startswith("]", end):  # a bracket right after the opening one is a plain character
        end += 1
    while end < len(pattern) and pattern[end] != "]":
        if pattern[end] == "\\":
            end += 2
        elif pattern.startswith("[:", end):
            close = pattern.find(":]", end + 2)
            end = end + 1 if close < 0 else close + 2
        else:
            end += 1
    return end + 1
