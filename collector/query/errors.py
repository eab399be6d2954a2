"""What a reader of the API can do wrong.

QueryError
├── BadParameter   400: one parameter, what was given, what is accepted
├── NotFound       404: no such trace
└── Busy           503: too many questions wait
"""

from __future__ import annotations


class QueryError(Exception):
    """A request that is answered with ``status`` and a typed body."""

    status = 400
    code = "bad_request"

    def __init__(self, message: str, *, accepted: str = "") -> None:
        super().__init__(message)
        self.accepted = accepted


class BadParameter(QueryError):  # noqa: N818 - named after the thing
    """A parameter that is missing, unknown or out of range."""

    code = "bad_parameter"


class NotFound(QueryError):  # noqa: N818 - named after HTTP's 404
    """Nothing is stored under that id."""

    status = 404
    code = "not_found"


class Busy(QueryError):  # noqa: N818 - named after the state
    """As many questions wait as may."""

    status = 503
    code = "busy"
