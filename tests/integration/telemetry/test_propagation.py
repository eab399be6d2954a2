"""Two services over real sockets: the trace and the canary arm arrive, and only where they may."""

from __future__ import annotations

import aiohttp
import fastapi
import pytest
from opentelemetry.trace import SpanKind, StatusCode

import telemetry
from telemetry.aiohttp import trace_config
from telemetry.fastapi import instrument_app
from telemetry.testing import capture

ARM = {"davylamp.canary.cohort": "canary", "deployment.id": "d-7"}
CLIENT_DURATION = "http.client.request.duration"
SERVER_DURATION = "http.server.request.duration"


@pytest.fixture
def edge():
    captured = capture("edge")
    yield captured
    captured.telemetry.shutdown()


@pytest.fixture
def playback():
    captured = capture("playback")
    yield captured
    captured.telemetry.shutdown()


def playback_app(playback):
    app = fastapi.FastAPI()

    @app.get("/plans/{title}")
    async def plan(title: str, request: fastapi.Request) -> dict[str, str | None]:
        return {"baggage": request.headers.get("baggage")}

    @app.get("/refused")
    async def refused() -> None:
        raise fastapi.HTTPException(503)

    instrument_app(app, playback.telemetry)
    return app


def edge_app(edge, playback_url, **client_options):
    app = fastapi.FastAPI()

    @app.get("/play/{title}")
    async def play(title: str, request: fastapi.Request) -> dict[str, str | None]:
        telemetry.set_cohort("canary", "d-7")
        config = trace_config(edge.telemetry, **client_options)
        async with (
            aiohttp.ClientSession(trace_configs=[config]) as session,
            session.get(
                f"{playback_url}/plans/{title}",
                # A careless proxy copies what the client sent.
                headers={"baggage": "deployment.id=forged", "traceparent": "forged"},
                trace_request_ctx={"url.template": "/plans/{title}"},
            ) as response,
        ):
            return await response.json()

    instrument_app(app, edge.telemetry, trust_inbound_baggage=False)
    return app


async def get_json(url, **options):
    async with aiohttp.ClientSession() as session, session.get(url, **options) as response:
        return await response.json()


async def test_trace_and_arm_cross_the_socket(serve, edge, playback):
    """One trace of three spans; the arm chosen at the edge labels both services' metrics."""
    async with serve(playback_app(playback)) as inner, serve(edge_app(edge, inner)) as outer:
        forged = {"baggage": "davylamp.canary.cohort=baseline,deployment.id=forged"}
        await get_json(f"{outer}/play/t1", headers=forged)

    edge_spans = {span.kind: span for span in edge.spans()}
    server, client = edge_spans[SpanKind.SERVER], edge_spans[SpanKind.CLIENT]
    (inner_server,) = playback.spans()
    assert len(edge.spans()) == 2
    assert server.context.span_id == client.parent.span_id
    assert client.context.span_id == inner_server.parent.span_id
    assert len({s.context.trace_id for s in (server, client, inner_server)}) == 1
    for span in (server, client, inner_server):
        assert ARM.items() <= dict(span.attributes).items()
    assert edge.total(SERVER_DURATION, ARM) == 1
    assert edge.total(CLIENT_DURATION, ARM) == 1
    assert playback.total(SERVER_DURATION, ARM) == 1


async def test_client_span_and_duration_follow_the_stable_conventions(serve, edge, playback):
    """Names, unit and attributes of the client side."""
    async with serve(playback_app(playback)) as inner, serve(edge_app(edge, inner)) as outer:
        await get_json(f"{outer}/play/t1")
        port = int(inner.rsplit(":", 1)[1])

    (client,) = edge.spans("GET /plans/{title}")
    expected = {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "server.address": "127.0.0.1",
        "server.port": port,
        "url.template": "/plans/{title}",
        **ARM,
    }
    assert {**expected, "url.full": f"{inner}/plans/t1"} == dict(client.attributes)
    metric = edge.metrics()[CLIENT_DURATION]
    (point,) = metric.data.data_points
    assert ("s", expected) == (metric.unit, dict(point.attributes))


async def test_baggage_stays_home_when_hosts_are_listed(serve, edge, playback):
    """A host that is not listed gets the trace, neither our baggage nor a copied header."""
    async with (
        serve(playback_app(playback)) as inner,
        serve(edge_app(edge, inner, baggage_hosts=["playback.internal"])) as outer,
    ):
        assert await get_json(f"{outer}/play/t1") == {"baggage": None}
    (inner_server,) = playback.spans()
    assert inner_server.parent is not None


async def test_failed_calls_are_classified(serve, edge, playback, free_port):
    """A status >= 400 and an exception both give an error type and an error span."""
    config = trace_config(edge.telemetry)
    async with (
        serve(playback_app(playback)) as inner,
        aiohttp.ClientSession(trace_configs=[config]) as session,
    ):
        async with session.get(f"{inner}/refused"):
            pass
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"http://127.0.0.1:{free_port}/")

    assert edge.total(CLIENT_DURATION, {"error.type": "503"}) == 1
    refused = "aiohttp.client_exceptions.ClientConnectorError"
    assert edge.total(CLIENT_DURATION, {"error.type": refused}) == 1
    assert [span.status.status_code for span in edge.spans()] == [StatusCode.ERROR] * 2


async def test_url_full_hides_credentials(serve, edge, playback):
    """A password in a URL does not reach the collector."""
    config = trace_config(edge.telemetry)
    async with (
        serve(playback_app(playback)) as inner,
        aiohttp.ClientSession(trace_configs=[config]) as session,
        session.get(inner.replace("//", "//user:secret@") + "/plans/1"),
    ):
        pass
    (span,) = edge.spans()
    assert f"{inner}/plans/1" == span.attributes["url.full"]
