"""A real store with the Prometheus API on a free port, in a process of its own.

The embedded engine takes one folder per process, and other tests of this session have theirs.

argv: folder. stdout: "ready PORT", then one line per command. stdin: "PATH TOKEN", a segment of
metrics to store; answered with the number of rows, or "error ...".
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvicorn
from prometheus_client import CollectorRegistry, make_asgi_app
from starlette.applications import Starlette
from starlette.routing import Mount

from collector.config import StoreConfig
from collector.promql.api import build_prometheus_app
from collector.promql.config import PromqlConfig
from collector.store.engine import Signal, Store, open_store
from collector.store.errors import StoreError
from telemetry.clock import SystemClock

DAY_S = 86_400


def store_config(path: Path) -> StoreConfig:
    return StoreConfig(
        path=path,
        max_memory_bytes=1_500_000_000,
        query_memory_bytes=500_000_000,
        query_timeout_s=10.0,
        insert_connections=1,
        query_connections=4,
        retention_spans_s=DAY_S,
        retention_points_s=DAY_S,
        retention_rollups_s=DAY_S,
        series_look_back_s=300.0,
        max_series_per_query=20_000,
    )


def promql_config(prometheus_version: int) -> PromqlConfig:
    return PromqlConfig(
        prometheus_version=prometheus_version,
        lookback_s=300.0,
        default_step_s=60.0,
        promoted_resource_attributes=("service.version",),
        max_samples=2_000_000,
        max_series=5_000,
        max_steps=11_000,
        max_subquery_steps=100_000,
        timeout_s=20.0,
        workers=2,
        max_waiting=4,
        max_body_bytes=200_000,
    )


def mounted(store: Store) -> Starlette:
    """Both dialects under their prefixes, as they would stand beside other routes."""
    registry = CollectorRegistry()
    applications = {
        version: build_prometheus_app(
            store,
            SystemClock(),
            config=promql_config(version),
            registry=registry if version == 3 else CollectorRegistry(),
        )
        for version in (2, 3)
    }
    return Starlette(
        routes=[
            Mount("/prometheus", applications[3]),
            Mount("/prometheus2", applications[2]),
            Mount("/metrics", make_asgi_app(registry)),
        ]
    )


async def main() -> None:
    store = open_store(store_config(Path(sys.argv[1])))
    server = uvicorn.Server(
        uvicorn.Config(mounted(store), host="127.0.0.1", port=0, log_level="error")
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    print(f"ready {port}", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        path, token = line.split()
        try:
            print(store.insert_segment(Path(path), Signal.METRICS, token).rows, flush=True)
        except StoreError as error:
            print(f"error {error}", flush=True)
    server.should_exit = True
    await serving
    store.close()


asyncio.run(main())
