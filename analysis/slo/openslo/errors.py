"""Errors of OpenSLO definitions. Findings about a definition are data (``findings``), not errors.

OpenSloError
├── DocumentError     text that is no YAML, or larger than a named limit
├── DefinitionError   a definition that has findings was asked for its meaning
└── ConversionError   a definition that has no equal in the other format
"""

from __future__ import annotations

from analysis.slo.errors import SloError
from analysis.slo.openslo.findings import Finding


class OpenSloError(SloError):
    """Base of everything raised here on purpose."""


class DocumentError(OpenSloError):
    """Text that is no document. ``line`` and ``column`` count from 1."""

    def __init__(self, line: int, column: int, problem: str, accepted: str) -> None:
        super().__init__(f"line {line}, column {column}: {problem}, accepted: {accepted}")
        self.line = line
        self.column = column
        self.problem = problem
        self.accepted = accepted


class DefinitionError(OpenSloError):
    """A definition that cannot be used, with every reason."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("; ".join(str(finding) for finding in findings[:5]))
        self.findings = findings


class ConversionError(OpenSloError):
    """Something the other format cannot say: where it stands and why it cannot be said."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = where
        self.problem = problem
