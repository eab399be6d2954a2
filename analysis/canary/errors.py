"""Errors of the canary judgement.

CanaryError
├── CanaryConfigError    a rule that cannot be used: key, value, what would be accepted
├── CanaryInputError     blocks that contradict the rule (wrong kind, unknown metric)
└── CanaryStateError     saved state of another rule or another version
"""

from __future__ import annotations

from typing import Any


class CanaryError(Exception):
    """Base of everything the judge raises on purpose."""


class CanaryConfigError(CanaryError):
    """A rule that cannot be used."""

    def __init__(self, where: str, value: Any, accepted: str) -> None:
        self.where = where
        self.value = value
        self.accepted = accepted
        super().__init__(f"{where}: got {value!r}, accepted: {accepted}")


class CanaryInputError(CanaryError):
    """Blocks that contradict the rule."""


class CanaryStateError(CanaryError):
    """Saved state that does not belong to this rule and code."""
