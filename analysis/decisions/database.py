"""Opening the ledger's database: one writer, separate readers, migrations.

The writers of a process take turns behind one lock, so that none waits inside the database for
another of its own. A SQLite file belongs to one process; a PostgreSQL database may have several.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import alembic.command
import alembic.util
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from analysis.decisions.engines import READERS, make_engine, named_driver
from analysis.decisions.turns import Turns
from analysis.errors import LedgerUnavailableError, SchemaMismatchError, StartError

MIGRATIONS: Final = Path(__file__).parent / "migrations"


class Transactions(Protocol):
    """What the ledger needs of a database."""

    @property
    def is_shared(self) -> bool: ...

    def write(self, *, is_urgent: bool = False) -> AbstractContextManager[Connection]: ...

    def read(self) -> AbstractContextManager[Connection]: ...

    def close(self) -> None: ...


class Database:
    """Two engines on one database. Thread-safe."""

    def __init__(self, url: str) -> None:
        """Open, lock and migrate. Raises StartError with a sentence for the operator."""
        try:
            parsed = named_driver(make_url(url))
        except ArgumentError:
            raise StartError("the database URL cannot be read") from None
        self.name = parsed.render_as_string(hide_password=True)
        #: Whether other processes may have it open too.
        self.is_shared = parsed.get_backend_name() != "sqlite"
        self._turns = Turns()
        self._is_closed = False
        self._lock_file: int | None = None
        if not self.is_shared:
            if not parsed.database or parsed.database == ":memory:":
                raise StartError("the ledger must be kept in a file, not in memory")
            self._own(Path(parsed.database))
        try:
            self._writer = make_engine(parsed, size=1, is_reader=False)
            self._readers = make_engine(parsed, size=READERS, is_reader=True)
            self._migrate()
            self._refuse_forgetful()
        except (SQLAlchemyError, ImportError, OSError) as error:
            self.close()
            raise StartError(f"cannot open the ledger {self.name}: {_cause(error)}") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let the writer finish, close every connection, give up the file."""
        with self._turns.turn():
            self._is_closed = True
            for name in ("_writer", "_readers"):
                engine = getattr(self, name, None)
                if engine is not None:
                    engine.dispose()
            if self._lock_file is not None:
                os.close(self._lock_file)
                self._lock_file = None

    @contextmanager
    def write(self, *, is_urgent: bool = False) -> Iterator[Connection]:
        """One transaction; committed and on disk when the block ends, else without effect.

        ``is_urgent``: before the others that wait. Raises LedgerUnavailableError when the database
        cannot do it now, or when a server's answer to the commit was lost: then it is in doubt.
        """
        with self._turns.turn(is_urgent=is_urgent), _worldly():
            # A thread that comes late must not open the file again behind its next owner.
            self._refuse_when_closed()
            with self._writer.begin() as connection:
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view. Raises LedgerUnavailableError."""
        self._refuse_when_closed()
        with _worldly(), self._readers.begin() as connection:
            yield connection

    def durability(self) -> dict[str, Any]:
        """What the engine answers when asked for its settings (writer's connection)."""
        names, ask = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout"), "PRAGMA"
        if self.is_shared:
            ask = "SHOW"
            names = ("fsync", "synchronous_commit", "lock_timeout", "statement_timeout")
        with self._turns.turn(), _worldly(), self._writer.connect() as connection:
            return {
                name: connection.exec_driver_sql(f"{ask} {name}").scalar_one() for name in names
            }

    def _refuse_when_closed(self) -> None:
        if self._is_closed:
            raise LedgerUnavailableError("the ledger is closed")

    # --- opening ----------------------------------------------------------------------------

    def _own(self, path: Path) -> None:
        """Make the folder and take the lock that keeps a second process out."""
        lock = path.with_name(path.name + ".lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock_file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise StartError(f"another process has the ledger {path} open") from None
        except OSError as error:
            self.close()
            raise StartError(f"cannot write the ledger {path}: {error.strerror}") from None

    def _refuse_forgetful(self) -> None:
        """A server told not to wait for its disk would lose what it has confirmed."""
        if self.is_shared and (found := self.durability()["fsync"]) != "on":
            raise StartError(f"the ledger {self.name} runs with fsync = {found}; accepted: on")

    def _migrate(self) -> None:
        config = AlembicConfig()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        with self._writer.begin() as connection:
            config.attributes["connection"] = connection
            before = MigrationContext.configure(connection).get_current_revision()
            try:
                alembic.command.upgrade(config, "head")
            except alembic.util.CommandError:
                raise SchemaMismatchError(
                    f"the ledger {self.name} is of version {before}, which this program does not"
                    " know; was it written by a newer one?"
                ) from None


@contextmanager
def _worldly() -> Iterator[None]:
    """The world's failures as ours; a broken constraint or statement is a bug and stays one."""
    try:
        yield
    except (IntegrityError, ProgrammingError, DataError):
        raise
    except DBAPIError as error:
        raise LedgerUnavailableError(f"the ledger cannot be used now: {_cause(error)}") from error
    except PoolTimeoutError as error:
        raise LedgerUnavailableError(f"the ledger cannot be used now: {error}") from error


def _cause(error: BaseException) -> str:
    """The driver's own words, without SQL and parameters."""
    original = getattr(error, "orig", None)
    return str(original or error).splitlines()[0]
