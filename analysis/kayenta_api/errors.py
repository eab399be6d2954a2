"""What a caller of Kayenta's API did wrong, answered as Kayenta answers."""

from __future__ import annotations

from analysis.errors import AnalysisError


class KayentaApiError(AnalysisError):
    """Answered with ``status`` and ``{"message": ...}``."""

    status = 400


class NotFoundError(KayentaApiError):
    """No such object."""

    status = 404


class TooManyError(KayentaApiError):
    """A limit is reached; the same call may be taken later."""

    status = 429


class FetchError(AnalysisError):
    """Metrics could not be had; the execution ends with this message."""
