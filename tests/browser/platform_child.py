"""A process with both APIs on free ports, for pages to read: ``python platform_child.py FOLDER``.

The collector's read API over its real store, filled with a few minutes of generated OTLP and then
with every passing second; and the analysis API's answers. Prints one line of JSON when ready.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
import zlib
from pathlib import Path

import sample_analysis
import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import CollectorRegistry
from sample_traffic import SECOND_NS, Traffic

from collector.config import StoreConfig
from collector.query.api import build_app
from collector.store.engine import Signal, open_store
from telemetry.clock import SystemClock

PAST_S = 240
PLAYS_PER_S = 10.0


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


class Sink:
    is_open = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self.store = open_store(
            StoreConfig(
                path=folder / "store",
                max_memory_bytes=1_500_000_000,
                query_memory_bytes=500_000_000,
                query_timeout_s=10.0,
                insert_connections=2,
                query_connections=4,
                retention_spans_s=86_400,
                retention_points_s=86_400,
                retention_rollups_s=86_400,
                series_look_back_s=300.0,
                max_series_per_query=20_000,
            )
        )

    def take(self, messages: list) -> None:
        is_trace = [isinstance(m, ExportTraceServiceRequest) for m in messages]
        for signal, wanted in ((Signal.TRACES, True), (Signal.METRICS, False)):
            mine = [m for m, trace in zip(messages, is_trace, strict=True) if trace is wanted]
            if mine:
                self._number += 1
                path = self._folder / f"{self._number}.seg"
                path.write_bytes(b"".join(framed(m.SerializeToString()) for m in mine))
                self.store.insert_segment(path, signal, f"segment-{self._number}")
                path.unlink()

    def accounting(self) -> dict:
        return {}

    def is_ready(self) -> bool:
        return True


async def main(folder: Path) -> None:
    sink = Sink(folder)
    traffic = Traffic(seed=1, plays_per_s=PLAYS_PER_S)
    now_s = int(time.time())
    past = [m for s in range(now_s - PAST_S, now_s) for m in traffic.second(s * SECOND_NS)]
    sink.take(past)
    config = sink_config = None
    del config, sink_config
    apps = [
        build_app(sink.store, sink, SystemClock(), registry=CollectorRegistry(), config=QUERY),
        sample_analysis.build_app(time.time_ns()),
    ]
    servers = [
        uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", access_log=False))
        for app in apps
    ]
    tasks = [asyncio.create_task(server.serve()) for server in servers]
    while not all(server.started for server in servers):
        await asyncio.sleep(0.01)
    ports = [server.servers[0].sockets[0].getsockname()[1] for server in servers]
    print(json.dumps({"collector": ports[0], "analysis": ports[1]}), flush=True)
    loop = asyncio.get_running_loop()
    second = now_s
    while not all(task.done() for task in tasks):
        if second + 1 <= time.time():
            await loop.run_in_executor(None, sink.take, traffic.second(second * SECOND_NS))
            second += 1
        else:
            await asyncio.sleep(0.05)
    sink.store.close()


if __name__ == "__main__":
    QUERY = StoreConfig(
        path=Path(sys.argv[1]) / "store",
        max_memory_bytes=1_500_000_000,
        query_memory_bytes=500_000_000,
        query_timeout_s=10.0,
        insert_connections=2,
        query_connections=4,
        retention_spans_s=86_400,
        retention_points_s=86_400,
        retention_rollups_s=86_400,
        series_look_back_s=300.0,
        max_series_per_query=20_000,
    )
    asyncio.run(main(Path(sys.argv[1])))
