"""A request's body off the socket, within its limits, as plain ASGI gives it."""

from __future__ import annotations

from collector.asgi import Receive
from collector.config import LimitsConfig
from collector.receivers.in_flight import Lease
from collector.wire.errors import TooLarge


class HungUpError(Exception):
    """The sender went away before its body was complete; there is nobody to answer."""


async def read_body(
    headers: dict[bytes, bytes], receive: Receive, lease: Lease, limits: LimitsConfig
) -> bytes:
    """All of it. Raises TooLarge, BacklogFull or HungUpError; the caller bounds the time."""
    declared = headers.get(b"content-length", b"")
    if declared.isdigit():
        _require_small(int(declared), limits)
        lease.grow_to(int(declared))
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HungUpError
        chunk = message.get("body", b"")
        size += len(chunk)
        _require_small(size, limits)
        lease.grow_to(size)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _require_small(size: int, limits: LimitsConfig) -> None:
    if size > limits.max_request_bytes:
        raise TooLarge(f"the request is larger than {limits.max_request_bytes} bytes")
