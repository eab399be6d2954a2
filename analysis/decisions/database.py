"""Opening the ledger's database: pragmas, one writer, separate readers, migrations.

SQLite is asked for ``journal_mode=WAL`` and ``synchronous=FULL``: a commit that returned survives
kill -9 and power loss (``NORMAL`` survives only the former). Writers take turns behind one lock
and begin with ``BEGIN IMMEDIATE``, so that none fails half-way for a lock; readers have their own
connections, which cannot write, and never wait.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import alembic.command
import alembic.util
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from analysis.decisions.turns import Turns
from analysis.errors import LedgerUnavailableError, SchemaMismatchError, StartError

MIGRATIONS: Final = Path(__file__).parent / "migrations"

#: Seconds a connection waits for another process's lock (a backup, a person with sqlite3).
BUSY_TIMEOUT_S: Final = 5.0
#: Connections for readers; one more waits for its turn up to READER_WAIT_S.
READERS: Final = 4
READER_WAIT_S: Final = 5.0


class Database:
    """Two engines on one database. Thread-safe."""

    def __init__(self, url: str) -> None:
        """Open, lock and migrate. Raises StartError with a sentence for the operator."""
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise StartError("the database URL cannot be read") from None
        self.name = parsed.render_as_string(hide_password=True)
        self._is_sqlite = parsed.get_backend_name() == "sqlite"
        self._turns = Turns()
        self._is_closed = False
        self._lock_file: int | None = None
        if self._is_sqlite:
            if not parsed.database or parsed.database == ":memory:":
                raise StartError("the ledger must be kept in a file, not in memory")
            self._own(Path(parsed.database))
        try:
            self._writer = self._engine(url, size=1, is_reader=False)
            self._readers = self._engine(url, size=READERS, is_reader=True)
            self._migrate()
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
        cannot do it now.
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

    def pragmas(self) -> dict[str, Any]:
        """What SQLite answers when asked for its settings (writer's connection)."""
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        with self._turns.turn(), _worldly(), self._writer.connect() as connection:
            return {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names
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

    def _engine(self, url: str, *, size: int, is_reader: bool) -> Engine:
        engine = create_engine(
            url, pool_size=size, max_overflow=0, pool_timeout=READER_WAIT_S, pool_pre_ping=False
        )
        if self._is_sqlite:
            _configure_sqlite(engine, is_reader=is_reader)
        return engine

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


def _configure_sqlite(engine: Engine, *, is_reader: bool) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        # The driver must not begin transactions by itself: on_begin does.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={round(BUSY_TIMEOUT_S * 1000)}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        if is_reader:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if is_reader else "BEGIN IMMEDIATE")


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
