"""Why somebody is not let in, drawn.

::

    AccessError
    ├── Unauthenticated   401 / UNAUTHENTICATED: no token, or one that is unknown, revoked, expired
    └── Forbidden         403 / PERMISSION_DENIED: a token that may do other things
    TokenFileError        the file of tokens cannot be read or written (nobody is let in by it)
    BadTokenOrderError    a token that was ordered cannot be made
    SealedError           a secret's file or its key cannot be read, opened or written
"""

from __future__ import annotations


class AccessError(Exception):
    """The message never holds a token; ``outcome`` names it in the request counters."""

    outcome = "access"
    http_status = 401
    #: Number in google.rpc.Code, which gRPC's status codes share.
    grpc_code = 16

    def __init__(self, message: str, *, accepted: str) -> None:
        super().__init__(message)
        self.accepted = accepted


class Unauthenticated(AccessError):  # noqa: N818 - named after gRPC's status
    """Nobody knows who is asking."""

    outcome = "unauthenticated"


class Forbidden(AccessError):  # noqa: N818 - named after HTTP's 403
    """Somebody known asks for what is not theirs."""

    outcome = "forbidden"
    http_status = 403
    grpc_code = 7


class TokenFileError(Exception):
    """The file of tokens cannot be read or written."""


class BadTokenOrderError(Exception):
    """Says what was asked for and what would be accepted."""


class SealedError(Exception):
    """A secret's file or its key cannot be read, opened or written; it never holds any of it."""
