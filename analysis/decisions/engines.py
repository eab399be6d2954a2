"""How each engine is asked to keep its word: durable commits, one writer, bounded waits.

SQLite is asked for ``journal_mode=WAL`` and ``synchronous=FULL``: a commit that returned survives
kill -9 and power loss (``NORMAL`` survives only the former). Writers begin with ``BEGIN
IMMEDIATE``, so that none fails half-way for a lock; readers have their own connections, which
cannot write, and never wait.

PostgreSQL is asked for ``synchronous_commit=on``, whatever its own settings say. Writers take one
advisory lock for their transaction, in every process, so that what SQLite's one writer promises
holds there too; readers are read-only with one view each. Every wait ends: for a connection, for a
lock, for an answer, and for a client that was paused in the middle of a transaction.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, text

#: Seconds a connection waits for another process's lock (a backup, a person with sqlite3).
BUSY_TIMEOUT_S: Final = 5.0
#: Connections for readers; one more waits for its turn up to READER_WAIT_S.
READERS: Final = 4
READER_WAIT_S: Final = 5.0
#: PostgreSQL: seconds to connect, for a lock, for one statement, and between two of a transaction.
CONNECT_TIMEOUT_S: Final = 5
LOCK_TIMEOUT_S: Final = 5.0
STATEMENT_TIMEOUT_S: Final = 10.0
PAUSE_TIMEOUT_S: Final = 5.0
#: A peer that acknowledges nothing for this long is gone.
UNANSWERED_TIMEOUT_S: Final = 10.0
#: Names the writers' lock: "davylamp" in bytes.
WRITERS_LOCK: Final = int.from_bytes(b"davylamp")


def make_engine(url: URL, *, size: int, is_reader: bool) -> Engine:
    """An engine whose connections keep the module's promises."""
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, size=size, is_reader=is_reader)
    return _postgresql(url, size=size, is_reader=is_reader)


def named_driver(url: URL) -> URL:
    """``postgresql://`` means the driver we have."""
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _sqlite(url: URL, *, size: int, is_reader: bool) -> Engine:
    engine = create_engine(url, pool_size=size, max_overflow=0, pool_timeout=READER_WAIT_S)

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

    return engine


def _postgresql(url: URL, *, size: int, is_reader: bool) -> Engine:
    settings = {
        "synchronous_commit": "on",
        "lock_timeout": round(LOCK_TIMEOUT_S * 1000),
        "statement_timeout": round(STATEMENT_TIMEOUT_S * 1000),
        "idle_in_transaction_session_timeout": round(PAUSE_TIMEOUT_S * 1000),
        "default_transaction_read_only": "on" if is_reader else "off",
        "timezone": "UTC",
        "application_name": "davylamp",
    }
    engine = create_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=READER_WAIT_S,
        # After the server's restart the pool holds connections to nobody.
        pool_pre_ping=True,
        isolation_level="REPEATABLE READ" if is_reader else "READ COMMITTED",
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "keepalives_idle": round(UNANSWERED_TIMEOUT_S),
            "tcp_user_timeout": round(UNANSWERED_TIMEOUT_S * 1000),
            "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
        },
    )
    if not is_reader:

        @event.listens_for(engine, "begin")
        def on_begin(connection: Connection) -> None:
            connection.execute(_LOCK_WRITERS)

    return engine


_LOCK_WRITERS: Final = text(f"SELECT pg_advisory_xact_lock({WRITERS_LOCK})")
