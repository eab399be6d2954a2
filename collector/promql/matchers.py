"""Conditions on labels: ``=``, ``!=``, ``=~``, ``!~``; a missing label reads as ""."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from collector.promql.labels import Labels, label
from collector.promql.regex import Regex
from collector.promql.strings import go_quoted

__all__ = ["Matcher", "matching"]

EQUAL: Final = "="
NOT_EQUAL: Final = "!="
MATCH: Final = "=~"
NOT_MATCH: Final = "!~"


@functools.lru_cache(maxsize=1024)
def _compiled(pattern: str, is_dot_all: bool) -> Regex:
    return Regex(pattern, is_dot_all=is_dot_all)


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition. Construction raises InvalidRegexError where the pattern is none."""

    name: str
    operator: str
    value: str
    is_dot_all: bool = True

    def __post_init__(self) -> None:
        if self.is_regex:
            self.regex()

    @property
    def is_regex(self) -> bool:
        """Whether the value is a pattern."""
        return self.operator in {MATCH, NOT_MATCH}

    @property
    def is_negated(self) -> bool:
        """Whether the condition holds where the value does not fit."""
        return self.operator in {NOT_EQUAL, NOT_MATCH}

    def regex(self) -> Regex:
        """The pattern; only for the two regular-expression operators."""
        return _compiled(self.value, self.is_dot_all)

    def holds(self, values: Sequence[str]) -> list[bool]:
        """For each label value, whether the condition holds."""
        if self.is_regex:
            return [found is not self.is_negated for found in self.regex().matches(values)]
        return [(value == self.value) is not self.is_negated for value in values]

    def matches_empty(self) -> bool:
        """Whether a series without the label is chosen."""
        return self.holds([""])[0]

    def __str__(self) -> str:
        return f"{self.name}{self.operator}{go_quoted(self.value)}"


def matching(candidates: Sequence[Labels], matchers: Iterable[Matcher]) -> list[int]:
    """Indices of the label sets for which every condition holds."""
    chosen = list(range(len(candidates)))
    for matcher in matchers:
        values = [label(candidates[index], matcher.name) for index in chosen]
        chosen = [
            index for index, is_held in zip(chosen, matcher.holds(values), strict=True) if is_held
        ]
        if not chosen:
            break
    return chosen
