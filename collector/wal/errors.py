"""What the write-ahead log can refuse.

WalError
├── WalUnavailable   503 / UNAVAILABLE: the disk is full or failing; nothing was acknowledged
└── WalInUse         start-up only: another process owns the folder
"""

from __future__ import annotations


class WalError(Exception):
    """Any failure of the log."""


class WalUnavailable(WalError):  # noqa: N818 - named after gRPC's UNAVAILABLE
    """The bytes are not durable; the sender keeps them and tries again."""


class WalInUse(WalError):  # noqa: N818 - named after the fact
    """Two writers would interleave; the second does not start."""
