"""What can go wrong between a verdict and a delivered command, drawn.

::

    AnalysisError
    ├── StartError                  the process cannot start; one sentence, exit code 1
    │   └── SchemaMismatchError     the database was written by another version of the tables
    ├── LedgerError
    │   ├── LedgerUnavailableError  the world: disk full, locked, gone; the same call may work later
    │   │   └── NotLeaderError      another process leads the shared ledger
    │   ├── UnknownRecordError      no such canary, decision or delivery (HTTP 404)
    │   ├── ConflictError           other content under a known id, or a call out of order (409)
    │   ├── IllegalMoveError        a state that does not follow from the present one (HTTP 409)
    │   ├── LedgerFullError         a limit of open canaries is reached (HTTP 429)
    │   └── StaleLeaseError         a delivery was taken over by another worker
    ├── SecretError                 the signing secret cannot be read or is malformed
    └── RequestError                a request to the API; carries status, code, what is accepted
        ├── BadRequestError         422: malformed
        ├── UnauthorizedError       401: no or wrong token
        ├── ForbiddenError          403: a token that may do other things
        └── TooLargeError           413: a body above the limit
"""

from __future__ import annotations


class AnalysisError(Exception):
    """Anything the control plane raises on purpose."""


class StartError(AnalysisError):
    """The process cannot start; the message is one sentence for the operator."""


class SchemaMismatchError(StartError):
    """The database holds tables of a newer or foreign version."""


class LedgerError(AnalysisError):
    """Anything the ledger refuses or cannot do."""


class LedgerUnavailableError(LedgerError):
    """The database could not be read or written now; nothing of the call took effect."""


class NotLeaderError(LedgerUnavailableError):
    """The process does not lead the shared ledger any more; nothing of the call took effect."""


class UnknownRecordError(LedgerError):
    """Nothing is stored under that id."""


class ConflictError(LedgerError):
    """The call contradicts what is stored."""


class IllegalMoveError(LedgerError):
    """A state that does not follow from the present one."""

    def __init__(self, subject: str, present: str, wanted: str, accepted: str) -> None:
        super().__init__(f"{subject} is {present} and cannot become {wanted}")
        self.subject = subject
        self.present = present
        self.wanted = wanted
        self.accepted = accepted


class LedgerFullError(LedgerError):
    """A limit is reached; the message names it."""


class StaleLeaseError(LedgerError):
    """The lease of a delivery is over; somebody else may hold it now."""


class SecretError(AnalysisError):
    """The signing secret cannot be read or is malformed; the message never holds any of it."""


class RequestError(AnalysisError):
    """A request that is answered with ``status`` and the one error shape."""

    status = 400
    code = "bad_request"

    def __init__(self, message: str, *, accepted: str = "") -> None:
        super().__init__(message)
        self.accepted = accepted


class BadRequestError(RequestError):
    """A parameter or body that is missing, unknown or out of range."""

    status = 422
    code = "malformed"


class UnauthorizedError(RequestError):
    """No token or a wrong one."""

    status = 401
    code = "unauthorized"


class ForbiddenError(RequestError):
    """A token that may do other things, or speaks for another service."""

    status = 403
    code = "forbidden"


class TooLargeError(RequestError):
    """A body above the limit."""

    status = 413
    code = "too_large"
