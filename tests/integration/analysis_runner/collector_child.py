"""A collector to be killed: the real store and the real read API, fed by POSTed OTLP bodies.

Arguments: state folder, port (0 = any). Prints the port when it answers. The store is one per
process, hence a process of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import struct
import sys
import zlib
from pathlib import Path

import uvicorn
from fastapi import Request
from prometheus_client import CollectorRegistry

from collector.config import StoreConfig
from collector.query.api import build_app
from collector.store.engine import Signal, open_store
from telemetry.clock import SystemClock


class Accounting:
    def accounting(self):
        return {}

    def is_ready(self):
        return True


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def framed(body: bytes) -> bytes:
    payload = b"DLW1" + struct.pack("<III", len(body), zlib.crc32(body), 0)
    return varint(15000 << 3 | 2) + varint(len(payload)) + payload + body


def config(folder: Path) -> StoreConfig:
    return StoreConfig(
        path=folder / "store",
        max_memory_bytes=1_000_000_000,
        query_memory_bytes=400_000_000,
        query_timeout_s=10.0,
        insert_connections=1,
        query_connections=2,
        retention_spans_s=86_400,
        retention_points_s=86_400,
        retention_rollups_s=86_400,
        series_look_back_s=300.0,
        max_series_per_query=2_000,
    )


async def serve(folder: Path, port: int) -> None:
    store = open_store(config(folder))
    app = build_app(
        store, Accounting(), SystemClock(), registry=CollectorRegistry(), config=config(folder)
    )
    numbers = itertools.count()

    @app.post("/insert")
    async def insert(request: Request) -> dict[str, int]:
        """A body of one or more requests, each after its length (4 bytes, big endian)."""
        raw, bodies = await request.body(), []
        while raw:
            (size,) = struct.unpack(">I", raw[:4])
            bodies.append(framed(raw[4 : 4 + size]))
            raw = raw[4 + size :]
        token = f"{port}-{next(numbers)}-{SystemClock().wall_unix_nano()}"
        path = folder / f"{token}.seg"
        path.write_bytes(b"".join(bodies))
        return {"rows": store.insert_segment(path, Signal.METRICS, token).rows}

    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await task
    store.close()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
