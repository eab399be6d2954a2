"""The books: what came in equals what is stored, rejected, set aside or still waiting.

received + recovered = stored + rejected + duplicate + quarantined + pending, per signal, at any
moment.
Counted in items: spans and data points.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from collector.model import Signal
from collector.wire.reasons import Reason


@dataclass(slots=True)
class _Account:
    received: int = 0
    recovered: int = 0
    stored: int = 0
    quarantined: int = 0
    duplicate: int = 0
    pending: int = 0
    rejected: Counter[Reason] = field(default_factory=Counter)


class Accounting:
    """Thread-safe; never held across I/O."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accounts = {signal: _Account() for signal in Signal}
        self._pending_bytes = 0

    @property
    def pending_bytes(self) -> int:
        """Bytes being written to the log or waiting in it for the store."""
        return self._pending_bytes

    def pending_items(self) -> int:
        """Items acknowledged and not yet stored."""
        with self._lock:
            return sum(account.pending for account in self._accounts.values())

    def reserve(self, size_bytes: int, *, limit_bytes: int) -> bool:
        """Count bytes as waiting, unless that would pass the limit."""
        with self._lock:
            if self._pending_bytes + size_bytes > limit_bytes:
                return False
            self._pending_bytes += size_bytes
            return True

    def release(self, size_bytes: int) -> None:
        """Bytes that are not waiting any more: stored, set aside, or never acknowledged."""
        with self._lock:
            self._pending_bytes -= size_bytes

    def recovered(self, signal: Signal, item_count: int, size_bytes: int) -> None:
        """A segment of an earlier life waits for the store."""
        with self._lock:
            account = self._accounts[signal]
            account.recovered += item_count
            account.pending += item_count
            self._pending_bytes += size_bytes

    def accepted(self, signal: Signal, item_count: int, rejected: Mapping[Reason, int]) -> None:
        """A request was acknowledged."""
        with self._lock:
            account = self._accounts[signal]
            account.received += item_count + sum(rejected.values())
            account.pending += item_count
            account.rejected.update(rejected)

    def repeated(self, signal: Signal, item_count: int, rejected: Mapping[Reason, int]) -> None:
        """A request was acknowledged that had been taken before."""
        with self._lock:
            account = self._accounts[signal]
            account.received += item_count + sum(rejected.values())
            account.duplicate += item_count
            account.rejected.update(rejected)

    def settled(self, signal: Signal, *, stored: int, quarantined: int, size_bytes: int) -> None:
        """A segment left the log."""
        with self._lock:
            account = self._accounts[signal]
            account.stored += stored
            account.quarantined += quarantined
            account.pending -= stored + quarantined
            self._pending_bytes -= size_bytes

    def as_json(self) -> dict[str, Any]:
        """All accounts, by signal."""
        with self._lock:
            return {
                str(signal): {
                    "received": account.received,
                    "recovered": account.recovered,
                    "stored": account.stored,
                    "rejected": {str(reason): n for reason, n in sorted(account.rejected.items())},
                    "duplicate": account.duplicate,
                    "quarantined": account.quarantined,
                    "pending": account.pending,
                }
                for signal, account in self._accounts.items()
            }
