"""The server side: conventions, one span, and whose word decides the canary arm."""

from __future__ import annotations

import asyncio

import fastapi
import pytest
from opentelemetry.trace import SpanKind, StatusCode

import telemetry
from telemetry import semconv
from telemetry.errors import AppAlreadyRunningError, InstrumentationError
from telemetry.fastapi import instrument_app

DURATION = "http.server.request.duration"
CANARY = {"davylamp.canary.cohort": "canary", "deployment.id": "d-7"}
CANARY_BAGGAGE = {"baggage": "davylamp.canary.cohort=canary,deployment.id=d-7"}


def make_app(capture, *, trust=True):
    app = fastapi.FastAPI()

    @app.get("/titles/{title}")
    async def title(title: str) -> dict[str, str]:
        return {"title": title}

    @app.get("/decided")
    async def decided() -> dict[str, str]:
        telemetry.set_cohort("baseline", "d-9")
        return {}

    @app.get("/decided-in-thread")
    def decided_in_thread() -> dict[str, str]:
        with telemetry.cohort("baseline", "d-9"):
            return {}

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("boom")

    instrument_app(app, capture.telemetry, trust_inbound_baggage=trust)
    return app


async def test_one_server_span_and_the_stable_duration_per_request(telemetry_capture, request_app):
    """A request makes exactly one span, and a duration in seconds with the standard buckets."""
    assert await request_app(make_app(telemetry_capture), "/titles/42") == 200

    (span,) = telemetry_capture.spans()
    assert (span.name, span.kind) == ("GET /titles/{title}", SpanKind.SERVER)
    assert span.attributes["http.response.status_code"] == 200
    metrics = telemetry_capture.metrics()
    assert metrics[DURATION].unit == "s"
    (point,) = metrics[DURATION].data.data_points
    assert tuple(point.explicit_bounds) == semconv.HTTP_DURATION_BUCKETS_S
    assert point.count == 1
    assert dict(point.attributes) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/titles/{title}",
        "network.protocol.version": "1.1",
        "url.scheme": "http",
    }
    assert {DURATION, "http.server.active_requests"} == set(metrics)


