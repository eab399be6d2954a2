"""Every way to say no, with the words each protocol has for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from collector.access.errors import AccessError
from collector.pipeline.errors import BacklogFull
from collector.wal.errors import WalUnavailable
from collector.wire.errors import WireError

#: Pauses we ask for. Exporters give up after about 10 s, so a longer one would lose the data.
RETRY_MIN_S: Final = 1
RETRY_MAX_S: Final = 5


@dataclass(frozen=True, slots=True)
class Refusal:
    """One answer that is not success."""

    #: Label of the request counter.
    outcome: str
    http_status: int
    #: google.rpc.Code, which gRPC's status codes share.
    grpc_code: int
    message: str
    #: Set: the same request is welcome after so many seconds. None: never.
    retry_after_s: int | None = None


def http_headers(refused: Refusal) -> list[tuple[bytes, bytes]]:
    """What stands in the head of an HTTP answer beside its type and length."""
    headers: list[tuple[bytes, bytes]] = []
    if refused.retry_after_s is not None:
        headers.append((b"retry-after", str(refused.retry_after_s).encode()))
    if refused.http_status == 405:
        headers.append((b"allow", b"POST"))
    if refused.http_status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if refused.http_status in {401, 403, 408, 413, 429}:
        # The rest of the body may still be on its way; nobody will read it.
        headers.append((b"connection", b"close"))
    return headers


def refusal_of(error: Exception, rng: np.random.Generator) -> Refusal | None:
    """The answer to what stopped a request; None for an error that is ours and unforeseen."""
    if isinstance(error, WireError | AccessError):
        return Refusal(error.outcome, error.http_status, error.grpc_code, str(error))
    # Drawn, so that senders who were refused together do not come back together.
    pause_s = int(rng.integers(RETRY_MIN_S, RETRY_MAX_S, endpoint=True))
    if isinstance(error, BacklogFull):
        return Refusal(error.outcome, 429, 8, str(error), pause_s)
    if isinstance(error, WalUnavailable):
        return Refusal("unavailable", 503, 14, str(error), pause_s)
    return None


INTERNAL: Final = Refusal("internal", 500, 13, "internal error; it has been logged")
