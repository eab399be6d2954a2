"""A ledger's database in memory that can be emptied, copied and made to fail at a chosen moment.

Same tables, same statements, same transactions as the file's; only durability is another
benchmark's business. One connection, one thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from analysis.decisions import outbox
from analysis.decisions.guard_store import Guarding
from analysis.decisions.ledger import Ledger
from analysis.decisions.tables import metadata
from analysis.errors import LedgerUnavailableError
from analysis.webhooks.events import Addressing
from telemetry.clock import Clock


class Fault(StrEnum):
    """What a transaction that writes meets."""

    NONE = "none"
    REFUSED = "refused"  # cannot begin: locked, gone
    ROLLED_BACK = "rolled_back"  # the disk fails at the commit; nothing took effect
    UNANSWERED = "unanswered"  # it took effect, but whoever wrote hears of a failure


def no_fault() -> Fault:
    """For a world without faults."""
    return Fault.NONE


class MemoryDatabase:
    """``analysis.decisions.database.Transactions``. Not thread-safe."""

    is_shared = False

    def __init__(self) -> None:
        self._engine = _engine()
        #: Asked before every write.
        self.next_fault: Callable[[], Fault] = no_fault
        #: Called after every commit.
        self.on_commit: Callable[[], None] = _nothing
        metadata.create_all(self._engine)
        self._empty = self.raw().serialize()

    def clear(self) -> None:
        """As new, with no faults to come. Cheaper than a new one: statements stay compiled."""
        self.next_fault, self.on_commit = no_fault, _nothing
        self.raw().deserialize(self._empty)

    @contextmanager
    def write(self, *, is_urgent: bool = False) -> Iterator[Connection]:
        """One transaction. Raises LedgerUnavailableError as ``next_fault`` says."""
        del is_urgent
        fault = self.next_fault()
        if fault is Fault.REFUSED:
            raise LedgerUnavailableError("the ledger cannot be used now: database is locked")
        with self._engine.begin() as connection:
            yield connection
            if fault is Fault.ROLLED_BACK:
                raise LedgerUnavailableError("the ledger cannot be used now: disk I/O error")
        self.on_commit()
        if fault is Fault.UNANSWERED:
            raise LedgerUnavailableError("the ledger cannot be used now: connection lost")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view."""
        with self._engine.begin() as connection:
            yield connection

    def open(
        self, clock: Clock, addressing: Addressing | None, guarding: Guarding | None = None
    ) -> Ledger:
        """What ``Ledger.open`` does with a file that is ours alone."""
        with self.write() as connection:
            outbox.release_leases(connection)
        return Ledger(self, clock, addressing, guarding)

    def close(self) -> None:
        """The memory is given back."""
        self._engine.dispose()

    def raw(self) -> sqlite3.Connection:
        """The connection itself, for whoever looks at the rows from outside."""
        connection: Any = self._engine.raw_connection().driver_connection
        assert isinstance(connection, sqlite3.Connection)
        return connection


def _nothing() -> None:
    pass


_PRAGMAS: Final = ("foreign_keys=ON",)


def _engine() -> Engine:
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
