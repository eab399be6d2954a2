"""How much of the process's memory requests may hold while they arrive and are checked."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from collector.pipeline.errors import BacklogFull


class InFlight:
    """A budget of bytes shared by all receivers; lives on one event loop."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._taken_bytes = 0

    @property
    def taken_bytes(self) -> int:
        """Bytes held right now."""
        return self._taken_bytes

    def lease(self) -> Lease:
        """One request's share, given back at the end of its ``with`` block."""
        return Lease(self)

    def change(self, size_bytes: int) -> None:
        """Take (or give back, negative) bytes; raises BacklogFull."""
        if size_bytes > 0 and self._taken_bytes + size_bytes > self._limit_bytes:
            raise BacklogFull("too many bytes are being received at once")
        self._taken_bytes += size_bytes


class Lease:
    """Bytes of one request."""

    def __init__(self, owner: InFlight) -> None:
        self._owner = owner
        self._size_bytes = 0

    def grow_to(self, size_bytes: int) -> None:
        """The request now holds ``size_bytes``; raises BacklogFull. Never shrinks."""
        more = size_bytes - self._size_bytes
        if more > 0:
            self._owner.change(more)
            self._size_bytes = size_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._owner.change(-self._size_bytes)
