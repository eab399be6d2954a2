"""What can go wrong, drawn.

::

    SamplesError
    ├── SettingError                a setting cannot work; told before anything starts
    ├── ZygoteError                 the parent could not start or reach an instance
    ├── NoInstanceError             no instance of a service is routable
    ├── DeploymentError             a deployment request cannot be done (HTTP 409)
    │   ├── UnknownBuildError       no such release (HTTP 422)
    │   └── DeclarationError        the analysis did not take the declaration (HTTP 502)
    └── CommandRefusedError         a webhook was refused; carries its HTTP status
"""

from __future__ import annotations


class SamplesError(Exception):
    """Anything the sample stack raises on purpose."""


class SettingError(SamplesError):
    """A setting cannot work; the message names it and says what is accepted."""


class ZygoteError(SamplesError):
    """The parent process could not start or reach an instance."""


class NoInstanceError(SamplesError):
    """No instance of a service is routable; the message names the service."""


class DeploymentError(SamplesError):
    """A deployment request contradicts the present state."""


class UnknownBuildError(DeploymentError):
    """No such release; the message lists the known ones."""


class DeclarationError(DeploymentError):
    """The analysis did not take the declaration of the canary."""


class CommandRefusedError(SamplesError):
    """A webhook was refused. ``status`` is the HTTP status, ``code`` a short reason."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
