"""Errors of objectives.

SloError
├── SloFileError     a definition that cannot be used: where, what was given, what is accepted
└── SloInputError    counts that cannot be: negative, or a slice before one already taken
"""

from __future__ import annotations

from typing import Any


class SloError(Exception):
    """Base of everything raised here on purpose."""


class SloFileError(SloError):
    """A definition that cannot be used."""

    def __init__(self, where: str, value: Any, accepted: str) -> None:
        super().__init__(f"{where}: got {value!r}, accepted: {accepted}")
        self.where = where
        self.value = value
        self.accepted = accepted


class SloInputError(SloError):
    """Counts that contradict themselves."""
