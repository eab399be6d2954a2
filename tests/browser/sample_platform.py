"""A process that feeds a collector and stands in for the analysis API.

``python sample_platform.py OTLP_URL`` posts a few minutes of the past, then every second as it
passes, and serves the analysis API's answers. Prints one line of JSON when the past is stored.
An empty OTLP_URL feeds nobody.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import aiohttp
import sample_analysis
import uvicorn
from sample_traffic import SECOND_NS, Traffic, merged, settled_service

PAST_S = 150
CHUNK_S = 15
PLAYS_PER_S = 8.0


async def post(session: aiohttp.ClientSession, messages: list) -> None:
    """All messages of one signal in one request; anything but 200 ends this process."""
    for path, request in merged(messages).items():
        headers = {"content-type": "application/x-protobuf"}
        async with session.post(path, data=request.SerializeToString(), headers=headers) as answer:
            answer.raise_for_status()


async def feed(url: str, is_past_stored: asyncio.Event) -> None:
    """Post what passed, then what passes."""
    traffic = Traffic(seed=1, plays_per_s=PLAYS_PER_S)
    second = int(time.time()) - PAST_S
    async with aiohttp.ClientSession(url) as session:
        await post(session, settled_service(second * SECOND_NS))
        while second + CHUNK_S < time.time():
            past = range(second, second + CHUNK_S)
            await post(session, [m for s in past for m in traffic.second(s * SECOND_NS)])
            second += CHUNK_S
        is_past_stored.set()
        while True:
            await asyncio.sleep(max(0.0, second + 1 - time.time()))
            await post(session, traffic.second(second * SECOND_NS))
            second += 1


async def main(otlp_url: str) -> None:
    """Serve until killed."""
    app = sample_analysis.build_app(time.time_ns())
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", access_log=False))
    serving = asyncio.create_task(server.serve())
    is_past_stored = asyncio.Event()
    feeding = asyncio.create_task(feed(otlp_url, is_past_stored)) if otlp_url else None
    while not server.started:  # noqa: ASYNC110 - uvicorn offers only this flag
        await asyncio.sleep(0.01)
    if feeding is not None:
        await asyncio.wait(
            [asyncio.create_task(is_past_stored.wait()), feeding],
            return_when=asyncio.FIRST_COMPLETED,
        )
    port = server.servers[0].sockets[0].getsockname()[1]
    print(json.dumps({"analysis_port": port}), flush=True)
    await (serving if feeding is None else asyncio.gather(serving, feeding))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
