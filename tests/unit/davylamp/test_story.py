"""Waiting outlives one lost answer; a refusal does not."""

from __future__ import annotations

import io

import pytest
from aiohttp import web

from davylamp import config
from davylamp.clients import Clients
from davylamp.errors import StoryError
from davylamp.story import Story, StoryConfig
from davylamp.timeline import Timeline
from telemetry.clock import SystemClock


async def test_one_lost_answer_ends_nothing_and_a_refusal_does():
    asked = []

    async def traffic(request):
        asked.append(request.path)
        if len(asked) == 1:
            request.transport.abort()
        return web.json_response({"plays_success": 1})

    async def deployments(_request):
        return web.json_response({"error": "barred"}, status=409)

    deployer = web.Application()
    deployer.router.add_get("/v1/traffic", traffic)
    deployer.router.add_post("/v1/deployments", deployments)
    runner = web.AppRunner(deployer)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    settings = config.load_settings(environ={}).with_values({"samples": {"controller_port": port}})
    try:
        async with Clients(settings) as clients:
            timeline = Timeline(SystemClock(), io.StringIO())
            story = Story(clients, timeline, StoryConfig(0.0, "F01", "N5"))
            with pytest.raises(StoryError, match="409"):
                await story.run()
    finally:
        await runner.cleanup()
    assert len(asked) == 2
