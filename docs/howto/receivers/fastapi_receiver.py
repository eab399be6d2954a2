"""Obeys Davylamp's commands: ``uvicorn fastapi_receiver:app``, one process on one folder."""
# ruff: noqa: ARG001, ASYNC240, TID251

import json
import os
import sqlite3
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request, Response

from analysis.webhooks.verify import VerificationError, verify

SECRETS = Path(os.environ["WEBHOOK_SECRET_FILE"])
AUDIENCES = [
    {"endpoint_id": "deploy-controller", "environment": e} for e in ("prod", "conformance")
]
ACTIONS = ("davylamp.rollback.requested", "davylamp.promotion.requested")
app, known = FastAPI(), sqlite3.connect("accepted.sqlite")
known.execute("CREATE TABLE IF NOT EXISTS accepted (id TEXT PRIMARY KEY, lane TEXT, sequence INT)")
SEEN = "SELECT 1 FROM accepted WHERE id = ?"
NEWER = "SELECT 1 FROM accepted WHERE lane = ? AND sequence >= ?"


def obey(event: dict[str, Any]) -> None:
    """Within 8 s, harmless if repeated; whatever it raises lets the command be sent again."""
    print(event["type"], event["subject"], event["data"]["decision_id"], flush=True)
    # Here the release goes away, or becomes the stable one; in "conformance" nothing does.


@app.exception_handler(VerificationError)
async def refuse(_: Request, error: Exception) -> Response:
    return Response(str(error), 401)


@app.post("/webhooks/davylamp")
async def receive(request: Request, content_length: Annotated[int, Header(le=65_536)]) -> Response:
    body, now_unix_s = await request.body(), time.time()
    verify(request.headers, body, SECRETS.read_text().split(), int(now_unix_s))
    event, message_id = json.loads(body), request.headers["webhook-id"]
    if event["type"] not in ACTIONS:
        return Response(status_code=204)
    command, order = event["data"], (event["subject"], event["data"]["sequence"])
    answers = {
        200: known.execute(SEEN, [message_id]).fetchone() is not None,
        422: command["audience"] not in AUDIENCES or command["mode"] != "act",
        410: datetime.fromisoformat(command["expires_at"]).timestamp() <= now_unix_s,
        409: known.execute(NEWER, order).fetchone() is not None,
    }
    status = next((status for status, applies in answers.items() if applies), 202)
    if status == 202:
        with known:  # all or nothing: kept only if obeyed, answered 202 only if kept
            known.execute("INSERT INTO accepted VALUES (?, ?, ?)", (message_id, *order))
            obey(event)
    return Response(status_code=status)
