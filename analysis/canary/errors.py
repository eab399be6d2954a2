"""Errors of the canary judgement.

CanaryError
├── CanaryConfigError    a rule that cannot be used: key, value, what would be accepted
├── CanaryInputError     blocks that contradict the rule (wrong kind, unknown metric)
└── CanaryStateError     saved state of another rule or another version
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


class CanaryError(Exception):
    """Base of everything the judge raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a rule. ``line`` and ``column`` count from 1; 0 = unknown."""

    #: Words for people, such as ``metrics[http.server.errors].weight``.
    where: str
    #: The same from ``spec`` down, for the place in the file.
    path: tuple[str | int, ...]
    given: Any
    accepted: str
    line: int = 0
    column: int = 0

    def at(self, line: int, column: int) -> Problem:
        """The same with its place."""
        return replace(self, line=line, column=column)

    def __str__(self) -> str:
        place = f"line {self.line}, column {self.column}: " if self.line else ""
        given = self.given if isinstance(self.given, str) else repr(self.given)
        return f"{place}{self.where}: got {given}, accepted: {self.accepted}"


class CanaryConfigError(CanaryError):
    """A rule that cannot be used. ``problems`` has all that was found, in order."""

    def __init__(
        self,
        where: str,
        value: Any,
        accepted: str,
        *,
        line: int = 0,
        column: int = 0,
        problems: tuple[Problem, ...] = (),
    ) -> None:
        self.where = where
        self.value = value
        self.accepted = accepted
        first = Problem(where, (), value, accepted, line, column)
        self.problems = problems or (first,)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{self.problems[0]}{more}")

    @staticmethod
    def of(problems: tuple[Problem, ...]) -> CanaryConfigError:
        """Of at least one problem."""
        first = problems[0]
        return CanaryConfigError(first.where, first.given, first.accepted, problems=problems)


class CanaryInputError(CanaryError):
    """Blocks that contradict the rule."""


class CanaryStateError(CanaryError):
    """Saved state that does not belong to this rule and code."""
