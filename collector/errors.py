"""What keeps the collector from starting; after that nothing does (each part has its own tree).

StartError
├── HostNotLoopback   the address would be reachable by others, and nobody shows a token
└── PortTaken         another program listens there; the message names port and setting

Also raised at start: StoreUnavailable and SchemaMismatch (store), WalInUse (wal), OSError.
"""

from __future__ import annotations


class StartError(Exception):
    """One sentence for the operator."""


class HostNotLoopback(StartError):  # noqa: N818 - named after the fact
    """Listening wider than loopback needs tokens to be required."""


class PortTaken(StartError):  # noqa: N818 - named after the fact
    """The port cannot be bound."""
