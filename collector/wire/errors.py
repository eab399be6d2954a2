"""Why a whole request is refused; every one is the sender's to mend and is never retried.

WireError
├── Malformed             400 / INVALID_ARGUMENT     not OTLP, in the encoding it claims
├── TooLarge              413 / RESOURCE_EXHAUSTED   more bytes or elements than a limit allows
└── UnsupportedEncoding   415                        content type or content encoding unknown

One bad item among good ones is not an error: it is counted, and the answer is a partial success.
"""

from __future__ import annotations


class WireError(Exception):
    """A request that cannot be taken; ``outcome`` names it in the request counter."""

    outcome = "bad_request"
    http_status = 400
    #: Number in google.rpc.Code, which gRPC's status codes share.
    grpc_code = 3


class Malformed(WireError):  # noqa: N818 - named after the fact
    """The bytes are not what the content type says."""

    outcome = "malformed"


class TooLarge(WireError):  # noqa: N818 - named after HTTP's 413
    """Over a limit; the message names limit and measure."""

    outcome = "too_large"
    http_status = 413
    grpc_code = 8


class UnsupportedEncoding(WireError):  # noqa: N818 - named after HTTP's 415
    """A content type or encoding this endpoint does not read; the message lists those it does."""

    outcome = "unsupported_encoding"
    http_status = 415
    grpc_code = 12
