"""A FastAPI application observed: one server span per request, duration in seconds, canary arm.

The contrib instrumentation does the conventions; around it sits ``RequestScope``, the outermost
middleware, which owns the request's labels and, at the edge, drops what a client claims.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from types import MethodType
from typing import Any, Final

from opentelemetry import baggage
from opentelemetry.trace import Span

from telemetry import semconv
from telemetry.context import (
    RequestLabels,
    labels_from_baggage,
    request_labels,
    valid_label,
)
from telemetry.errors import AppAlreadyRunningError, InstrumentationError
from telemetry.provider import Telemetry
from telemetry.settings import choose_stable_http_conventions

choose_stable_http_conventions()

# After the choice above, because contrib decides once per process.
import anyio.to_thread  # noqa: E402 - part of FastAPI, like the next
import fastapi  # noqa: E402
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: E402

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Probes and scrapes: frequent, and no user waits for them.
DEFAULT_EXCLUDED_PATHS: Final = ("/healthz", "/readyz", "/metrics")
#: The application's last words to its server.
LIFESPAN_ENDS: Final = frozenset({"lifespan.shutdown.complete", "lifespan.shutdown.failed"})


class RequestScope:
    """Outermost ASGI middleware: gives every request its own labels, and exports what is left when
    the application ends.

    A server that was told to end by a signal dies of it once the application is down (uvicorn), so
    handlers at the interpreter's exit never run.

    With ``trust_inbound_baggage=False`` the whole ``baggage`` header is dropped before anything
    reads it: a client must choose neither its arm nor what the services behind are told.
    """

    def __init__(self, app: AsgiApp, telemetry: Telemetry, *, trust_inbound_baggage: bool) -> None:
        self.app = app
        self._telemetry = telemetry
        self._trusts = trust_inbound_baggage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, self._flushing(send))
            return
        if not self._trusts:
            scope["headers"] = [
                (name, value) for name, value in scope["headers"] if name.lower() != b"baggage"
            ]
        token = request_labels.set(RequestLabels())
        try:
            await self.app(scope, receive, send)
        finally:
            request_labels.reset(token)

    def _flushing(self, send: Send) -> Send:
        async def flush_and_send(message: Message) -> None:
            if message["type"] in LIFESPAN_ENDS:
                await anyio.to_thread.run_sync(self._telemetry.flush_within)
            await send(message)

        return flush_and_send


def instrument_app(
    app: fastapi.FastAPI,
    telemetry: Telemetry,
    *,
    trust_inbound_baggage: bool = True,
    excluded_paths: Sequence[str] = DEFAULT_EXCLUDED_PATHS,
) -> None:
    """Observe ``app``: spans and ``http.server.request.duration`` through ``telemetry``.

    Call it before the first request. ``trust_inbound_baggage=False`` is for the edge.
    A request for exactly one of ``excluded_paths`` gets neither span nor metric.
    Raises AppAlreadyRunningError and InstrumentationError (instrumented twice).
    """
    if app.middleware_stack is not None:
        raise AppAlreadyRunningError("instrument_app() must come before the app's first request")
    if getattr(app, "_is_instrumented_by_opentelemetry", False):
        raise InstrumentationError("this app is already instrumented")
    _silence_native_telemetry(app)
    FastAPIInstrumentor.instrument_app(
        app,
        tracer_provider=telemetry.tracer_provider,
        meter_provider=telemetry.labelled_meter_provider,
        server_request_hook=_start_of_request(telemetry),
        # Contrib searches the full URL, so the path is anchored behind the host.
        excluded_urls=",".join(f"://[^/]+{re.escape(path)}$" for path in excluded_paths),
        # Two internal spans per request that say nothing the server span does not.
        exclude_spans=["receive", "send"],
    )
    _wrap_outermost(app, telemetry, trust_inbound_baggage=trust_inbound_baggage)


def _silence_native_telemetry(app: fastapi.FastAPI) -> None:
    """FastAPI >= 0.142 observes itself once a global provider exists.

    It would stand aside for contrib, but only after looking at every request; switched off it does
    not look. The application's own explicit choice is kept in force by the test for one span.
    """
    native = getattr(app, "_telemetry", None)
    if isinstance(native, dict):
        native.update(tracing=False, metrics=False, logs=False)


def _start_of_request(telemetry: Telemetry) -> Callable[[Span, Scope], None]:
    def note(span: Span, _scope: Scope) -> None:
        cell = request_labels.get()
        if cell is None:
            return
        cell.server_span = span
        cell.labels = labels_from_baggage()
        for key in semconv.BAGGAGE_KEYS:
            value = baggage.get_baggage(key)
            if value is not None and not valid_label(key, value):
                telemetry.counter.record_label_ignored()

    return note


def _wrap_outermost(
    app: fastapi.FastAPI, telemetry: Telemetry, *, trust_inbound_baggage: bool
) -> None:
    """Put RequestScope around contrib's middleware, which builds its stack lazily."""
    build_inner = app.build_middleware_stack

    def build_middleware_stack(_self: fastapi.FastAPI) -> RequestScope:
        return RequestScope(build_inner(), telemetry, trust_inbound_baggage=trust_inbound_baggage)

    app.build_middleware_stack = MethodType(build_middleware_stack, app)  # type: ignore[method-assign]
