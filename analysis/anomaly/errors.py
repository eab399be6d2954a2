"""Errors of anomaly detection.

AnomalyError
└── SignalsError     a definition that cannot be used: where, what was given, what is accepted
"""

from __future__ import annotations

from typing import Any


class AnomalyError(Exception):
    """Base of everything raised here on purpose."""


class SignalsError(AnomalyError):
    """A definition that cannot be used."""

    def __init__(self, where: str, value: Any, accepted: str) -> None:
        super().__init__(f"{where}: got {value!r}, accepted: {accepted}")
        self.where = where
        self.value = value
        self.accepted = accepted
