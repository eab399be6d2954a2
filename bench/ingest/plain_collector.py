"""The collector one would write first: protobuf, SQLAlchemy, SQLite; a commit per request."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    event,
)
from sqlalchemy.engine import Engine

SPANS = Table(
    "spans",
    MetaData(),
    Column("trace_id", LargeBinary),
    Column("span_id", LargeBinary),
    Column("parent_span_id", LargeBinary),
    Column("service_name", String),
    Column("name", String),
    Column("kind", BigInteger),
    Column("start_unix_nano", BigInteger),
    Column("duration_ns", BigInteger),
    Column("status_code", BigInteger),
    Column("attributes", String),
    Column("resource", String),
)
Index("by_trace", SPANS.c.trace_id)
Index("by_service", SPANS.c.service_name, SPANS.c.start_unix_nano)


def value_of(value: Any) -> Any:
    """A scalar attribute value."""
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None


def rows(request: ExportTraceServiceRequest) -> list[dict[str, Any]]:
    """One row a span."""
    found = []
    for group in request.resource_spans:
        resource = {one.key: value_of(one.value) for one in group.resource.attributes}
        encoded = json.dumps(resource)
        for scope in group.scope_spans:
            for span in scope.spans:
                attributes = {one.key: value_of(one.value) for one in span.attributes}
                found.append(
                    {
                        "trace_id": span.trace_id,
                        "span_id": span.span_id,
                        "parent_span_id": span.parent_span_id,
                        "service_name": resource.get("service.name", ""),
                        "name": span.name,
                        "kind": span.kind,
                        "start_unix_nano": span.start_time_unix_nano,
                        "duration_ns": span.end_time_unix_nano - span.start_time_unix_nano,
                        "status_code": span.status.code,
                        "attributes": json.dumps(attributes),
                        "resource": encoded,
                    }
                )
    return found


def opened(folder: Path) -> Engine:
    """SQLite as its manual advises for many writes: a write-ahead log, synced at checkpoints."""
    engine = create_engine(f"sqlite:///{folder / 'spans.db'}")

    @event.listens_for(engine, "connect")
    def tuned(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")

    SPANS.metadata.create_all(engine)
    return engine


def serve(port: int, folder: Path) -> None:
    """Serve OTLP/gRPC until killed; prints ``ready``."""
    engine = opened(folder)
    writer = ThreadPoolExecutor(1)

    def store(found: list[dict[str, Any]]) -> None:
        with engine.begin() as connection:
            connection.execute(SPANS.insert(), found)

    def export(body: bytes, _: grpc.ServicerContext) -> bytes:
        writer.submit(store, rows(ExportTraceServiceRequest.FromString(body))).result()
        return b""

    server = grpc.server(
        ThreadPoolExecutor(8), options=(("grpc.max_receive_message_length", 16 << 20),)
    )
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "opentelemetry.proto.collector.trace.v1.TraceService",
                {"Export": grpc.unary_unary_rpc_method_handler(export)},
            ),
        )
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    print("ready", flush=True)
    server.wait_for_termination()