async def test_one_span_also_with_global_providers(request_app):
    """FastAPI's own instrumentation stays silent although global providers exist."""
    process = await asyncio.create_subprocess_exec(
        __import__("sys").executable,
        "-c",
        """
import asyncio, fastapi
from telemetry import provider
from telemetry.fastapi import instrument_app
from telemetry.testing import capture
captured = capture()
provider.install_globals(captured.telemetry)
app = fastapi.FastAPI()
app.get("/")(lambda: {})
instrument_app(app, captured.telemetry)
async def receive(): return {"type": "http.request", "body": b"", "more_body": False}
async def send(message): pass
scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
         "path": "/", "raw_path": b"/", "query_string": b"", "root_path": "", "scheme": "http",
         "headers": [], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}
asyncio.run(app(scope, receive, send))
print(len(captured.spans()), sorted(captured.metrics()))
""",
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    expected = "1 ['http.server.active_requests', 'http.server.request.duration']"
    assert expected == out.decode().strip()


async def test_inbound_baggage_labels_span_and_metric(telemetry_capture, request_app):
    """Inside the platform the caller's arm becomes an attribute of span and duration."""
    await request_app(make_app(telemetry_capture), "/titles/1", CANARY_BAGGAGE)

    (span,) = telemetry_capture.spans()
    assert CANARY.items() <= dict(span.attributes).items()
    assert telemetry_capture.total(DURATION, CANARY) == 1


async def test_the_edge_strips_a_clients_baggage(telemetry_capture, request_app):
    """A client cannot put itself into an arm at the edge, whatever the header's case."""
    app = make_app(telemetry_capture, trust=False)
    await request_app(app, "/titles/1", CANARY_BAGGAGE)
    await request_app(app, "/titles/1", {"Baggage": CANARY_BAGGAGE["baggage"]})

    assert telemetry_capture.total(DURATION) == 2
    assert telemetry_capture.total(DURATION, {"davylamp.canary.cohort": "canary"}) == 0
    assert not any(CANARY.keys() & span.attributes.keys() for span in telemetry_capture.spans())


@pytest.mark.parametrize("path", ["/decided", "/decided-in-thread"])
async def test_an_arm_chosen_in_the_handler(telemetry_capture, request_app, path):
    """The edge decides inside the handler; the request's own span and duration still get it."""
    await request_app(make_app(telemetry_capture, trust=False), path, CANARY_BAGGAGE)

    chosen = {"davylamp.canary.cohort": "baseline", "deployment.id": "d-9"}
    assert telemetry_capture.total(DURATION, chosen) == 1
    (span,) = telemetry_capture.spans()
    assert chosen.items() <= dict(span.attributes).items()


async def test_an_arm_does_not_leak_into_the_next_request(telemetry_capture, request_app):
    """Requests handled one after the other in one task do not inherit the arm."""
    app = make_app(telemetry_capture, trust=False)
    await request_app(app, "/decided")
    await request_app(app, "/titles/1")

    assert telemetry_capture.total(DURATION, {"davylamp.canary.cohort": "baseline"}) == 1
    assert telemetry_capture.total(DURATION) == 2


async def test_concurrent_requests_keep_their_own_arm(telemetry_capture, request_app):
    """Twenty interleaved requests are labelled by their own baggage."""
    app = make_app(telemetry_capture)
    await asyncio.gather(
        *(request_app(app, "/titles/1", CANARY_BAGGAGE if i % 2 else None) for i in range(20))
    )
    assert telemetry_capture.total(DURATION, CANARY) == 10
    assert telemetry_capture.total(DURATION) == 20


async def test_active_requests_return_to_zero(telemetry_capture, request_app):
    """The up-down counter carries no arm, so +1 and -1 meet in the same series."""
    await request_app(make_app(telemetry_capture, trust=False), "/decided")
    (point,) = telemetry_capture.points("http.server.active_requests")
    assert point.value == 0


async def test_values_outside_the_alphabet_are_ignored_and_counted(telemetry_capture, request_app):
    """An unknown arm never becomes a label."""
    await request_app(
        make_app(telemetry_capture),
        "/titles/1",
        {"baggage": "davylamp.canary.cohort=gold,deployment.id=x%20y"},
    )
    (point,) = telemetry_capture.points(DURATION)
    assert not CANARY.keys() & point.attributes.keys()
    assert telemetry_capture.telemetry.stats().labels_ignored == 2


async def test_an_unhandled_exception_is_one_failed_span(telemetry_capture, request_app):
    """A crash in the handler is a 500 on the span and on the duration."""
    app = make_app(telemetry_capture)
    with pytest.raises(RuntimeError):
        await request_app(app, "/broken")
    (span,) = telemetry_capture.spans()
    assert span.status.status_code == StatusCode.ERROR
    assert telemetry_capture.total(DURATION, {"http.response.status_code": 500}) == 1


async def test_probes_are_not_observed(telemetry_capture, request_app):
    """Health probes make neither spans nor metrics; paths that merely end alike do."""
    app = make_app(telemetry_capture)
    for path in ("/healthz", "/readyz", "/metrics"):
        await request_app(app, path)
    assert telemetry_capture.spans() == []
    assert telemetry_capture.metrics() == {}
    await request_app(app, "/api/v1/metrics")
    assert len(telemetry_capture.spans()) == 1


async def test_instrumenting_too_late_or_twice_is_refused(telemetry_capture, request_app):
    """Both would silently do nothing or double everything."""
    app = make_app(telemetry_capture)
    with pytest.raises(InstrumentationError):
        instrument_app(app, telemetry_capture.telemetry)
    running = fastapi.FastAPI()
    await request_app(running, "/")
    with pytest.raises(AppAlreadyRunningError):
        instrument_app(running, telemetry_capture.telemetry)
