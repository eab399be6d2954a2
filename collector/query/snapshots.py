"""Snapshots over HTTP, so that a running collector can be backed up."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from collector.store.engine import Store
from collector.store.errors import StoreError
from collector.store.snapshot import freeze, release

#: A page in a browser cannot send it to another origin unasked.
HEADER = "x-davylamp"
Given = Annotated[str | None, Header()]


def snapshot_routes(store: Store) -> APIRouter:
    """POST makes the one snapshot, DELETE lets it go."""
    router = APIRouter()

    @router.post("/api/v1/store/snapshot")
    async def make(x_davylamp: Given = None) -> JSONResponse:
        """Freeze every table; answers where their parts are."""
        if x_davylamp is None:
            return _refused(403, "forbidden", f"the header {HEADER} is missing")
        try:
            tables = await run_in_threadpool(freeze, store)
        except (StoreError, OSError) as error:
            return _refused(503, "store_unavailable", str(error))
        return JSONResponse(
            {"tables": [{"name": one.name, "folder": str(one.folder)} for one in tables]}
        )

    @router.delete("/api/v1/store/snapshot")
    async def drop(x_davylamp: Given = None) -> JSONResponse:
        """Let the parts go."""
        if x_davylamp is None:
            return _refused(403, "forbidden", f"the header {HEADER} is missing")
        try:
            await run_in_threadpool(release, store)
        except OSError as error:
            return _refused(503, "store_unavailable", str(error))
        return JSONResponse({})

    return router


def _refused(status: int, code: str, message: str) -> JSONResponse:
    error = {"code": code, "message": message, "accepted": f"{HEADER}: 1"}
    return JSONResponse({"error": error}, status)
