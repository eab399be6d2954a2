"""The store: segments go in exactly once, SQL comes out as Arrow.

One process owns one folder; inside it the engine is embedded ClickHouse (chDB). A connection runs
one statement at a time, so inserts and queries have a pool each. Nothing outside this module
touches the engine, so that a cluster behind clickhouse-connect can take its place.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import chdb
import pyarrow as pa

from collector.config import StoreConfig
from collector.model import Signal
from collector.store import schema
from collector.store.bind import Parameter, bind
from collector.store.errors import SchemaMismatch, StoreUnavailable, insert_error, query_error
from collector.store.tokens import mend_tokens, token_folders, write_through

__all__ = ["InsertResult", "Signal", "Store", "open_store"]

_LANDING: Final = {
    Signal.TRACES: ("otlp_traces_in", "Traces"),
    Signal.METRICS: ("otlp_metrics_in", "Metrics"),
    Signal.LOGS: ("otlp_logs_in", "Logs"),
}
#: One block in, one block per table out: a token then names the same rows in every retry.
_INSERT_SETTINGS: Final = (
    "deduplicate_blocks_in_dependent_materialized_views = 1, insert_deduplicate = 1, "
    "async_insert = 0, max_insert_threads = 1, parallel_view_processing = 0, "
    # Planning the views is most of a small insert: leave out what only pays on long queries.
    "compile_expressions = 0, max_threads = 1, query_plan_enable_optimizations = 0"
)


@dataclass(frozen=True, slots=True)
class InsertResult:
    """``rows``: spans or data points the segment held (the same number again on a replay)."""

    rows: int


class Store:
    """An open store. Thread-safe; every call blocks, with the interpreter lock released."""

    def __init__(self, config: StoreConfig) -> None:
        self._config = config
        target = f"{config.path}?max_server_memory_usage={config.max_memory_bytes}"
        self._connections: list[Any] = []
        self._inserts: queue.Queue[Any] = queue.Queue()
        self._queries: queue.Queue[Any] = queue.Queue()
        self._insert_counts: Counter[str] = Counter()
        self._counting = threading.Lock()
        try:
            first = self._connect(target, database=None)
            first.query(f"CREATE DATABASE IF NOT EXISTS {schema.DATABASE} ENGINE = Atomic")
            first.query(f"USE {schema.DATABASE}")
            self._create_tables(first)
            self._inserts.put(first)
            for _ in range(config.insert_connections - 1):
                self._inserts.put(self._connect(target, schema.DATABASE))
            for _ in range(config.query_connections):
                self._queries.put(self._connect(target, schema.DATABASE))
        except RuntimeError as error:
            self.close()
            raise StoreUnavailable(f"cannot open {config.path}: {error}") from error
        self._log_folders = token_folders(config.path)
        if write_through(self._log_folders):
            self._log_folders = []

    def insert_segment(self, path: Path, signal: Signal, token: str) -> InsertResult:
        """Store every span or point of the WAL segment at ``path``; visible when this returns.

        ``token`` names the segment for ever: calling again with the same path content and token,
        also after a crash in the middle, adds nothing twice and completes what is missing.
        Raises PoisonedSegment if the bytes cannot be decoded, StoreUnavailable if a later call may
        succeed.
        """
        try:
            if path.stat().st_size == 0:
                return InsertResult(rows=0)
        except OSError as error:
            raise StoreUnavailable(f"cannot read {path}: {error.strerror}") from error
        landing, message = _LANDING[signal]
        sql = (
            f"INSERT INTO {landing} FROM INFILE {_quoted(str(path))} "
            f"SETTINGS format_schema = {_quoted(f'{schema.PROTO_PATH}:{message}')}, "
            f"insert_deduplication_token = {_quoted(token)}, {_INSERT_SETTINGS} "
            "FORMAT ProtobufSingle"
        )
        with self._borrowed(self._inserts) as connection:
            try:
                connection.query(sql)
                self._sync_deduplication_logs()
                rows = connection.query(
                    "SELECT max(row_count) FROM segment_rows WHERE token = {token:String}",
                    "TSV",
                    params=bind({"token": token}),
                )
            except (RuntimeError, OSError) as error:
                raise insert_error(str(error)) from error
            finally:
                self._count_insert(landing)
            return InsertResult(rows=int(rows.data()))

    def insert_block(self, table: str, data: bytes, near: Path, token: str | None) -> None:
        """Insert a block of the Native format; once per ``token``, however often it is called.

        ``table`` is one of ours. ``near``: a segment; the engine reads the block from a file beside
        it. Raises PoisonedSegment or StoreUnavailable.
        """
        path = near.with_name(f"{near.name}.{table}.tmp")
        once = (
            f"insert_deduplication_token = {_quoted(token)}" if token else "insert_deduplicate = 0"
        )
        sql = (
            f"INSERT INTO {table} FROM INFILE {_quoted(str(path))} "
            f"SETTINGS {once}, async_insert = 0, max_insert_threads = 1, max_threads = 1 "
            "FORMAT Native"
        )
        try:
            path.write_bytes(data)
            with self._borrowed(self._inserts) as connection:
                connection.query(sql)
                self._sync_deduplication_logs()
        except (RuntimeError, OSError) as error:
            raise insert_error(str(error)) from error
        finally:
            self._count_insert(table)
            path.unlink(missing_ok=True)

    def inserts(self, table: str) -> int:
        """Inserts into one of our tables that have ended in this life, also those that failed.

        The same number twice: no insert ended in between, so what was read after the first time
        holds all that was acknowledged before the second. OTLP has landing tables.
        """
        with self._counting:
            return self._insert_counts[table]

    def _count_insert(self, table: str) -> None:
        with self._counting:
            self._insert_counts[table] += 1

    @contextlib.contextmanager
    def administration(self) -> Iterator[Callable[[str], list[list[str]]]]:
        """A way to run statements of ours while nothing is inserted; answers are rows of texts.

        Raises StoreUnavailable.
        """
        with contextlib.ExitStack() as stack:
            connections = [
                stack.enter_context(self._borrowed(self._inserts))
                for _ in range(self._config.insert_connections)
            ]

            def run(sql: str) -> list[list[str]]:
                try:
                    answer: str = connections[0].query(sql, "TSV").data()
                except RuntimeError as error:
                    raise query_error(str(error)) from error
                return [line.split("\t") for line in answer.splitlines()]

            yield run

    def query(self, sql: str, parameters: Mapping[str, Parameter] | None = None) -> pa.Table:
        """The answer of a SELECT; text columns come as binary, since senders may break UTF-8.

        ``sql`` is ours and constant; everything a user typed goes into ``parameters`` and is
        written as ``{name:Type}``. Raises QueryTooExpensive or StoreUnavailable.
        """
        limited = (
            f"{sql} SETTINGS readonly = 2, max_execution_time = {self._config.query_timeout_s}, "
            f"max_memory_usage = {self._config.query_memory_bytes}, "
            "output_format_arrow_string_as_string = 0, "
            "output_format_arrow_compression_method = 'none'"
        )
        with self._borrowed(self._queries) as connection:
            try:
                answer = connection.query(limited, "ArrowStream", params=bind(parameters or {}))
            except RuntimeError as error:
                raise query_error(str(error)) from error
            return pa.ipc.open_stream(pa.py_buffer(answer.bytes())).read_all()

    def close(self) -> None:
        """Close every connection; the engine stops with the last one."""
        while self._connections:
            with contextlib.suppress(RuntimeError):
                self._connections.pop().close()

    def _connect(self, target: str, database: str | None) -> Any:
        connection: Any = chdb.connect(target)  # type: ignore[no-untyped-call]
        self._connections.append(connection)
        if database is not None:
            connection.query(f"USE {database}")
        return connection

    @property
    def path(self) -> Path:
        """The folder."""
        return self._config.path

    @contextlib.contextmanager
    def _borrowed(self, pool: queue.Queue[Any]) -> Iterator[Any]:
        connection = pool.get()
        try:
            yield connection
        finally:
            pool.put(connection)

    def _create_tables(self, connection: Any) -> None:
        tables = "SELECT count() FROM system.tables WHERE database = currentDatabase()"
        is_new = int(connection.query(tables, "TSV").data()) == 0
        numbers = {
            "retention_spans_s": self._config.retention_spans_s,
            "retention_points_s": self._config.retention_points_s,
            "retention_rollups_s": self._config.retention_rollups_s,
        }
        if not is_new:
            found = (
                connection.query("SELECT max(version) FROM schema_version", "TSV").data().strip()
            )
            # Written last on creation: 0 means that the first start was interrupted.
            if found not in {"0", str(schema.SCHEMA_VERSION)}:
                raise SchemaMismatch(
                    f"{self._config.path} holds schema version {found}, this program needs "
                    f"{schema.SCHEMA_VERSION}; move the folder away or run the matching release"
                )
        for sql in schema.statements(numbers).values():
            connection.query(sql)
        if is_new or found == "0":
            connection.query(
                "INSERT INTO schema_version SELECT {version:UInt32}",
                params=bind({"version": schema.SCHEMA_VERSION}),
            )

    def _sync_deduplication_logs(self) -> None:
        """Where the lists of tokens cannot be written through: at least after every insert."""
        for folder in self._log_folders:
            newest = max(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns, default=None)
            if newest is None:
                continue
            descriptor = os.open(newest, os.O_RDONLY)
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)


def open_store(config: StoreConfig) -> Store:
    """Open or create the store in ``config.path``.

    Raises StoreUnavailable if another process owns the folder or it cannot be written,
    SchemaMismatch if another release made it.
    """
    config.path.mkdir(parents=True, exist_ok=True)
    with _owned(config.path):
        try:
            mend_tokens(config.path)
        except OSError as error:
            raise StoreUnavailable(f"cannot open {config.path}: {error}") from error
    return Store(config)


@contextlib.contextmanager
def _owned(path: Path) -> Iterator[None]:
    """While no engine runs on the folder: it locks the file ``status`` as long as it does."""
    descriptor = os.open(path / "status", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise StoreUnavailable(f"cannot open {path}: another process uses it") from error
    finally:
        os.close(descriptor)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
